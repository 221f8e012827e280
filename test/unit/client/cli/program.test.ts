import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { UNREACHABLE } from '../../../../client/cli/failure.js';
import { runCommandLine } from '../../../../client/cli/program.js';
import { ownMark } from '../../../../client/stack/stack-files.js';

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = undefined;
});

it('every verb of the help has a file of its name, and every such file is a verb', async () => {
  let help = '';
  vi.spyOn(process.stdout, 'write').mockImplementation(((text: string) => {
    help += text;
    return true;
  }) as typeof process.stdout.write);
  expect(await runCommandLine(['--help'])).toBe(0);
  const verbs = [...(help.split('Commands:')[1] ?? '').matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => `${name}.ts`);
  const files = readdirSync(new URL('../../../../client/cli/verbs', import.meta.url));
  const others = ['completion.ts', 'help.ts', 'houba.ts']; // houba: the example below the list
  expect(verbs.filter((name) => !others.includes(name)).sort()).toEqual(files.sort());
});

it('a Temporal that does not answer is told, also where a look at its folder fails', async () => {
  const home = mkdtempSync(join(tmpdir(), 'houba-home-'));
  const record = { schema_version: 1, owner: ownMark(), address: '127.0.0.1:1', namespace: 'default', ui: '' };
  writeFileSync(join(home, 'stack.json'), JSON.stringify(record));
  // Where the look writes its file.
  mkdirSync(join(home, `.try.${process.pid}`));
  vi.stubEnv('HOUBA_HOME', home);
  vi.stubEnv('TEMPORAL_ADDRESS', undefined);
  let said = '';
  vi.spyOn(process.stderr, 'write').mockImplementation(((text: string) => {
    said += text;
    return true;
  }) as typeof process.stderr.write);
  expect(await runCommandLine(['status'])).toBe(UNREACHABLE);
  expect(said).toContain('Temporal does not answer');
  rmSync(home, { recursive: true });
});
