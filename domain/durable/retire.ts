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
  /** null: the digest that the tag shows. */
  readonly digest: Digest | null;
  /** Empty: the mark names none. */
  readonly policy: string;
}

export interface RetireOrder extends MarkedTag {
  readonly requireApproval: boolean;
}

/** The judgement on a marked tag. `end`: nothing to retire. `delete`: due, and not known to be in use. */
export type Judgement = Judged & { readonly digest: Digest | null };

type Judged =
  | {
      readonly act: 'wait';
      /** `mark`: its idle window runs; `seen`: a window after a sighting; `unknown`: the oracle could not tell. */
      readonly why: 'mark' | 'seen' | 'unknown';
      readonly untilMs: number;
      readonly reason: string;
    }
  | { readonly act: 'end'; readonly reason: string; readonly gone: boolean }
  | {
      readonly act: 'delete';
      readonly reason: string;
      readonly needsApproval: boolean;
      /** When the oracle was asked, in ms since 1970; left out: unknown. */
      readonly askedAtMs?: number;
    };

export interface Retired {
  /** Manifests that the registry did not delete. */
  readonly leftBehind: readonly Digest[];
}

/** A decision of a person about a marked tag; `digest` null: about whatever digest is marked. */
export interface RetireDecision extends HumanWord {
  readonly digest: Digest | null;
}

export interface RetireStatus extends Status {
  /** RFC 3339; null: at once, or once somebody approves. */
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

/** The outcome of a tag whose judgement failed: it is kept. */
export function failedOutcome({ destination, tag, digest }: MarkedTag, error: ReportedError): PurgeOutcome {
  return {
    image_ref: formatTagged(destination, tag),
    ...{ digest, decision: 'uncertain', reason: 'it could not be judged', due_at: null, applied: false, error },
  };
}
