import { type Digest, digestOf } from '../../digest.js';
import { HoubaError } from '../../errors.js';

/** Schemes of keys that a policy may not use (docs/rules/evidence.md#a-policy-cannot-choose-where-keys-are-read). */
const ELSEWHERE: ReadonlySet<string> = new Set(['http', 'https', 'env', 'file', 'k8s', 'gitlab', 'github']);

const PEM = /^\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*$/;
const ADDRESS = /^([a-z][a-z0-9+.-]*):\/\/\S+$/;

/** Says what is wrong with `verifyUpstream.key`, without quoting it; null: nothing. */
export function upstreamKeyProblem(key: string): string | null {
  if (/PRIVATE KEY/.test(key)) {
    return 'is a private key: whoever reads the policy could sign with it; write the public one, and replace the pair';
  }
  if (key.includes('-----')) {
    return derOf(key) === null ? 'is not the PEM of one public key (-----BEGIN PUBLIC KEY-----)' : null;
  }
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(key)) return 'must be one line, or PEM';
  const scheme = ADDRESS.exec(key)?.[1];
  if (/^awskms:\/\/[^/]/.test(key)) return 'names a server of its own, to which the worker would show its login';
  if (scheme !== undefined && ELSEWHERE.has(scheme)) return `cannot be read from ${scheme}://`;
  if (scheme !== undefined || key.startsWith('/')) return null;
  return 'is neither PEM, an absolute path on the worker, nor the address of a key in a key service (awskms://…)';
}

/**
 * Refuses a key service outside `allowed`: it may be a server that gets the login, or a program that cosign starts.
 * @param allowed (`HOUBA_VERIFY_KMS`) beginnings of addresses; without a final `/`, whole ones
 * @throws HoubaError `PolicyInvalid`
 */
export function refuseKeyService(key: string, allowed: readonly string[], where: string): void {
  if (key.includes('-----') || key.startsWith('/')) return;
  if (allowed.some((address) => (address.endsWith('/') ? key.startsWith(address) : key === address))) return;
  throw new HoubaError('PolicyInvalid', `${where}verifyUpstream.key is in a key service that is not allowed here`, {
    hint: 'write the PEM of the public key into the policy, or allow the address in HOUBA_VERIFY_KMS of the worker',
  });
}

/** @throws HoubaError `ConfigInvalid` when the text is not the PEM of one public key */
export function publicKeyFingerprint(pem: string): Digest {
  const der = derOf(pem);
  if (der !== null) return digestOf(der);
  throw new HoubaError('ConfigInvalid', 'not the PEM of one public key', {
    hint: 'it starts with -----BEGIN PUBLIC KEY-----; cosign public-key prints it',
  });
}

function derOf(pem: string): Uint8Array | null {
  const base64 = PEM.exec(pem)?.[1];
  if (base64 === undefined) return null;
  try {
    const der = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    // Every such key is an ASN.1 sequence.
    return der[0] === 0x30 ? der : null;
  } catch {
    return null;
  }
}
