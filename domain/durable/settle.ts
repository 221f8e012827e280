import type { Digest } from '../digest.js';
import type { HumanWord } from '../human-word.js';
import type { Repository } from '../reference.js';
import type { DestinationRepository } from '../roster.js';
import type { Status } from './messages.js';

/** The answer of a wait to an observation; times are RFC 3339. */
export interface Observed {
  /** null: held until somebody releases it. */
  readonly readyAt: string | null;
  /** A hold, a failed attempt, or nothing left to fetch; null: the window. */
  readonly reason: string | null;
}

/** A person's decision about a digest (docs/rules/stability.md#a-persons-decision-names-its-digest). */
export interface WaitDecision extends HumanWord {
  readonly digest: Digest;
}

/** The signal `withdrawn`; ignored when a later run saw the tag. */
export interface Withdrawal {
  /** RFC 3339: the run's `now`. */
  readonly at: string;
  /** Folder of the policy set; left out: of whichever set saw the tag last. */
  readonly folder?: string;
}

/** The `status` query of a wait, about the digest in the window; times are RFC 3339. */
export interface WaitStatus extends Status {
  readonly digest: Digest;
  /** null: held until somebody releases it. */
  readonly dueAt: string | null;
  /** When houba first saw the digest. */
  readonly standsSince: string;
  readonly seenAt: string;
  readonly policy: string;
  readonly folder: string | null;
  readonly attempt: number;
  readonly held: HumanWord | null;
  readonly promoted: HumanWord | null;
  /** The last placement; null: none yet. */
  readonly taken: { readonly digest: Digest; readonly outDigest: Digest; readonly promoted: HumanWord | null } | null;
}

export interface SettleResult {
  readonly outcome: 'taken' | 'withdrawn' | 'returned';
  readonly digest: Digest | null;
  readonly outDigest: Digest | null;
  readonly because: string;
  readonly promoted: HumanWord | null;
}

/** The reads of a wait before it acts (docs/rules/stability.md#a-timer-is-a-hint). */
export interface LookRequest {
  readonly source: Repository;
  readonly sourceTag: string;
  readonly destination: DestinationRepository;
  readonly tag: string;
  readonly aliases: readonly string[];
  readonly candidates: readonly Digest[];
}

export interface Look {
  /** What the source tag shows; null: it is gone. */
  readonly upstream: Digest | null;
  /** What the output tag shows; null: it is not there. */
  readonly current: Digest | null;
  /** The source digest in the stamp; null: no stamp. */
  readonly placed: Digest | null;
  /** Aliases that show the same digest as the tag, or are as absent. */
  readonly aliases: readonly string[];
  readonly fetchable: readonly Digest[];
}
