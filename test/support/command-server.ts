import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Ended } from './stack.js';

const SCRIPT = fileURLToPath(new URL('serve-commands.mjs', import.meta.url));

/**
 * A process that has loaded the built command line and carries out one command at a time. Loading is most of what a
 * short command costs, and tests run hundreds.
 */
export interface CommandServer {
  /** @returns null while another command is at work, or when the process has ended */
  run(args: readonly string[], env: Readonly<Record<string, string>>): Promise<Ended> | null;
  stop(): Promise<void>;
}

export function startCommandServer(folder: string, env: Readonly<Record<string, string>>): CommandServer {
  const child = fork(SCRIPT, { cwd: folder, env, execArgv: [], stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const gone = once(child, 'exit').then(([code, signal]) => ({ code, signal }));
  let isBusy = false;

  async function carryOut(args: readonly string[], settings: Readonly<Record<string, string>>): Promise<Ended> {
    isBusy = true;
    const began = Date.now();
    const answered = once(child, 'message').then(([answer]) => ({ signal: null, ...answer }));
    child.send({ args, env: settings });
    const ended = await Promise.race([answered, gone]);
    isBusy = false;
    return { stdout: '', stderr: '', ...ended, ms: Date.now() - began };
  }

  return {
    run: (args, settings) => (isBusy || !child.connected ? null : carryOut(args, settings)),
    stop: async () => {
      child.kill('SIGKILL');
      await gone;
    },
  };
}
