import { vi } from 'vitest';
import type { MemoryRegistries, Read, Store } from './memory-registries.js';

/** Which reads of a registry are old, and by how much. */
export interface Lag {
  readonly ms: number;
  readonly reads: readonly Read[];
  /** Whether every other read is answered by a replica that has everything. */
  readonly replica?: boolean;
}

const LISTS_AND_TAGS = ['list', 'tag', 'referrers'] as const;

export const LAGS: Readonly<Record<string, Lag>> = {
  'lag by 0.4 s': { ms: 400, reads: LISTS_AND_TAGS },
  'lag by 3 s': { ms: 3_000, reads: LISTS_AND_TAGS },
  'lag by 30 s': { ms: 30_000, reads: LISTS_AND_TAGS },
  'come from a cache of tag lists that is 30 s old': { ms: 30_000, reads: ['list'] },
  'come from a replica that is 30 s behind, now and then': {
    ...{ ms: 30_000, reads: [...LISTS_AND_TAGS, 'digest'], replica: true },
  },
};

/**
 * Lets reads show what was there a while ago, by a clock that a test moves (`inNoTime`). Writes are done at once.
 * @returns what begins it: until then writes are remembered, and reads are fresh
 */
export function letLag(registries: MemoryRegistries, lagging: Store, { ms, reads, replica = false }: Lag): () => void {
  let hasBegun = false;
  const past: { readonly untilMs: number; readonly state: Store }[] = [];
  registries.before = (call) => {
    if (!/^(COPY|PUT|ATTACH|DELETE)/.test(call)) return;
    const { tags, manifests, blobs } = lagging;
    past.push({ untilMs: Date.now(), state: { tags: new Map(tags), manifests: new Map(manifests), blobs } });
  };
  let turn = 0;
  registries.shows = (store, read) => {
    if (!hasBegun || store !== lagging || !reads.includes(read) || (replica && turn++ % 2 === 0)) return store;
    return past.find(({ untilMs }) => untilMs > Date.now() - ms)?.state ?? store;
  };
  return () => {
    hasBegun = true;
  };
}

/** Runs work whose waits take no time: the clock jumps to the end of each. */
export async function inNoTime<Result>(work: () => Promise<Result>): Promise<Result> {
  let isOver = false;
  const done = work().finally(() => {
    isOver = true;
  });
  done.catch(() => undefined);
  while (!isOver) await vi.advanceTimersToNextTimerAsync();
  return done;
}
