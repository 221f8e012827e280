import type { Digest } from '../digest.js';
import type { PlacedMark } from '../lifecycle/mark.js';
import type { Repository } from '../reference.js';
import type { RecordedStamp } from '../stamp/annotations.js';

export interface SeenTag {
  readonly digest: Digest;
  /** null: not houba's, or an alias of an image whose stamp is beside it. */
  readonly stamp: RecordedStamp | null;
  /** Whether no SBOM is missing; true also where none is configured. */
  readonly sbomComplete: boolean;
  /** Whether no signature is missing; true also where nothing is signed. */
  readonly attested: boolean;
}

/** The state of a destination repository, without evidence tags. */
export interface SeenRepository {
  readonly repository: Repository;
  readonly tags: ReadonlyMap<string, SeenTag>;
  /** Marks by their subject. */
  readonly marks: ReadonlyMap<Digest, readonly PlacedMark[]>;
}

/** Digests by source tag; null: listed, but not served. */
export type SourceDigests = ReadonlyMap<string, Digest | null>;
