import { beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import type { LookRequest } from '../../../../domain/durable/settle.js';
import { HoubaError } from '../../../../domain/errors.js';
import type { Placement } from '../../../../domain/plan/work.js';
import { type ActivityWorld, createWorld, run } from '../../../support/activity-world.js';
import { digestFor, placementOf } from '../../../support/durable-samples.js';
import { storeImage } from '../../../support/memory-registries.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };
const DESTINATION = { registry: 'main', host: 'main.example', path: 'lib/redis' };

let world: ActivityWorld;
let source: ReturnType<ActivityWorld['registries']['store']>;
let mirror: typeof source;
let first: Digest;
beforeEach(() => {
  world = createWorld();
  source = world.registries.store(SOURCE);
  mirror = world.registries.store(DESTINATION);
  first = storeImage(source, { salt: 'first' });
  source.tags.set('7', first);
});

const look = (facts: Partial<LookRequest> = {}) =>
  run(world.steps.lookAgain, {
    ...{ source: SOURCE, sourceTag: '7', destination: DESTINATION, tag: '7', aliases: [], candidates: [] },
    ...facts,
  });

/** Brings the source's tag to the destination. @returns what the destination's tag shows */
async function place(facts: Partial<Placement> = {}): Promise<Digest> {
  const placement = placementOf('lib/redis', '7', {
    source: SOURCE,
    baseDigest: first,
    destination: DESTINATION,
    ...facts,
  });
  const inspection = await run(world.steps.inspectPlacement, placement);
  await run(world.steps.writeImage, { placement, inspection });
  if (placement.stampTo === 'referrer') {
    await run(world.steps.putStamp, { placement, digest: inspection.stamped, revision: null });
  }
  mirror.tags.set('7', inspection.stamped);
  return inspection.stamped;
}

describe('another look at the world', () => {
  it('finds what is still to be had from a source that answers no HEAD', async () => {
    source.tags.set('7', storeImage(source, { salt: 'moved' }));
    const { headManifest } = world.registries.reader;
    world.registries.reader.headManifest = async (repository, ...asked) =>
      repository.host === SOURCE.host ? null : headManifest(repository, ...asked);
    expect((await look({ candidates: [first, digestFor('gone')] })).fetchable).toEqual([first]);
  });

  it('tells what both tags show, and of what the output tag was made', async () => {
    const current = await place();
    const moved = storeImage(source, { salt: 'moved' });
    source.tags.set('7', moved);
    expect(await look()).toEqual({ upstream: moved, current, placed: first, aliases: [], fetchable: [] });
  });

  it('finds the stamp beside the image as well, of this tag alone', async () => {
    const current = await place({ stampTo: 'referrer' });
    mirror.tags.set('other', current);
    expect((await look()).placed).toBe(first);
    expect((await look({ tag: 'other' })).placed).toBeNull();
  });

  it('sees that a tag is not there, here or upstream', async () => {
    source.tags.delete('7');
    expect(await look()).toMatchObject({ upstream: null, current: null, placed: null });
  });

  it('keeps of the aliases those that still go with the tag', async () => {
    const current = await place();
    mirror.tags.set('latest', current);
    mirror.tags.set('stable', storeImage(mirror, { salt: 'elsewhere' }));
    expect((await look({ aliases: ['latest', 'stable', 'absent'] })).aliases).toEqual(['latest']);
    mirror.tags.delete('7');
    expect((await look({ aliases: ['latest', 'absent'] })).aliases).toEqual(['absent']);
  });

  it('finds what can still be fetched, here or at the source, in the order asked', async () => {
    const here = storeImage(mirror, { salt: 'here' });
    const there = storeImage(source, { salt: 'there' });
    const candidates = [there, digestFor('gone'), here, first];
    expect((await look({ candidates })).fetchable).toEqual([there, here, first]);
  });

  it('says nothing when a registry does not answer', async () => {
    world.registries.before = () => {
      throw new HoubaError('Denied', 'the registry refuses');
    };
    await expect(look()).rejects.toMatchObject({ type: 'Denied' });
  });
});

describe('a digest that a wait has settled on', () => {
  it('is placed whatever the source tag shows by now; any other new tag is not', async () => {
    source.tags.set('7', storeImage(source, { salt: 'moved' }));
    await expect(place()).rejects.toMatchObject({ type: 'PreconditionFailed' });
    expect(await place({ settled: 'it has stood still for 7d' })).toBe(mirror.tags.get('7'));
  });

  it('carries who promoted it in its stamp', async () => {
    await place({ promoted: { by: 'bob', reason: 'fixes\na leak' } });
    const { bytes } = mirror.manifests.get(mirror.tags.get('7') as Digest) ?? {};
    expect(JSON.parse(new TextDecoder().decode(bytes)).annotations).toMatchObject({
      'io.houba.promoted.by': 'bob',
      'io.houba.promoted.reason': 'fixes\na leak',
    });
  });
});
