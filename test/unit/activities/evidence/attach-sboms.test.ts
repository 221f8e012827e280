import { CancelledFailure } from '@temporalio/common';
import { beforeEach, describe, expect, it } from 'vitest';
import type { SbomRequest } from '../../../../activities/evidence/attach-sboms.js';
import type { Digest } from '../../../../domain/digest.js';
import { HoubaError } from '../../../../domain/errors.js';
import type { SbomFormat } from '../../../../domain/evidence/sbom.js';
import type { Repository } from '../../../../domain/reference.js';
import { type ActivityWorld, activityEnvironment, createWorld, run } from '../../../support/activity-world.js';
import { DESTINATION, NOW } from '../../../support/durable-samples.js';
import { type ImageFacts, storeImage, storeIndex } from '../../../support/memory-registries.js';

const OTHER = { registry: 'main', host: 'registry.example', path: 'lib/other' };
const BOTH: readonly SbomFormat[] = ['spdx-json', 'cyclonedx-json'];

let world: ActivityWorld;
beforeEach(() => {
  world = createWorld();
});

const destination = () => world.registries.store(DESTINATION);

function attach(subject: Digest, facts: Partial<SbomRequest> = {}, environment = activityEnvironment()) {
  const request = { destination: DESTINATION, subject, carryFrom: null, timestamp: NOW, journal: null, ...facts };
  return run(world.steps.attachSboms, request, environment);
}

/** The documents on a manifest: their platform and, as the played syft writes it, what they are of. */
async function documentsOn(digest: Digest, repository: Repository = DESTINATION): Promise<unknown[]> {
  const referrers = await world.registries.reader.listReferrers(repository, digest);
  const { manifests, blobs } = world.registries.store(repository);
  return referrers.map((referrer) => {
    const { layers } = JSON.parse(new TextDecoder().decode(manifests.get(referrer.digest)?.bytes));
    const { of } = JSON.parse(new TextDecoder().decode(blobs.get(layers[0].digest)));
    return { type: referrer.artifactType, platform: referrer.annotations['io.houba.sbom.platform'], of };
  });
}

const spdx = (of: Digest, platform = 'linux/amd64') => ({ type: 'application/spdx+json', platform, of });

function twoPlatforms(salt = ''): { index: Digest; amd64: Digest; arm64: Digest; attestation: Digest } {
  const amd64 = storeImage(destination(), { salt: `amd64 ${salt}` });
  const arm64 = storeImage(destination(), { salt: `arm64 ${salt}`, architecture: 'arm64', variant: 'v8' });
  const attestation = storeImage(destination(), { salt: 'attestation' });
  const index = storeIndex(destination(), [
    { digest: amd64, platform: 'linux/amd64' },
    { digest: arm64, platform: 'linux/arm64' },
    { digest: attestation, platform: 'unknown/unknown' },
  ]);
  return { index, amd64, arm64, attestation };
}

describe('the inventory of an image', () => {
  it('is one document on it, with where it comes from', async () => {
    const image = storeImage(destination(), { variant: 'v2' });
    expect(await attach(image)).toBe(1);
    expect(await documentsOn(image)).toEqual([spdx(image, 'linux/amd64/v2')]);
    const [referrer] = await world.registries.reader.listReferrers(DESTINATION, image);
    expect(referrer?.annotations).toMatchObject({
      'io.houba.sbom.tool': 'syft',
      'io.houba.sbom.tool.version': '1.54.0',
      'io.houba.sbom.format': 'spdx-json',
      'io.houba.sbom.timestamp': NOW,
      'io.houba.sbom.subject': image,
    });
  });

  it('is taken in one scan for all formats', async () => {
    world = createWorld({ settings: { sbomFormats: BOTH } });
    const image = storeImage(destination(), {});
    expect(await attach(image)).toBe(2);
    expect(world.registries.scans).toHaveLength(1);
    expect(await documentsOn(image)).toHaveLength(2);
  });

  it('a second time writes nothing and scans nothing', async () => {
    const image = storeImage(destination(), {});
    await attach(image);
    expect(await attach(image)).toBe(0);
    expect(world.registries.scans).toHaveLength(1);
    expect(world.registries.writes).toHaveLength(1);
  });

  it('gets only the format that it lacks', async () => {
    const image = storeImage(destination(), {});
    await attach(image);
    const later = createWorld({ settings: { sbomFormats: BOTH } });
    destination().manifests.forEach((manifest, digest) => {
      later.registries.store(DESTINATION).manifests.set(digest, manifest);
    });
    destination().blobs.forEach((blob, digest) => {
      later.registries.store(DESTINATION).blobs.set(digest, blob);
    });
    world = later;
    expect(await attach(image)).toBe(1);
    expect(world.registries.writes.map((call) => call.split(' ').at(-1))).toEqual(['application/vnd.cyclonedx+json']);
  });

  it('carries no annotation where the prefix is empty', async () => {
    world = createWorld({ settings: { prefix: '' } });
    const image = storeImage(destination(), {});
    await attach(image);
    const [referrer] = await world.registries.reader.listReferrers(DESTINATION, image);
    expect(referrer?.annotations).toEqual({});
  });

  it('of a configuration that says nothing is of an unknown platform', async () => {
    const image = storeImage(destination(), {});
    for (const digest of destination().blobs.keys()) destination().blobs.set(digest, new TextEncoder().encode('no'));
    await attach(image);
    expect(await documentsOn(image)).toEqual([spdx(image, 'unknown/unknown')]);
  });
});

