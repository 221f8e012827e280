import type { Decision } from './classify.js';

/**
 * Whether a moved digest has stood still long enough: exactly the window is enough (section 4). It counts from when
 * houba first saw the digest, never from a date the publisher can write (L2, S4); an unknown time does not pass.
 */
export function isSettled(firstSeenMs: number | null, nowMs: number, windowMs: number): boolean {
  return firstSeenMs !== null && nowMs - firstSeenMs >= windowMs;
}

/** What becomes of a decision under the window: a moved tag is an update when it has settled, and held until then. */
export function settle(
  decision: Decision,
  firstSeenMs: number | null,
  nowMs: number,
  windowMs: number,
): Exclude<Decision, 'moved'> | 'held' {
  if (decision !== 'moved') return decision;
  return isSettled(firstSeenMs, nowMs, windowMs) ? 'update' : 'held';
}
