import { setTimeout as sleep } from 'node:timers/promises';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { programPath } from '../../config/programs.js';
import { describeDifference, publicSettings, type Settings } from '../../config/settings.js';
import { houbaVersion } from '../../config/version.js';
import { HoubaError, knownError } from '../../domain/errors.js';
import type { HoubaWorker } from '../../worker/worker.js';
import { choosePort } from './ports.js';
import { isAlive } from './processes.js';
import {
  liveClients,
  openHome,
  ownMark,
  type ProcessMark,
  readStack,
  registerClient,
  removeStack,
  type StackRecord,
  stackFiles,
  watchSpace,
  withLock,
  writeStack,
} from './stack-files.js';
import { isOurServer, portOf, type RunningServer, spawnServer, stopServer, untilListening } from './temporal-server.js';

/** A local Temporal server with a worker, in this process or another. */
export interface Stack {
  readonly address: string;
  readonly namespace: string;
  /** The address of the server's UI. */
  readonly ui: string;
  /** Whether the worker runs in this process and ends with it. */
  readonly owned: boolean;
  /** Rejects when this process's worker fails or its server cannot be kept up; else never settles. */
  readonly broken: Promise<never>;
  /** Stops what this process started, once nobody else uses it; a joined stack is only left. */
  leave(): Promise<void>;
}

export interface StackOptions {
  readonly settings: Settings;
  /** Writes a message to a person, on stderr. */
  readonly note: (text: string) => void;
  readonly journal: 'stderr' | 'file';
  /** Placements in flight of a worker in this process; left out: as the settings say. */
  readonly concurrency?: number | null;
  readonly ports?: { readonly temporal: number | null; readonly ui: number | null };
}

/** Joins the stack of `HOUBA_HOME`, or starts one. @throws HoubaError `ConfigInvalid` when its settings are others */
export async function joinOrStart(options: StackOptions): Promise<Stack> {
  const { settings, note } = options;
  const { home } = settings;
  openHome(home);
  return await withLock(home, note, async () => {
    const found = runningStack(home);
    if (found === null) return await startStack('command', options);
    requireSameSettings(found, settings);
    return joined(found, registerClient(home), watchSpace(home, note));
  });
}

/** Starts the stack of `houba up` in this process. @returns null: one with the same settings is up */
export async function startLastingStack(options: StackOptions): Promise<Stack | null> {
  const { settings, note } = options;
  const { home } = settings;
  openHome(home);
  for (;;) {
    const stack = await withLock(home, note, async () => {
      const found = runningStack(home);
      if (found === null) return await startStack('up', options);
      if (found.mode === 'command') return found;
      requireSameSettings(found, settings);
      return null;
    });
    if (stack === null || 'leave' in stack) return stack;
    note(`waiting for process ${stack.owner.pid}, a command that runs a stack of its own in ${home}`);
    while (isAlive(stack.owner.pid, stack.owner.identity)) await pause(100);
  }
}

/** The running stack of a folder, or null. It may end at any moment; commands join it under the lock. */
export function runningStack(home: string): StackRecord | null {
  const record = readStack(home);
  return record !== null && isAlive(record.owner.pid, record.owner.identity) ? record : null;
}

/** Refuses to join a stack with other settings, which would win unnoticed. @throws HoubaError `ConfigInvalid` */
export function requireSameSettings(stack: StackRecord, settings: Settings): void {
  const version = houbaVersion();
  if (stack.version !== version) {
    throw new HoubaError('ConfigInvalid', `the running stack is houba ${stack.version}, this command is ${version}`, {
      hint: 'stop it with `houba down` first',
    });
  }
  const differences = describeDifference(stack.settings, publicSettings(settings));
  if (differences.length === 0) return;
  const head = `the stack that runs in ${settings.home} has other settings than this command:`;
  throw new HoubaError('ConfigInvalid', [head, ...differences].join('\n  '), {
    hint: 'give both the same values, or stop it with `houba down`, or set HOUBA_HOME to another folder',
  });
}

/** Stops what is left of a stack whose process is gone; call it under the lock. */
export async function clearDeadStack(home: string): Promise<void> {
  if (runningStack(home) !== null) return;
  const record = readStack(home);
  if (record !== null && isOurServer(record.server, stackFiles(home).database)) await stopServer(record.server);
  removeStack(home);
}

/** Milliseconds between two checks of the server. */
const LOOK_MS = 1_000;

async function startStack(mode: StackRecord['mode'], options: StackOptions): Promise<Stack> {
  const { settings, note } = options;
  const { home } = settings;
  const files = stackFiles(home);
  const heavy = loadHeavy(); // while the server starts
  heavy.catch(() => {}); // awaited below
  const survivor = survivingServer(home, options);
  if (survivor === null) await clearDeadStack(home);
  const base = survivor ?? (await newServer(home, options));
  note(
    survivor === null
      ? `starting an embedded Temporal in ${home}; set TEMPORAL_ADDRESS to use a cluster`
      : `taking over the embedded Temporal in ${home} that a killed command left running`,
  );
  if (options.journal === 'file') note(`its journal is ${files.journal}`);
  const stack: { record: StackRecord } = {
    record: {
      ...base,
      schema_version: 1,
      version: houbaVersion(),
      mode,
      owner: ownMark(),
      namespace: 'default',
      ready: false,
      settings: publicSettings(settings),
      started_at: new Date().toISOString(),
    },
  };
  const stopHard = () => killAtExit(home, stack.record.server);
  process.once('exit', stopHard);
  try {
    writeStack(home, stack.record);
    await untilListening(stack.record, files.serverLog, () => replaceServer(stack, options));
    const { record } = stack;
    const { keepHistories, startWorker, createLogger } = await heavy;
    await keepHistories(record.address, record.namespace);
    const worker = await startWorker({
      settings: options.concurrency == null ? settings : { ...settings, maxConcurrency: options.concurrency },
      connection: { address: record.address },
      namespace: record.namespace,
      log: createLogger({
        format: settings.logFormat,
        level: settings.logLevel,
        destination: options.journal === 'file' ? files.journal : 'stderr',
      }),
    });
    stack.record = { ...record, ready: true };
    writeStack(home, stack.record);
    return owned(stack, worker, options, () => process.off('exit', stopHard));
  } catch (error) {
    await stopServer(stack.record.server);
    removeStack(home);
    process.off('exit', stopHard);
    throw error;
  }
}