describe('the inventory of an index', () => {
  it('is one document a platform, on the platform and on the index; attestations get none', async () => {
    const { index, amd64, arm64, attestation } = twoPlatforms();
    expect(await attach(index)).toBe(4);
    expect(world.registries.scans).toHaveLength(2);
    expect(await documentsOn(amd64)).toEqual([spdx(amd64)]);
    expect(await documentsOn(arm64)).toEqual([spdx(arm64, 'linux/arm64')]);
    expect(await documentsOn(index)).toEqual([spdx(amd64), spdx(arm64, 'linux/arm64')]);
    expect(await documentsOn(attestation)).toEqual([]);
  });

  it('uses what an earlier index left on a shared child', async () => {
    const { index, amd64, arm64 } = twoPlatforms();
    await attach(index);
    const other = storeIndex(destination(), [{ digest: amd64, platform: 'linux/amd64' }]);
    expect(await attach(other)).toBe(1);
    expect(world.registries.scans).toHaveLength(2);
    expect(await documentsOn(other)).toEqual([spdx(amd64)]);
    expect(await documentsOn(arm64)).toHaveLength(1);
  });

  it('never takes one child for another of the same platform', async () => {
    const old = storeImage(destination(), { salt: 'windows 2019' });
    const young = storeImage(destination(), { salt: 'windows 2022' });
    const index = storeIndex(destination(), [
      { digest: old, platform: 'windows/amd64' },
      { digest: young, platform: 'windows/amd64' },
    ]);
    // The first attempt ends after the first child.
    world.registries.before = (call) => {
      if (call.startsWith('ATTACH') && call.includes(young)) throw new HoubaError('RegistryUnavailable', 'gone');
    };
    await expect(attach(index)).rejects.toMatchObject({ type: 'RegistryUnavailable' });
    world.registries.before = () => undefined;
    await attach(index);
    expect(await documentsOn(old)).toEqual([spdx(old, 'windows/amd64')]);
    expect(await documentsOn(young)).toEqual([spdx(young, 'windows/amd64')]);
  });

  it('follows indexes in indexes and children without a platform, but not for ever', async () => {
    const image = storeImage(destination(), {});
    const nest = (digest: Digest) => storeIndex(destination(), [{ digest, platform: null }]);
    const deep = nest(nest(nest(image)));
    expect(await attach(deep)).toBe(2);
    expect(await documentsOn(image)).toEqual([spdx(image)]);
    await expect(attach(nest(deep))).rejects.toMatchObject({ type: 'Unsupported' });
  });

  it('with a platform that is itself an index looks into it', async () => {
    const { index, amd64 } = twoPlatforms();
    const outer = storeIndex(destination(), [{ digest: index, platform: 'linux/amd64' }]);
    await attach(outer);
    expect(await documentsOn(amd64)).toEqual([spdx(amd64)]);
  });
});

