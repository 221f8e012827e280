import { CancelledFailure } from '@temporalio/common';
import { beforeEach, describe, expect, it } from 'vitest';
import type { SignRequest } from '../../../../activities/evidence/sign-evidence.js';
import type { Cosign } from '../../../../adapters/cosign.js';
import type { Digest } from '../../../../domain/digest.js';
import { HoubaError } from '../../../../domain/errors.js';
import type { SbomFormat } from '../../../../domain/evidence/sbom.js';
import {
  type ActivityWorld,
  activityEnvironment,
  createWorld,
  run,
  type WorldFacts,
} from '../../../support/activity-world.js';
import { DESTINATION, digestFor, NOW } from '../../../support/durable-samples.js';
import { type ImageFacts, storeImage, storeIndex } from '../../../support/memory-registries.js';

const TRANSFORM = 'https://houba.dev/predicate/transform/v1';
const PROVENANCE = 'https://slsa.dev/provenance/v1';
const SPDX = 'https://spdx.dev/Document';
const CYCLONEDX = 'https://cyclonedx.org/bom';
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

interface Statement {
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  readonly predicateType: string;
  readonly predicate: Readonly<Record<string, unknown>>;
}

/** The bundles of this cosign are the statements themselves. */
let signed: Statement[];
let beforeSigning: (signal?: AbortSignal) => void | Promise<void>;
const cosign = {
  async signStatement(statement: Uint8Array, signal?: AbortSignal) {
    await beforeSigning(signal);
    signed.push(JSON.parse(new TextDecoder().decode(statement)) as Statement);
    return statement;
  },
} as Cosign;

let world: ActivityWorld;
const open = (settings: WorldFacts['settings'] = {}) => {
  world = createWorld({ settings: { attest: { signer: 'key', builderId: '' }, ...settings }, tools: { cosign } });
};
beforeEach(() => {
  signed = [];
  beforeSigning = () => undefined;
  open();
});

const destination = () => world.registries.store(DESTINATION);
const image = (facts: ImageFacts = {}) => storeImage(destination(), facts);

async function inventory(subject: Digest): Promise<void> {
  const request = { destination: DESTINATION, subject, carryFrom: null, timestamp: NOW, journal: null };
  await run(world.steps.attachSboms, request);
  world.registries.writes.length = 0;
}

function requestFor(subject: Digest, facts: Partial<SignRequest> = {}): SignRequest {
  return {
    destination: DESTINATION,
    tag: '7',
    subject,
    artifactType: 'image',
    facts: {
      policy: 'redis',
      import: 'all',
      variant: 'default',
      source: { host: 'docker.io', path: 'library/redis' },
      sourceTag: '7',
      baseDigest: digestFor('source'),
      created: NOW,
      platforms: null,
      transform: null,
      stampTo: 'annotations',
      upstreamVerified: null,
    },
    journal: null,
    ...facts,
  };
}

const sign = (subject: Digest, facts: Partial<SignRequest> = {}, environment = activityEnvironment()) =>
  run(world.steps.signEvidence, requestFor(subject, facts), environment);

/** The kinds of statement on a manifest, and how many of each. */
async function bundlesOn(digest: Digest): Promise<string[]> {
  const referrers = await world.registries.reader.listReferrers(DESTINATION, digest);
  return referrers
    .filter(({ artifactType }) => artifactType === BUNDLE)
    .map(({ annotations }) => annotations['dev.sigstore.bundle.predicateType'] ?? '')
    .sort();
}

function twoPlatforms(): { index: Digest; amd64: Digest; arm64: Digest } {
  const amd64 = image({ salt: 'amd64' });
  const arm64 = image({ salt: 'arm64', architecture: 'arm64' });
  const index = storeIndex(destination(), [
    { digest: amd64, platform: 'linux/amd64' },
    { digest: arm64, platform: 'linux/arm64' },
    { digest: image({ salt: 'attestation' }), platform: 'unknown/unknown' },
  ]);
  return { index, amd64, arm64 };
}

const hex = (digest: Digest) => digest.slice('sha256:'.length);

