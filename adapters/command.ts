import { closeSync, openSync } from 'node:fs';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { execa } from 'execa';
import { type ErrorCode, HoubaError, machineError } from '../domain/errors.js';
import { escapeControls } from '../domain/text/escape.js';

interface CommandOptions {
  readonly file: string;
  /** Passed on without a shell; never a credential (docs/rules/security.md#programs-get-lists-not-lines). */
  readonly args: readonly string[];
  readonly input?: string | Uint8Array;
  /** The whole environment of the child; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
  readonly cwd?: string;
  /** Open files that the child gets as descriptors 3, 4 and so on. */
  readonly descriptors?: readonly number[];
  readonly onStdout?: (chunk: string) => void;
  readonly onStderr?: (chunk: string) => void;
  /** Texts that no error may quote, such as a password in the child's configuration. */
  readonly secrets?: readonly string[];
  /** Lines of its standard error that say nothing of a failure; with the flag `m`. */
  readonly noise?: RegExp;
  /** The code of a non-zero exit; null: `ToolFailed`. Left out: what the program says of the machine counts. */
  readonly classify?: (stderr: string, exitCode: number) => ErrorCode | null;
}

interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
}

const LARGEST_OUTPUT = 16 * 1024 * 1024;
const GRACE_MS = 5000;
const STDERR_TAIL = 2048;

/**
 * Runs a program in a process group of its own; cancellation or timeout ends the whole group (SIGTERM, 5 s, SIGKILL).
 * execa's `cancelSignal` would end the child alone, and wait for whoever still holds its output.
 * @throws the signal's reason when cancelled; HoubaError `ToolMissing`, `ToolFailed`, `MachineFailed`, or what `classify` says
 */
