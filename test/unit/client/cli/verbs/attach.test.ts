import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../../../../client/cli/program.js';

const REF = 'registry.example/team/app:1';
const REGISTRIES = {
  main: { host: 'registry.example' },
  team: { host: 'ghcr.io/team' },
  other: { host: 'other.example' },
};

let folder: string;
let said: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'houba-attach-'));
  writeFileSync(join(folder, 'clean.json'), '{"runs":[{"results":[]}]}');
  writeFileSync(join(folder, 'empty.json'), '');
  writeFileSync(join(folder, 'runs.json'), '{"runs":[]}');
  vi.stubEnv('HOUBA_HOME', folder);
  vi.stubEnv('HOUBA_WORK_DIR', join(folder, 'work'));
  vi.stubEnv('HOUBA_REGISTRIES', JSON.stringify(REGISTRIES));
  said = '';
  const hear = ((text: string, told?: unknown) => {
    said += text;
    if (typeof told === 'function') told();
    return true;
  }) as typeof process.stderr.write;
  vi.spyOn(process.stderr, 'write').mockImplementation(hear);
  vi.spyOn(process.stdout, 'write').mockImplementation(hear);
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
  rmSync(folder, { recursive: true });
});

const attach = (...words: readonly string[]) =>
  runCommandLine(['attach', ...words.map((word) => word.replace('DIR', folder))]);

describe('houba attach', () => {
  it.each<[string, string[], RegExp]>([
    ['without a document', [REF], /nothing says what to attach/],
    ['with a report and a VEX document', [REF, '--report', 'a', '--vex', 'b'], /one at a time/],
    ['with a limit for a VEX document', [REF, '--vex', 'a', '--fail-on', 'high'], /--fail-on is about a scan report/],
    ['with a format for a VEX document', [REF, '--vex', 'a', '--format', 'sarif'], /--format is about a scan report/],
    ['without tag and digest', ['registry.example/team/app', '--report', 'a'], /neither a tag nor a digest/],
    ['without a host', ['app:1', '--report', 'a'], /registry host/],
    [
      'to a registry that is not in the roster',
      ['docker.io/library/redis:7', '--report', 'a'],
      /no registry of the roster/,
    ],
    ['outside of the namespace of its registry', ['ghcr.io/else/app:1', '--report', 'a'], /no registry of the roster/],
    ['by a registry that nobody knows', [REF, '--report', 'a', '--registry', 'x'], /"x" is not in the roster/],
    [
      'by the registry of another host',
      [REF, '--report', 'a', '--registry', 'other'],
      /is other\.example, but the image/,
    ],
    ['of a file that is not there', [REF, '--report', 'DIR/none.json'], /cannot be read \(ENOENT\)/],
    ['with an empty name', [REF, '--report', ''], /must not be empty/],
    ['with a format that nobody knows', [REF, '--report', 'a', '--format', 'csv'], /Allowed choices are sarif/],
    [
      'with a severity that nobody knows',
      [REF, '--report', 'a', '--fail-on', 'severe'],
      /Allowed choices are critical/,
    ],
    ['with a platform that is none', [REF, '--report', 'a', '--platform', 'arm64'], /platform such as linux\/amd64/],
  ])('%s is a bad argument', async (_, words, message) => {
    expect(await attach(...words), said).toBe(3);
    expect(said).toMatch(message);
  });

  it.each([
    ['an empty report', ['--report', 'DIR/empty.json'], /ReportInvalid: the report is empty/],
    ['a report without a run', ['--report', 'DIR/runs.json'], /ReportInvalid: the report has no run/],
    ['a report for a VEX document', ['--vex', 'DIR/clean.json'], /ReportInvalid: the document is not OpenVEX/],
  ])('of %s is exit 1, before a registry is asked', async (_, words, message) => {
    expect(await attach(REF, ...words), said).toBe(1);
    expect(said).toMatch(message);
    expect(said).not.toMatch(/\n +at /);
  });

  it('what cannot be parsed is 64', async () => {
    expect(await attach(REF, '--reports', 'a')).toBe(64);
  });

  it('shows how to run it', async () => {
    expect(await attach('--help')).toBe(0);
    expect(said).toMatch(/Example:\n {2}grype \S+ -o sarif \| houba attach registry\.example/);
  });
});
