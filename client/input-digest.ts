import { valueDigest } from '../domain/canonical-json.js';

/** Hashes an input, whatever the order of its keys; a running workflow of equal digest may be joined. */
export function inputDigest(input: unknown): string {
  return valueDigest(input);
}