export async function runCommand(options: CommandOptions): Promise<CommandResult> {
  const { file, signal } = options;
  const name = basename(file);
  signal?.throwIfAborted();
  requireDescriptors(options.descriptors?.length ?? 0);

  const child = execa(file, options.args, {
    env: options.env,
    extendEnv: false,
    detached: true,
    cleanup: false,
    reject: false,
    stripFinalNewline: false,
    maxBuffer: LARGEST_OUTPUT,
    ...(options.input === undefined ? {} : { input: options.input }),
    // Any number of descriptors works; execa's types know 3 to 9.
    stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe', ...((options.descriptors ?? []) as 3[])],
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const { onStdout, onStderr } = options;
  if (onStdout !== undefined) child.stdout.on('data', (chunk: Buffer) => onStdout(chunk.toString('utf8')));
  if (onStderr !== undefined) child.stderr.on('data', (chunk: Buffer) => onStderr(chunk.toString('utf8')));

  let timedOut = false;
  let ending: Promise<void> | undefined;
  const end = () => {
    ending ??= endGroup(child);
  };
  const timer = setTimeout(() => {
    timedOut = true;
    end();
  }, options.timeoutMs);
  signal?.addEventListener('abort', end, { once: true });
  track(child.pid);
  const result = await child;
  clearTimeout(timer);
  signal?.removeEventListener('abort', end);
  await ending;
  // Descendants that the child left running.
  killGroup(child.pid, 'SIGKILL');
  untrack(child.pid);

  signal?.throwIfAborted();
  if (timedOut) throw failed(`${name} did not finish within ${options.timeoutMs / 1000} s and was ended`);
  if (result.isMaxBuffer) throw failed(`${name} wrote more than ${LARGEST_OUTPUT / 1024 / 1024} MiB and was ended`);
  if (!result.failed) return { stdout: result.stdout, stderr: result.stderr };
  if (child.pid === undefined) throw notStarted(file, result.code);

  const stderr = options.noise === undefined ? result.stderr : result.stderr.replace(options.noise, '');
  const said = quoteTail(stderr, options.secrets ?? []);
  const how = result.signal === undefined ? `failed with exit ${result.exitCode}` : `was ended by ${result.signal}`;
  const lacking = machineErrorIn(stderr);
  const told = result.exitCode === undefined ? null : (options.classify?.(stderr, result.exitCode) ?? null);
  // Who classifies knows where a program quotes what others say.
  const code = told ?? (options.classify === undefined && lacking !== null ? lacking.code : 'ToolFailed');
  throw new HoubaError(code, `${name} ${how}${said === '' ? '' : `: ${said}`}`, {
    ...(code === lacking?.code && lacking.hint !== undefined ? { hint: lacking.hint } : {}),
    facts: { program: name, ...(result.exitCode === undefined ? {} : { exitCode: result.exitCode }) },
  });

  function failed(message: string): HoubaError {
    return new HoubaError('ToolFailed', message, { facts: { program: name } });
  }
}

/** The three pipes of a child, both ends, and one by which libuv hears that it runs. */
const DESCRIPTORS_OF_A_CHILD = 8;

/**
 * Checks that a child's pipes can be opened. Where they cannot, Node.js (20) makes a child without streams, at which
 * execa (9) throws before it listens for the error, and that ends the process. @throws HoubaError `MachineFailed`
 */
function requireDescriptors(more: number): void {
  const opened: number[] = [];
  try {
    while (opened.length < DESCRIPTORS_OF_A_CHILD + more) opened.push(openSync('/dev/null', 'r'));
  } catch (error) {
    throw machineError(error) ?? error;
  } finally {
    for (const descriptor of opened) closeSync(descriptor);
  }
}

const SAID: readonly (readonly [RegExp, string])[] = [
  [/no space left on device/i, 'ENOSPC'],
  [/disk quota exceeded/i, 'EDQUOT'],
  [/read-only file system/i, 'EROFS'],
  [/too many open files/i, 'EMFILE'],
  [/cannot allocate memory/i, 'ENOMEM'],
];

/** What a program says of the machine, in the words of the C library; null: nothing. */
export function machineErrorIn(stderr: string): HoubaError | null {
  const code = SAID.find(([words]) => words.test(stderr))?.[1];
  return code === undefined ? null : machineError(Object.assign(new Error(), { code }));
}

/** Names the registry by which a program was limited: progress and journal tell limits by it. */
export function namingRegistry(error: unknown, host: string): unknown {
  if (!(error instanceof HoubaError) || error.code !== 'RateLimited' || error.facts.registry !== undefined)
    return error;
  return new HoubaError('RateLimited', `${host} limits requests (${error.message})`, { facts: { registry: host } });
}

/** Kills every running child: for a worker that gives up waiting, and on exit. */
export function killLiveCommands(): void {
  for (const pid of live) killGroup(pid, 'SIGKILL');
}

/** Quotes the last 2 KB of a program's output without credentials (docs/rules/security.md#untrusted-text-is-data). */
export function quoteTail(text: string, secrets: readonly string[] = []): string {
  let quoted = text;
  for (const secret of secrets) if (secret !== '') quoted = quoted.replaceAll(secret, '***');
  quoted = quoted
    .replace(/\/\/[^/\s@]+@/g, '//***@')
    .replace(/\b(bearer|basic)\s+[\w.~+/=-]{16,}/gi, '$1 ***')
    .replace(/\b(password|passwd|token|secret|signature|x-amz-[a-z-]+)=[^\s&"']+/gi, '$1=***')
    .trim();
  if (quoted.length > STDERR_TAIL) quoted = `…${quoted.slice(-STDERR_TAIL)}`;
  return escapeControls(quoted.replace(/\s*\n\s*/g, ' | '));
}

interface Child extends PromiseLike<unknown> {
  readonly pid?: number | undefined;
  readonly exitCode: number | null;
  readonly signalCode: NodeJS.Signals | null;
  readonly stdout: Readable;
  readonly stderr: Readable;
  once(event: 'exit', listener: () => void): unknown;
}

/** Ends the group: SIGTERM; SIGKILL once the leader is gone or after 5 s. */
async function endGroup(child: Child): Promise<void> {
  if (child.pid === undefined) return;
  if (child.exitCode === null && child.signalCode === null) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GRACE_MS);
      child.once('exit', () => {
        clearTimeout(timer);
        resolve();
      });
      killGroup(child.pid, 'SIGTERM');
    });
  }
  killGroup(child.pid, 'SIGKILL');
  // A descendant that left the group may still hold these pipes; it is not waited for.
  child.stdout.destroy();
  child.stderr.destroy();
}

const live = new Set<number>();
let exitHooked = false;

/** Remembers a live group: `detached` turns off execa's cleanup on exit. */
function track(pid: number | undefined): void {
  if (pid === undefined) return;
  live.add(pid);
  if (exitHooked) return;
  exitHooked = true;
  process.on('exit', killLiveCommands);
}

function untrack(pid: number | undefined): void {
  if (pid !== undefined) live.delete(pid);
}

function killGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The group is gone already.
  }
}

/** Codes of what the machine lacks; with any other the program is not as it should be. */
const SCARCE: ReadonlySet<string | undefined> = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM', 'EIO']);

function notStarted(file: string, code: string | undefined): HoubaError {
  const name = basename(file);
  const lacking = SCARCE.has(code) ? machineError(Object.assign(new Error(), { code }), file) : null;
  if (lacking !== null) return lacking;
  return new HoubaError('ToolMissing', `${name} cannot be started${code === undefined ? '' : ` (${code})`}: ${file}`, {
    hint: `run make setup, or put ${name} on PATH; houba doctor shows what is missing`,
    facts: { program: name },
  });
}
