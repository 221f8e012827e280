import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../../config/programs.js';

const ROOT = packageRoot();
const A_DOZEN = 12;

/** Paths of the files below a folder, from the root of the repository. */
function filesBelow(folder: string): string[] {
  const entries = readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(ROOT, join(parentPath, name)));
}

describe('the layout of the repository', () => {
  it.each(['activities', 'domain'])('has at most a dozen files in each folder of %s/', (top) => {
    const counts = new Map<string, number>();
    for (const file of filesBelow(top)) counts.set(dirname(file), (counts.get(dirname(file)) ?? 0) + 1);
    expect(counts.size).toBeGreaterThan(1);
    expect([...counts].filter(([, count]) => count > A_DOZEN)).toEqual([]);
  });

  it('has each unit test in the folder that mirrors that of the code', () => {
    const tested = filesBelow('test/unit').map((file) => dirname(relative('test/unit', file)));
    expect(tested.filter((folder) => !existsSync(join(ROOT, folder)))).toEqual([]);
  });
});
