import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clearDeadStack, joinOrStart, requireSameSettings, runningStack } from '../../../../client/stack/embedded.js';
import { isAlive } from '../../../../client/stack/processes.js';
import {
  liveClients,
  openHome,
  readStack,
  type StackRecord,
  stackFiles,
  writeStack,
} from '../../../../client/stack/stack-files.js';
import { loadSettings, publicSettings } from '../../../../config/settings.js';
import { houbaVersion } from '../../../../config/version.js';
import { type Sleeper, startSleeper } from '../../../support/sleeper.js';

let home: string;
let owner: Sleeper;
let server: Sleeper;
beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'houba-embedded-'));
  openHome(home);
  owner = await startSleeper();
  server = await startSleeper(['--db-filename', stackFiles(home).database]);
});
afterEach(async () => {
  await owner.kill();
  await server.kill();
  rmSync(home, { recursive: true, force: true });
});

const settingsWith = (more: Record<string, string> = {}) => loadSettings({ HOUBA_HOME: home, ...more }).settings;

function recordOf(more: Partial<StackRecord> = {}): StackRecord {
  return {
    schema_version: 1,
    version: houbaVersion(),
    mode: 'up',
    owner: { pid: owner.pid, identity: owner.identity },
    server: { pid: server.pid, identity: server.identity },
    address: '127.0.0.1:1',
    namespace: 'default',
    ui: 'http://127.0.0.1:2',
    ready: true,
    settings: publicSettings(settingsWith()),
    started_at: '2026-01-01T00:00:00Z',
    ...more,
  };
}

describe('a running stack', () => {
  it('is one whose process lives', async () => {
    writeStack(home, recordOf());
    expect(runningStack(home)?.address).toBe('127.0.0.1:1');
    await owner.kill();
    expect(runningStack(home)).toBeNull();
  });

  it('is joined by a command with the same settings, which counts until it leaves', async () => {
    writeStack(home, recordOf());
    const stack = await joinOrStart({ settings: settingsWith(), note: () => {}, journal: 'stderr' });
    expect(stack).toMatchObject({ owned: false, address: '127.0.0.1:1', ui: 'http://127.0.0.1:2' });
    expect(liveClients(home)).toEqual([process.pid]);
    await stack.leave();
    expect(liveClients(home)).toEqual([]);
    expect(isAlive(owner.pid, owner.identity)).toBe(true);
  });

  it('refuses a command with other settings, and names the variables', async () => {
    writeStack(home, recordOf());
    const settings = settingsWith({ HOUBA_LABEL_PREFIX: 'com.example', HOUBA_DRY_RUN_TAGS: 'true' });
    await expect(joinOrStart({ settings, note: () => {}, journal: 'stderr' })).rejects.toThrowError(
      expect.objectContaining({
        code: 'ConfigInvalid',
        message: expect.stringMatching(/HOUBA_DRY_RUN_TAGS[\s\S]*HOUBA_LABEL_PREFIX is io\.houba there/),
      }),
    );
    expect(liveClients(home)).toEqual([]);
  });

  it('does not mind how a command logs', () => {
    expect(() => requireSameSettings(recordOf(), settingsWith({ HOUBA_LOG_FORMAT: 'json' }))).not.toThrow();
  });

  it('of another version is refused', () => {
    expect(() => requireSameSettings(recordOf({ version: '0.0.1' }), settingsWith())).toThrow(/houba 0\.0\.1/);
  });
});

describe('what is left of a dead stack', () => {
  it('is stopped, when the process is a server on our database', async () => {
    await owner.kill();
    writeStack(home, recordOf());
    await clearDeadStack(home);
    expect(await server.ended).toBe('SIGTERM');
    expect(readStack(home)).toBeNull();
  });

  it('is a living one by now, when another command was faster: it is left alone', async () => {
    writeStack(home, recordOf());
    await clearDeadStack(home);
    expect(isAlive(server.pid, server.identity)).toBe(true);
    expect(readStack(home)).not.toBeNull();
  });

  it('is left alone, when the id belongs to another program by now', async () => {
    const stranger = await startSleeper(['somebody', 'else']);
    await owner.kill();
    writeStack(home, recordOf({ server: { pid: stranger.pid, identity: stranger.identity } }));
    await clearDeadStack(home);
    expect(isAlive(stranger.pid, stranger.identity)).toBe(true);
    await stranger.kill();
  });
});
