import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * Works with files that hold these texts and have no name: each is unlinked before the first byte is written, so that no
 * search of the folder finds a credential, during the call or after a kill. A child that inherits the
 * descriptor as its number N reads the text by opening `/dev/fd/N`, on Linux more than once if it likes; a pipe could be read once.
 *
 * @param folder on the file system that may hold them
 */
export async function withUnnamedFiles<Result>(
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
