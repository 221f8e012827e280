import type { Digest } from '../digest.js';
import type { ReportedError } from '../errors.js';
import type { HumanWord } from '../human-word.js';
import { formatInstant } from '../instant.js';
import { formatTagged } from '../reference.js';
import type { PurgeOutcome } from '../report/purge-report.js';
import type { DestinationRepository } from '../roster.js';
import type { Status } from './messages.js';

export interface MarkedTag {
  readonly destination: DestinationRepository;
  readonly tag: string;
  /** null: look; somebody restores a tag by its name. */
  readonly digest: Digest | null;
  /** Empty: the mark does not say. */
  readonly policy: string;
}

export interface RetireOrder extends MarkedTag {
  /** Once asked for, it stays asked for. */
  readonly requireApproval: boolean;
}

/**
 * What to do about a marked tag. `end`: there is nothing to retire. `delete`: due, and not in use as far as anybody can tell.
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
      /** In ms since 1970; left out: unknown. */
      readonly askedAtMs?: number;
    };

export interface Retired {
  /** The registry keeps these. */
  readonly leftBehind: readonly Digest[];
}

/** `digest` null: whatever is marked. */
export interface RetireDecision extends HumanWord {
  readonly digest: Digest | null;
}

/** The `status` query of a retirement. */
export interface RetireStatus extends Status {
  /** RFC 3339; null: when somebody approves, or at once. */
  readonly dueAt: string | null;
  readonly reason: string;
  readonly approved: HumanWord | null;
}

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

/** The outcome of a tag that could not be judged: it is kept. */
export function failedOutcome({ destination, tag, digest }: MarkedTag, error: ReportedError): PurgeOutcome {
  return {
    image_ref: formatTagged(destination, tag),
    ...{ digest, decision: 'uncertain', reason: 'it could not be judged', due_at: null, applied: false, error },
  };
}
