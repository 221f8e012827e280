import { sha256 } from '@noble/hashes/sha2.js';
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js';

/** What says that two inputs are the same work, whatever the order of their keys: a running one may then be joined. */
export function inputDigest(input: unknown): string {
  return `sha256:${bytesToHex(sha256(utf8ToBytes(canonicalJson(input))))}`;
}

/** JSON with sorted keys; what JSON leaves out (undefined) is left out. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (part === null || typeof part !== 'object' || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}
