import { afterEach, describe, expect, it } from 'vitest';
import { commandLine, isAlive, processIdentity, stopProcess } from '../../../../client/stack/processes.js';
import { type Sleeper, startSleeper } from '../../../support/sleeper.js';

const sleepers: Sleeper[] = [];
afterEach(async () => {
  for (const sleeper of sleepers.splice(0)) await sleeper.kill();
});
async function sleeper(words: readonly string[] = [], deaf = false) {
  const started = await startSleeper(words, deaf);
  sleepers.push(started);
  return started;
}

describe('a process', () => {
  it('is told from a later one with the same id by when it started', async () => {
    const { pid, identity } = await sleeper();
    expect(processIdentity(pid)).toBe(identity);
    expect(isAlive(pid, identity)).toBe(true);
    expect(isAlive(pid, 'another time')).toBe(false);
  });

  it('that ended has no identity and no command line', async () => {
    const { pid, identity, kill } = await sleeper();
    await kill();
    expect(processIdentity(pid)).toBeNull();
    expect(isAlive(pid, identity)).toBe(false);
    expect(commandLine(pid)).toBe('');
  });

  it('shows the words it was started with', async () => {
    const { pid } = await sleeper(['--db-filename', '/some/where.db']);
    expect(commandLine(pid)).toContain('--db-filename /some/where.db');
  });

  it('is asked to end first', async () => {
    const { pid, identity, ended } = await sleeper();
    await stopProcess(pid, identity, 5_000);
    expect(await ended).toBe('SIGTERM');
  });

  it('is killed when it does not end in time', async () => {
    const { pid, identity, ended } = await sleeper([], true);
    await stopProcess(pid, identity, 50);
    expect(await ended).toBe('SIGKILL');
  });

  it('is left alone when its id now belongs to another one', async () => {
    const { pid, identity } = await sleeper();
    await stopProcess(pid, 'started at another time', 50);
    expect(isAlive(pid, identity)).toBe(true);
  });
});
