import { valueDigest } from '../domain/canonical-json.js';

/** A digest by which equal inputs are known, whatever the order of their keys: a running one may then be joined. */
export function inputDigest(input: unknown): string {
  return valueDigest(input);
}
