import { type Digest, digestOf } from './digest.js';

/** Writes JSON with sorted keys and no spaces; undefined values are left out. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (part === null || typeof part !== 'object' || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

export function valueDigest(value: unknown): Digest {
  return digestOf(new TextEncoder().encode(canonicalJson(value)));
}
