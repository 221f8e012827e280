import { beforeEach, describe, expect, it } from 'vitest';
import { type Inspector, type VerifyRequest, verifyImage } from '../../../../activities/evidence/verify-image.js';
import type { Digest } from '../../../../domain/digest.js';
import { HoubaError } from '../../../../domain/errors.js';
import type { Requirement } from '../../../../domain/evidence/verify.js';
import { parseReference } from '../../../../domain/reference.js';
import { createMemoryRegistries, type MemoryRegistries, storeImage } from '../../../support/memory-registries.js';
import { played, playingCosign } from '../../../support/playing-cosign.js';

const IMAGE = { host: 'registry.example', path: 'lib/redis' };
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const TRANSFORM = 'https://houba.dev/predicate/transform/v1';
const SCAN = 'https://houba.dev/predicate/scan/v1';
const SPDX = 'https://spdx.dev/Document';
const STAMP = { 'org.opencontainers.image.base.digest': `sha256:${'a'.repeat(64)}`, 'io.houba.policy': 'redis' };
const NOW = Date.parse('2026-03-09T00:00:00Z');

let registries: MemoryRegistries;
let image: Digest;
let opened: number;
beforeEach(() => {
  registries = createMemoryRegistries();
  image = storeImage(registries.store(IMAGE), { annotations: STAMP });
  registries.store(IMAGE).tags.set('7', image);
  opened = 0;
});

function verify(requirements: readonly Requirement[], facts: Partial<VerifyRequest> & { ref?: string } = {}) {
  const ref = facts.ref ?? 'registry.example/lib/redis:7';
  const inspector: Inspector = {
    reader: registries.reader,
    prefix: 'io.houba',
    builderId: '',
    openVerifier: async () => {
      opened += 1;
      return { cosign: playingCosign(), trust: { publicKey: 'ours' } };
    },
  };
  const request = { reference: parseReference(ref), maxSeverity: null, maxAgeMs: null, now: NOW, ...facts };
  return verifyImage(inspector, { ...request, ref, requirements }, new AbortController().signal);
}

function attest(predicateType: string, predicate: unknown = {}, { by = 'ours', digest = image } = {}) {
  const annotations = { 'dev.sigstore.bundle.predicateType': predicateType, 'io.houba.sbom.format': 'spdx-json' };
  const file = { bytes: played({ by, digest, predicateType, predicate }), mediaType: BUNDLE };
  return registries.regctl.putArtifact(IMAGE, image, { artifactType: BUNDLE, annotations, file });
}

const scanned = (at: string, critical = '0') => ({
  scanner: { name: 'grype', version: '1' },
  attested_at: at,
  summary: { 'vuln.critical': critical },
});

describe('verifying an image', () => {
  it('resolves the tag once, and speaks of its digest', async () => {
    const report = await verify(['stamp']);
    expect(report).toEqual({
      schema_version: 1,
      ref: 'registry.example/lib/redis:7',
      digest: image,
      passed: true,
      requirements: [{ requirement: 'stamp', passed: true, detail: 'policy redis, import -, variant -' }],
    });
    expect(registries.reads.filter((call) => call.includes(':7'))).toHaveLength(1);
  });

  it('takes a digest as it is', async () => {
    const report = await verify(['stamp'], { ref: `registry.example/lib/redis@${image}` });
    expect(report).toMatchObject({ digest: image, passed: true });
  });

  it('needs nobody who checks signatures for what is not signed', async () => {
    expect(await verify(['stamp', 'sbom'])).toMatchObject({ passed: false });
    expect(opened).toBe(0);
  });

  it('asks for the key before it asks a registry', async () => {
    const reader = registries.reader;
    const openVerifier = async () => {
      throw new HoubaError('ConfigInvalid', 'no key');
    };
    const reference = parseReference('registry.example/lib/redis:7');
    const request = {
      ref: '',
      reference,
      requirements: ['signature' as const],
      maxSeverity: null,
      maxAgeMs: null,
      now: 0,
    };
    const work = verifyImage({ reader, prefix: 'io.houba', builderId: '', openVerifier }, request, AbortSignal.any([]));
    await expect(work).rejects.toMatchObject({ code: 'ConfigInvalid' });
    expect(registries.reads).toEqual([]);
  });

  it('reads a signed scan', async () => {
    await attest(SCAN, scanned('2026-03-08T00:00:00Z'));
    await attest(SCAN, scanned('2026-03-01T00:00:00Z', '9'));
    const report = await verify(['scan-pass'], { maxSeverity: 'critical', maxAgeMs: 2 * 86_400_000 });
    expect(report.requirements).toEqual([
      { requirement: 'scan-pass', passed: true, detail: 'grype, 2026-03-08T00:00:00.000Z' },
    ]);
  });

  it('says which of the signatures fails', async () => {
    await attest(TRANSFORM);
    await attest(SPDX);
    expect(await verify(['signature'])).toMatchObject({ passed: true });
    const strange = await attest(SPDX, {}, { by: 'somebody' });
    const [outcome] = (await verify(['signature'])).requirements;
    expect(outcome).toMatchObject({
      passed: false,
      detail: expect.stringContaining(`${SPDX} (${strange}): signed by`),
    });
  });

  it('does not take a signature that was moved from another image', async () => {
    await attest(TRANSFORM, {}, { digest: `sha256:${'0'.repeat(64)}` as Digest });
    const [outcome] = (await verify(['signature'])).requirements;
    expect(outcome?.detail).toContain('about another digest');
  });

  it('a bundle that is gone is a signature that fails, not a reason to stop', async () => {
    await attest(TRANSFORM);
    registries.before = (call) => {
      if (call.startsWith('BLOB')) throw new HoubaError('NotFound', 'no blob');
    };
    const [outcome] = (await verify(['signature'])).requirements;
    expect(outcome).toMatchObject({ passed: false, detail: expect.stringContaining('no blob') });
  });

  it('an image that houba cannot read bears no stamp', async () => {
    const { manifests } = registries.store(IMAGE);
    const { bytes } = manifests.get(image) ?? { bytes: new Uint8Array() };
    const reader = {
      ...registries.reader,
      getManifest: async () => ({
        digest: image,
        bytes,
        mediaType: 'application/vnd.docker.distribution.manifest.v1+json',
      }),
    };
    registries = { ...registries, reader };
    const [outcome] = (await verify(['stamp'])).requirements;
    expect(outcome).toMatchObject({ passed: false, detail: expect.stringContaining('unusable manifest') });
  });

  it('an image that is not there cannot be judged', async () => {
    await expect(verify(['stamp'], { ref: 'registry.example/lib/redis:8' })).rejects.toMatchObject({
      code: 'NotFound',
    });
  });

  it('a registry that does not answer leaves it open', async () => {
    registries.before = (call) => {
      if (call.startsWith('REFERRERS')) throw new HoubaError('RegistryUnavailable', '503');
    };
    await expect(verify(['stamp'])).rejects.toMatchObject({ code: 'RegistryUnavailable' });
  });
});
