import { sha256, sha512 } from '@noble/hashes/sha2.js';
import { bytesToHex } from '@noble/hashes/utils.js';
import { HoubaError } from './errors.js';

/** A content digest, checked when parsed (docs/rules/registry-access.md#bytes-are-hashed-where-they-are-read). */
export type Digest = string & { readonly __brand: 'Digest' };

const SHAPE = /^(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$/;

export function isDigest(text: string): text is Digest {
  return SHAPE.test(text);
}

/** The digest of no manifest: asked to delete it, a registry shows whether it deletes at all. */
export const NOWHERE = `sha256:${'0'.repeat(64)}` as Digest;

/** @throws HoubaError `ReferenceInvalid` for anything but `algorithm:hex` in lower case */
export function parseDigest(text: string): Digest {
  if (!isDigest(text)) {
    throw new HoubaError('ReferenceInvalid', `not a digest: ${JSON.stringify(text.slice(0, 100))}`, {
      hint: 'a digest is sha256: and 64, or sha512: and 128, lower-case hexadecimal digits',
    });
  }
  return text;
}

/** Computes the digest of bytes, by the same algorithm as `like` (default sha256). */
export function digestOf(bytes: Uint8Array, like?: Digest): Digest {
  const sha512Wanted = like?.startsWith('sha512:') ?? false;
  return (sha512Wanted ? `sha512:${bytesToHex(sha512(bytes))}` : `sha256:${bytesToHex(sha256(bytes))}`) as Digest;
}
