import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { childEnvironment, readEnvironment } from '../../../config/environment.js';
import { packageRoot, programPath, readPrograms } from '../../../config/programs.js';
import { nearest } from '../../../domain/text/nearest.js';

let root = '';
const path = process.env.PATH;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'houba-programs-'));
  process.env.PATH = `:${join(root, 'first')}:${join(root, 'second')}`;
});
afterEach(() => {
  process.env.PATH = path;
  rmSync(root, { recursive: true, force: true });
});

function install(folder: string, name: string, mode = 0o755): string {
  mkdirSync(join(root, folder), { recursive: true });
  const file = join(root, folder, name);
  writeFileSync(file, '');
  chmodSync(file, mode);
  return file;
}

describe('finding a program', () => {
  it('takes the one in .tools/bin before those on PATH', () => {
    install('first', 'regctl');
    const own = install('.tools/bin', 'regctl');
    expect(programPath('regctl', root)).toBe(own);
  });

  it('takes the first on PATH that can be run, and is a file', () => {
    install('first', 'regctl', 0o644);
    mkdirSync(join(root, 'first', 'syft'), { recursive: true });
    expect(programPath('regctl', root)).toBe(null);
    expect(programPath('syft', root)).toBe(null);
    const second = install('second', 'regctl');
    expect(programPath('regctl', root)).toBe(second);
  });
});

describe('the pins', () => {
  it('are read from the package, with the oldest versions that are safe', () => {
    const programs = readPrograms(packageRoot());
    expect(programs.get('regctl')?.floor).toBe('0.11.5');
    expect(programs.get('cosign')?.floor).toBe('3.0.5');
    expect(programs.get('syft')?.version).toMatch(/^\d+\.\d+\.\d+$/);
  });
});

describe('what a child inherits', () => {
  it('is places, proxies and CA bundles, and no credential', () => {
    const child = childEnvironment({
      PATH: '/bin',
      HOME: '/home/someone',
      HTTPS_PROXY: 'http://proxy',
      SSL_CERT_FILE: '/ca.pem',
      no_proxy: '',
      HOUBA_REGISTRIES: '{}',
      AWS_SECRET_ACCESS_KEY: 'x',
      TEMPORAL_API_KEY: 'x',
    });
    expect(child).toEqual({
      PATH: '/bin',
      HOME: '/home/someone',
      HTTPS_PROXY: 'http://proxy',
      SSL_CERT_FILE: '/ca.pem',
    });
  });

  it('comes from a copy of the environment', () => {
    expect(readEnvironment()).toEqual(process.env);
    expect(readEnvironment()).not.toBe(process.env);
  });
});

describe('the nearest name', () => {
  it.each([
    ['tls_verfy', ['host', 'tls_verify'], 'tls_verify'],
    ['TLSVERIFY', ['host', 'tls_verify'], 'tls_verify'],
    ['colour', ['host', 'tls_verify'], null],
    ['x', [], null],
  ])('to %s among %j is %s', (name, known, expected) => {
    expect(nearest(name, known)).toBe(expected);
  });
});
