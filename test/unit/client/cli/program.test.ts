import { readdirSync } from 'node:fs';
import { afterEach, expect, it, vi } from 'vitest';
import { runCommandLine } from '../../../../client/cli/program.js';

afterEach(() => {
  vi.restoreAllMocks();
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
