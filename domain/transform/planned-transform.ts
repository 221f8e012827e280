import type { Digest } from '../digest.js';
import type { TransformStep } from './step.js';

/** A rebuild by names only (docs/rules/transform.md#names-stand-for-what-the-worker-has). */
export interface PlannedTransform {
  readonly steps: readonly TransformStep[];
  /** Hash of all that decides the result (docs/rules/transform.md#the-version-covers-all-that-decides). */
  readonly version: string;
  /** By name and digest of the text. */
  readonly resources: readonly { readonly name: string; readonly digest: Digest }[];
}
