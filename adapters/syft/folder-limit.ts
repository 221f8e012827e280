import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** How often is looked, in milliseconds; a disk takes a few hundred megabytes meanwhile. */
const EVERY_MS = 500;

/** Of a file's `blocks`, in bytes (POSIX). */
const BLOCK = 512;

/**
 * Works under a signal that is aborted, with `tooMuch` as its reason, once a folder takes more of the disk than it may. What
 * is written between two looks comes on top.
 *
 * @param limit bytes
 */
export async function withinFolderLimit<Result>(
  { folder, limit, tooMuch }: { readonly folder: string; readonly limit: number; readonly tooMuch: Error },
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const full = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let done = false;
  const look = async () => {
    if ((await sizeOf(folder)) > limit) full.abort(tooMuch);
    else if (!done) timer = setTimeout(look, EVERY_MS);
  };
  timer = setTimeout(look, EVERY_MS);
  try {
    return await work(signal === undefined ? full.signal : AbortSignal.any([signal, full.signal]));
  } finally {
    done = true;
    clearTimeout(timer);
  }
}

/** What a folder takes of the disk, in bytes. Files come and go meanwhile: what is gone takes nothing. */
async function sizeOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  let size = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const stats = await lstat(join(entry.parentPath, entry.name)).catch(() => null);
    size += (stats?.blocks ?? 0) * BLOCK;
  }
  return size;
}
