import type { Digest } from '../digest.js';
import type { HumanWord } from '../human-word.js';
import type { Repository } from '../reference.js';
import type { DestinationRepository } from '../roster.js';
import type { Status } from './messages.js';

/** What a wait answers to an observation. */
export interface Observed {
  /** RFC 3339: when the tag will be taken over if nothing happens; null: when somebody releases it. */
  readonly readyAt: string | null;
  /** Why it is not merely the window that is waited for: a hold, a failed attempt, nothing left to fetch. */
  readonly reason: string | null;
}

/** What a person decides about a wait, looking at this digest (docs/rules/stability.md#a-persons-decision-names-its-digest). */
export interface WaitDecision extends HumanWord {
  readonly digest: Digest;
}

/** The signal `withdrawn`: the tag is waited for no more. Whoever saw it later knows better. */
export interface Withdrawal {
  /** RFC 3339: the run's `now`. */
  readonly at: string;
  /** Only if the run that saw it last was of this set of policies; left out: whosever it was. */
  readonly folder?: string;
}

/** The `status` query of a wait. `digest` is the one that stands. */
export interface WaitStatus extends Status {
  readonly digest: Digest;
  /** RFC 3339; null: when somebody releases it. */
  readonly dueAt: string | null;
  /** Since when the digest stands, as houba saw it; RFC 3339. */
  readonly standsSince: string;
  /** When a run last saw the tag, RFC 3339, of which policy, and where the set of that is; null: nobody can tell. */
  readonly seenAt: string;
  readonly policy: string;
  readonly folder: string | null;
  /** Placements tried so far. */
  readonly attempt: number;
  readonly held: HumanWord | null;
  readonly promoted: HumanWord | null;
  /** What was taken over last, and what the tag has shown since; null: nothing yet. */
  readonly taken: { readonly digest: Digest; readonly outDigest: Digest; readonly promoted: HumanWord | null } | null;
}

/** How a wait ended. */
export interface SettleResult {
  readonly outcome: 'taken' | 'withdrawn' | 'returned';
  /** The source digest that was taken over. */
  readonly digest: Digest | null;
  /** What the tag resolves to since. */
  readonly outDigest: Digest | null;
  /** What decided, in words. */
  readonly because: string;
  readonly promoted: HumanWord | null;
}

/** What to look at again before a wait acts: a timer is a hint, never a permission. */
export interface LookRequest {
  readonly source: Repository;
  readonly sourceTag: string;
  readonly destination: DestinationRepository;
  readonly tag: string;
  /** Output aliases that went with the tag when it was last observed. */
  readonly aliases: readonly string[];
  /** Source digests that may be taken. */
  readonly candidates: readonly Digest[];
}

/** The world as it is now. */
export interface Look {
  /** What the source tag resolves to; null: it is gone. */
  readonly upstream: Digest | null;
  /** What the output tag resolves to; null: it is not there. */
  readonly current: Digest | null;
  /** The source digest that the output tag's stamp records; null: there is no stamp. */
  readonly placed: Digest | null;
  /** Of the aliases asked for, those that show what the tag shows, or are as absent: the others have gone their own way. */
  readonly aliases: readonly string[];
  /** Of the candidates, those that can still be fetched, in their order. */
  readonly fetchable: readonly Digest[];
}
