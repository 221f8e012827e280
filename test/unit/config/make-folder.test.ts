import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeFolder } from '../../../config/make-folder.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'houba-make-folder-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe('a folder of houba', () => {
  it('is made with what is missing above it, for its owner alone', () => {
    const path = join(folder, 'a', 'b');
    makeFolder(path, 'HOUBA_HOME');
    makeFolder(path, 'HOUBA_HOME');
    expect(statSync(path).mode & 0o777).toBe(0o700);
  });

  it('below a file is a wrong setting', () => {
    writeFileSync(join(folder, 'file'), '');
    const error = expect.objectContaining({ code: 'ConfigInvalid', hint: expect.stringContaining('HOUBA_WORK_DIR') });
    expect(() => makeFolder(join(folder, 'file', 'work'), 'HOUBA_WORK_DIR')).toThrow(error);
    expect(() => makeFolder(join(folder, 'file'), 'HOUBA_WORK_DIR')).toThrow(error);
  });

  it.skipIf(process.platform !== 'linux')(
    'below one where nothing can be made is a wrong setting, told at once',
    () => {
      const error = expect.objectContaining({
        code: 'ConfigInvalid',
        message: expect.stringContaining('/proc/houba/home'),
      });
      expect(() => makeFolder('/proc/houba/home', 'HOUBA_HOME')).toThrow(error);
    },
  );

  it('behind a link that leads to itself, or nowhere, is told by its path', () => {
    symlinkSync('loop', join(folder, 'loop'));
    symlinkSync('nowhere', join(folder, 'dangling'));
    for (const [name, code] of [
      ['loop', 'MachineFailed'],
      ['dangling', 'ConfigInvalid'],
    ] as const) {
      const error = expect.objectContaining({ code, message: expect.stringContaining(join(folder, name)) });
      expect(() => makeFolder(join(folder, name), 'HOUBA_HOME')).toThrow(error);
    }
  });
});