async function replaceServer(stack: { record: StackRecord }, options: StackOptions): Promise<RunningServer> {
  const { home } = options.settings;
  stack.record = { ...stack.record, ...(await newServer(home, options)) };
  writeStack(home, stack.record);
  return stack.record;
}

/** Restarts a server that ended by itself (killed, out of memory) at its old address: its database has all runs. */
async function keepServer(stack: { record: StackRecord }, options: StackOptions, over: AbortSignal): Promise<void> {
  const { address, ui } = stack.record;
  const where = { ...options, ports: { temporal: portOf(address), ui: portOf(ui) } };
  for (;;) {
    await sleep(LOOK_MS, undefined, { signal: over }).catch(() => {});
    if (over.aborted) return;
    const { server } = stack.record;
    if (isAlive(server.pid, server.identity)) continue;
    options.note('the embedded Temporal has ended; starting it again');
    const another = () => replaceServer(stack, where);
    await untilListening(await another(), stackFiles(options.settings.home).serverLog, another);
  }
}

/** Takes over the server of a stack whose process was killed: its runs go on as soon as a worker polls again. */
function survivingServer(home: string, { ports }: StackOptions): RunningServer | null {
  const record = readStack(home);
  if (record === null || !isOurServer(record.server, stackFiles(home).database)) return null;
  const wanted = [ports?.temporal, ports?.ui];
  const has = [portOf(record.address), portOf(record.ui)];
  if (wanted.some((port, index) => port != null && port !== has[index])) return null;
  return { server: record.server, address: record.address, ui: record.ui };
}

async function newServer(home: string, { ports }: StackOptions): Promise<RunningServer> {
  const program = programPath('temporal');
  if (program === null) {
    throw new HoubaError('ToolMissing', 'the program temporal is neither in .tools/bin nor on PATH', {
      hint: 'run `make setup`, or set TEMPORAL_ADDRESS to use a cluster',
    });
  }
  const port = await choosePort(ports?.temporal ?? null, '--temporal-port');
  const uiPort = await choosePort(ports?.ui ?? null, '--ui-port');
  const { database, serverLog } = stackFiles(home);
  const options = { program, database, log: serverLog, port, uiPort };
  const server = spawnServer(options, childEnvironment(readEnvironment()));
  return { server, address: `127.0.0.1:${port}`, ui: `http://127.0.0.1:${uiPort}` };
}

function owned(
  stack: { record: StackRecord },
  worker: HoubaWorker,
  options: StackOptions,
  released: () => void,
): Stack {
  const { note } = options;
  const { home } = options.settings;
  const { record } = stack;
  const running = worker.run();
  const over = new AbortController();
  const keeping = keepServer(stack, options, over.signal);
  const stopWatching = watchSpace(home, note);
  const broken = new Promise<never>((_, reject) => {
    running.catch(reject);
    keeping.catch(reject);
  });
  broken.catch(() => {}); // whoever races it hears of it
  async function stop(): Promise<void> {
    worker.shutdown();
    await running.catch(() => {});
    over.abort();
    stopWatching();
    await keeping.catch(() => {});
    await stopServer(stack.record.server);
    removeStack(home);
    released();
  }
  async function leave(): Promise<void> {
    let told = false;
    for (;;) {
      const stopped = await lockedIfPossible(home, note, async () => {
        if (record.mode === 'command' && liveClients(home).length > 0) return false;
        await stop();
        return true;
      });
      if (stopped) return;
      if (!told) note('done; waiting for other commands that use this stack (`houba up` keeps one running)');
      told = true;
      await pause(100);
    }
  }
  return { address: record.address, namespace: record.namespace, ui: record.ui, owned: true, broken, leave };
}

/** Works without the lock where it cannot be written, on a full disk say: nobody can start or join there either. */
async function lockedIfPossible<Result>(
  home: string,
  note: (text: string) => void,
  work: () => Promise<Result>,
): Promise<Result> {
  let begun = false;
  try {
    return await withLock(home, note, () => {
      begun = true;
      return work();
    });
  } catch (error) {
    if (begun || knownError(error)?.code !== 'MachineFailed') throw error;
    return await work();
  }
}

function joined(record: StackRecord, unregister: () => void, stopWatching: () => void): Stack {
  return {
    address: record.address,
    namespace: record.namespace,
    ui: record.ui,
    owned: false,
    broken: new Promise<never>(() => {}),
    leave: async () => {
      stopWatching();
      unregister();
    },
  };
}

async function loadHeavy() {
  const [{ startWorker }, { createLogger }, { keepHistories }] = await Promise.all([
    import('../../worker/worker.js'),
    import('../../worker/journal.js'),
    import('./namespace.js'),
  ]);
  return { startWorker, createLogger, keepHistories };
}

/** Kills the server on exit. After a second Ctrl-C nothing can be awaited; its database has every run. */
function killAtExit(home: string, server: ProcessMark): void {
  if (isOurServer(server, stackFiles(home).database)) process.kill(server.pid, 'SIGKILL');
  try {
    removeStack(home);
  } catch {
    // On a read-only disk it stays: the next command sees that its processes are gone.
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
