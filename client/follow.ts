import { setTimeout as sleep } from 'node:timers/promises';
import type { Progress } from '../domain/durable/messages.js';

/** The progress of a run, for people. A total is 0 until it is known. */
export interface RunProgress {
  readonly phase: string;
  readonly policies: Progress;
  readonly placements: { readonly done: number; readonly total: number };
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
