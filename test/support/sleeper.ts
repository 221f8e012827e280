import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { processIdentity } from '../../client/stack/processes.js';
import type { ProcessMark } from '../../client/stack/stack-files.js';

/** A process that does nothing until it is told to end. */
export interface Sleeper extends ProcessMark {
  /** Resolves with the signal it ended by. */
  readonly ended: Promise<NodeJS.Signals | null>;
  kill(): Promise<void>;
}

/**
 * @param words more words for its command line
 * @param deaf it does not end by SIGTERM
 */
export async function startSleeper(words: readonly string[] = [], deaf = false): Promise<Sleeper> {
  const script = `${deaf ? 'process.on("SIGTERM", () => {});' : ''} setInterval(() => {}, 1000); process.stdout.write("up");`;
  const child = spawn(process.execPath, ['-e', script, '--', ...words], { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = once(child, 'exit').then(([, signal]) => signal as NodeJS.Signals | null);
  await once(child.stdout, 'data');
  const pid = pidOf(child);
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  return { pid, identity: processIdentity(pid) ?? '', ended, kill };
}

function pidOf(child: ChildProcess): number {
  if (child.pid === undefined) throw new Error('the process did not start');
  return child.pid;
}
