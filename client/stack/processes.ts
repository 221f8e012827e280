import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** The start time of a process, which tells it from a later one with the same id; null: not alive (or a zombie). */
export function processIdentity(pid: number): string | null {
  if (process.platform === 'linux') return linuxIdentity(pid);
  const [state = '', ...started] = ps(pid, 'state=,lstart=').split(/\s+/);
  return state === '' || state.startsWith('Z') ? null : started.join(' ');
}

export function isAlive(pid: number, identity: string): boolean {
  return processIdentity(pid) === identity;
}

/** The command line of a process, its words joined by spaces; empty when it is gone. */
export function commandLine(pid: number): string {
  if (process.platform !== 'linux') return ps(pid, 'command=');
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
  } catch (error) {
    throwUnlessGone(error);
    return '';
  }
}

/** Ends a process by SIGTERM, after `graceMs` by SIGKILL, and waits until it is gone. */
export async function stopProcess(pid: number, identity: string, graceMs: number): Promise<void> {
  send(pid, identity, 'SIGTERM');
  if (await gone(pid, identity, graceMs)) return;
  send(pid, identity, 'SIGKILL');
  await gone(pid, identity, 5_000);
}

function send(pid: number, identity: string, signal: NodeJS.Signals): void {
  if (!isAlive(pid, identity)) return;
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function gone(pid: number, identity: string, waitMs: number): Promise<boolean> {
  const until = performance.now() + waitMs;
  while (isAlive(pid, identity)) {
    if (performance.now() > until) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}

/** Fields 3 (state) and 22 (start, in clock ticks since boot) of `/proc/<pid>/stat`, counted after the `(name)`. */
function linuxIdentity(pid: number): string | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (error) {
    throwUnlessGone(error);
    return null;
  }
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' || fields[0] === 'X' ? null : (fields[19] ?? null);
}

/** A process that cannot be looked at, for want of open files for instance, must not count as gone. */
function throwUnlessGone(error: unknown): void {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== undefined && !['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(code)) throw error;
}

function ps(pid: number, columns: string): string {
  return spawnSync('ps', ['-o', columns, '-p', String(pid)], { encoding: 'utf8' }).stdout?.trim() ?? '';
}
