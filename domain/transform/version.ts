import { utf8ToBytes } from '@noble/hashes/utils.js';
import { canonicalJson } from '../canonical-json.js';
import { type Digest, digestOf } from '../digest.js';
import type { Resource } from './step.js';

export interface ResolvedStep {
  readonly name: string;
  readonly params: unknown;
  readonly resources: readonly Resource[];
}

/**
 * Hashes a transform (docs/rules/transform.md#the-version-covers-all-that-decides). Another form would rebuild every
 * image.
 */
export function transformVersion(steps: readonly ResolvedStep[]): Digest {
  const entries = steps.map(({ name, params, resources }) => [name, params, resources]);
  return digestOf(utf8ToBytes(escapeNonAscii(canonicalJson(entries))));
}

function escapeNonAscii(json: string): string {
  return json.replace(/[\u007f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
