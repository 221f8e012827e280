import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, sep } from 'node:path';
import { HoubaError } from '../domain/errors.js';

export interface WorkDir {
  readonly path: string;
  close(): void;
}

const own = new Set<string>();

/**
 * Makes a scratch folder for this worker below the common one, and removes those of dead workers: a killed one leaves the
 * private configuration of the tools that it had started, and these may still be at work. They are ended first (on Linux).
 * @throws HoubaError `ConfigInvalid` when the common folder cannot be made, or is somebody else's, who could then replace what
 * is put there
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
    if (lstatSync(path).uid !== process.getuid?.()) continue;
    for (const group of toolsOf(path)) killGroup(group);
    // They take a moment to end, and may write while we remove.
    rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  }
}

/**
 * The process groups of what still runs with its home in a folder. Every tool gets a home of its own in the folder of its
 * worker, and leads a group (`adapters/command.ts`); what it starts inherits both. Empty where there is no /proc.
 */
function toolsOf(path: string): Set<number> {
  const groups = new Set<number>();
  for (const name of readProc()) {
    const home = readOfProcess(name, 'environ')
      ?.split('\0')
      .find((line) => line.startsWith('HOME='))
      ?.slice('HOME='.length);
    if (home === undefined || !`${home}${sep}`.startsWith(`${path}${sep}`)) continue;
    // The name of the program comes before, in parentheses, and may hold anything.
    const stat = readOfProcess(name, 'stat') ?? '';
    const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);
    if (group > 1) groups.add(group);
  }
  return groups;
}

function readProc(): string[] {
  try {
    return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
}

/** null: it has ended, or is not ours to look into. */
function readOfProcess(pid: string, file: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return null;
  }
}

function killGroup(group: number): void {
  try {
    process.kill(-group, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
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
