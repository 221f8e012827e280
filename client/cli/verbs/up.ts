import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { Command } from 'commander';
import type { Settings } from '../../../config/settings.js';
import { HoubaError, isErrorCode } from '../../../domain/errors.js';
import { requireSameSettings, runningStack, startLastingStack } from '../../stack/embedded.js';
import { processIdentity, stopProcess } from '../../stack/processes.js';
import { openHome, type StackRecord, stackFiles, tryWriting } from '../../stack/stack-files.js';
import { watchInterrupts } from '../interrupts.js';
import { type Output, outputOption, portNumber } from '../options.js';
import { settingsOfProcess } from '../settings.js';
import { note, print, printJson } from '../terminal.js';

interface UpOptions {
  readonly foreground?: boolean;
  readonly temporalPort?: number;
  readonly uiPort?: number;
  readonly output: Output;
}

const READY_WITHIN_MS = 60_000;

export function upCommand(): Command {
  return new Command('up')
    .option('--foreground', 'stay in this terminal')
    .option('--temporal-port <port>', 'where Temporal listens; any free port if left out', portNumber)
    .option('--ui-port <port>', 'where its web pages are; any free port if left out', portNumber)
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba up --temporal-port 7233 --ui-port 8233')
    .action(up);
}

async function up(options: UpOptions): Promise<void> {
  const { settings } = settingsOfProcess();
  requireEmbedded(settings);
  openHome(settings.home);
  const running = runningStack(settings.home);
  if (running?.mode === 'up' && running.ready) {
    requireSameSettings(running, settings);
    requireSamePorts(running, options);
    note(`already up, process ${running.owner.pid}`);
    await printStack(running, options.output);
    return;
  }
  if (options.foreground) await stayUp(settings, options);
  else await printStack(await startDaemon(settings), options.output);
}

/** Runs the stack in this process until a signal ends it. */
async function stayUp(settings: Settings, options: UpOptions): Promise<void> {
  const interrupts = watchInterrupts();
  const ports = { temporal: options.temporalPort ?? null, ui: options.uiPort ?? null };
  const stack = await startLastingStack({ settings, note, journal: 'stderr', ports });
  if (stack === null) return note('already up');
  note(`up: Temporal at ${stack.address}, its pages at ${stack.ui}`);
  try {
    await Promise.race([interrupts.first(), stack.broken]);
  } finally {
    await stack.leave();
    interrupts.stop();
  }
}

/** Starts this command again with `--foreground`, detached from the terminal, and waits until it serves. */
async function startDaemon(settings: Settings): Promise<StackRecord> {
  const { home } = settings;
  const { stackLog } = stackFiles(home);
  const log = openSync(stackLog, 'a', 0o600);
  const before = statSync(stackLog).size;
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1), '--foreground'], {
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const ended = new Promise<number | null>((resolve) => {
    child.once('exit', (code) => resolve(code));
    child.once('error', () => resolve(null));
  });
  const daemon = { pid: child.pid ?? 0, identity: processIdentity(child.pid ?? 0) ?? '' };
  let code: number | null | undefined;
  void ended.then((value) => {
    code = value;
  });
  const until = performance.now() + READY_WITHIN_MS;
  for (;;) {
    const stack = runningStack(home);
    if (stack?.owner.pid === daemon.pid && stack.ready) {
      child.unref();
      return stack;
    }
    if (code !== undefined || performance.now() > until) {
      await stopProcess(daemon.pid, daemon.identity, 5_000);
      const said = readFileSync(stackLog).subarray(before).toString('utf8');
      // On a full disk its log says nothing.
      tryWriting(home);
      throw startFailure(code ?? null, said, stackLog);
    }
    await pause(25);
  }
}

/** The error in the daemon's log, with its code. */
function startFailure(code: number | null, log: string, path: string): HoubaError {
  const [, named, said] = /^error: (?:(\w+): )?([\s\S]*)$/m.exec(log) ?? [];
  const told = said?.trim() ?? log.trim().split('\n').slice(-5).join('\n');
  const kind = code === 3 ? 'ConfigInvalid' : code === 4 ? 'Internal' : 'ToolFailed';
  const message = told || 'the stack did not start';
  return new HoubaError(isErrorCode(named) ? named : kind, message, { hint: `its log is ${path}` });
}

function requireEmbedded({ temporal }: Settings): void {
  if (temporal.address === null) return;
  throw new HoubaError('ConfigInvalid', `TEMPORAL_ADDRESS is ${temporal.address}: there is a Temporal already`, {
    hint: 'run `houba worker` against it, or unset TEMPORAL_ADDRESS for an embedded stack',
  });
}

function requireSamePorts(stack: StackRecord, { temporalPort, uiPort }: UpOptions): void {
  const moved = [
    [temporalPort, stack.address],
    [uiPort, stack.ui],
  ] as const;
  for (const [wanted, address] of moved) {
    if (wanted === undefined || address.endsWith(`:${wanted}`)) continue;
    throw new HoubaError('ConfigInvalid', `the stack is up already, at ${stack.address} and ${stack.ui}`, {
      hint: 'stop it with `houba down` to move it to another port',
    });
  }
}

async function printStack(stack: StackRecord, output: Output): Promise<void> {
  const { address, namespace, ui, owner } = stack;
  if (output === 'json') await printJson({ schema_version: 1, address, namespace, ui, pid: owner.pid });
  else await print(`temporal  ${address}  (namespace ${namespace})\nui        ${ui}\n`);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