describe('an image', () => {
  it('gets its statements signed: where it comes from, its provenance, its inventory', async () => {
    const subject = image();
    await inventory(subject);
    expect(await sign(subject)).toBe(3);
    expect(await bundlesOn(subject)).toEqual([TRANSFORM, SPDX, PROVENANCE].sort());
    const named = [{ name: 'registry.example/lib/redis:7', digest: { sha256: hex(subject) } }];
    expect(signed).toMatchObject([
      { _type: 'https://in-toto.io/Statement/v1', subject: named, predicateType: TRANSFORM },
      { subject: named, predicateType: PROVENANCE },
      { subject: named, predicateType: SPDX, predicate: { format: 'spdx-json', of: subject } },
    ]);
    expect(signed[0]?.predicate).toMatchObject({ policy: 'redis', transformed: false, created: NOW });
    expect(signed[1]?.predicate).toMatchObject({
      buildDefinition: { externalParameters: { source: 'docker.io/library/redis', source_tag: '7' } },
      runDetails: { builder: { id: 'https://houba.dev/builder', version: { houba: '1.2.3' } } },
    });
  });

  it('that is signed is left alone', async () => {
    const subject = image();
    await inventory(subject);
    await sign(subject);
    world.registries.writes.length = 0;
    expect(await sign(subject)).toBe(0);
    expect(signed).toHaveLength(3);
    expect(world.registries.writes).toEqual([]);
  });

  it('without its inventory is refused, and says what comes first', async () => {
    const subject = image();
    await expect(sign(subject)).rejects.toMatchObject({
      type: 'NotFound',
      message: expect.stringMatching(/has no spdx-json document to sign .*the SBOM comes first/),
    });
    await inventory(subject);
    expect(await sign(subject)).toBe(1);
  });

  it('has the inventory signed that houba made, not one that came with it', async () => {
    const subject = image();
    await world.registries.regctl.putArtifact(DESTINATION, subject, {
      artifactType: 'application/spdx+json',
      annotations: {},
      file: { bytes: new TextEncoder().encode('{"of":"somebody"}'), mediaType: 'application/spdx+json' },
    });
    await expect(sign(subject)).rejects.toMatchObject({ type: 'NotFound' });
  });

  it('is signed in all formats, also without a prefix', async () => {
    const formats: readonly SbomFormat[] = ['spdx-json', 'cyclonedx-json'];
    open({ prefix: '', sbomFormats: formats });
    const subject = image();
    await inventory(subject);
    expect(await sign(subject)).toBe(4);
    expect(await bundlesOn(subject)).toEqual([TRANSFORM, SPDX, CYCLONEDX, PROVENANCE].sort());
    expect(await sign(subject)).toBe(0);
  });
});

describe('an index', () => {
  it('has one statement of each kind, on itself and on every platform that it is about', async () => {
    const { index, amd64, arm64 } = twoPlatforms();
    await inventory(index);
    expect(await sign(index)).toBe(10);
    expect(signed).toHaveLength(4);
    expect(await bundlesOn(index)).toEqual([TRANSFORM, SPDX, SPDX, PROVENANCE].sort());
    for (const platform of [amd64, arm64]) {
      expect(await bundlesOn(platform)).toEqual([TRANSFORM, SPDX, PROVENANCE].sort());
    }
    const named = (digest: Digest) => ({
      name: digest === index ? 'registry.example/lib/redis:7' : `registry.example/lib/redis@${digest}`,
      digest: { sha256: hex(digest) },
    });
    expect(signed.map(({ subject }) => subject)).toEqual([
      [named(index), named(amd64), named(arm64)],
      [named(index), named(amd64), named(arm64)],
      [named(amd64), named(index)],
      [named(arm64), named(index)],
    ]);
    expect(signed.slice(2).map(({ predicate }) => predicate.of)).toEqual([amd64, arm64]);
  });

  it('that was rebuilt has the platforms in its provenance, also when its stamp does not name them', async () => {
    const { index } = twoPlatforms();
    await inventory(index);
    const request = requestFor(index);
    const transform = { steps: [], version: 'sha256:0', resources: [] };
    await run(world.steps.signEvidence, { ...request, facts: { ...request.facts, transform } });
    const provenance = signed.find(({ predicateType }) => predicateType === PROVENANCE);
    expect(provenance?.predicate).toMatchObject({
      buildDefinition: { externalParameters: { platforms: ['linux/amd64', 'linux/arm64'] } },
    });
  });

  it('is made good after a failure half-way: what lacks, and nothing else', async () => {
    const { index, arm64 } = twoPlatforms();
    await inventory(index);
    let attached = 0;
    world.registries.before = (call) => {
      if (call.startsWith('ATTACH') && ++attached === 3) throw new HoubaError('RegistryUnavailable', 'gone');
    };
    await expect(sign(index)).rejects.toMatchObject({ type: 'RegistryUnavailable' });
    world.registries.before = () => undefined;
    signed = [];
    world.registries.writes.length = 0;
    expect(await sign(index)).toBe(8);
    expect(signed.map(({ predicateType }) => predicateType)).toEqual([TRANSFORM, PROVENANCE, SPDX, SPDX]);
    expect(world.registries.writes[0]).toBe(`ATTACH registry.example/lib/redis@${arm64} ${BUNDLE}`);
    expect(await sign(index)).toBe(0);
  });

  it('of the same platforms as another signs those inventories once, also at the same time', async () => {
    const { index, amd64, arm64 } = twoPlatforms();
    const other = storeIndex(destination(), [
      { digest: amd64, platform: 'linux/amd64' },
      { digest: arm64, platform: 'linux/arm64' },
    ]);
    await inventory(index);
    await inventory(other);
    await Promise.all([sign(index), sign(other, { tag: '7.2' })]);
    expect((await bundlesOn(amd64)).filter((type) => type === SPDX)).toHaveLength(1);
    expect((await bundlesOn(amd64)).filter((type) => type === TRANSFORM)).toHaveLength(2);
    expect(await bundlesOn(other)).toEqual([TRANSFORM, SPDX, SPDX, PROVENANCE].sort());
  });
});

