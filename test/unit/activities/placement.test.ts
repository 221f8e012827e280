import { CancelledFailure } from '@temporalio/common';
import { beforeEach, describe, expect, it } from 'vitest';
import type { PublishRequest } from '../../../activities/placement.js';
import type { Digest } from '../../../domain/digest.js';
import type { Placement } from '../../../domain/durable/placement.js';
import { parseManifest } from '../../../domain/manifest.js';
import type { Repository } from '../../../domain/reference.js';
import { HoubaError } from '../../../domain/report/errors.js';
import { OCI_KEYS } from '../../../domain/stamp/keys.js';
import { type ActivityWorld, activityEnvironment, createWorld, run } from '../../support/activity-world.js';
import { DESTINATION, NOW, placementOf } from '../../support/durable-samples.js';
import { type ImageFacts, storeImage, storeIndex } from '../../support/memory-registries.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };

let world: ActivityWorld;
beforeEach(() => {
  world = createWorld();
});

/** Gives the source an image under a tag, and says how to place it. */
function upstream(tag: string, image: ImageFacts = {}, facts: Partial<Placement> = {}): Placement {
  const baseDigest = storeImage(source(), { salt: tag, ...image });
  source().tags.set(tag, baseDigest);
  return placementOf('lib/redis', tag, { baseDigest, ...facts });
}

const source = () => world.registries.store(SOURCE);
const destination = () => world.registries.store(DESTINATION);
const written = () => world.registries.writes.map((call) => call.replace(/sha256:[0-9a-f]+/g, 'DIGEST'));

/** The steps of a placement but for its inventory, one after the other. */
async function place(placement: Placement): Promise<Digest> {
  const inspection = await run(world.steps.inspectPlacement, placement);
  await run(world.steps.writeImage, { placement, inspection });
  await run(world.steps.publishTag, publishing(placement, inspection.stamped));
  return inspection.stamped;
}

function publishing({ destination: to, tag, current }: Placement, digest: Digest): PublishRequest {
  return { destination: to, tag, digest, expected: current, journal: { kind: 'imported', out_tag: tag } };
}

function annotationsOf(repository: Repository, digest: Digest): Readonly<Record<string, string>> {
  const { bytes, mediaType } = world.registries.store(repository).manifests.get(digest) ?? expect.fail('not there');
  return parseManifest(bytes, mediaType).annotations;
}

describe('an inspection', () => {
  it('says what will be published, and that nothing is there', async () => {
    const inspection = await run(world.steps.inspectPlacement, upstream('7'));
    expect(inspection).toEqual({
      stamped: expect.stringMatching(/^sha256:/),
      revision: null,
      stampedPresent: false,
      originalPresent: false,
    });
    expect(world.registries.writes).toEqual([]);
  });

  it('finds what an equal placement wrote', async () => {
    const placement = upstream('7');
    const stamped = await place(placement);
    expect(await run(world.steps.inspectPlacement, placement)).toEqual({
      stamped,
      revision: null,
      stampedPresent: true,
      originalPresent: true,
    });
  });

  it('reads the original where it is already, for upstream may have dropped it', async () => {
    const placement = upstream('7');
    await place(placement);
    source().manifests.clear();
    expect(await run(world.steps.inspectPlacement, placement)).toMatchObject({ originalPresent: true });
  });

  it('fails as NotFound when nobody serves the digest any more', async () => {
    const placement = upstream('7');
    source().manifests.clear();
    await expect(run(world.steps.inspectPlacement, placement)).rejects.toMatchObject({ type: 'NotFound' });
  });

  it.each([
    ['its annotation', { annotations: { [OCI_KEYS.revision]: 'abc' }, labels: { [OCI_KEYS.revision]: 'def' } }, 'abc'],
    ['a label of its configuration', { labels: { [OCI_KEYS.revision]: 'def' } }, 'def'],
    ['nothing, for an empty label', { labels: { [OCI_KEYS.revision]: '' } }, null],
  ])('takes the revision of an image from %s', async (_, image, revision) => {
    expect(await run(world.steps.inspectPlacement, upstream('7', image))).toMatchObject({ revision });
  });

  it('takes the revision of an index from its first runnable image', async () => {
    const attestation = storeImage(source(), { salt: 'attestation', labels: { [OCI_KEYS.revision]: 'not this' } });
    const image = storeImage(source(), { salt: 'amd64', labels: { [OCI_KEYS.revision]: 'def' } });
    const baseDigest = storeIndex(source(), [
      { digest: attestation, platform: 'unknown/unknown' },
      { digest: image, platform: 'linux/amd64' },
    ]);
    source().tags.set('7', baseDigest);
    const placement = placementOf('lib/redis', '7', { baseDigest });
    expect(await run(world.steps.inspectPlacement, placement)).toMatchObject({ revision: 'def' });
    const empty = storeIndex(source(), [{ digest: attestation, platform: 'unknown/unknown' }]);
    const without = placementOf('lib/redis', '7', { baseDigest: empty });
    expect(await run(world.steps.inspectPlacement, without)).toMatchObject({ revision: null });
  });
});

