import { randomUUID } from 'node:crypto';
import { linkSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder } from '../../config/make-folder.js';
import { HoubaError, machineError } from '../../domain/errors.js';
import { isAlive, processIdentity } from './processes.js';

/** A process, told from a later one with the same id. */
export interface ProcessMark {
  readonly pid: number;
  readonly identity: string;
}

/** `stack.json`: the embedded stack of a `HOUBA_HOME`, its processes and addresses. Nothing secret. */
export interface StackRecord {
  readonly schema_version: 1;
  readonly version: string;
  /** `up`: stays until `houba down`; `command`: ends with the command that started it. */
  readonly mode: 'up' | 'command';
  /** The process with the worker. */
  readonly owner: ProcessMark;
  readonly server: ProcessMark;
  readonly address: string;
  readonly namespace: string;
  readonly ui: string;
  /** Whether the worker polls, so that commands may join. */
  readonly ready: boolean;
  readonly settings: Readonly<Record<string, string>>;
  /** RFC 3339. */
  readonly started_at: string;
}

export function stackFiles(home: string) {
  return {
    database: join(home, 'temporal.db'),
    serverLog: join(home, 'temporal.log'),
    stackLog: join(home, 'stack.log'),
    journal: join(home, 'journal.log'),
    record: join(home, 'stack.json'),
    lock: join(home, 'lock'),
    clients: join(home, 'clients'),
  } as const;
}

/** Makes the folder, readable by its owner only: its database holds every run's history. */
export function openHome(home: string): void {
  makeFolder(stackFiles(home).clients, 'HOUBA_HOME');
}

/** Reads the record of a stack; null: none, half-written by a crash, or of another release. */
export function readStack(home: string): StackRecord | null {
  const text = readOr(stackFiles(home).record, '');
  try {
    const record = JSON.parse(text) as StackRecord;
    return record.schema_version === 1 ? record : null;
  } catch {
    return null;
  }
}

export function writeStack(home: string, record: StackRecord): void {
  replaceFile(stackFiles(home).record, `${JSON.stringify(record, null, 2)}\n`);
}

export function removeStack(home: string): void {
  rmSync(stackFiles(home).record, { force: true });
}

/** Registers this process as a user of another one's stack. @returns unregisters it */
export function registerClient(home: string): () => void {
  const self = ownMark();
  const path = join(stackFiles(home).clients, String(self.pid));
  write(path, self.identity);
  return () => rmSync(path, { force: true });
}

/** Lists live processes that have joined, and removes what dead ones left. */
export function liveClients(home: string): number[] {
  const folder = stackFiles(home).clients;
  const live: number[] = [];
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (isAlive(Number(name), readOr(path, ''))) live.push(Number(name));
    else rmSync(path, { force: true });
  }
  return live;
}

const LOCK_POLL_MS = 25;
const LOCK_TELL_MS = 2_000;
const LOCK_PATIENCE_MS = 120_000;

/**
 * Runs `work` under the lock of this folder's stack; a dead process's lock is taken over. @param note told once when
 * the wait gets long. @throws HoubaError `ConfigInvalid` when another process holds it for two minutes
 */
export async function withLock<T>(home: string, note: (text: string) => void, work: () => Promise<T>): Promise<T> {
  const path = stackFiles(home).lock;
  const mine = JSON.stringify(ownMark());
  const began = performance.now();
  let told = false;
  for (let holder = acquire(path, mine); holder !== null; holder = acquire(path, mine)) {
    const waited = performance.now() - began;
    if (waited > LOCK_PATIENCE_MS) {
      throw new HoubaError('ConfigInvalid', `process ${holder.pid} has held ${path} for too long`, {
        hint: 'stop that process, or set HOUBA_HOME to another folder',
      });
    }
    if (waited > LOCK_TELL_MS && !told) {
      told = true;
      note(`waiting for process ${holder.pid}, which starts or stops the stack in ${home}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
  }
  try {
    return await work();
  } finally {
    if (readOr(path, '') === mine) rmSync(path, { force: true });
  }
}

/** Takes the lock in one step (a link is made whole or not at all); returns its live holder when it cannot. */
function acquire(path: string, mine: string): ProcessMark | null {
  const temporary = `${path}.${process.pid}.${randomUUID()}`;
  write(temporary, mine);
  try {
    for (;;) {
      if (linked(temporary, path)) return null;
      const found = readOr(path, '');
      if (found === '') continue; // released in between
      const holder = parseMark(found);
      if (holder !== null && isAlive(holder.pid, holder.identity)) return holder;
      breakLock(path, found);
    }
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Moves a dead holder's lock away; if a live one has taken it meanwhile, it is put back. */
function breakLock(path: string, stale: string): void {
  const aside = `${path}.stale.${process.pid}.${randomUUID()}`;
  try {
    renameSync(path, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  if (readOr(aside, stale) !== stale) linked(aside, path);
  rmSync(aside, { force: true });
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

export function ownMark(): ProcessMark {
  return { pid: process.pid, identity: processIdentity(process.pid) ?? '' };
}

function parseMark(text: string): ProcessMark | null {
  try {
    return JSON.parse(text) as ProcessMark;
  } catch {
    return null;
  }
}

function replaceFile(path: string, text: string): void {
  const temporary = `${path}.${process.pid}.${randomUUID()}`;
  write(temporary, text);
  renameSync(temporary, path);
}

/** Leaves nothing half-written. @throws HoubaError `MachineFailed` with the folder */
function write(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600 });
  } catch (error) {
    rmSync(path, { force: true });
    throw machineError(error, dirname(path)) ?? error;
  }
}

/** Less than the database needs to go on with, bytes. */
const LEAST_SPACE = 1024 * 1024;
const LOOK_FOR_SPACE_MS = 2_000;

/** Tells when the disk of the folder is full, for then runs stand still, and when no more. @returns ends it */
export function watchSpace(home: string, note: (text: string) => void): () => void {
  let wasFull = false;
  const look = async () => {
    const { bavail, bsize } = await statfs(home).catch(() => ({ bavail: Number.POSITIVE_INFINITY, bsize: 1 }));
    const isFull = bavail * bsize < LEAST_SPACE;
    if (isFull && !wasFull) note(`${home}: no space is left; runs stand still, and go on once some is free`);
    if (!isFull && wasFull) note(`${home}: there is space again`);
    wasFull = isFull;
  };
  const timer = setInterval(look, LOOK_FOR_SPACE_MS).unref();
  return () => clearInterval(timer);
}

/** Tries whether the folder takes a file of some length. @throws HoubaError `MachineFailed` */
export function tryWriting(home: string): void {
  const path = join(home, `.try.${process.pid}`);
  write(path, '.'.repeat(64 * 1024));
  rmSync(path, { force: true });
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return otherwise;
    throw error;
  }
}
