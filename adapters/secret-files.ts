import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Writes secrets to unlinked files, so that no kill leaves one; as `/dev/fd/N` they can be read repeatedly, unlike
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
      const path = join(folder, randomUUID());
      const file = await open(path, 'wx+', 0o600);
      files.push(file);
      await rm(path);
      // At a position, so that the descriptor still points at the beginning.
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at, bytes.length - at, at)).bytesWritten;
    }
    return await work(files.map(({ fd }) => fd));
  } finally {
    for (const file of files) await file.close();
  }
}
