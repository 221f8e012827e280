import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { machineError } from '../domain/errors.js';

/** Caches folders that are dear to fill, such as bases and builds; drops the least recently used, and all on exit. */
export interface FolderCache {
  /**
   * Works in a key's folder, filled once for all callers; a fill ends with its last waiter, and a failed one is not
   * kept. @param work must not change the folder, which stays until it has ended. @throws as `fill` and `work`, and the
   * signal's reason
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

/** @param options.most unused folders that are kept */
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
      throw machineError(error, root) ?? error;
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
      // The fill must end before its last waiter goes on.
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
