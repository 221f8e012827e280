import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeletionRequest } from '../../../../activities/deletion/delete-tags.js';
import type { Digest } from '../../../../domain/digest.js';
import type { Placement } from '../../../../domain/plan/work.js';
import { type ActivityWorld, createWorld, run } from '../../../support/activity-world.js';
import { DESTINATION, NOW, placementOf } from '../../../support/durable-samples.js';
import { storeImage, storeIndex } from '../../../support/memory-registries.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };

type StampTo = 'annotations' | 'referrer';

/** Three tags: two of one upstream digest, and one that shares a platform with them. */
function openWorld(stampTo: StampTo): Scene {
  const world = createWorld();
  const source = world.registries.store(SOURCE);
  const image = (salt: string, architecture: string) => ({
    digest: storeImage(source, { salt, architecture }),
    platform: `linux/${architecture}`,
  });
  const shared = image('shared', 'arm64');
  const one = storeIndex(source, [image('one', 'amd64'), shared]);
  const two = storeIndex(source, [image('two', 'amd64'), shared]);
  for (const [tag, digest] of [['7', one] as const, ['7.0', one] as const, ['8', two] as const]) {
    source.tags.set(tag, digest);
  }
  return { world, stampTo, mirror: world.registries.store(DESTINATION) };
}

interface Scene {
  readonly world: ActivityWorld;
  readonly stampTo: StampTo;
  readonly mirror: ReturnType<ActivityWorld['registries']['store']>;
}

/**
 * The steps of a placement in the order of its workflow, done again for as long as a deletion went on beside them. One that
 * finds gone what it had seen a moment ago fails and takes back what it wrote; then the next run does it.
 */
async function place(scene: Scene, tag: string): Promise<void> {
  const { world, stampTo } = scene;
  const { steps, registries } = world;
  const baseDigest = registries.store(SOURCE).tags.get(tag) as Digest;
  const placement: Placement = placementOf('lib/redis', tag, { baseDigest, stampTo });
  const { destination } = placement;
  const undo: (() => Promise<unknown>)[] = [];
  try {
    for (let again = false; ; again = true) {
      const begunAtMs = Date.now();
      const inspection = await run(steps.inspectPlacement, placement);
      const { stamped: digest, revision } = inspection;
      if (!inspection.stampedPresent && digest !== baseDigest) {
        undo.unshift(() => run(steps.removeWritten, { destination, digest }));
      }
      await run(steps.writeImage, { placement, inspection, again });
      const sboms = { destination, subject: digest, carryFrom: null, timestamp: NOW, journal: null };
      await run(steps.attachSboms, sboms);
      const stamping = { placement, digest, revision };
      if (stampTo === 'referrer') undo.unshift(() => run(steps.removeStamp, stamping));
      const stamp = stampTo === 'referrer' ? await run(steps.putStamp, stamping) : null;
      const placed = { artifactType: 'image', signed: false, stamp } as const;
      const request = { destination, tag, digest, expected: null, journal: {}, placed, begunAtMs, again };
      if ((await persistently(world, () => run(steps.publishTag, request))) !== 'again') return;
    }
  } catch (error) {
    expect(error).toMatchObject({ type: 'NotFound' });
    expect(scene.mirror.tags.has(tag)).toBe(false);
    for (const step of undo) await step();
    await place(scene, tag);
  }
}

async function remove({ world, mirror }: Scene, tag: string): Promise<void> {
  const digest = mirror.tags.get(tag) as Digest;
  const request: DeletionRequest = { destination: DESTINATION, policy: 'redis', tags: [{ tag, digest, journal: {} }] };
  const list = await run(world.steps.inspectDeletion, request);
  await run(world.steps.deleteTags, { ...request, list });
}

/** As a workflow's step is tried again. */
async function persistently<Result>(world: ActivityWorld, step: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await step();
    } catch (error) {
      if ((error as { type?: string }).type !== 'Interrupted') throw error;
      await world.registries.before('a moment later', undefined);
    }
  }
}

/** Lets one call of any of them through at a time: which, the turns say. */
async function interleave(
  { world }: Scene,
  turns: readonly number[],
  ...work: readonly Promise<void>[]
): Promise<void> {
  const waiting: (() => void)[] = [];
  let open = work.length;
  world.registries.before = () => new Promise((resolve) => waiting.push(resolve));
  const ended = Promise.all(work.map((one) => one.finally(() => open--)));
  for (let turn = 0; open > 0; turn++) {
    await new Promise(setImmediate);
    // Nobody waits for ever.
    const chosen = turn % 5 === 4 ? 0 : (turns[turn % turns.length] ?? 0);
    const [next] = waiting.splice(chosen % Math.max(1, waiting.length), 1);
    next?.();
  }
  world.registries.before = () => undefined;
  await ended;
}

/** Each takes some hundred calls. */
const RUNS = 25;

const turns = fc.array(fc.nat(7), { minLength: 1, maxLength: 60 });

const holding = ({ mirror }: Scene) => ({
  tags: [...mirror.tags].sort(),
  manifests: [...mirror.manifests.keys()].sort(),
});

/** What is there when these tags were placed, and never another. */
async function only(stampTo: StampTo, ...tags: readonly string[]) {
  const scene = openWorld(stampTo);
  for (const tag of tags) await place(scene, tag);
  return holding(scene);
}

describe.each(['annotations', 'referrer'] as const)('with stamps as %s', { timeout: 120_000 }, (stampTo) => {
  it.each(['7.0', '8'])('a placement beside a deletion has all it needs in the end: %s', async (tag) => {
    const expected = await only(stampTo, tag);
    await fc.assert(
      fc.asyncProperty(turns, async (order) => {
        const scene = openWorld(stampTo);
        await place(scene, '7');
        await interleave(scene, order, remove(scene, '7'), place(scene, tag));
        expect(holding(scene)).toEqual(expected);
      }),
      { numRuns: RUNS },
    );
  });

  it('deletions beside each other leave nothing behind that they share', async () => {
    await fc.assert(
      fc.asyncProperty(turns, async (order) => {
        const scene = openWorld(stampTo);
        for (const tag of ['7', '7.0', '8']) await place(scene, tag);
        await interleave(scene, order, ...['7', '7.0', '8'].map((tag) => remove(scene, tag)));
        expect(holding(scene)).toEqual({ tags: [], manifests: [] });
      }),
      { numRuns: RUNS },
    );
  });
});
