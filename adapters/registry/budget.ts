import { HoubaError } from '../../domain/errors.js';

/**
 * Bounds the requests to one registry host, for the whole process. When the host says that it is too much, the whole budget
 * rests (docs/rules/registry-access.md#limits-slow-work).
 */
export interface Budget {
  /**
   * Takes a slot; undefined: it was free. Give it back with `leave`.
   * @throws the signal's reason; HoubaError `RateLimited` while the host wants a longer rest than `LONGEST_WAIT_MS`
   */
  enter(signal: AbortSignal | undefined): Promise<void> | undefined;
  leave(): void;
  /** Nobody asks the host before so many milliseconds have gone. */
  rest(ms: number): void;
  /** Waits until the rest is over; to be called before each request, with a slot held. Undefined: no need to wait. */
  rested(signal: AbortSignal | undefined): Promise<void> | undefined;
}

export interface Clock {
  now(): number;
  wait(ms: number, signal: AbortSignal | undefined): Promise<void>;
}

/** A longer wait is for the durable layer, which need not hold a worker's slot for it. */
export const LONGEST_WAIT_MS = 30_000;

export function createBudget(host: string, slots: number, clock: Clock): Budget {
  let waiting: (() => void)[] = [];
  let served = 0;
  let taken = 0;
  let restUntil = 0;

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

  /** A slot passes straight to the one who waits longest. No `shift`: it moves all the others, and there can be 10,000. */
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

  function rested(signal: AbortSignal | undefined): Promise<void> | undefined {
    if (restUntil === 0) return undefined;
    const left = restUntil - clock.now();
    if (left <= 0) {
      restUntil = 0;
      return undefined;
    }
    if (left > LONGEST_WAIT_MS) throw limited(host, left);
    return clock.wait(left, signal).then(() => rested(signal));
  }

  return { enter, leave, rest, rested };
}

function limited(host: string, ms: number): HoubaError {
  return new HoubaError('RateLimited', `${host} limits requests for another ${Math.ceil(ms / 1000)} s`, {
    facts: { registry: host },
    retryAfterMs: ms,
  });
}

/**
 * How long a 429 or 5xx asks us to wait, in milliseconds, or null: `Retry-After` as seconds or a date, else `ratelimit-reset`
 * (seconds from now, or an epoch in seconds). At most an hour: what a host says must not silence it for good.
 */
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
    if (/^\d+(?:\.\d+)?$/.test(retryAfter.trim())) return Math.ceil(Number(retryAfter) * 1000);
    const at = Date.parse(retryAfter);
    if (!Number.isNaN(at)) return at - now;
  }
  const reset = headers['ratelimit-reset'] ?? headers['x-ratelimit-reset'];
  if (typeof reset !== 'string' || !/^\d+/.test(reset)) return null;
  const seconds = Number.parseInt(reset, 10);
  return seconds > 1e9 ? seconds * 1000 - now : seconds * 1000;
}
