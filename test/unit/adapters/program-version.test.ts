import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBelowFloor, readProgramVersion } from '../../../adapters/program-version.js';
import { fakeProgram } from '../../support/fake-program.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-version-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the version of a program', () => {
  it.each([
    ['regctl', 'VCSTag:     v0.11.7\\nGoVer: go1.26.8', undefined, '0.11.7'],
    ['syft', 'syft 1.54.0', undefined, '1.54.0'],
    ['registry', 'registry go1.26.8 distribution/v3 v3.1.2', 'v3 v(\\d+\\.\\d+\\.\\d+)', '3.1.2'],
    ['mute', '', undefined, null],
  ])('of %s is read from its answer', async (name, said, versionPattern, expected) => {
    const { path } = await fakeProgram(folder, name, `process.stdout.write('${said}')`);
    const question = { file: path, versionArgs: ['version'], versionPattern, environment: {} };
    expect(await readProgramVersion(question)).toBe(expected);
  });
});

describe('the floor', () => {
  it.each([
    ['0.11.5', '0.11.5', false],
    ['0.11.4', '0.11.5', true],
    ['v0.12.0', '0.11.5', false],
    [null, '0.11.5', true],
  ])('%s against %s', (version, floor, below) => {
    expect(isBelowFloor(version, floor)).toBe(below);
  });

  it('must be a version itself', () => {
    expect(() => isBelowFloor('1.0.0', 'new')).toThrow();
  });
});
