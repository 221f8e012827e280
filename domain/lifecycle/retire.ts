import type { Digest } from '../digest.js';
import { DAY_MS } from '../duration.js';
import { formatInstant, parseInstant } from '../instant.js';
import type { RecordedStamp } from '../stamp/annotations.js';
import { FASTEST_CLOCK_MS, isRestored, type PlacedMark, pendingMark } from './mark.js';
import type { UsageAnswer } from './usage.js';

/** A decision by the oracle's answer (docs/rules/purge.md#unknown-use-is-in-use). */
export interface PurgeDecision {
  readonly decision: 'purge' | 'protect' | 'uncertain';
  readonly reason: string;
  /** In ms since 1970; null for `purge`. */
  readonly askAgainMs: number | null;
}

/** Keeps a short window from making a busy loop. */
const SHORTEST_WAIT_MS = 1_000;

/** Wait after an oracle without an answer; a shorter window counts instead. */
const LONGEST_RETRY_MS = DAY_MS;

/** Dates the end of a mark's idle window, in ms since 1970; infinite for a mark without a time. */
export function purgeDueMs(placed: PlacedMark, windowMs: number): number {
  const markedAt = parseInstant(placed.mark.markedAt);
  return markedAt === null ? Number.POSITIVE_INFINITY : markedAt + windowMs;
}

/** Judges an answer of the oracle (docs/rules/purge.md#any-sighting-protects). */
export function judgeUse(answer: UsageAnswer, nowMs: number, windowMs: number): PurgeDecision {
  const told = answer.detail === '' ? '' : `: ${answer.detail}`;
  if (answer.kind === 'unseen') return { decision: 'purge', reason: `not seen in use${told}`, askAgainMs: null };
  if (answer.kind === 'seen') {
    const wait = Math.max(windowMs, SHORTEST_WAIT_MS);
    // A clock that is wrong by years must not keep the tag for years.
    const askAgainMs = Math.min(Math.max(answer.atMs, nowMs), nowMs + wait) + wait;
    return { decision: 'protect', reason: `last seen in use ${formatInstant(answer.atMs)}${told}`, askAgainMs };
  }
  const askAgainMs = nowMs + Math.min(Math.max(windowMs, SHORTEST_WAIT_MS), LONGEST_RETRY_MS);
  return { decision: 'uncertain', reason: `nobody could say whether it is in use${told}`, askAgainMs };
}

/** How long an answer holds: time to read a large repository (docs/rules/purge.md#use-is-asked-at-the-end). */
const ANSWER_HOLDS_MS = 2_700_000;

/** By how much the clocks of two workers may differ. */
const CLOCKS_DIFFER_MS = 60_000;

/** An answer from the future has no age: the clock was set back since, or another worker's is wrong. */
export function isFresh(askedAtMs: number | undefined, nowMs: number): boolean {
  if (askedAtMs === undefined || askedAtMs > nowMs + CLOCKS_DIFFER_MS) return false;
  return nowMs - askedAtMs < ANSWER_HOLDS_MS;
}

/** The facts read immediately before a deletion (docs/rules/purge.md#the-last-look). */
export interface LastLook {
  readonly tag: string;
  readonly digest: Digest;
  readonly current: Digest | null;
  readonly stamp: RecordedStamp | null;
  readonly marks: readonly PlacedMark[];
}

/** `wait`: the idle window is not over, as the mark was made anew. `end`: there is nothing to retire. */
export type LastWord =
  | { readonly act: 'delete' }
  | { readonly act: 'wait'; readonly untilMs: number }
  | { readonly act: 'end'; readonly reason: string };

/** Allows the deletion if tag, stamp, policy and mark are still as they were when it was decided. */
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
