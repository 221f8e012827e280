import { generateKeyPairSync } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { beforeEach, describe, expect, it } from 'vitest';
import { createVerifyUpstream } from '../../../../activities/place/verify-upstream.js';
import { type Digest, digestOf } from '../../../../domain/digest.js';
import { HoubaError } from '../../../../domain/errors.js';
import type { UpstreamSigner } from '../../../../domain/evidence/facts.js';
import {
  createMemoryRegistries,
  type MemoryRegistries,
  OCI_MANIFEST,
  storeImage,
} from '../../../support/memory-registries.js';
import { played, playingCosign } from '../../../support/playing-cosign.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };
const SIGN = 'https://sigstore.dev/cosign/sign/v1';
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const SIMPLE_SIGNING = 'application/vnd.dev.cosign.simplesigning.v1+json';

const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const KEY = publicKey.export({ type: 'spki', format: 'pem' }).toString();
const FINGERPRINT = digestOf(publicKey.export({ type: 'spki', format: 'der' }));

let registries: MemoryRegistries;
let image: Digest;
beforeEach(() => {
  registries = createMemoryRegistries();
  image = storeImage(registries.store(SOURCE), {});
});

function verify(
  signer: UpstreamSigner = { key: KEY },
  cosign = playingCosign(),
  verifyKms: readonly string[] = [],
): Promise<string> {
  const step = createVerifyUpstream({ reader: registries.reader, cosign, settings: { verifyKms } });
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  const input = { source: SOURCE, digest: image, signer };
  return environment.run(step as (...args: unknown[]) => Promise<string>, input) as Promise<string>;
}

async function attach(bytes: Uint8Array, predicateType: string | null = SIGN): Promise<Digest> {
  const annotations: Record<string, string> =
    predicateType === null ? {} : { 'dev.sigstore.bundle.predicateType': predicateType };
  const file = { bytes, mediaType: BUNDLE };
  return registries.regctl.putArtifact(SOURCE, image, { artifactType: BUNDLE, annotations, file });
}

const signedBy = (by: string, digest = image) => played({ by, digest, predicateType: SIGN });

/** The image `sha256-<hex>.sig` with these signatures, as cosign wrote them before bundles. */
function storeLegacy(signatures: readonly { readonly by: string; readonly payload: Uint8Array }[]): void {
  const { blobs, manifests, tags } = registries.store(SOURCE);
  const config = new TextEncoder().encode('{}');
  const describeBlob = (mediaType: string, bytes: Uint8Array) => {
    blobs.set(digestOf(bytes), bytes);
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const layers = signatures.map(({ by, payload }) => ({
    ...describeBlob(SIMPLE_SIGNING, payload),
    annotations: { 'dev.cosignproject.cosign/signature': by },
  }));
  const manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: describeBlob('application/vnd.oci.image.config.v1+json', config),
    layers,
  };
  const bytes = new TextEncoder().encode(JSON.stringify(manifest));
  manifests.set(digestOf(bytes), { bytes, mediaType: OCI_MANIFEST });
  tags.set(`${image.replace(':', '-')}.sig`, digestOf(bytes));
}

function payloadOf(digest: string, type = 'cosign container image signature'): Uint8Array {
  const critical = { identity: { 'docker-reference': '' }, image: { 'docker-manifest-digest': digest }, type };
  return new TextEncoder().encode(JSON.stringify({ critical, optional: null }));
}

