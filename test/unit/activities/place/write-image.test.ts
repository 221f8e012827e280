import { CancelledFailure } from '@temporalio/common';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import { HoubaError } from '../../../../domain/errors.js';
import { parseManifest } from '../../../../domain/manifest.js';
import type { Placement } from '../../../../domain/plan/work.js';
import type { Repository } from '../../../../domain/reference.js';
import { OCI_KEYS } from '../../../../domain/stamp/keys.js';
import { type ActivityWorld, activityEnvironment, createWorld, run } from '../../../support/activity-world.js';
import { DESTINATION, digestFor, NOW, placementOf, REBUILD } from '../../../support/durable-samples.js';
import { storeImage, storeIndex } from '../../../support/memory-registries.js';
import { endsOf, publishing } from './samples.js';

let world: ActivityWorld;
beforeEach(() => {
  world = createWorld();
});

const { source, destination, upstream } = endsOf(() => world);
const written = () => world.registries.writes.map((call) => call.replace(/sha256:[0-9a-f]+/g, 'DIGEST'));

/** The steps of a placement but for its inventory, one after the other. */
async function place(placement: Placement): Promise<Digest> {
  const inspection = await run(world.steps.inspectPlacement, placement);
  await run(world.steps.writeImage, { placement, inspection });
  await run(world.steps.publishTag, publishing(placement, inspection.stamped));
  return inspection.stamped;
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

  it('reads the manifest once upstream, when it is inspected: upstreams count what is read', async () => {
    await place(upstream('7'));
    const reads = world.registries.reads.filter((call) => call.startsWith('GET upstream.example'));
    expect(reads).toHaveLength(1);
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

it('an index of nothing is refused before anything is written', async () => {
  const baseDigest = storeIndex(source(), []);
  source().tags.set('7', baseDigest);
  const placement = placementOf('lib/redis', '7', { baseDigest });
  await expect(run(world.steps.inspectPlacement, placement)).rejects.toMatchObject({
    type: 'Unsupported',
    message: expect.stringContaining('is an index of nothing'),
  });
  expect(world.registries.writes).toEqual([]);
});

describe('a child that upstream has lost', () => {
  const LOST = 'io.houba.lost';

  /** Two platforms and an attestation; the source serves them until they are deleted there. */
  function attested(facts: Partial<Placement> = {}) {
    const amd64 = storeImage(source(), { salt: 'amd64' });
    const arm64 = storeImage(source(), { salt: 'arm64', architecture: 'arm64' });
    const attestation = storeImage(source(), { salt: 'attestation' });
    const baseDigest = storeIndex(source(), [
      { digest: amd64, platform: 'linux/amd64' },
      { digest: attestation, platform: 'unknown/unknown' },
      { digest: arm64, platform: 'linux/arm64' },
    ]);
    source().tags.set('7', baseDigest);
    return { placement: placementOf('lib/redis', '7', { baseDigest, ...facts }), amd64, arm64, attestation };
  }

  const childrenOf = (digest: Digest): Digest[] => {
    const { bytes, mediaType } = destination().manifests.get(digest) ?? expect.fail('not there');
    const parsed = parseManifest(bytes, mediaType);
    return parsed.kind === 'index' ? parsed.manifests.map((child) => child.digest) : [];
  };

  it('is left out where it is an attestation: the stamp names it, and its base is upstream’s index', async () => {
    const { placement, amd64, arm64, attestation } = attested();
    source().manifests.delete(attestation);
    const inspection = await run(world.steps.inspectPlacement, placement);
    expect(inspection).toMatchObject({ lost: [attestation], originalPresent: false });
    const digest = await place(placement);
    expect(childrenOf(digest)).toEqual([amd64, arm64]);
    expect(annotationsOf(DESTINATION, digest)).toMatchObject({
      [OCI_KEYS.baseDigest]: placement.baseDigest,
      [LOST]: attestation,
    });
    expect([...destination().manifests.keys()].sort()).toEqual([amd64, arm64, digest].sort());
    world.registries.writes.length = 0;
    expect(await place(placement)).toBe(digest);
    expect(written().filter((call) => call.startsWith('PUT'))).toEqual([]);
  });

  it('stays left out by a restamp, which does not ask upstream', async () => {
    const { placement, amd64, arm64, attestation } = attested();
    source().manifests.delete(attestation);
    const before = await place(placement);
    source().manifests.clear();
    const label = { ...placement.label, vendor: 'New' };
    const digest = await place({ ...placement, kind: 'restamped', current: before, label });
    expect(childrenOf(digest)).toEqual([amd64, arm64]);
    expect(annotationsOf(DESTINATION, digest)).toMatchObject({ [OCI_KEYS.vendor]: 'New', [LOST]: attestation });
  });

  it('is not called lost by one wrong answer: the image is read again', async () => {
    const { placement, attestation } = attested();
    const { getManifest } = world.registries.reader;
    world.registries.reader.getManifest = async (repository, reference, signal) =>
      reference === attestation ? null : getManifest(repository, reference, signal);
    const error = { type: 'RegistryUnavailable', nonRetryable: false };
    await expect(run(world.steps.inspectPlacement, placement)).rejects.toMatchObject(error);
    world.registries.reader.getManifest = getManifest;
    expect(childrenOf(await place(placement))).toContain(attestation);
  });

  it('comes along while upstream has it, and nothing is said of it', async () => {
    const { placement, attestation } = attested();
    const digest = await place(placement);
    expect(childrenOf(digest)).toContain(attestation);
    expect(annotationsOf(DESTINATION, digest)).not.toHaveProperty(LOST);
  });

  it('is refused where the stamp goes beside an index that has to stay as it is', async () => {
    const { placement, attestation } = attested({ stampTo: 'referrer' });
    source().manifests.delete(attestation);
    await expect(run(world.steps.inspectPlacement, placement)).rejects.toMatchObject({
      type: 'NotFound',
      message: expect.stringContaining('use stamp: annotations'),
    });
  });

  it('stops the image where it is a platform, which is named with the way out', async () => {
    const { placement, arm64 } = attested();
    source().manifests.delete(arm64);
    await expect(run(world.steps.inspectPlacement, placement)).rejects.toMatchObject({
      type: 'NotFound',
      message: expect.stringMatching(/, the linux\/arm64 of .*`platforms`/),
    });
    expect(world.registries.writes).toEqual([]);
  });
});

describe('a subset of platforms', () => {
  const AMD64 = { platforms: ['linux/amd64'], label: { ...placementOf('', '').label, platforms: ['linux/amd64'] } };

  function twoPlatforms(facts: Partial<Placement> = {}): { placement: Placement; amd64: Digest; arm64: Digest } {
    const amd64 = storeImage(source(), { salt: 'amd64' });
    const arm64 = storeImage(source(), { salt: 'arm64', architecture: 'arm64' });
    const baseDigest = storeIndex(source(), [
      { digest: amd64, platform: 'linux/amd64' },
      { digest: arm64, platform: 'linux/arm64' },
    ]);
    source().tags.set('7', baseDigest);
    return { placement: placementOf('lib/redis', '7', { baseDigest, ...AMD64, ...facts }), amd64, arm64 };
  }

  it('copies its children by digest and publishes an index of them, which says so', async () => {
    const { placement, amd64, arm64 } = twoPlatforms();
    const digest = await place(placement);
    expect(world.registries.writes).toEqual([
      `COPY upstream.example/library/redis@${amd64} registry.example/lib/redis`,
      `PUT registry.example/lib/redis@${digest}`,
      'PUT registry.example/lib/redis:7',
    ]);
    expect(destination().manifests.has(arm64)).toBe(false);
    expect(destination().manifests.has(placement.baseDigest)).toBe(false);
    expect(annotationsOf(DESTINATION, digest)).toMatchObject({
      'io.houba.platforms': 'linux/amd64',
      [OCI_KEYS.baseDigest]: placement.baseDigest,
    });
    const { bytes, mediaType } = destination().manifests.get(digest) ?? expect.fail('not there');
    expect(parseManifest(bytes, mediaType)).toMatchObject({ manifests: [{ digest: amd64 }] });
  });

  it('needs nothing that lies outside it: another platform and an attestation may be lost', async () => {
    const { placement, amd64, arm64 } = twoPlatforms();
    source().manifests.delete(arm64);
    const digest = await place(placement);
    const { bytes, mediaType } = destination().manifests.get(digest) ?? expect.fail('not there');
    expect(parseManifest(bytes, mediaType)).toMatchObject({ manifests: [{ digest: amd64 }] });
    expect(world.registries.reads.filter((call) => call.includes(arm64))).toEqual([]);
    source().manifests.delete(amd64);
    await expect(
      run(world.steps.inspectPlacement, { ...placement, destination: { ...DESTINATION, path: 'lib/other' } }),
    ).rejects.toMatchObject({
      type: 'NotFound',
      message: expect.stringContaining(amd64),
    });
  });

  it('a second time writes nothing, and a source tag that moved is refused', async () => {
    const { placement } = twoPlatforms();
    const inspection = await run(world.steps.inspectPlacement, placement);
    source().tags.set('7', storeImage(source(), { salt: 'moved' }));
    await expect(run(world.steps.writeImage, { placement, inspection })).rejects.toMatchObject({
      type: 'PreconditionFailed',
    });
    source().tags.set('7', placement.baseDigest);
    const digest = await place(placement);
    world.registries.writes.length = 0;
    expect(await place(placement)).toBe(digest);
    expect(written().filter((call) => call.startsWith('PUT'))).toEqual([]);
  });

  it('that the source lacks is refused, and nothing is written', async () => {
    const { placement } = twoPlatforms({ platforms: ['linux/s390x'] });
    await expect(run(world.steps.inspectPlacement, placement)).rejects.toMatchObject({
      type: 'PolicyInvalid',
      message: expect.stringMatching(/has no platform linux\/s390x \(it has: linux\/amd64, linux\/arm64\)/),
    });
  });

  it('of a single image is that image, whole, if it is of the one platform', async () => {
    const placement = upstream('7', {}, AMD64);
    const digest = await place(placement);
    expect(destination().manifests.has(placement.baseDigest)).toBe(true);
    expect(annotationsOf(DESTINATION, digest)).toMatchObject({ 'io.houba.platforms': 'linux/amd64' });
    const other = upstream('8', { architecture: 'arm64' }, AMD64);
    await expect(run(world.steps.inspectPlacement, other)).rejects.toMatchObject({ type: 'PolicyInvalid' });
  });

  it('is restamped in place: the same children, another stamp, and upstream is not asked', async () => {
    const { placement, amd64 } = twoPlatforms();
    const before = await place(placement);
    source().manifests.clear();
    world.registries.writes.length = 0;
    const label = { ...placement.label, vendor: 'New' };
    const digest = await place({ ...placement, kind: 'restamped', current: before, label });
    expect(digest).not.toBe(before);
    expect(written()).toEqual(['PUT registry.example/lib/redis@DIGEST', 'PUT registry.example/lib/redis:7']);
    expect(annotationsOf(DESTINATION, digest)).toMatchObject({
      [OCI_KEYS.vendor]: 'New',
      'io.houba.supersedes': before,
      'io.houba.platforms': 'linux/amd64',
    });
    const { bytes, mediaType } = destination().manifests.get(digest) ?? expect.fail('not there');
    expect(parseManifest(bytes, mediaType)).toMatchObject({ manifests: [{ digest: amd64 }] });
  });
});

describe('a rebuilt image', () => {
  /** As a rebuild leaves it: a stamped manifest and what BuildKit said of it. */
  async function rebuilt(said: unknown = { predicate: {}, subject: [{ name: 'old' }] }): Promise<{
    placement: Placement;
    current: Digest;
  }> {
    const image = storeImage(destination(), {
      salt: 'built',
      annotations: {
        [OCI_KEYS.baseDigest]: digestFor('base'),
        [OCI_KEYS.revision]: 'abc',
        'io.houba.policy': 'redis',
        'io.houba.transform.version': REBUILD.transform.version,
      },
    });
    destination().tags.set('7', image);
    const bytes = new TextEncoder().encode(typeof said === 'string' ? said : JSON.stringify(said));
    await world.registries.regctl.putArtifact(DESTINATION, image, {
      artifactType: 'application/vnd.in-toto+json',
      annotations: { 'in-toto.io/predicate-type': 'https://slsa.dev/provenance/v1' },
      file: { bytes, mediaType: 'application/vnd.in-toto+json' },
    });
    world.registries.writes.length = 0;
    const facts = { kind: 'restamped', current: image, baseDigest: digestFor('base'), ...REBUILD } as const;
    return { placement: placementOf('lib/redis', '7', facts), current: image };
  }

  it('is restamped in place, and takes along what BuildKit said, about the new digest', async () => {
    const { placement, current } = await rebuilt();
    const digest = await place(placement);
    expect(annotationsOf(DESTINATION, digest)).toMatchObject({
      [OCI_KEYS.revision]: 'abc',
      'io.houba.transform.steps': 'setTimezone',
      'io.houba.supersedes': current,
    });
    const [said, ...others] = await world.registries.reader.listReferrers(DESTINATION, digest);
    expect(others).toEqual([]);
    const { bytes } = destination().manifests.get(said?.digest as Digest) ?? expect.fail('not there');
    const [layer] = JSON.parse(new TextDecoder().decode(bytes)).layers;
    expect(JSON.parse(new TextDecoder().decode(destination().blobs.get(layer.digest)))).toEqual({
      predicate: {},
      subject: [{ name: 'registry.example/lib/redis', digest: { sha256: digest.slice('sha256:'.length) } }],
    });
  });

  it('takes it along once, however often the step runs', async () => {
    const { placement } = await rebuilt();
    const inspection = await run(world.steps.inspectPlacement, placement);
    for (const _ of [1, 2]) await run(world.steps.writeImage, { placement, inspection });
    expect(await world.registries.reader.listReferrers(DESTINATION, inspection.stamped)).toHaveLength(1);
  });

  it.each([['not JSON'], [null]])('is not restamped when what BuildKit said cannot be read: %j', async (said) => {
    const { placement } = await rebuilt(said);
    await expect(place(placement)).rejects.toMatchObject({
      type: 'Unsupported',
      message: expect.stringContaining('holds no statement'),
    });
  });

  it('loses its stamp where a restamp puts it beside the image, and bears it again the other way round', async () => {
    const { placement, current } = await rebuilt();
    const beside: Placement = { ...placement, stampTo: 'referrer' };
    const inspection = await run(world.steps.inspectPlacement, beside);
    await run(world.steps.writeImage, { placement: beside, inspection });
    expect(inspection).toMatchObject({ revision: 'abc', stampedPresent: false });
    expect(annotationsOf(DESTINATION, inspection.stamped)).toEqual({});
    const { stamped: digest, revision } = inspection;
    await run(world.steps.putStamp, { placement: beside, digest, revision });
    const back: Placement = { ...placement, current: digest };
    const again = await run(world.steps.inspectPlacement, back);
    expect(again).toMatchObject({ revision: 'abc' });
    expect(again.stamped).not.toBe(current);
  });

  it('that is gone cannot be restamped', async () => {
    const { placement } = await rebuilt();
    await expect(run(world.steps.inspectPlacement, { ...placement, current: null })).rejects.toMatchObject({
      type: 'PreconditionFailed',
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

  it('leaves what another tag’s stamp is about: that tag may be about to show it', async () => {
    const digest = await abandoned();
    const placement: Placement = { ...upstream('8'), stampTo: 'referrer' };
    await run(world.steps.putStamp, { placement, digest, revision: null });
    world.registries.writes.length = 0;
    expect(await run(world.steps.removeWritten, { destination: DESTINATION, digest })).toEqual({ leftBehind: [] });
    expect(world.registries.writes).toEqual([]);
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
