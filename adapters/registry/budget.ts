import { RATE_LIMITS } from '../../domain/durable/retry.js';
import { HoubaError } from '../../domain/errors.js';

/** Bounds the requests to a registry host, and pauses them (docs/rules/registry-access.md#limits-slow-work). */
export interface Budget {
  /**
   * Takes a slot; undefined: at once. @throws the signal's reason; HoubaError `RateLimited` for longer than
   * `RATE_LIMITS.heldMs`
   */
  enter(signal: AbortSignal | undefined): Promise<void> | undefined;
  leave(): void;
  /** Holds back all requests to the host for so many milliseconds. */
  rest(ms: number): void;
  /**
   * Holds back the requests to a repository; all of the host where another one was limited since anything went well
   * (docs/rules/registry-access.md#limits-slow-work). @param repository null: the request was for none
   */
  limited(repository: string | null, ms: number): void;
  /** Notes that a request was not limited. */
  wentWell(): void;
  /** Waits for the end of the rest, before each request; undefined: no need to wait. */
  rested(repository: string | null, signal: AbortSignal | undefined): Promise<void> | undefined;
}

export interface Clock {
  /** The time of day, ms since 1970; it may jump. */
  now(): number;
  /** Milliseconds since some moment, which never jump: for everything that lasts. */
  elapsed(): number;
  wait(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

export function createBudget(host: string, slots: number, clock: Clock): Budget {
  let waiting: (() => void)[] = [];
  let served = 0;
  let taken = 0;
  let restUntil = 0;
  /** Repositories that rest by themselves, until when. */
  const resting = new Map<string, number>();
  /** Repositories that were limited since a request went well. */
  const limitedSince = new Set<string>();

  function enter(signal: AbortSignal | undefined): Promise<void> | undefined {
    if (taken < slots) {
      taken++;
      return undefined;
    }
    return new Promise<void>((resolve) => waiting.push(resolve)).then(() => {
      if (signal?.aborted !== true) return;
      leave();
      signal.throwIfAborted();
    });
  }

  /** Hands the slot to the longest waiter. No `shift`: it would move all the others, up to 10,000. */
  function leave(): void {
    const next = waiting[served++];
    if (next !== undefined) {
      next();
      return;
    }
    waiting = [];
    served = 0;
    taken--;
  }

  function rest(ms: number): void {
    restUntil = Math.max(restUntil, clock.elapsed() + ms);
  }

  function wasLimited(repository: string | null, ms: number): void {
    if (repository !== null) limitedSince.add(repository);
    if (repository === null || limitedSince.size > 1) rest(ms);
    else resting.set(repository, Math.max(resting.get(repository) ?? 0, clock.elapsed() + ms));
  }

  function rested(repository: string | null, signal: AbortSignal | undefined): Promise<void> | undefined {
    const ofOne = repository === null ? 0 : (resting.get(repository) ?? 0);
    if (restUntil === 0 && ofOne === 0) return undefined;
    const left = Math.max(restUntil, ofOne) - clock.elapsed();
    if (left <= 0) {
      restUntil = 0;
      if (repository !== null) resting.delete(repository);
      return undefined;
    }
    const who = ofOne > restUntil ? `${host}/${repository}` : host;
    if (left > RATE_LIMITS.heldMs) throw limitedFor(host, who, left);
    return clock.wait(left, signal).then(() => rested(repository, signal));
  }

  return { enter, leave, rest, limited: wasLimited, wentWell: () => limitedSince.clear(), rested };
}

function limitedFor(host: string, who: string, ms: number): HoubaError {
  return new HoubaError('RateLimited', `${who} limits requests for another ${Math.ceil(ms / 1000)} s`, {
    facts: { registry: host },
    retryAfterMs: Math.ceil(ms),
  });
}

/**
 * The wait that a 429 or 5xx asks for, ms: `Retry-After` or `ratelimit-reset`, at most an hour; null: none that makes
 * sense. Times are those of the server's clock, where it sends its `Date`; ours may be wrong. @param now our time, ms since 1970
 */
export function waitAsked(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  now: number,
): number | null {
  const theirs = typeof headers.date === 'string' ? Date.parse(headers.date) : Number.NaN;
  const asked = readWait(headers, Number.isNaN(theirs) ? now : theirs);
  return asked === null ? null : Math.min(asked, RATE_LIMITS.longestMs);
}

function readWait(headers: Readonly<Record<string, string | string[] | undefined>>, now: number): number | null {
  const reset = headers['ratelimit-reset'] ?? headers['x-ratelimit-reset'];
  return waitIn(headers['retry-after'], now) ?? waitIn(reset, now);
}

/** A date of HTTP or ISO 8601; `Date.parse` would take `garbage 12` for one. */
const DATE = /^(?:[A-Za-z]{3,9},? |\d{4}-\d\d-\d\dT)/;

/** null: nothing that means a time, or one that is over. */
function waitIn(text: string | string[] | undefined, now: number): number | null {
  if (typeof text !== 'string') return null;
  const said = text.trim();
  const [seconds] = /^\d+(?:\.\d+)?(?=$|[;,\s])/.exec(said) ?? [];
  const ms =
    seconds === undefined ? (DATE.test(said) ? Date.parse(said) - now : 0) : inMilliseconds(Number(seconds), now);
  return ms > 0 ? ms : null;
}

/** @param time in seconds from now or, where that would be decades, in seconds or milliseconds since 1970 */
function inMilliseconds(time: number, now: number): number {
  if (time > 1e11) return time - now;
  return time > 1e9 ? time * 1000 - now : Math.ceil(time * 1000);
}