describe('writing', () => {
  it('copies the original and puts the stamped manifest beside it, both by digest', async () => {
    const placement = upstream('7', { labels: { [OCI_KEYS.revision]: 'def' } });
    const inspection = await run(world.steps.inspectPlacement, placement);
    await run(world.steps.writeImage, { placement, inspection });
    expect(written()).toEqual([
      'COPY upstream.example/library/redis@DIGEST registry.example/lib/redis',
      'PUT registry.example/lib/redis@DIGEST',
    ]);
    expect(destination().tags.size).toBe(0);
    expect(annotationsOf(DESTINATION, inspection.stamped)).toMatchObject({
      [OCI_KEYS.baseDigest]: placement.baseDigest,
      [OCI_KEYS.baseName]: 'upstream.example/library/redis:7',
      [OCI_KEYS.created]: NOW,
      [OCI_KEYS.revision]: 'def',
      'io.houba.policy': 'redis',
      'io.houba.owners': 'group:default/caching',
    });
  });

  it('records what the tag showed before', async () => {
    const before = storeImage(destination(), { salt: 'somebody else' });
    destination().tags.set('7', before);
    const stamped = await place(upstream('7', {}, { current: before }));
    expect(annotationsOf(DESTINATION, stamped)).toMatchObject({ 'io.houba.supersedes': before });
  });

  it('refuses a source tag that moved since the plan', async () => {
    const placement = upstream('7');
    const inspection = await run(world.steps.inspectPlacement, placement);
    source().tags.set('7', storeImage(source(), { salt: 'moved' }));
    await expect(run(world.steps.writeImage, { placement, inspection })).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: 'upstream.example/library/redis:7 moved during the run (the next run looks at it again)',
    });
    expect(world.registries.writes).toEqual([]);
  });

  it('places the recorded digest again wherever the source tag is now', async () => {
    const placement = upstream('7', {}, { kind: 'restamped' });
    source().tags.set('7', storeImage(source(), { salt: 'moved' }));
    await place(placement);
    expect(written()).toHaveLength(3);
  });

  it('notices when the original is not what was inspected', async () => {
    const placement = upstream('7');
    const inspection = await run(world.steps.inspectPlacement, placement);
    const other = { ...inspection, revision: 'other' };
    await expect(run(world.steps.writeImage, { placement, inspection: other })).rejects.toMatchObject({
      type: 'DigestMismatch',
    });
  });

  it('a second time writes nothing, and gives the same digest', async () => {
    const placement = upstream('7');
    const stamped = await place(placement);
    world.registries.writes.length = 0;
    expect(await place(placement)).toBe(stamped);
    expect(world.registries.writes).toEqual([]);
  });

  it('ends when it is cancelled, in the middle of a copy', async () => {
    const placement = upstream('7');
    const inspection = await run(world.steps.inspectPlacement, placement);
    const environment = activityEnvironment();
    world.registries.before = (call, signal) =>
      call.startsWith('COPY')
        ? new Promise((_, reject) => {
            signal?.addEventListener('abort', () => reject(signal.reason));
            environment.cancel();
          })
        : undefined;
    await expect(run(world.steps.writeImage, { placement, inspection }, environment)).rejects.toBeInstanceOf(
      CancelledFailure,
    );
    expect(destination().manifests.size).toBe(0);
  });
});

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
    expect(await run(world.steps.publishTag, publishing({ ...placement, current: digest }, digest))).toBe(false);
    expect(world.registries.writes).toEqual([]);
    expect(world.journal).toEqual([]);
  });

  it('tells of a move whose answer was lost, without writing again', async () => {
    const { placement, digest } = await prepared();
    destination().tags.set('7', digest);
    expect(await run(world.steps.publishTag, publishing(placement, digest))).toBe(true);
    expect(world.registries.writes).toEqual([]);
    expect(world.journal).toMatchObject([{ event: 'operation', fields: { out_digest: digest, applied: true } }]);
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

  it('fails when the manifest to publish is not there', async () => {
    const { placement, digest } = await prepared();
    destination().manifests.delete(digest);
    await expect(run(world.steps.publishTag, publishing(placement, digest))).rejects.toMatchObject({
      type: 'NotFound',
    });
  });
});

