import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowHandle } from '@temporalio/client';
import type { Progress } from '../domain/durable/messages.js';
import type { ErrorCode } from '../domain/errors.js';

const RATE_LIMITED: ErrorCode = 'RateLimited';

/** The progress of a run, for people. A total is 0 until it is known. */
export interface RunProgress {
  readonly phase: string;
  readonly policies: Progress;
  readonly placements: { readonly done: number; readonly total: number };
  /** What the run waits for because a registry limits requests. */
  readonly limits: readonly RateLimit[];
}

/** The progress of a sweep, for people: how much there is in all, nobody knows before. */
export interface SweepProgress {
  readonly phase: string;
  /** Repositories, or marked tags of a purge. */
  readonly done: number;
  readonly current: readonly string[];
  readonly limits: readonly RateLimit[];
}

/** Steps that wait for the same limit. */
export interface RateLimit {
  /** The registry's host; null: its answer does not say. */
  readonly registry: string | null;
  /** When the last of them is tried again, RFC 3339; null: unknown. */
  readonly until: string | null;
  readonly steps: number;
}

type Pending = Awaited<ReturnType<WorkflowHandle['describe']>>['raw']['pendingActivities'];

/** `PENDING_ACTIVITY_STATE_STARTED` of Temporal: it is tried again at this moment. */
const STARTED = 2;

/** Finds the steps that wait because of a rate limit. */
export function limitsIn(pending: Pending): RateLimit[] {
  return (pending ?? []).flatMap(({ lastFailure, scheduledTime, state }) => {
    if (lastFailure?.applicationFailureInfo?.type !== RATE_LIMITED || state === STARTED) return [];
    const registry = /^(\S+) (?:limits requests|answered 429)/.exec(lastFailure.message ?? '')?.[1] ?? null;
    const seconds = Number(scheduledTime?.seconds ?? 0);
    return [{ registry, until: seconds === 0 ? null : new Date(seconds * 1000).toISOString(), steps: 1 }];
  });
}

/** Adds up the limits of each registry. */
export function sumLimits(limits: readonly RateLimit[]): RateLimit[] {
  const sums = new Map<string | null, RateLimit>();
  for (const { registry, until, steps } of limits) {
    const sum = sums.get(registry);
    const last = [sum?.until ?? null, until].filter((time) => time !== null).sort();
    sums.set(registry, { registry, until: last.at(-1) ?? null, steps: steps + (sum?.steps ?? 0) });
  }
  return [...sums.values()];
}

/** Counts placements over all policies; a policy that is no longer current counts with its last numbers, as done. */
export class PlacementTally {
  readonly #seen = new Map<string, { done: number; total: number }>();

  set(policy: string, { done, total }: Progress): void {
    this.#seen.set(policy, { done, total });
  }

  finishAllBut(current: readonly string[]): void {
    for (const [policy, seen] of this.#seen) if (!current.includes(policy)) seen.done = seen.total;
  }

  sum(): { done: number; total: number } {
    const sum = { done: 0, total: 0 };
    for (const { done, total } of this.#seen.values()) {
      sum.done += done;
      sum.total += total;
    }
    return sum;
  }
}

export async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await sleep(ms, undefined, signal && { signal }).catch(() => {}); // given up early
}
