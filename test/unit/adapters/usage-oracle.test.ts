import { readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createUsageOracle, type UsageOracle, type UsageOracleOptions } from '../../../adapters/usage-oracle.js';
import { digestOf } from '../../../domain/digest.js';
import type { UsageQuestion } from '../../../domain/lifecycle/usage.js';
import { fakeProgram } from '../../support/fake-program.js';

const QUESTION: UsageQuestion = {
  digest: digestOf(new TextEncoder().encode('an image')),
  image_ref: 'harbor.example/lib/redis:7.2',
  identity: { policy: 'redis', import: 'v7', variant: 'default' },
  since: '2026-05-29T00:00:00+00:00',
};
const TOKEN = 'correct-horse-battery';

let folder = '';
let workDir = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba oracle '));
  workDir = join(folder, 'work');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function oracle(command: string, more: Partial<UsageOracleOptions> = {}): UsageOracle {
  const environment = { PATH: process.env.PATH ?? '', USAGE_ORACLE_TOKEN: TOKEN };
  return createUsageOracle({ command, timeoutMs: 10_000, workDir, environment, secrets: [TOKEN], ...more });
}

/** An oracle with this body; its folder has a space in its name, so the command needs a quote. */
async function fake(body: string, more: Partial<UsageOracleOptions> = {}) {
  const program = await fakeProgram(folder, 'oracle', body);
  return { program, oracle: oracle(`"${program.path}" --cluster 'a b' c\\ d`, more) };
}

/** One that has ended and that nobody has buried is none that runs. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

function prints(text: string): string {
  return `process.stdout.write(${JSON.stringify(text)});`;
}

describe('the usage oracle', () => {
  it('gets one JSON object on standard input, and its words as a shell would split them, without a shell', async () => {
    const { program, oracle } = await fake(prints('{"last_seen":null,"detail":"no pods"}'));
    expect(await oracle.ask(QUESTION)).toEqual({ kind: 'unseen', detail: 'no pods' });
    const [call] = await program.calls();
    expect(JSON.parse(call?.stdin ?? '')).toEqual(QUESTION);
    expect(call?.args).toEqual(['--cluster', 'a b', 'c d']);
  });

  it('leaves to the program what only a shell would expand', async () => {
    const program = await fakeProgram(folder, 'oracle', prints('{"last_seen":null}'));
    await oracle(`"${program.path}" $HOME * '|' ~`).ask(QUESTION);
    expect((await program.calls())[0]?.args).toEqual(['$HOME', '*', '|', '~']);
  });

  it('gets its own home, which is gone afterwards, and no environment but the one given', async () => {
    const look = `note('home', fs.readdirSync(env.HOME)); note('mode', (fs.statSync(env.HOME).mode & 0o777).toString(8));`;
    const { program, oracle } = await fake(look + prints('{"last_seen":null}'));
    await oracle.ask(QUESTION);
    const [call] = await program.calls();
    expect(call?.notes).toEqual({ home: [], mode: '700' });
    expect(Object.keys(call?.env ?? {}).sort()).toEqual(['HOME', 'PATH', 'TMPDIR', 'USAGE_ORACLE_TOKEN']);
    expect(await readdir(workDir)).toEqual([]);
  });

  it('is found on PATH, and may answer without having listened', async () => {
    expect(await oracle(`echo '{"last_seen":"2020-01-01T00:00:00Z"}'`).ask(QUESTION)).toMatchObject({ kind: 'seen' });
  });

  it.each([
    ['an empty object', prints('{}'), 'last_seen'],
    ['garbage', prints('not json'), 'did not print JSON'],
    ['nothing', '', 'printed nothing'],
    ['an answer, but exits 1', `${prints('{"last_seen":null}')} process.exitCode = 1;`, 'exit 1'],
    ['an answer, but dies', `${prints('{"last_seen":null}')} process.kill(process.pid, 'SIGKILL');`, 'SIGKILL'],
    ['more than anyone reads', `process.stdout.write('x'.repeat(17 * 1024 * 1024));`, 'MiB'],
  ])('that prints %s has not answered: in use', async (_, body, detail) => {
    const { oracle } = await fake(body);
    expect(await oracle.ask(QUESTION)).toEqual({ kind: 'unknown', detail: expect.stringContaining(detail) });
  });

  it('that is late has not answered, whatever it was about to say', async () => {
    const { oracle } = await fake(`${prints('{"last_seen":null}')} setInterval(() => {}, 1000);`, { timeoutMs: 500 });
    expect(await oracle.ask(QUESTION)).toEqual({ kind: 'unknown', detail: expect.stringContaining('within 0.5 s') });
  });

  it('that is not there has not answered', async () => {
    const answer = await oracle('/nowhere/oracle').ask(QUESTION);
    expect(answer).toEqual({ kind: 'unknown', detail: expect.stringContaining('cannot be started') });
  });

  it('is quoted when it fails, but not its secrets', async () => {
    const { oracle } = await fake(
      `console.error('login as ' + env.USAGE_ORACLE_TOKEN + ' refused'); process.exitCode = 3;`,
    );
    expect(await oracle.ask(QUESTION)).toEqual({
      kind: 'unknown',
      detail: 'oracle failed with exit 3: login as *** refused',
    });
  });

  it('is quoted when it answers, but not its secrets', async () => {
    const { oracle } = await fake(`console.log(JSON.stringify({ last_seen: null, detail: env.USAGE_ORACLE_TOKEN }));`);
    expect(await oracle.ask(QUESTION)).toEqual({ kind: 'unseen', detail: '***' });
  });

  it('leaves nothing behind that it has started, and what it started need not end for its answer', async () => {
    const sleeper = `require('node:child_process').spawn('sleep', ['600'], { stdio: 'ignore' })`;
    const leave = `const child = ${sleeper}; child.unref(); note('pid', child.pid);`;
    const { program, oracle } = await fake(leave + prints('{"last_seen":null}'));
    expect(await oracle.ask(QUESTION)).toMatchObject({ kind: 'unseen' });
    const pid = Number((await program.calls())[0]?.notes.pid);
    await vi.waitFor(() => expect(isRunning(pid)).toBe(false));
  });

  it('ends with its whole group when the question is taken back, and that is no answer', async () => {
    const { oracle } = await fake('setInterval(() => {}, 1000);');
    const controller = new AbortController();
    const asked = oracle.ask(QUESTION, controller.signal);
    controller.abort(new Error('taken back'));
    await expect(asked).rejects.toThrow('taken back');
    expect(await readdir(workDir)).toEqual([]);
  });

  it.each([
    ['an open quotation mark', `oracle "--token ${TOKEN}`, 'left open'],
    ['an open escape', 'oracle \\', 'left open'],
    ['no word', '  ', 'names no program'],
    ['an empty word', `'' x`, 'names no program'],
  ])('is refused before it is asked with %s, and its command is not quoted', (_, command, why) => {
    expect(() => oracle(command)).toThrow(
      expect.objectContaining({ code: 'ConfigInvalid', message: expect.stringContaining(why) }),
    );
    expect(() => oracle(command)).not.toThrow(TOKEN);
  });
});
