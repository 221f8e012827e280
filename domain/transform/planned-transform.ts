import type { Digest } from '../digest.js';
import type { TransformStep } from './step.js';

/**
 * The steps of a rebuild with what decides their outcome. Names only: the build worker finds what they stand for
 * (docs/rules/security.md#credentials-go-to-one-place).
 */
export interface PlannedTransform {
  readonly steps: readonly TransformStep[];
  /** See docs/rules/transform.md#the-version-covers-all-that-decides. */
  readonly version: string;
  /** The certificates that go in, by name and digest of their text. */
  readonly resources: readonly { readonly name: string; readonly digest: Digest }[];
}
