import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { HoubaError, machineError } from '../domain/errors.js';

/**
 * Makes a folder, readable by its owner only, and what is missing above it. @param setting the variable that names it.
 * @throws HoubaError `MachineFailed`, `ConfigInvalid`
 */
export function makeFolder(path: string, setting: string): void {
  try {
    makeBelow(path);
  } catch (error) {
    const cause = whyNotBelow(path) ?? error;
    const { code = '' } = cause as NodeJS.ErrnoException;
    // Nothing was removed: these are answers to a path that cannot be a folder.
    const failed =
      code === 'ENOENT' || code === 'ENOTDIR' ? null : machineError(Object.assign(new Error(), { code }), path);
    throw (
      failed ??
      new HoubaError('ConfigInvalid', `cannot make the folder ${path}: ${(error as Error).message}`, {
        hint: `set ${setting} to a folder of your own that can be written`,
        cause: error,
      })
    );
  }
}

/** One by one: the recursive way of Node.js (20) never ends where folders cannot be made, as below /proc. */
function makeBelow(path: string): void {
  if (!existsSync(path)) {
    if (dirname(path) !== path) makeBelow(dirname(path));
    try {
      mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
  // Also a link that leads nowhere exists.
  if (!statSync(path).isDirectory()) throw Object.assign(new Error(`${path} is no folder`), { code: 'ENOTDIR' });
}

/** Asks the nearest folder that there is, for Node.js says ENOENT where the file system is read-only; null: it takes more. */
function whyNotBelow(path: string): unknown {
  let above = path;
  while (!existsSync(above) && above !== dirname(above)) above = dirname(above);
  try {
    accessSync(above, constants.W_OK);
    return null;
  } catch (error) {
    return error;
  }
}
