import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';

/**
 * Runs a program and takes its time, start included.
 * @returns {Promise<{seconds: number, stdout: string}>}
 * @throws when it does not exit with 0, with the end of what it said
 */
export async function timed(program, args, environment = {}) {
  const began = process.hrtime.bigint();
  const child = spawn(program, args, {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  live.add(child);
  const said = { stdout: [], stderr: [] };
  for (const stream of ['stdout', 'stderr']) child[stream].on('data', (chunk) => said[stream].push(chunk));
  const [code, signal] = await once(child, 'close');
  live.delete(child);
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const stdout = Buffer.concat(said.stdout).toString();
  if (code !== 0) {
    const tail = `${stdout.slice(-1000)}\n${Buffer.concat(said.stderr).toString().slice(-2000)}`.trim();
    throw new Error(`${program} ${args.join(' ')} ended with ${signal ?? code}:\n${tail}`);
  }
  return { seconds, stdout };
}

const live = new Set();

/** Ends what `timed` waits for, when nobody wants to know any more. */
export function endTimed() {
  for (const child of live) child.kill('SIGKILL');
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** Resident memory of a process now and at its peak, in MiB; null where there is no /proc. */
export function memoryOf(pid) {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    const read = (key) => Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)[1]) / 1024;
    return { now: read('VmRSS'), peak: read('VmHWM') };
  } catch {
    return null;
  }
}

/** Starts the peak over, so that one run's is not another's. */
export function resetPeak(pid) {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
  } catch {
    // Not Linux, or not allowed: the peak then is that of the process's whole life, which is no smaller.
  }
}

export function describeMachine() {
  const cpus = os.cpus();
  return {
    cpu: cpus[0]?.model.trim() ?? 'unknown',
    cores: cpus.length,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    node: process.version,
    /** Of the last minute: above 0.5 or so, something else was at work. */
    load: Math.round(os.loadavg()[0] * 100) / 100,
  };
}
