import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Folders that are dear to fill and worth keeping for a while: bases taken from a registry, what BuildKit made of them.
 * Those used least recently make room for others; all are lost with the process.
 */
export interface Scratch {
  /**
   * Works in the folder of a key, which `fill` has filled. Whoever asks while it is being filled waits for that one fill,
   * which is given up when nobody waits any more. One that fails leaves nothing, and the next who asks tries again.
   * @param key anything that tells apart what the folders hold
   * @param work must not write where others would notice; the folder stays as it is until it has ended
   * @throws what `fill` and `work` throw, and the signal's reason
   */
  use<Result>(
    key: string,
    fill: (folder: string, signal: AbortSignal) => Promise<void>,
    work: (folder: string) => Promise<Result>,
    signal: AbortSignal,
  ): Promise<Result>;
}

/** A base and what is built of it in each of two slots, and as many to come back to. */
const MOST = 8;

interface Entry {
  users: number;
  /** Ends a fill that nobody waits for. */
  readonly giveUp: AbortController;
  /** The folder, once it is filled. */
  readonly filled: Promise<string>;
  done: boolean;
}

/** @param options.most folders that are kept while nobody works in them */
export function createScratch(workDir: string, options: { readonly most?: number } = {}): Scratch {
  const most = options.most ?? MOST;
  const root = join(workDir, 'scratch');
  /** The least recently used first. */
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
      // What the fill has started must have ended before the one who gave it up goes on.
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