describe('an image that keeps its digest', () => {
  it('gets statements of its own for a second tag, and after its policy has changed', async () => {
    const subject = image();
    await inventory(subject);
    await sign(subject);
    expect(await sign(subject, { tag: '7.2' })).toBe(2);
    const { facts } = requestFor(subject);
    expect(await sign(subject, { facts: { ...facts, policy: 'cache' } })).toBe(2);
    expect(await sign(subject, { tag: '7.2' })).toBe(0);
    expect(signed.map(({ predicate }) => predicate.policy).filter((policy) => policy !== undefined)).toEqual([
      'redis',
      'redis',
      'cache',
    ]);
  });
});

describe('another artifact', () => {
  it.each(['helmChart', 'generic'] as const)('such as a %s has its origin signed, and no inventory', async (type) => {
    const subject = image();
    expect(await sign(subject, { artifactType: type })).toBe(2);
    expect(await bundlesOn(subject)).toEqual([TRANSFORM, PROVENANCE].sort());
  });
});

describe('a back-fill', () => {
  it('tells the journal, and remembers that the digest is signed', async () => {
    const subject = image();
    await inventory(subject);
    const known = {
      stamp: null,
      stampsBeside: [],
      sbomFormats: ['spdx-json' as const],
      signedFormats: null,
      marks: [],
    };
    world.memory.rememberFacts(DESTINATION, subject, known);
    await sign(subject, { journal: { kind: 'attested', out_tag: '7' } });
    expect(world.journal).toEqual([
      { event: 'operation', fields: { kind: 'attested', out_tag: '7', out_digest: subject, applied: true } },
    ]);
    expect(world.memory.facts(DESTINATION, subject)).toMatchObject({ signedFormats: ['spdx-json'] });
  });
});

describe('a signature', () => {
  it('that cannot be made leaves nothing attached, and says why', async () => {
    const subject = image();
    await inventory(subject);
    beforeSigning = () => {
      throw new HoubaError('ConfigInvalid', 'cosign failed: decryption failed', { hint: 'set COSIGN_PASSWORD' });
    };
    await expect(sign(subject)).rejects.toMatchObject({
      type: 'ConfigInvalid',
      message: 'cosign failed: decryption failed (set COSIGN_PASSWORD)',
      nonRetryable: true,
    });
    expect(world.registries.writes).toEqual([]);
  });

  it('is given up on a cancellation', async () => {
    const subject = image();
    await inventory(subject);
    const environment = activityEnvironment();
    beforeSigning = (signal) => {
      environment.cancel();
      signal?.throwIfAborted();
    };
    await expect(sign(subject, {}, environment)).rejects.toBeInstanceOf(CancelledFailure);
    expect(world.registries.writes).toEqual([]);
  });

  it('is never made of a document that is no document', async () => {
    const subject = image();
    const mediaType = 'application/spdx+json';
    const annotations = { 'io.houba.sbom.platform': 'linux/amd64' };
    const file = { bytes: new TextEncoder().encode('{}, "subject": [], "x": {}'), mediaType };
    await world.registries.regctl.putArtifact(DESTINATION, subject, { artifactType: mediaType, annotations, file });
    await expect(sign(subject)).rejects.toMatchObject({ type: 'Unsupported' });
    expect(signed.map(({ predicateType }) => predicateType)).toEqual([TRANSFORM, PROVENANCE]);
  });
});
