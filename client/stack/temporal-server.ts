import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { SEARCH_ATTRIBUTES } from '../../domain/durable/names.js';
import { HoubaError } from '../../domain/errors.js';
import { commandLine, isAlive, processIdentity, stopProcess } from './processes.js';
import type { ProcessMark } from './stack-files.js';

interface ServerOptions {
  readonly program: string;
  readonly database: string;
  readonly log: string;
  readonly port: number;
  readonly uiPort: number;
}

/** A server, with the addresses of its gRPC endpoint and its UI. */
export interface RunningServer {
  readonly server: ProcessMark;
  readonly address: string;
  readonly ui: string;
}

const READY_WITHIN_MS = 30_000;
const STOP_GRACE_MS = 5_000;

/**
 * Starts the Temporal development server, before it listens. It gets a process group of its own: a Ctrl-C for the
 * command must not end it before the command's run.
 */
export function spawnServer(options: ServerOptions, environment: Record<string, string>): ProcessMark {
  const log = openSync(options.log, 'a', 0o600);
  try {
    const child = spawn(options.program, serverArguments(options), {
      detached: true,
      stdio: ['ignore', log, log],
      env: environment,
    });
    child.on('error', () => {}); // told by `pid` being undefined
    child.unref();
    if (child.pid === undefined) throw new HoubaError('ToolMissing', `cannot start ${options.program}`);
    return { pid: child.pid, identity: processIdentity(child.pid) ?? '' };
  } finally {
    closeSync(log);
  }
}

/** The search attributes as options; the program takes their types as Keyword, Datetime and Bool. */
export function searchAttributeOptions(): string[] {
  return Object.values(SEARCH_ATTRIBUTES).flatMap(([name, type]) => [
    '--search-attribute',
    `${name}=${type.charAt(0)}${type.slice(1).toLowerCase()}`,
  ]);
}

function serverArguments({ database, port, uiPort }: ServerOptions): string[] {
  const loopback = '127.0.0.1';
  return [
    ...['server', 'start-dev', '--log-level', 'error'],
    ...['--ip', loopback, '--port', String(port), '--ui-ip', loopback, '--ui-port', String(uiPort)],
    // Takes half the time of SQLite's defaults.
    ...['--db-filename', database, '--sqlite-pragma', 'journal_mode=WAL', '--sqlite-pragma', 'synchronous=NORMAL'],
    ...searchAttributeOptions(),
  ];
}

/** How often the server is started before its failure is reported. */
const MOST_STARTS = 3;

/**
 * Waits until the server listens. Its inner services take random ports, and it ends when another program takes one
 * first: then `another` starts a new one. @throws HoubaError `ToolFailed` with the end of its log; none is left running
 */
export async function untilListening(
  first: RunningServer,
  log: string,
  another: () => Promise<RunningServer>,
): Promise<void> {
  let running = first;
  for (let started = 1; ; started++) {
    try {
      return await serverListens(running.server, portOf(running.address), log);
    } catch (error) {
      await stopServer(running.server);
      if (started === MOST_STARTS) throw error;
      running = await another();
    }
  }
}

/** @throws HoubaError `ToolFailed` with the end of its log when it ended instead */
export async function serverListens(server: ProcessMark, port: number, log: string): Promise<void> {
  const until = performance.now() + READY_WITHIN_MS;
  while (!(await answers(port))) {
    if (!isAlive(server.pid, server.identity) || performance.now() > until) {
      throw new HoubaError('ToolFailed', `the embedded Temporal server did not start: ${tail(log)}`, {
        hint: `its log is ${log}`,
      });
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function stopServer(server: ProcessMark): Promise<void> {
  await stopProcess(server.pid, server.identity, STOP_GRACE_MS);
}

/** Whether this process is a Temporal server on this database, and not another program with its id. */
export function isOurServer(server: ProcessMark, database: string): boolean {
  return isAlive(server.pid, server.identity) && commandLine(server.pid).includes(database);
}

export function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1));
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

function tail(log: string): string {
  try {
    return readFileSync(log, 'utf8').trim().split('\n').slice(-3).join(' ').slice(-600);
  } catch {
    return 'it left no log';
  }
}
