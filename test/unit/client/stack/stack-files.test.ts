import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  liveClients,
  openHome,
  ownMark,
  readStack,
  registerClient,
  removeStack,
  type StackRecord,
  stackFiles,
  withLock,
  writeStack,
} from '../../../../client/stack/stack-files.js';
import { startSleeper } from '../../../support/sleeper.js';

let home: string;
const noNote = () => {};
beforeEach(() => {
  home = join(mkdtempSync(join(tmpdir(), 'houba-files-')), 'home');
  openHome(home);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

const record: StackRecord = {
  schema_version: 1,
  version: '1.2.3',
  mode: 'up',
  owner: { pid: 1, identity: '1' },
  server: { pid: 2, identity: '2' },
  address: '127.0.0.1:1',
  namespace: 'default',
  ui: 'http://127.0.0.1:2',
  ready: true,
  settings: {},
  started_at: '2026-01-01T00:00:00Z',
};

describe('the folder of a stack', () => {
  it('is for its owner only: histories are in it', () => {
    expect(statSync(home).mode & 0o777).toBe(0o700);
  });

  it('that cannot be made is a configuration error naming HOUBA_HOME', () => {
    writeFileSync(join(home, 'file'), '');
    expect(() => openHome(join(home, 'file'))).toThrowError(
      expect.objectContaining({ code: 'ConfigInvalid', hint: expect.stringContaining('HOUBA_HOME') }),
    );
  });
});

describe('the record of a stack', () => {
  it('is read as it was written, by nobody else, and can be removed twice', () => {
    writeStack(home, record);
    expect(readStack(home)).toEqual(record);
    expect(statSync(stackFiles(home).record).mode & 0o777).toBe(0o600);
    removeStack(home);
    removeStack(home);
    expect(readStack(home)).toBeNull();
  });

  it.each([
    ['half of one', '{"schema_version"'],
    ['one of another release', '{"schema_version":9}'],
  ])('that is %s counts as none', (_, text) => {
    writeFileSync(stackFiles(home).record, text);
    expect(readStack(home)).toBeNull();
  });
});

describe('clients', () => {
  it('count while they live and until they leave', () => {
    const leave = registerClient(home);
    expect(liveClients(home)).toEqual([process.pid]);
    leave();
    expect(liveClients(home)).toEqual([]);
  });

  it('that died do not count, nor does a process that got their id', async () => {
    const { clients } = stackFiles(home);
    const dead = await startSleeper();
    await dead.kill();
    writeFileSync(join(clients, String(dead.pid)), dead.identity);
    writeFileSync(join(clients, String(process.pid)), 'of an earlier process');
    expect(liveClients(home)).toEqual([]);
    expect(readdirSync(clients)).toEqual([]);
  });
});

describe('the lock', () => {
  it('lets one in at a time', async () => {
    const events: string[] = [];
    const visit = (name: string) =>
      withLock(home, noNote, async () => {
        events.push(`${name} in`);
        await new Promise((resolve) => setImmediate(resolve));
        events.push(`${name} out`);
      });
    await Promise.all([visit('a'), visit('b'), visit('c')]);
    expect(events.map((event) => event.split(' ')[1])).toEqual(['in', 'out', 'in', 'out', 'in', 'out']);
  });

  it('is given back when the work fails', async () => {
    await expect(
      withLock(home, noNote, async () => {
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(await withLock(home, noNote, async () => 'yes')).toBe('yes');
    expect(readdirSync(home)).toEqual(['clients']);
  });

  it('of a process that died is taken over', async () => {
    const dead = await startSleeper();
    await dead.kill();
    writeFileSync(stackFiles(home).lock, JSON.stringify({ pid: dead.pid, identity: dead.identity }));
    expect(await withLock(home, noNote, async () => 'mine')).toBe('mine');
  });

  it.each([
    ['of an earlier process with our id', JSON.stringify({ pid: process.pid, identity: 'earlier' })],
    ['that says nothing', 'x'],
  ])('%s is taken over', async (_, text) => {
    writeFileSync(stackFiles(home).lock, text);
    expect(await withLock(home, noNote, async () => 'mine')).toBe('mine');
  });

  it('is waited for while its holder lives', async () => {
    const holder = await startSleeper();
    const { lock } = stackFiles(home);
    writeFileSync(lock, JSON.stringify({ pid: holder.pid, identity: holder.identity }));
    let inside = false;
    const waiting = withLock(home, noNote, async () => {
      inside = true;
      expect(JSON.parse(readFileSync(lock, 'utf8'))).toEqual(ownMark());
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(inside).toBe(false);
    await holder.kill();
    await waiting;
    expect(inside).toBe(true);
  });
});
