import type { Cosign, Trust } from '../adapters/cosign.js';
import type { Settings } from '../config/settings.js';

/** Reads the trusted signer. @throws HoubaError `ConfigInvalid` when the key cannot be read */
type ReadTrust = (cosign: Cosign, signal: AbortSignal) => Promise<Trust>;

/** Finds the trusted signer in the settings; null: they name none. */
export function trustFrom(attest: Settings['attest']): ReadTrust | null {
  const { signer, keyRef, verifyIdentity, verifyOidcIssuer } = attest;
  // A key verifies what was signed with it, unless signing is keyless.
  if (signer !== 'keyless' && keyRef !== '') {
    return async (cosign, signal) => ({ publicKey: await cosign.publicKey(keyRef, signal) });
  }
  if (verifyIdentity === '' || verifyOidcIssuer === '') return null;
  return async () => ({ identity: null, identityRegexp: verifyIdentity, issuer: verifyOidcIssuer });
}
