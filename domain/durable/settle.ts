import type { Digest } from '../digest.js';
import type { HumanWord } from '../human-word.js';
import type { Repository } from '../reference.js';
import type { DestinationRepository } from '../roster.js';
import type { Status } from './messages.js';

/** What a wait answers to an observation. */
export interface Observed {
  /** RFC 3339; null: when somebody releases it. */
  readonly readyAt: string | null;
  /** A hold, a failed attempt, nothing left to fetch; null: the window. */
  readonly reason: string | null;
}

/** A decision about the digest that somebody looked at (docs/rules/stability.md#a-persons-decision-names-its-digest). */
export interface WaitDecision extends HumanWord {
  readonly digest: Digest;
}

/** The signal `withdrawn`; a run that saw the tag later wins. */
export interface Withdrawal {
  /** RFC 3339: the run's `now`. */
  readonly at: string;
  /** Left out: whichever set of policies saw the tag last. */
  readonly folder?: string;
}

/** The `status` query of a wait. `digest` is the one that stands. */
export interface WaitStatus extends Status {
  readonly digest: Digest;
  /** RFC 3339; null: when somebody releases it. */
  readonly dueAt: string | null;
  /** RFC 3339, as houba saw it. */
  readonly standsSince: string;
  /** RFC 3339. */
  readonly seenAt: string;
  readonly policy: string;
  readonly folder: string | null;
  readonly attempt: number;
  readonly held: HumanWord | null;
  readonly promoted: HumanWord | null;
  /** Placed last; null: nothing yet. */
  readonly taken: { readonly digest: Digest; readonly outDigest: Digest; readonly promoted: HumanWord | null } | null;
}

/** How a wait ended. */
export interface SettleResult {
  readonly outcome: 'taken' | 'withdrawn' | 'returned';
  readonly digest: Digest | null;
  readonly outDigest: Digest | null;
  readonly because: string;
  readonly promoted: HumanWord | null;
}

/** What a wait reads before it acts (docs/rules/stability.md#a-timer-is-a-hint). */
export interface LookRequest {
  readonly source: Repository;
  readonly sourceTag: string;
  readonly destination: DestinationRepository;
  readonly tag: string;
  readonly aliases: readonly string[];
  /** Source digests that may be taken. */
  readonly candidates: readonly Digest[];
}

export interface Look {
  /** null: the source tag is gone. */
  readonly upstream: Digest | null;
  /** null: the output tag is not there. */
  readonly current: Digest | null;
  /** The source digest in the stamp; null: there is none. */
  readonly placed: Digest | null;
  /** Those that show what the tag shows, or are as absent. */
  readonly aliases: readonly string[];
  readonly fetchable: readonly Digest[];
}
