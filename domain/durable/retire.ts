import type { Digest } from '../digest.js';
import type { ReportedError } from '../errors.js';
import type { HumanWord } from '../human-word.js';
import { formatInstant } from '../instant.js';
import { formatTagged } from '../reference.js';
import type { PurgeOutcome } from '../report/purge-report.js';
import type { DestinationRepository } from '../roster.js';
import type { Status } from './messages.js';

/** A tag with a deletion mark, as the sweep found it. */
export interface MarkedTag {
  readonly destination: DestinationRepository;
  readonly tag: string;
  /** What the tag showed; null: look (somebody restores a tag by its name). */
  readonly digest: Digest | null;
  /** Whose the mark is; empty: nobody says. */
  readonly policy: string;
}

/** What a sweep tells the retirement of a tag that it met. */
export interface RetireOrder extends MarkedTag {
  /** Somebody has to approve. Once asked for, it stays asked for. */
  readonly requireApproval: boolean;
}

/**
 * What is to be done about a marked tag now. `wait`: nothing before a time. `end`: there is nothing to retire. `delete`:
 * due and not in use, as far as anybody can tell.
 */
export type Judgement = Judged & { readonly digest: Digest | null };

type Judged =
  | {
      readonly act: 'wait';
      /** `mark`: its idle window; `seen`: a window after a sighting; `unknown`: nobody could say. */
      readonly why: 'mark' | 'seen' | 'unknown';
      readonly untilMs: number;
      readonly reason: string;
    }
  | { readonly act: 'end'; readonly reason: string; readonly gone: boolean }
  | {
      readonly act: 'delete';
      readonly reason: string;
      readonly needsApproval: boolean;
      /** When the oracle was asked, in ms since 1970; left out: nobody knows any more. */
      readonly askedAtMs?: number;
    };

/** What a deletion came to. */
export interface Retired {
  /** The registry keeps these. */
  readonly leftBehind: readonly Digest[];
}

/** What a person decides about a marked tag; `digest` is the one that was looked at, null: whatever is marked. */
export interface RetireDecision extends HumanWord {
  readonly digest: Digest | null;
}

/** The `status` query of a retirement. */
export interface RetireStatus extends Status {
  /** RFC 3339; null: when somebody approves, or at once. */
  readonly dueAt: string | null;
  /** Why it stands where it stands. */
  readonly reason: string;
  readonly approved: HumanWord | null;
}

/** How a marked tag stands in the report of a sweep. */
export function outcomeOf({ destination, tag, digest }: MarkedTag, judgement: Judgement): PurgeOutcome {
  const base = {
    image_ref: formatTagged(destination, tag),
    digest: judgement.digest ?? digest,
    ...{ reason: judgement.reason, due_at: null, applied: false, error: null },
  };
  if (judgement.act === 'delete') return { ...base, decision: 'purge' };
  if (judgement.act === 'end') return { ...base, decision: 'protect' };
  return { ...base, decision: DECISION_OF[judgement.why], due_at: formatInstant(judgement.untilMs) };
}

const DECISION_OF = { mark: 'wait', seen: 'protect', unknown: 'uncertain' } as const;

/** How one that nobody could judge stands in the report: kept. */
export function failedOutcome({ destination, tag, digest }: MarkedTag, error: ReportedError): PurgeOutcome {
  return {
    image_ref: formatTagged(destination, tag),
    ...{ digest, decision: 'uncertain', reason: 'it could not be judged', due_at: null, applied: false, error },
  };
}
