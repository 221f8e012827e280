import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** `O_TMPFILE` of Linux, which Node.js (20) does not name. */
const NAMELESS = 0o20000000 | constants.O_DIRECTORY | constants.O_RDWR;

/**
 * Writes secrets to files without a name, so that no kill leaves one; as `/dev/fd/N` they can be read repeatedly, unlike
 * pipes.
 */
export async function withSecretFiles<Result>(
  folder: string,
  texts: readonly string[],
  work: (descriptors: readonly number[]) => Promise<Result>,
): Promise<Result> {
  const files: FileHandle[] = [];
  try {
    for (const text of texts) {
      const file = await openNameless(folder);
      files.push(file);
      // At a position, so that the descriptor still points at the beginning.
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at, bytes.length - at, at)).bytesWritten;
    }
    return await work(files.map(({ fd }) => fd));
  } finally {
    for (const file of files) await file.close();
  }
}

async function openNameless(folder: string): Promise<FileHandle> {
  try {
    return await open(folder, NAMELESS, 0o600);
  } catch {
    // Not every file system can: the name goes before the secret is written.
    const path = join(folder, randomUUID());
    const file = await open(path, 'wx+', 0o600);
    await rm(path);
    return file;
  }
}
