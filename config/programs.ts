import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { readEnvironment } from './environment.js';

/**
 * Finds a program: `<package>/.tools/bin/<name>`, else the first on `PATH`, as an absolute path; null: there is none.
 * @param root the package's folder, found when left out
 */
export function programPath(name: string, root: string = packageRoot()): string | null {
  const bundled = join(root, '.tools', 'bin', name);
  if (isExecutable(bundled)) return bundled;
  for (const folder of (readEnvironment().PATH ?? '').split(delimiter)) {
    const path = resolve(folder, name);
    if (folder !== '' && isExecutable(path)) return path;
  }
  return null;
}

/** The fields of `tools/programs.json` that the doctor needs. */
const Program = z.object({
  version: z.string(),
  /** The oldest safe version (docs/rules/security.md#outside-programs-have-a-floor); absent: any. */
  floor: z.string().optional(),
  /** Arguments that print the version; absent: none do. */
  versionArgs: z.array(z.string()).optional(),
  /** A regular expression whose first group is the version, for programs that print other versions first. */
  versionPattern: z.string().optional(),
  purpose: z.string(),
});
export type Program = z.infer<typeof Program>;

export function readPrograms(root: string = packageRoot()): ReadonlyMap<string, Program> {
  const text = readFileSync(join(root, 'tools', 'programs.json'), 'utf8');
  return new Map(Object.entries(z.record(z.string(), Program).parse(JSON.parse(text))));
}

/** The folder with `package.json`: one up from `config/`, two from `dist/config/`. */
export function packageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && folder !== dirname(folder)) folder = dirname(folder);
  return folder;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
