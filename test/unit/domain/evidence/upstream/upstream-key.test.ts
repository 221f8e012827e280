import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { digestOf } from '../../../../../domain/digest.js';
import {
  publicKeyFingerprint,
  refuseKeyService,
  upstreamKeyProblem,
} from '../../../../../domain/evidence/upstream/upstream-key.js';

const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const PUBLIC = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
const PRIVATE = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

describe('the key that a policy names for upstream', () => {
  it.each([
    ['PEM', PUBLIC],
    ['PEM with space around it and Windows line ends', `\r\n  ${PUBLIC.replaceAll('\n', '\r\n')}  `],
    ['a path', '/etc/houba/upstream.pub'],
    ['a key service', 'awskms:///arn:aws:kms:eu-west-1:123456789012:key/1234'],
    ['a plugin of cosign', 'testkms://keys/upstream'],
  ])('may be %s', (_, key) => {
    expect(upstreamKeyProblem(key)).toBeNull();
  });

  it.each([
    ['a private key', PRIVATE, /private key/],
    ["cosign's private key", '-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\nAAAA\n-----END', /private key/],
    ['both halves', PUBLIC + PRIVATE, /private key/],
    ['two public keys', PUBLIC + PUBLIC, /not the PEM of one public key/],
    ['PEM that is cut', PUBLIC.slice(0, 60), /not the PEM/],
    ['PEM of nothing', '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----', /not the PEM/],
    ['PEM of no base64', '-----BEGIN PUBLIC KEY-----\nA=A=A\n-----END PUBLIC KEY-----', /not the PEM/],
    ['a certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----', /not the PEM/],
    ['a web address', 'https://example.org/cosign.pub', /https:\/\//],
    ['a variable of the worker', 'env://COSIGN_PASSWORD', /env:\/\//],
    ['a secret of the cluster', 'k8s://houba/key', /k8s:\/\//],
    ['a relative path', 'keys/upstream.pub', /neither/],
    ['an option', '--output-file=/etc/passwd', /not the PEM|neither/],
    ['two lines', '/etc/a\n/etc/b', /one line/],
    ['nothing', '', /neither/],
  ])('is not %s', (_, key, problem) => {
    expect(upstreamKeyProblem(key)).toMatch(problem);
  });

  it('is never quoted when it is refused', () => {
    expect(upstreamKeyProblem(PRIVATE)).not.toContain(PRIVATE.split('\n')[1]);
  });
});

describe('a key service', () => {
  const refuse = (key: string, allowed: readonly string[]) => () => refuseKeyService(key, allowed, 'policy a: ');

  it.each([
    ['awskms:///alias/upstream', ['hashivault://upstream', 'awskms:///']],
    ['hashivault://upstream', ['hashivault://upstream']],
    ['azurekms://ours.vault.azure.net/upstream', ['azurekms://ours.vault.azure.net/']],
    [PUBLIC, []],
    ['/etc/houba/upstream.pub', []],
  ])('may be asked where it is allowed: %s', (key, allowed) => {
    expect(refuse(key, allowed)).not.toThrow();
  });

  it.each([
    ['awskms:///alias/upstream', []],
    ['awskms:///alias/upstream', ['gcpkms://']],
    ['hashivault://upstream-too', ['hashivault://upstream']],
    ['azurekms://ours.vault.azure.net.evil.example/key', ['azurekms://ours.vault.azure.net']],
    ['azurekms://evil.example/ours.vault.azure.net/key', ['azurekms://ours.vault.azure.net/']],
    ['anything://at/all', ['awskms:///']],
    ['', ['awskms:///']],
  ])('is refused elsewhere: %s', (key, allowed) => {
    expect(refuse(key, allowed)).toThrowError(
      expect.objectContaining({
        code: 'PolicyInvalid',
        message: 'policy a: verifyUpstream.key is in a key service that is not allowed here',
        hint: expect.stringContaining('HOUBA_VERIFY_KMS'),
      }),
    );
  });
});

describe('the fingerprint of a key', () => {
  it('is the hash of the key, whatever its PEM looks like', () => {
    const expected = digestOf(pair.publicKey.export({ type: 'spki', format: 'der' }));
    expect(publicKeyFingerprint(PUBLIC)).toBe(expected);
    expect(publicKeyFingerprint(`\n${PUBLIC.replaceAll('\n', '\r\n')}`)).toBe(expected);
  });

  it('is that of a public key alone', () => {
    expect(() => publicKeyFingerprint(PRIVATE)).toThrowError(expect.objectContaining({ code: 'ConfigInvalid' }));
  });
});
