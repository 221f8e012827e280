import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Milliseconds between two checks, in which a few hundred megabytes may be written. */
const EVERY_MS = 500;

/** The unit of a file's `blocks`, in bytes (POSIX). */
const BLOCK = 512;

/** Runs `work` with a signal that is aborted, by `tooMuch`, once a folder exceeds its limit in bytes. */
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

/** Disk usage of a folder, in bytes. Files may vanish meanwhile. */
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
