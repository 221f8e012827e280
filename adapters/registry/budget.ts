import { HoubaError } from '../../domain/errors.js';

/** Bounds the requests to a registry host, and pauses them (docs/rules/registry-access.md#limits-slow-work). */
export interface Budget {
  /**
   * Takes a slot; undefined: at once. @throws the signal's reason; HoubaError `RateLimited` for longer than
   * `LONGEST_WAIT_MS`
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
  /** Waits for the end of the rest, before each request, with a slot held; undefined: no need to wait. */
  rested(repository: string | null, signal: AbortSignal | undefined): Promise<void> | undefined;
}

export interface Clock {
  now(): number;
  wait(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

/** A longer wait is left to Temporal, which holds no slot of a worker for it. */
export const LONGEST_WAIT_MS = 30_000;

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
    restUntil = Math.max(restUntil, clock.now() + ms);
  }

  function wasLimited(repository: string | null, ms: number): void {
    if (repository !== null) limitedSince.add(repository);
    if (repository === null || limitedSince.size > 1) rest(ms);
    else resting.set(repository, Math.max(resting.get(repository) ?? 0, clock.now() + ms));
  }

  function rested(repository: string | null, signal: AbortSignal | undefined): Promise<void> | undefined {
    const ofOne = repository === null ? 0 : (resting.get(repository) ?? 0);
    if (restUntil === 0 && ofOne === 0) return undefined;
    const left = Math.max(restUntil, ofOne) - clock.now();
    if (left <= 0) {
      restUntil = 0;
      if (repository !== null) resting.delete(repository);
      return undefined;
    }
    const who = ofOne > restUntil ? `${host}/${repository}` : host;
    if (left > LONGEST_WAIT_MS) throw limitedFor(host, who, left);
    return clock.wait(left, signal).then(() => rested(repository, signal));
  }

  return { enter, leave, rest, limited: wasLimited, wentWell: () => limitedSince.clear(), rested };
}

function limitedFor(host: string, who: string, ms: number): HoubaError {
  return new HoubaError('RateLimited', `${who} limits requests for another ${Math.ceil(ms / 1000)} s`, {
    facts: { registry: host },
    retryAfterMs: ms,
  });
}

/** The wait that a 429 or 5xx asks for, ms, or null: `Retry-After` or `ratelimit-reset`, at most an hour. */
export function waitAsked(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  now: number,
): number | null {
  const asked = readWait(headers, now);
  return asked === null ? null : Math.min(Math.max(asked, 0), LONGEST_ASKED_MS);
}

const LONGEST_ASKED_MS = 3_600_000;

function readWait(headers: Readonly<Record<string, string | string[] | undefined>>, now: number): number | null {
  const retryAfter = headers['retry-after'];
  if (typeof retryAfter === 'string') {
    if (/^\d+(?:\.\d+)?$/.test(retryAfter.trim())) return inMilliseconds(Number(retryAfter), now);
    const at = Date.parse(retryAfter);
    if (!Number.isNaN(at)) return at - now;
  }
  const reset = headers['ratelimit-reset'] ?? headers['x-ratelimit-reset'];
  if (typeof reset !== 'string' || !/^\d+/.test(reset)) return null;
  return inMilliseconds(Number.parseInt(reset, 10), now);
}

/** @param seconds from now or, where that would be decades, since 1970 */
function inMilliseconds(seconds: number, now: number): number {
  return seconds > 1e9 ? seconds * 1000 - now : Math.ceil(seconds * 1000);
}