describe('the same content', () => {
  /** The same bytes with another stamp: what two tags of one upstream digest look like. */
  const stamped = (tag: string, repository = DESTINATION, image: ImageFacts = {}) =>
    storeImage(world.registries.store(repository), { ...image, annotations: { tag } });

  it('is scanned once for two tags', async () => {
    const [first, second] = [stamped('1'), stamped('2')];
    await attach(first);
    await attach(second);
    expect(world.registries.scans).toHaveLength(1);
    expect(await documentsOn(second)).toEqual([spdx(first)]);
  });

  it('is scanned once for two placements at a time, also into two repositories', async () => {
    const [first, second] = [stamped('1'), stamped('1', OTHER)];
    const third = stamped('3');
    await Promise.all([attach(first), attach(second, { destination: OTHER }), attach(third)]);
    expect(world.registries.scans).toHaveLength(1);
    expect(await documentsOn(second, OTHER)).toHaveLength(1);
    expect(await documentsOn(third)).toHaveLength(1);
  });

  it('is scanned by the next when the first could not', async () => {
    let scans = 0;
    world.registries.before = (call) => {
      if (call.startsWith('registry.example/lib/redis@') && ++scans === 1) throw new HoubaError('ToolFailed', 'killed');
    };
    const [first, second] = [stamped('1'), stamped('2')];
    const outcomes = await Promise.allSettled([attach(first), attach(second)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
  });

  it('is scanned again when the remembered document is gone', async () => {
    const [first, second] = [stamped('1'), stamped('2', OTHER)];
    await attach(first);
    destination().blobs.clear();
    await attach(second, { destination: OTHER });
    expect(world.registries.scans).toHaveLength(2);
  });

  it('that is restamped keeps its document', async () => {
    const [before, after] = [stamped('old stamp'), stamped('new stamp')];
    await attach(before);
    const fresh = createWorld();
    for (const kind of ['manifests', 'blobs'] as const) {
      const kept = fresh.registries.store(DESTINATION)[kind] as Map<Digest, unknown>;
      for (const [digest, value] of destination()[kind]) kept.set(digest, value);
    }
    world = fresh;
    await attach(after, { carryFrom: before });
    expect(world.registries.scans).toEqual([]);
    expect(await documentsOn(after)).toEqual([spdx(before)]);
  });
});

describe('a back-fill', () => {
  it('tells the journal, and remembers that the digest is complete', async () => {
    const image = storeImage(destination(), {});
    const known = { stamp: null, stampsBeside: [], sbomFormats: [], signedFormats: null, marks: [] };
    world.memory.rememberFacts(DESTINATION, image, known);
    await attach(image, { journal: { kind: 'sbom', out_tag: '7' } });
    expect(world.journal).toEqual([
      { event: 'operation', fields: { kind: 'sbom', out_tag: '7', out_digest: image, applied: true } },
    ]);
    expect(world.memory.facts(DESTINATION, image)).toEqual({ ...known, sbomFormats: ['spdx-json'] });
  });
});

describe('a scan', () => {
  it('that fails leaves nothing attached, and says why', async () => {
    const image = storeImage(destination(), {});
    world.registries.before = (call) => {
      if (call.startsWith('registry.example/')) throw new HoubaError('ToolFailed', 'syft ended with 1');
    };
    await expect(attach(image)).rejects.toMatchObject({ type: 'ToolFailed', message: 'syft ended with 1' });
    expect(world.registries.writes).toEqual([]);
  });

  it('is ended by a cancellation', async () => {
    const image = storeImage(destination(), {});
    const environment = activityEnvironment();
    world.registries.before = (call, signal) =>
      call.startsWith('registry.example/')
        ? new Promise((_, reject) => {
            signal?.addEventListener('abort', () => reject(signal.reason));
            environment.cancel();
          })
        : undefined;
    await expect(attach(image, {}, environment)).rejects.toBeInstanceOf(CancelledFailure);
    expect(world.registries.writes).toEqual([]);
  });

  it('does not start in place of a remembered document when it is cancelled', async () => {
    const [first, second] = ['1', '2'].map((tag) => storeImage(destination(), { annotations: { tag } }));
    await attach(first as Digest);
    const environment = activityEnvironment();
    const { document } = world.memory;
    world.memory.document = (content, format) => {
      environment.cancel();
      return document(content, format);
    };
    await expect(attach(second as Digest, {}, environment)).rejects.toBeInstanceOf(CancelledFailure);
    expect(world.registries.scans).toHaveLength(1);
  });
});
