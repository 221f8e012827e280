import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { HoubaError } from '../../domain/errors.js';

const LARGEST_KEY = 64 * 1024;

/** Reads a key file that a policy may name, so that it may be a device or a pipe. @throws HoubaError `ConfigInvalid` */
export async function readKeyFile(path: string): Promise<string> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!(await file.stat()).isFile()) throw new Error('not a file');
      const buffer = Buffer.alloc(LARGEST_KEY + 1);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
      if (bytesRead > LARGEST_KEY) throw new Error('too large');
      return buffer.toString('utf8', 0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (cause) {
    throw new HoubaError('ConfigInvalid', `the key ${path} cannot be read`, { cause });
  }
}
