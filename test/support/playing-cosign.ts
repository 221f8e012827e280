import type { Cosign, Trust } from '../../adapters/cosign.js';
import type { Digest } from '../../domain/digest.js';

/** A bundle as the cosign of these tests reads it: who signed what about which digest. */
export interface PlayedBundle {
  readonly by: string;
  readonly digest: Digest;
  readonly predicateType: string;
  readonly predicate?: unknown;
}

/** A cosign that believes what a bundle says of itself, and a public key or identity that equals its signer's name. */
export function playingCosign(publicKey: (ref: string) => string = (ref) => ref): Cosign {
  const trusted = (by: string, trust: Trust) =>
    by === ('publicKey' in trust ? trust.publicKey : (trust.identity ?? trust.identityRegexp));
  return {
    signStatement: async () => {
      throw new Error('nothing is signed when something is verified');
    },
    async verifyBundle(bytes, { digest, predicateType }, trust) {
      const bundle = JSON.parse(new TextDecoder().decode(bytes)) as PlayedBundle;
      if (!trusted(bundle.by, trust)) return { predicate: null, reason: 'signed by another key' };
      if (bundle.digest !== digest) return { predicate: null, reason: 'about another digest' };
      if (bundle.predicateType !== predicateType) return { predicate: null, reason: 'of another type' };
      return { predicate: bundle.predicate ?? {} };
    },
    async verifyBlob(_payload, { base64 }, trust) {
      const valid = trusted(base64, trust);
      return { valid, reason: valid ? '' : 'signed by another key' };
    },
    publicKey: async (ref) => publicKey(ref),
    publicKeyFile: async (path) => publicKey(path),
  };
}

export function played(bundle: PlayedBundle): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(bundle));
}
