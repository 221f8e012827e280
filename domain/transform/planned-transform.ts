import type { Digest } from '../digest.js';
import type { TransformStep } from './step.js';

/** The steps of a rebuild with what decides their outcome. Names only: the build worker finds what they stand for (S6). */
export interface PlannedTransform {
  readonly steps: readonly TransformStep[];
  /** Section 3, "Transform version". */
  readonly version: string;
  /** The certificates that go in, by name and digest of their text. */
  readonly resources: readonly { readonly name: string; readonly digest: Digest }[];
}
