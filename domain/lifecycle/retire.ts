import type { Digest } from '../digest.js';
import { DAY_MS } from '../duration.js';
import { formatInstant, parseInstant } from '../instant.js';
import type { RecordedStamp } from '../stamp/annotations.js';
import { FASTEST_CLOCK_MS, isRestored, type PlacedMark, pendingMark } from './mark.js';
import type { UsageAnswer } from './usage.js';

/** What an answer of the usage oracle means for a marked tag (docs/rules/purge.md#unknown-use-is-in-use). */
export interface PurgeDecision {
  readonly decision: 'purge' | 'protect' | 'uncertain';
  /** A sentence for the report. */
  readonly reason: string;
  /** When to ask again; null for `purge`. Milliseconds since 1970. */
  readonly askAgainMs: number | null;
}

/** So that no window, however short, makes a loop of it. */
const SHORTEST_WAIT_MS = 1_000;

/** An oracle that could not answer is asked again on the next day, or sooner when the window is shorter. */
const LONGEST_RETRY_MS = DAY_MS;

/** Marked at, plus the idle window, whatever the reason of the mark. */
export function purgeDueMs(placed: PlacedMark, windowMs: number): number {
  const markedAt = parseInstant(placed.mark.markedAt);
  return markedAt === null ? Number.POSITIVE_INFINITY : markedAt + windowMs;
}

/**
 * Any sighting protects, even one before the window, for one window from the later of it and now; no answer protects
 * too.
 */
export function judgeUse(answer: UsageAnswer, nowMs: number, windowMs: number): PurgeDecision {
  const told = answer.detail === '' ? '' : `: ${answer.detail}`;
  if (answer.kind === 'unseen') return { decision: 'purge', reason: `not seen in use${told}`, askAgainMs: null };
  if (answer.kind === 'seen') {
    const wait = Math.max(windowMs, SHORTEST_WAIT_MS);
    // Nobody has seen it in a time to come: a clock that is wrong by years must not keep it for years.
    const askAgainMs = Math.min(Math.max(answer.atMs, nowMs), nowMs + wait) + wait;
    return { decision: 'protect', reason: `last seen in use ${formatInstant(answer.atMs)}${told}`, askAgainMs };
  }
  const askAgainMs = nowMs + Math.min(Math.max(windowMs, SHORTEST_WAIT_MS), LONGEST_RETRY_MS);
  return { decision: 'uncertain', reason: `nobody could say whether it is in use${told}`, askAgainMs };
}

/** How long nobody has to be asked again: long enough to read a large repository, and no longer. */
const ANSWER_HOLDS_MS = 2_700_000;

/** Whether a tag may go by an answer of this time; undefined: nobody knows when it was given. */
export function isFresh(askedAtMs: number | undefined, nowMs: number): boolean {
  return askedAtMs !== undefined && nowMs - askedAtMs < ANSWER_HOLDS_MS;
}

/**
 * What of the registry a deletion relies on, read again immediately before it (docs/rules/purge.md#the-last-look, `retireTag`).
 */
export interface LastLook {
  readonly tag: string;
  /** The digest whose deletion was decided. */
  readonly digest: Digest;
  /** What the tag resolves to now; null: it is gone. */
  readonly current: Digest | null;
  /** The stamp of what it shows now; null: it is not houba's. */
  readonly stamp: RecordedStamp | null;
  /** The marks on `digest` now. */
  readonly marks: readonly PlacedMark[];
}

/** `wait`: the window of the mark, which may have been made anew, is not over. `end`: there is nothing to retire any more. */
export type LastWord =
  | { readonly act: 'delete' }
  | { readonly act: 'wait'; readonly untilMs: number }
  | { readonly act: 'end'; readonly reason: string };

/**
 * Whether the tag may go now, as far as the registry tells: it still shows the digest, is still houba's and of the policy
 * that marked it, and its mark is still there, pending and due.
 */
export function lastLook(look: LastLook, nowMs: number, windowMs: number): LastWord {
  const { tag, digest, current, stamp, marks } = look;
  if (current === null) return end('the tag is gone already');
  if (current !== digest) return end(`the tag shows another digest now, ${current}`);
  if (stamp === null) return end('the image does not carry the stamp of houba');
  if (isRestored(marks, tag)) return end('the tag was restored');
  const placed = pendingMark(marks, tag);
  if (placed === null) return end('the mark is gone, or does not say when it was made');
  const owner = placed.mark.identity.policy;
  if (owner !== (stamp.policy ?? '')) return end(`the mark is of policy ${JSON.stringify(owner)}, the image is not`);
  const dueMs = purgeDueMs(placed, windowMs);
  if (dueMs > nowMs + windowMs + FASTEST_CLOCK_MS) return end('the mark is from the future, so nobody knows its age');
  if (dueMs > nowMs) return { act: 'wait', untilMs: dueMs };
  return { act: 'delete' };
}

function end(reason: string): LastWord {
  return { act: 'end', reason };
}
