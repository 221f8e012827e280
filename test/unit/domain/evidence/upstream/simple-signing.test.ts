import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  bundleOfSignature,
  digestInPayload,
  signatureOnLayer,
} from '../../../../../domain/evidence/upstream/simple-signing.js';

const DIGEST = `sha256:${'a'.repeat(64)}`;
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const payload = (digest: unknown, type = 'cosign container image signature') =>
  encode({ critical: { type, image: { 'docker-manifest-digest': digest }, identity: {} }, optional: null });

describe('the signature on a layer', () => {
  it('is read from its annotations, without the chain that its writer gave', () => {
    const annotations = {
      'dev.cosignproject.cosign/signature': 'c2ln',
      'dev.sigstore.cosign/certificate': 'PEM',
      'dev.sigstore.cosign/chain': 'whatever',
      'dev.sigstore.cosign/bundle': '{}',
      'dev.sigstore.cosign/rfc3161timestamp': '{}',
    };
    expect(signatureOnLayer(annotations)).toEqual({
      base64: 'c2ln',
      certificate: 'PEM',
      rekorBundle: '{}',
      timestamp: '{}',
    });
    expect(signatureOnLayer({ ...annotations, 'dev.sigstore.cosign/certificate': '' })).not.toHaveProperty(
      'certificate',
    );
  });

  it.each([[{}], [{ 'dev.cosignproject.cosign/signature': '' }]])('is not there in %j', (annotations) => {
    expect(signatureOnLayer(annotations)).toBeNull();
  });
});

describe('the digest in a payload', () => {
  it('is what the payload vouches for', () => {
    expect(digestInPayload(payload(DIGEST))).toBe(DIGEST);
  });

  it.each([
    ['another kind of payload', payload(DIGEST, 'atomic container signature')],
    ['a tag', payload('latest')],
    ['a number', payload(1)],
    ['something else', encode([])],
    ['no JSON', new TextEncoder().encode('{')],
    ['nothing', new Uint8Array()],
  ])('is not there in %s', (_, bytes) => {
    expect(digestInPayload(bytes)).toBeNull();
  });
});

describe('an old signature as a bundle', () => {
  const read = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));
  const bytes = payload(DIGEST);
  const body = Buffer.from(JSON.stringify({ apiVersion: '0.0.1', kind: 'hashedrekord', spec: {} })).toString('base64');
  const rekor = {
    SignedEntryTimestamp: 'c2V0',
    Payload: { body, integratedTime: 1700000000, logIndex: 42, logID: 'c0ffee' },
  };

  it('of a key names neither log nor certificate', () => {
    expect(read(bundleOfSignature(bytes, { base64: 'c2ln' }))).toEqual({
      mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
      verificationMaterial: { publicKey: { hint: '' }, tlogEntries: [] },
      messageSignature: {
        messageDigest: { algorithm: 'SHA2_256', digest: createHash('sha256').update(bytes).digest('base64') },
        signature: 'c2ln',
      },
    });
  });

  it('of a certificate carries it, what the log said and the time', () => {
    const certificate = '-----BEGIN CERTIFICATE-----\nTUlJ\nQg==\n-----END CERTIFICATE-----\n';
    const timestamp = JSON.stringify({ SignedRFC3161Timestamp: 'dHM=' });
    const signature = { base64: 'c2ln', certificate, rekorBundle: JSON.stringify(rekor), timestamp };
    expect(read(bundleOfSignature(bytes, signature)).verificationMaterial).toEqual({
      x509CertificateChain: { certificates: [{ rawBytes: 'TUlJQg==' }] },
      tlogEntries: [
        {
          logIndex: '42',
          logId: { keyId: Buffer.from('c0ffee', 'hex').toString('base64') },
          kindVersion: { kind: 'hashedrekord', version: '0.0.1' },
          integratedTime: '1700000000',
          inclusionPromise: { signedEntryTimestamp: 'c2V0' },
          canonicalizedBody: body,
        },
      ],
      timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: 'dHM=' }] },
    });
  });

  it.each([
    ['no JSON', '{'],
    ['something else', '[]'],
    ['a log id that is no hexadecimal', JSON.stringify({ ...rekor, Payload: { ...rekor.Payload, logID: 'xyz' } })],
    ['a body that is no base64', JSON.stringify({ ...rekor, Payload: { ...rekor.Payload, body: '*' } })],
    ['a body that is no JSON', JSON.stringify({ ...rekor, Payload: { ...rekor.Payload, body: 'AAAA' } })],
  ])('leaves out of the log what is %s', (_, rekorBundle) => {
    const bundle = read(bundleOfSignature(bytes, { base64: 'c2ln', rekorBundle, timestamp: rekorBundle }));
    expect(bundle.verificationMaterial).toEqual({ publicKey: { hint: '' }, tlogEntries: [] });
  });

  it('keeps an unusable certificate unusable, instead of asking for a key', () => {
    const { verificationMaterial } = read(bundleOfSignature(bytes, { base64: 'c2ln', certificate: 'none' }));
    expect(verificationMaterial).toMatchObject({ x509CertificateChain: { certificates: [{ rawBytes: '' }] } });
  });
});
