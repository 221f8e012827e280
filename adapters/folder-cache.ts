import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Caches folders that are expensive to fill: bases pulled from a registry, builds of BuildKit. The least recently used are
 * removed first; all are lost with the process.
 */
export interface FolderCache {
  /**
   * Works in the folder of a key, filled once by `fill`. Concurrent callers wait for the same fill, which is aborted when
   * nobody waits any more. A failed fill leaves nothing; the next caller tries again.
   * @param work must not change what others read; the folder stays until it has ended
   * @throws what `fill` and `work` throw, and the signal's reason
   */
  use<Result>(
    key: string,
    fill: (folder: string, signal: AbortSignal) => Promise<void>,
    work: (folder: string) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result>;
}

/** A base and its builds in each of two slots, and as many again. */
const MOST = 8;

interface Entry {
  users: number;
  readonly giveUp: AbortController;
  readonly filled: Promise<string>;
  done: boolean;
}

/** @param options.most folders that are kept while nobody works in them */
export function createFolderCache(workDir: string, options: { readonly most?: number } = {}): FolderCache {
  const most = options.most ?? MOST;
  const root = join(workDir, 'scratch');
  const entries = new Map<string, Entry>();

  function start(key: string, fill: (folder: string, signal: AbortSignal) => Promise<void>): Entry {
    const giveUp = new AbortController();
    const entry: Entry = { users: 0, giveUp, filled: filledFolder(fill, giveUp.signal), done: false };
    entry.filled.then(
      () => {
        entry.done = true;
      },
      () => forget(key, entry),
    );
    return entry;
  }

  async function filledFolder(fill: (folder: string, signal: AbortSignal) => Promise<void>, signal: AbortSignal) {
    await mkdir(root, { recursive: true });
    const folder = await mkdtemp(join(root, 'folder-'));
    try {
      await fill(folder, signal);
      signal.throwIfAborted();
      return folder;
    } catch (error) {
      await remove(folder);
      throw error;
    }
  }

  function forget(key: string, entry: Entry): void {
    if (entries.get(key) === entry) entries.delete(key);
  }

  async function leave(key: string, entry: Entry, reason: unknown): Promise<void> {
    entry.users--;
    if (entry.users === 0 && !entry.done) {
      forget(key, entry);
      entry.giveUp.abort(reason);
      // The fill must have ended before its last waiter goes on.
      const folder = await entry.filled.catch(() => null);
      if (folder !== null) await remove(folder);
    }
    await makeRoom();
  }

  async function makeRoom(): Promise<void> {
    const idle = [...entries].filter(([, entry]) => entry.users === 0 && entry.done);
    for (const [key, entry] of idle.slice(0, Math.max(0, idle.length - most))) {
      entries.delete(key);
      await remove(await entry.filled);
    }
  }

  return {
    async use(key, fill, work, signal) {
      signal.throwIfAborted();
      const entry = entries.get(key) ?? start(key, fill);
      entries.delete(key);
      entries.set(key, entry);
      entry.users++;
      try {
        return await work(await unlessAborted(entry.filled, signal));
      } finally {
        await leave(key, entry, signal.reason);
      }
    },
  };
}

async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
}

function unlessAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
