import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, sep } from 'node:path';
import { makeFolder } from '../config/make-folder.js';
import { HoubaError } from '../domain/errors.js';

export interface WorkDir {
  readonly path: string;
  close(): void;
}

const own = new Set<string>();

/**
 * Makes this worker's scratch folder, and removes those of killed workers, ending their tools first (on Linux). @throws
 * HoubaError `ConfigInvalid` when the root cannot be made, or is another user's, who could replace its content
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
  makeFolder(root, 'HOUBA_WORK_DIR');
  const { uid } = lstatSync(root);
  // In a container the superuser makes the folder.
  if (uid === 0 || uid === process.getuid?.()) return;
  throw new HoubaError('ConfigInvalid', `the folder ${root} belongs to another user (${uid})`, {
    hint: 'set HOUBA_WORK_DIR to a folder of your own',
  });
}

function removeDead(root: string): void {
  for (const name of readdirSync(root)) {
    const path = join(root, name);
    const pid = pidIn(name);
    if (pid === null || own.has(path) || (pid !== process.pid && isAlive(pid))) continue;
    if (lstatSync(path).uid !== process.getuid?.()) continue;
    for (const group of toolsOf(path)) killGroup(group);
    // They take a moment to end, and may write during the removal.
    rmSync(path, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** The process groups with their home in a folder: a worker's tools and their children. Empty without /proc. */
function toolsOf(path: string): Set<number> {
  const groups = new Set<number>();
  for (const name of readProc()) {
    const home = readOfProcess(name, 'environ')
      ?.split('\0')
      .find((line) => line.startsWith('HOME='))
      ?.slice('HOME='.length);
    if (home === undefined || !`${home}${sep}`.startsWith(`${path}${sep}`)) continue;
    // The program's name comes before, in parentheses, and may hold anything.
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

/** Reads a file of /proc; null: the process has ended, or belongs to another user. */
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

/** Names the host: workers of several may share a volume, and process ids mean something on one host only. */
function namePrefix(pid: number): string {
  return `worker-${hostname()}-${pid}-`;
}

/** The process id of a worker's folder; null: not a worker of this host. */
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
