import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { killLiveCommands, quoteTail, runCommand } from '../../../adapters/command.js';
import { HoubaError } from '../../../domain/errors.js';
import { fakeProgram } from '../../support/fake-program.js';

let folder = '';
const env = { PATH: '/usr/bin:/bin' };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-command-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function sh(script: string, more: Partial<Parameters<typeof runCommand>[0]> = {}) {
  return runCommand({ file: '/bin/sh', args: ['-c', script], env, timeoutMs: 20_000, ...more });
}

async function failure(promise: Promise<unknown>): Promise<HoubaError> {
  const error = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  if (error instanceof HoubaError) return error;
  throw error;
}

/** Resolves when the file appears: the child says that it is ready. */
async function appears(path: string): Promise<string> {
  for (;;) {
    const text = await readFile(path, 'utf8').catch(() => '');
    if (text.endsWith('\n')) return text.trim();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  return true;
}

describe('running a program', () => {
  it('hands over arguments, input and exactly the environment it was given, and returns both outputs', async () => {
    const program = await fakeProgram(
      folder,
      'echo-all',
      `process.stdout.write('out\\n'); process.stderr.write('err');`,
    );
    process.env.HOUBA_TEST_SECRET = 'ambient';
    const result = await runCommand({
      file: program.path,
      args: ['--', '$(id)', 'a b'],
      input: 'hello',
      env: { ONE: '1' },
      timeoutMs: 20_000,
    });
    delete process.env.HOUBA_TEST_SECRET;
    expect(result).toEqual({ stdout: 'out\n', stderr: 'err' });
    const [call] = await program.calls();
    expect(call?.args).toEqual(['--', '$(id)', 'a b']);
    expect(call?.stdin).toBe('hello');
    expect(call?.env).toEqual({ ONE: '1' });
  });

  it('shows standard output as it comes', async () => {
    const chunks: string[] = [];
    await sh('echo one; echo two', { onStdout: (chunk) => chunks.push(chunk) });
    expect(chunks.join('')).toBe('one\ntwo\n');
  });

  it('shows standard error as it comes', async () => {
    const chunks: string[] = [];
    await sh('echo one >&2; echo two >&2', { onStderr: (chunk) => chunks.push(chunk) });
    expect(chunks.join('')).toBe('one\ntwo\n');
  });

  it('does not mind a program that leaves without reading its input', async () => {
    await expect(sh('exit 0', { input: new Uint8Array(4 * 1024 * 1024) })).resolves.toBeDefined();
  });

  it('says ToolMissing, with what to do, when the program is not there', async () => {
    const error = await failure(runCommand({ file: '/nowhere/regctl', args: [], env, timeoutMs: 1000 }));
    expect(error.code).toBe('ToolMissing');
    expect(error.message).toContain('/nowhere/regctl');
    expect(error.hint).toContain('make setup');
  });

  it('says ToolFailed with what the program said, never with its command line', async () => {
    const error = await failure(sh('echo "no such thing" >&2; exit 7 # hidden'));
    expect(error.code).toBe('ToolFailed');
    expect(error.message).toBe('sh failed with exit 7: no such thing');
    expect(error.facts).toEqual({ program: 'sh', exitCode: 7 });
    expect(JSON.stringify([error.message, error.stack, error.cause])).not.toContain('hidden');
  });

  it('lets the caller name the code', async () => {
    const error = await failure(
      sh('echo "404 not found" >&2; exit 1', { classify: (said) => (said.includes('404') ? 'NotFound' : null) }),
    );
    expect(error.code).toBe('NotFound');
  });

  it('says which signal ended the program', async () => {
    expect((await failure(sh('kill -9 $$'))).message).toBe('sh was ended by SIGKILL');
  });

  it('ends a program that writes without bound', async () => {
    const error = await failure(sh('yes'));
    expect(error.code).toBe('ToolFailed');
    expect(error.message).toContain('16 MiB');
  });

  it('ends a program that takes too long', async () => {
    const error = await failure(sh('sleep 600', { timeoutMs: 50 }));
    expect(error.code).toBe('ToolFailed');
    expect(error.message).toContain('did not finish within 0.05 s');
  });
});

describe('cancelling', () => {
  it('kills the grandchild that holds the output, and fails with the reason of the signal', async () => {
    const ready = join(folder, 'grandchild');
    const abort = new AbortController();
    const running = sh(`sleep 600 & echo $! > ${ready}; wait`, { signal: abort.signal });
    const grandchild = Number(await appears(ready));
    const reason = new Error('the workflow was cancelled');
    const started = Date.now();
    abort.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(Date.now() - started).toBeLessThan(2000);
    await gone(grandchild);
  });

  it('does not wait for a descendant that left the group', async () => {
    const ready = join(folder, 'escaped');
    const abort = new AbortController();
    const running = sh(`setsid sh -c 'echo $$ > ${ready}; exec sleep 600' & wait`, { signal: abort.signal });
    const escaped = Number(await appears(ready));
    abort.abort();
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    process.kill(escaped, 'SIGKILL');
  });

  it('does not start anything when it is too late', async () => {
    const trace = join(folder, 'late');
    await expect(sh(`touch ${trace}`, { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: 'AbortError' });
    await expect(readFile(trace)).rejects.toThrow();
  });

  it('can end everything that still runs', async () => {
    const ready = join(folder, 'live');
    await writeFile(ready, '');
    const running = sh(`echo up > ${ready}; sleep 600`);
    await appears(ready);
    killLiveCommands();
    expect((await failure(running)).message).toBe('sh was ended by SIGKILL');
  });

  async function gone(pid: number): Promise<void> {
    // A killed process stays visible until its new parent has collected it.
    for (let turn = 0; turn < 1e6 && isAlive(pid) && !(await isZombie(pid)); turn++) await Promise.resolve();
    expect(!isAlive(pid) || (await isZombie(pid))).toBe(true);
  }

  async function isZombie(pid: number): Promise<boolean> {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ') Z');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
  }
});

describe('quoting what a program said', () => {
  it.each([
    ['two\n  lines\r\n', 'two | lines'],
    ['\u001b[31mred\u0007', '\\x1b[31mred\\x07'],
    ['GET https://bob:hunter2@registry/v2/', 'GET https://***@registry/v2/'],
    ['Authorization: Bearer eyJhbGciOi.J9.abcdefg', 'Authorization: Bearer ***'],
    ['https://r/token?service=x&token=abc', 'https://r/token?service=x&token=***'],
    ['login with s3cr3t failed', 'login with *** failed'],
    ['\u202egnp.exe', '\\u{202e}gnp.exe'],
  ])('%j becomes %j', (said, quoted) => {
    expect(quoteTail(said, ['s3cr3t', ''])).toBe(quoted);
  });

  it('keeps the last 2 KB', () => {
    const quoted = quoteTail(`start${'x'.repeat(5000)}end`);
    expect(quoted.length).toBe(2049);
    expect(quoted.endsWith('xend')).toBe(true);
  });
});
