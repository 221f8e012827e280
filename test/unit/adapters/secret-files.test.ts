import { mkdtempSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { withSecretFiles } from '../../../adapters/secret-files.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'houba-secret-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('can be read repeatedly by their descriptors, in their order', async () => {
  const read = await withSecretFiles(folder, ['one', 'ü'.repeat(100_000)], async (descriptors) =>
    descriptors.map((fd) => [1, 2].map(() => readFileSync(`/proc/self/fd/${fd}`, 'utf8'))),
  );
  expect(read).toEqual([
    ['one', 'one'],
    ['ü'.repeat(100_000), 'ü'.repeat(100_000)],
  ]);
});

it('have no name, at no time', async () => {
  const names: (string | null)[] = [];
  const watching = watch(folder, (_, name) => names.push(name));
  try {
    await withSecretFiles(folder, ['secret'], async () => {
      expect(readdirSync(folder)).toEqual([]);
    });
    for (let turn = 0; turn < 20; turn++) await setImmediate();
    // Linux tells of a file without a name by its number.
    expect(names.filter((name) => !/^#\d+$/.test(name ?? ''))).toEqual([]);
  } finally {
    watching.close();
  }
});

it('are closed when the work fails', async () => {
  let fd = -1;
  const failing = withSecretFiles(folder, ['secret'], async ([first = -1]) => {
    fd = first;
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(() => readFileSync(`/proc/self/fd/${fd}`)).toThrow();
});
