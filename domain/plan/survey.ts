import type { Digest } from '../digest.js';
import type { PlacedMark } from '../lifecycle/mark.js';
import type { Repository } from '../reference.js';
import type { RecordedStamp } from '../stamp/annotations.js';

export interface SeenTag {
  readonly digest: Digest;
  /** null: not houba's, or an alias of an image with its stamp beside it. */
  readonly stamp: RecordedStamp | null;
  /** Also when none is asked for. */
  readonly sbomComplete: boolean;
  /** Also when nothing is signed. */
  readonly attested: boolean;
}

/** Without evidence tags. */
export interface SeenRepository {
  readonly repository: Repository;
  readonly tags: ReadonlyMap<string, SeenTag>;
  /** By the digest they are attached to. */
  readonly marks: ReadonlyMap<Digest, readonly PlacedMark[]>;
}

/** By source tag; null: listed, and gone. */
export type SourceDigests = ReadonlyMap<string, Digest | null>;
