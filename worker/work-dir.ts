import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { HoubaError } from '../domain/report/errors.js';

/** A worker's own scratch folder. */
export interface WorkDir {
  readonly path: string;
  /** Removes it with all that is in it. */
  close(): void;
}

/** Those of this process. */
const own = new Set<string>();

/**
 * Makes a scratch folder for this worker below the common one, and removes those of dead workers: a killed one leaves
 * the private configuration of the tools that it had started (conventions S6).
 *
 * @throws HoubaError `ConfigInvalid` when the common folder cannot be made, or is somebody else's, who could then
 * replace what is put there
 */
export function openWorkDir(root: string): WorkDir {
  makeRoot(root);
  removeDead(root);
  const path = mkdtempSync(join(root, namePrefix(process.pid)));
  own.add(path);
  return {
    path,
    close: () => {
      rmSync(path, { recursive: true, force: true });
      own.delete(path);
    },
  };
}

function makeRoot(root: string): void {
  const hint = 'set HOUBA_WORK_DIR to a folder of your own';
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new HoubaError('ConfigInvalid', `cannot make the folder ${root}: ${(cause as Error).message}`, {
      hint,
      cause,
    });
  }
  const { uid } = lstatSync(root);
  // Containers get theirs from the superuser.
  if (uid === 0 || uid === process.getuid?.()) return;
  throw new HoubaError('ConfigInvalid', `the folder ${root} belongs to another user (${uid})`, { hint });
}

function removeDead(root: string): void {
  for (const name of readdirSync(root)) {
    const path = join(root, name);
    const pid = pidIn(name);
    if (pid === null || own.has(path) || (pid !== process.pid && isAlive(pid))) continue;
    // Its tools may still be ending, and write while we remove.
    if (lstatSync(path).uid === process.getuid?.()) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Process ids mean something on one host only, and workers of several may share a volume. */
function namePrefix(pid: number): string {
  return `worker-${hostname()}-${pid}-`;
}

/** Whose folder this is; null when not a worker's of this host. */
function pidIn(name: string): number | null {
  const pid = /-(\d+)-\w+$/.exec(name)?.[1];
  return pid !== undefined && name.startsWith(namePrefix(Number(pid))) ? Number(pid) : null;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
