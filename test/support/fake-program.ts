import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** One call that a fake program received. */
export interface FakeCall {
  readonly args: readonly string[];
  readonly stdin: string;
  readonly env: Readonly<Record<string, string>>;
  /** What the body put there with `note(key, value)`. */
  readonly notes: Readonly<Record<string, unknown>>;
}

export interface FakeProgram {
  readonly path: string;
  calls(): Promise<readonly FakeCall[]>;
}

/**
 * A tiny executable that writes down how it was called and then runs `body`: CommonJS with `args`, `stdin`, `env`, `fs`
 * and `note(key, value)` at hand.
 */
export async function fakeProgram(folder: string, name: string, body = ''): Promise<FakeProgram> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, name);
  const log = `${path}.calls`;
  await writeFile(log, '');
  await writeFile(
    path,
    `#!${process.execPath}
const fs = require('node:fs');
const args = process.argv.slice(2);
const env = { ...process.env };
const stdin = fs.readFileSync(0, 'utf8');
const notes = {};
const note = (key, value) => { notes[key] = value; };
process.on('exit', () => fs.appendFileSync(${JSON.stringify(log)}, JSON.stringify({ args, stdin, env, notes }) + '\\n'));
${body}
`,
  );
  await chmod(path, 0o755);
  return {
    path,
    async calls() {
      const text = await readFile(log, 'utf8');
      return text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as FakeCall);
    },
  };
}
