import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFolderCache, type FolderCache } from '../../../adapters/folder-cache.js';

let workDir = '';
let scratch: FolderCache;
beforeEach(async () => {
  workDir = await mkdtemp(join(tmpdir(), 'houba-scratch-'));
  scratch = createFolderCache(workDir, { most: 2 });
});
afterEach(() => rm(workDir, { recursive: true, force: true }));

const never = new AbortController().signal;
const folders = () => readdir(join(workDir, 'scratch'));
const fills: string[] = [];
beforeEach(() => {
  fills.length = 0;
});

/** Fills a folder with its key, and says which folder it was. */
function use(key: string): Promise<string> {
  const fill = async (folder: string) => {
    fills.push(key);
    await writeFile(join(folder, 'content'), key);
  };
  const work = async (folder: string) => {
    expect(await readFile(join(folder, 'content'), 'utf8')).toBe(key);
    return folder;
  };
  return scratch.use(key, fill, work, never);
}

/** A promise to be settled from outside. */
function gate<Value = void>() {
  let open: (value: Value) => void = () => undefined;
  let fail: (reason: unknown) => void = () => undefined;
  const promise = new Promise<Value>((resolve, reject) => {
    open = resolve;
    fail = reject;
  });
  return { promise, open, fail };
}

const aborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));

describe('a folder', () => {
  it('is filled once, and found again', async () => {
    expect(await use('a')).toBe(await use('a'));
    expect(fills).toEqual(['a']);
  });

  it('is named by nothing of its key', async () => {
    expect(await use('../../etc/passwd')).toMatch(new RegExp(`^${workDir}/scratch/folder-\\w+$`));
  });

  it('used least recently makes room', async () => {
    const [a, b] = [await use('a'), await use('b')];
    await use('a');
    await use('c');
    expect(existsSync(a)).toBe(true);
    expect(existsSync(b)).toBe(false);
    expect(await folders()).toHaveLength(2);
    await use('b');
    expect(fills).toEqual(['a', 'b', 'c', 'b']);
  });

  it('stays as long as somebody works in it', async () => {
    const inside = gate();
    const held = gate<string>();
    const working = scratch.use(
      'held',
      async () => undefined,
      async (folder) => {
        held.open(folder);
        await inside.promise;
      },
      never,
    );
    const folder = await held.promise;
    for (const key of ['a', 'b', 'c', 'd']) await use(key);
    expect(existsSync(folder)).toBe(true);
    inside.open();
    await working;
    expect(await folders()).toHaveLength(2);
  });

  it('is there for work inside the filling of another one', async () => {
    const fill = (folder: string) =>
      scratch.use(
        'base',
        async () => undefined,
        () => writeFile(join(folder, 'x'), 'x'),
        never,
      );
    expect(await scratch.use('output', fill, (folder) => readdir(folder), never)).toEqual(['x']);
  });
});

describe('filling', () => {
  it('is shared by those who ask meanwhile', async () => {
    const filling = gate();
    let count = 0;
    const fill = async () => {
      count++;
      await filling.promise;
    };
    const all = [1, 2, 3].map(() => scratch.use('k', fill, (folder) => Promise.resolve(folder), never));
    filling.open();
    expect(new Set(await Promise.all(all)).size).toBe(1);
    expect(count).toBe(1);
  });

  it('that fails leaves nothing, and the next one tries again', async () => {
    const fill = async (folder: string) => {
      await writeFile(join(folder, 'half'), '');
      throw new Error('no luck');
    };
    const both = [1, 2].map(() => scratch.use('a', fill, () => Promise.resolve(), never));
    for (const one of await Promise.allSettled(both)) expect(one).toMatchObject({ reason: new Error('no luck') });
    expect(await folders()).toEqual([]);
    await use('a');
  });

  it('goes on when one of two who wait is cancelled', async () => {
    const filling = gate();
    const abort = new AbortController();
    const given = gate<AbortSignal>();
    const fill = async (_folder: string, signal: AbortSignal) => {
      given.open(signal);
      await filling.promise;
    };
    const first = scratch.use('k', fill, () => Promise.resolve('first'), abort.signal);
    const second = scratch.use('k', fill, () => Promise.resolve('second'), never);
    const signal = await given.promise;
    const reason = new Error('cancelled');
    abort.abort(reason);
    await expect(first).rejects.toBe(reason);
    expect(signal.aborted).toBe(false);
    filling.open();
    expect(await second).toBe('second');
  });

  it('ends when nobody waits any more, before the last one goes', async () => {
    const abort = new AbortController();
    const reason = new Error('cancelled');
    const started = gate();
    let ended = false;
    const fill = async (folder: string, signal: AbortSignal) => {
      await writeFile(join(folder, 'half'), '');
      started.open();
      await aborted(signal);
      ended = true;
      throw signal.reason;
    };
    const using = scratch.use('k', fill, () => Promise.resolve(), abort.signal);
    await started.promise;
    abort.abort(reason);
    await expect(using).rejects.toBe(reason);
    expect(ended).toBe(true);
    expect(await folders()).toEqual([]);
    await use('k');
  });

  it('given up is not waited for by who comes next, nor kept when it ends well all the same', async () => {
    const abort = new AbortController();
    const ending = gate();
    const given = gate<AbortSignal>();
    const deaf = async (_folder: string, signal: AbortSignal) => {
      given.open(signal);
      await ending.promise;
    };
    const using = scratch.use('k', deaf, () => Promise.resolve(), abort.signal);
    const refused = expect(using).rejects.toThrow('cancelled');
    const givenUp = aborted(await given.promise);
    abort.abort(new Error('cancelled'));
    await givenUp;
    await use('k');
    ending.open();
    await refused;
    expect(await folders()).toHaveLength(1);
  });

  it('does not even begin for one who is cancelled already', async () => {
    const signal = AbortSignal.abort(new Error('cancelled'));
    const using = scratch.use(
      'k',
      () => Promise.reject(new Error('filled')),
      () => Promise.resolve(),
      signal,
    );
    await expect(using).rejects.toThrow('cancelled');
  });
});
