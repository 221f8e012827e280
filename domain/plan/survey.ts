import type { Digest } from '../digest.js';
import type { PlacedMark } from '../lifecycle/mark.js';
import type { Repository } from '../reference.js';
import type { RecordedStamp } from '../stamp/annotations.js';

/** A tag of a destination repository as it was found. */
export interface SeenTag {
  readonly digest: Digest;
  /** null: not houba's, or an alias of an image with its stamp beside it; never deleted, overwritten when wanted. */
  readonly stamp: RecordedStamp | null;
  /** Whether every SBOM that the configuration asks for is attached; also when none is asked for. */
  readonly sbomComplete: boolean;
  /** Whether every statement about it is signed; also when nothing is signed. */
  readonly attested: boolean;
}

/** What one destination repository holds. Evidence tags are left out before. */
export interface SeenRepository {
  readonly repository: Repository;
  readonly tags: ReadonlyMap<string, SeenTag>;
  /** The deletion marks on what the tags show, by the digest they hang on. */
  readonly marks: ReadonlyMap<Digest, readonly PlacedMark[]>;
}

/** The digests that the source's tags resolve to; null where a listed tag turned out to be gone. */
export type SourceDigests = ReadonlyMap<string, Digest | null>;