describe('removing what was written', () => {
  async function abandoned(): Promise<Digest> {
    const placement = upstream('7');
    const inspection = await run(world.steps.inspectPlacement, placement);
    await run(world.steps.writeImage, { placement, inspection });
    const request = { destination: DESTINATION, subject: inspection.stamped, carryFrom: null };
    await run(world.steps.attachSboms, { ...request, timestamp: NOW, journal: null });
    return inspection.stamped;
  }

  it('takes the stamped manifest and its referrers, and leaves the original', async () => {
    const digest = await abandoned();
    const original = source().tags.get('7') as Digest;
    expect(destination().manifests.size).toBe(3);
    expect(await run(world.steps.removeWritten, { destination: DESTINATION, digest })).toEqual({ leftBehind: [] });
    expect([...destination().manifests.keys()]).toEqual([original]);
  });

  it('a second time does nothing', async () => {
    const digest = await abandoned();
    await run(world.steps.removeWritten, { destination: DESTINATION, digest });
    expect(await run(world.steps.removeWritten, { destination: DESTINATION, digest })).toEqual({ leftBehind: [] });
  });

  it('touches nothing that a tag shows: an equal placement may have published it', async () => {
    const digest = await abandoned();
    destination().tags.set('7', digest);
    world.registries.writes.length = 0;
    expect(await run(world.steps.removeWritten, { destination: DESTINATION, digest })).toEqual({ leftBehind: [] });
    expect(world.registries.writes).toEqual([]);
  });

  it('says what it leaves behind where the registry cannot delete', async () => {
    const digest = await abandoned();
    destination().tags.set(`sha256-${'0'.repeat(64)}`, digest);
    world.registries.deletes = false;
    const { leftBehind } = await run(world.steps.removeWritten, { destination: DESTINATION, digest });
    expect(leftBehind).toHaveLength(2);
    expect(leftBehind).toContain(digest);
    expect(world.journal.at(-1)).toEqual({
      event: 'left.behind',
      fields: { dest: 'registry.example/lib/redis', digests: leftBehind },
    });
  });

  it('is a failure when the registry fails', async () => {
    const digest = await abandoned();
    world.registries.before = (call) => {
      if (call.startsWith('DELETE')) throw new HoubaError('RegistryUnavailable', 'gone');
    };
    await expect(run(world.steps.removeWritten, { destination: DESTINATION, digest })).rejects.toMatchObject({
      type: 'RegistryUnavailable',
      nonRetryable: false,
    });
  });
});
