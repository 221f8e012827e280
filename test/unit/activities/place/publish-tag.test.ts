import { beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import { HoubaError, NOTHING_SENT } from '../../../../domain/errors.js';
import type { Placement } from '../../../../domain/plan/work.js';
import type { Repository } from '../../../../domain/reference.js';
import { type ActivityWorld, activityEnvironment, createWorld, run } from '../../../support/activity-world.js';
import { DESTINATION, digestFor } from '../../../support/durable-samples.js';
import { storeImage } from '../../../support/memory-registries.js';
import { endsOf, publishing } from './samples.js';

let world: ActivityWorld;
beforeEach(() => {
  world = createWorld();
});

const { destination, upstream } = endsOf(() => world);

describe('publishing', () => {
  async function prepared(): Promise<{ placement: Placement; digest: Digest }> {
    const placement = upstream('7');
    const inspection = await run(world.steps.inspectPlacement, placement);
    await run(world.steps.writeImage, { placement, inspection });
    world.registries.writes.length = 0;
    return { placement, digest: inspection.stamped };
  }

  it('moves the tag in one write, remembers what it shows and tells the journal', async () => {
    const { placement, digest } = await prepared();
    expect(await run(world.steps.publishTag, publishing(placement, digest))).toBe(true);
    expect(world.registries.writes).toEqual(['PUT registry.example/lib/redis:7']);
    expect(destination().tags.get('7')).toBe(digest);
    expect(world.memory.facts(DESTINATION, digest)).toMatchObject({
      stamp: { baseDigest: placement.baseDigest, policy: 'redis' },
      sbomFormats: ['spdx-json'],
    });
    expect(world.journal).toEqual([
      { event: 'operation', fields: { kind: 'imported', out_tag: '7', out_digest: digest, applied: true } },
    ]);
  });

  it('leaves a tag alone that showed the digest when it was planned', async () => {
    const { placement, digest } = await prepared();
    destination().tags.set('7', digest);
    const { placed: _, ...alias } = publishing({ ...placement, current: digest }, digest);
    expect(await run(world.steps.publishTag, alias)).toBe(false);
    expect(world.registries.writes).toEqual([]);
    expect(world.journal).toEqual([]);
  });

  it('tells of a placement that changed nothing but the stamp beside the image', async () => {
    const { placement, digest } = await prepared();
    destination().tags.set('7', digest);
    expect(await run(world.steps.publishTag, publishing({ ...placement, current: digest }, digest))).toBe(false);
    expect(world.registries.writes).toEqual([]);
    expect(world.journal).toMatchObject([{ event: 'operation', fields: { out_digest: digest, applied: true } }]);
  });

  it('remembers nothing of an alias: it carries what its tag does', async () => {
    const { placement, digest } = await prepared();
    const { placed: _, ...alias } = publishing(placement, digest);
    expect(await run(world.steps.publishTag, alias)).toBe(true);
    expect(world.memory.facts(DESTINATION, digest)).toBeUndefined();
  });

  it.each([
    ['an image', 'image', true, ['spdx-json'], ['spdx-json']],
    ['an image without a signer', 'image', false, ['spdx-json'], null],
    ['a chart', 'helmChart', true, [], []],
  ] as const)('remembers what was attached to %s', async (_, artifactType, signed, sbomFormats, signedFormats) => {
    const { placement, digest } = await prepared();
    const placed = { artifactType, signed, stamp: null };
    await run(world.steps.publishTag, { ...publishing(placement, digest), placed });
    expect(world.memory.facts(DESTINATION, digest)).toMatchObject({ sbomFormats, signedFormats, stampsBeside: [] });
  });

  it('tells of a move whose answer was lost, without writing again', async () => {
    const { placement, digest } = await prepared();
    destination().tags.set('7', digest);
    expect(await run(world.steps.publishTag, publishing(placement, digest))).toBe(true);
    expect(world.registries.writes).toEqual([]);
    expect(world.journal).toMatchObject([{ event: 'operation', fields: { out_digest: digest, applied: true } }]);
  });

  it('is not the end of it when something was deleted beside it, and waits while that goes on', async () => {
    let deletion: 'going on' | 'ended' | 'none' = 'going on';
    const asked: number[] = [];
    const since = async (_: Repository, sinceMs: number) => {
      asked.push(sinceMs);
      return deletion;
    };
    world = createWorld({ deletions: { since, during: (_, work) => work() } });
    const { placement, digest } = await prepared();
    const request = { ...publishing(placement, digest), begunAtMs: 5 };
    await expect(run(world.steps.publishTag, request)).rejects.toMatchObject({
      ...{ type: 'Interrupted', nonRetryable: false },
    });
    expect(destination().tags.get('7')).toBe(digest);
    deletion = 'ended';
    expect(await run(world.steps.publishTag, request)).toBe('again');
    expect(world.journal).toEqual([]);
    destination().tags.delete('7');
    deletion = 'none';
    const again = { ...request, expected: digestFor('before'), begunAtMs: 6, again: true };
    expect(await run(world.steps.publishTag, again)).toBe(true);
    expect(destination().tags.get('7')).toBe(digest);
    expect(world.journal).toMatchObject([{ event: 'operation', fields: { applied: true } }]);
    expect(asked).toEqual([5, 5, 6]);
  });

  it.each([
    ['appeared', null],
    ['moved', 'expected'],
  ])('refuses to overwrite a tag that %s meanwhile', async (_, planned) => {
    const { placement, digest } = await prepared();
    destination().tags.set('7', storeImage(destination(), { salt: 'somebody else' }));
    const current = planned === null ? null : storeImage(destination(), { salt: planned });
    await expect(run(world.steps.publishTag, publishing({ ...placement, current }, digest))).rejects.toMatchObject({
      type: 'PreconditionFailed',
    });
    expect(world.registries.writes).toEqual([]);
  });

  it('notices when the tag does not show what was put there', async () => {
    const { placement, digest } = await prepared();
    world.registries.regctl.putManifest = async () => digest;
    await expect(run(world.steps.publishTag, publishing(placement, digest))).rejects.toMatchObject({
      type: 'DigestMismatch',
      message: `registry.example/lib/redis:7 resolves to nothing after ${digest} was put there`,
    });
  });

  it('asks again where reads lag behind the PUT, before it counts as a contradiction', async () => {
    world = createWorld({ readBackMs: 5_000 });
    const { placement, digest } = await prepared();
    const { headManifest } = world.registries.reader;
    let stale = 3;
    world.registries.reader.headManifest = async (repository, reference, signal) => {
      const isStale = reference === '7' && destination().tags.has('7') && stale-- > 0;
      return isStale ? null : headManifest(repository, reference, signal);
    };
    expect(await run(world.steps.publishTag, publishing(placement, digest))).toBe(true);
    expect(stale).toBeLessThanOrEqual(0);
  });

  it.each([
    ['nobody asked for the tag', {}, 'PreconditionFailed', true],
    ['the registry refused', { put: new HoubaError('Denied', 'no [http 403]') }, 'Denied', true],
    ['the answer was lost', { put: new HoubaError('RegistryUnavailable', 'EOF') }, 'RegistryUnavailable', false],
    ['an earlier attempt was cut short', { attempt: 2 }, 'PreconditionFailed', false],
    ['an earlier pass has sent it', { again: true }, 'PreconditionFailed', false],
    [
      'it was refused after an earlier attempt was cut short',
      { attempt: 2, put: new HoubaError('Denied', 'no [http 403]') },
      'Denied',
      false,
    ],
  ] as const)('says whether the tag may show it: %s', async (_, facts, type, nothingSent) => {
    const { placement, digest } = await prepared();
    const { put, attempt = 1, again } = facts as { put?: HoubaError; attempt?: number; again?: true };
    if (put === undefined) destination().tags.set('7', storeImage(destination(), { salt: 'somebody else' }));
    world.registries.before = (call) => {
      if (put !== undefined && call.startsWith('PUT')) throw put;
    };
    const environment = activityEnvironment({ attempt });
    const request = { ...publishing(placement, digest), ...(again && { again }) };
    const error = await run(world.steps.publishTag, request, environment).catch((it) => it);
    expect(error).toMatchObject({ type });
    expect(Object.hasOwn(error.details[0], NOTHING_SENT)).toBe(nothingSent);
  });

  it('does not say that nothing was sent when the tag shows it already', async () => {
    const { placement, digest } = await prepared();
    destination().tags.set('7', digest);
    destination().manifests.delete(digest);
    world.registries.reader.headManifest = async () => ({ digest, mediaType: '', size: 1 });
    const error = await run(world.steps.publishTag, publishing(placement, digest)).catch((it) => it);
    expect(error).toMatchObject({ type: 'NotFound', details: [{}] });
    expect(Object.hasOwn(error.details[0], NOTHING_SENT)).toBe(false);
  });

  it('fails when the manifest to publish is not there', async () => {
    const { placement, digest } = await prepared();
    destination().manifests.delete(digest);
    await expect(run(world.steps.publishTag, publishing(placement, digest))).rejects.toMatchObject({
      type: 'NotFound',
    });
  });
});