describe('the signature that a policy demands of upstream', () => {
  it('passes in a bundle, and is told by the hash of the key', async () => {
    await attach(signedBy(KEY));
    expect(await verify()).toBe(FINGERPRINT);
  });

  it('passes under the tag that cosign used before bundles', async () => {
    storeLegacy([{ by: KEY, payload: payloadOf(image) }]);
    expect(await verify()).toBe(FINGERPRINT);
  });

  it('is told by identity and issuer where these are demanded', async () => {
    await attach(signedBy('me@example.org'));
    const signer = { identity: 'me@example.org', issuer: 'https://issuer.example' };
    expect(await verify(signer)).toBe('me@example.org https://issuer.example');
  });

  it('is one valid one among others', async () => {
    await attach(signedBy('another'));
    storeLegacy([
      { by: KEY, payload: payloadOf(image) },
      { by: 'another', payload: payloadOf(image) },
    ]);
    expect(await verify()).toBe(FINGERPRINT);
  });

  it('is missing: the image is refused by name, and the refusal is final', async () => {
    await expect(verify()).rejects.toMatchObject({
      type: 'SignatureInvalid',
      nonRetryable: true,
      message: expect.stringContaining(`upstream.example/library/redis@${image} is not signed`),
    });
  });

  it.each<[string, () => unknown, RegExp]>([
    [
      'by another key, in a bundle',
      () => attach(signedBy('another')),
      /valid signature by the key sha256:.*another key/,
    ],
    ['by another key, under the tag', () => storeLegacy([{ by: 'x', payload: payloadOf(image) }]), /another key/],
    ['of another digest, in a bundle', () => attach(signedBy(KEY, digestOf(new Uint8Array()))), /another digest/],
    [
      'of another digest, under the tag',
      () => storeLegacy([{ by: KEY, payload: payloadOf(`sha256:${'0'.repeat(64)}`) }]),
      /another digest, sha256:0{64}/,
    ],
    ['of no digest', () => storeLegacy([{ by: KEY, payload: payloadOf('latest') }]), /names no digest/],
    ['of something else', () => storeLegacy([{ by: KEY, payload: payloadOf(image, 'party') }]), /names no digest/],
    ['of a payload that is no JSON', () => storeLegacy([{ by: KEY, payload: new Uint8Array([1]) }]), /names no digest/],
  ])('is %s: refused', async (_, prepare, reason) => {
    await prepare();
    await expect(verify()).rejects.toMatchObject({
      type: 'SignatureInvalid',
      message: expect.stringMatching(reason),
    });
  });

  it('is served with other bytes than its digest says: refused', async () => {
    registries.before = (call) => {
      if (call.endsWith('.sig')) throw new HoubaError('DigestMismatch', 'expected this, got that');
    };
    await expect(verify()).rejects.toMatchObject({
      type: 'SignatureInvalid',
      message: expect.stringContaining('expected this, got that'),
    });
  });

  it('is only an attestation of another kind: not signed', async () => {
    await attach(
      played({ by: KEY, digest: image, predicateType: 'https://slsa.dev/provenance/v1' }),
      'https://slsa.dev/provenance/v1',
    );
    await attach(signedBy(KEY), null);
    await expect(verify()).rejects.toThrow('is not signed');
  });

  it('had been there and has vanished: refused', async () => {
    const referrer = await attach(signedBy(KEY));
    await verify();
    registries.store(SOURCE).manifests.delete(referrer);
    await expect(verify()).rejects.toThrow('is not signed');
  });

  it('cannot be hidden by garbage beside it', async () => {
    await attach(new Uint8Array(2 * 1024 * 1024));
    storeLegacy([
      { by: KEY, payload: payloadOf(image) },
      { by: KEY, payload: new Uint8Array(100_000) },
    ]);
    expect(await verify()).toBe(FINGERPRINT);
  });

  it('is looked for among so many, and no more', async () => {
    storeLegacy(
      Array.from({ length: 101 }, (_, index) => ({ by: index === 0 ? KEY : 'x', payload: payloadOf(image) })),
    );
    await expect(verify()).rejects.toThrow('only 100 signatures are looked at');
  });

  it.each(['REFERRERS', 'GET', 'BLOB'])(
    'a registry that fails at %s is tried again, and nothing has passed',
    async (at) => {
      await attach(signedBy(KEY));
      storeLegacy([{ by: KEY, payload: payloadOf(image) }]);
      registries.before = (call) => {
        if (call.startsWith(at)) throw new HoubaError('RegistryUnavailable', 'upstream.example: 503');
      };
      await expect(verify()).rejects.toMatchObject({ type: 'RegistryUnavailable', nonRetryable: false });
    },
  );

  it('a private key in a policy is refused without being repeated', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    const failure = await verify({ key }).catch((error: Error) => error);
    expect(failure).toMatchObject({ type: 'PolicyInvalid', message: expect.stringContaining('private key') });
    expect(String(failure)).not.toContain(key.split('\n')[1]);
  });
});

describe('a key in a key service', () => {
  const signer = { key: 'hashivault://upstream' };
  const asked: string[] = [];
  const cosign = playingCosign((ref) => {
    asked.push(ref);
    return KEY;
  });

  it('is not asked for unless this worker allows it', async () => {
    await expect(verify(signer, cosign, ['awskms:///'])).rejects.toMatchObject({
      type: 'PolicyInvalid',
      message: expect.stringContaining('HOUBA_VERIFY_KMS'),
    });
    expect(asked).toEqual([]);
    await attach(signedBy(KEY));
    expect(await verify(signer, cosign, ['hashivault://'])).toBe(FINGERPRINT);
    expect(asked).toEqual([signer.key]);
  });
});
