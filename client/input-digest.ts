import { valueDigest } from '../domain/canonical-json.js';

/** What says that two inputs are the same work, whatever the order of their keys: a running one may then be joined. */
export function inputDigest(input: unknown): string {
  return valueDigest(input);
}
