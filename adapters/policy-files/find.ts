import { type FileHandle, open, readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { HoubaError } from '../../domain/errors.js';
import { compareText } from '../../domain/text/compare-text.js';

const LARGEST_FILE = 1024 * 1024;

/** Lists the file itself, or a folder's `.yml` and `.yaml`, sorted by path. @throws HoubaError `ConfigInvalid`: none */
export async function findPolicyFiles(path: string): Promise<string[]> {
  const found = await stat(path).catch((cause: unknown) => {
    const code = (cause as NodeJS.ErrnoException).code ?? String(cause);
    const why = code === 'ENOENT' ? 'there is no such file or folder' : `it cannot be read (${code})`;
    throw new HoubaError('ConfigInvalid', `no policies at ${path}: ${why}`, {
      hint: 'name a policy file, or a folder that holds some',
      cause,
    });
  });
  if (found.isFile()) return [path];
  const files = found.isDirectory() ? await walkFolder(path) : [];
  if (files.length > 0) return files.sort(compareText);
  throw new HoubaError('ConfigInvalid', `no policies at ${path}: no file there ends in .yml or .yaml`, {
    hint: 'name a policy file, or a folder that holds some',
  });
}

/** Lists files below a folder; neither dot folders (Kubernetes swaps mounted files by `..data`) nor linked folders. */
async function walkFolder(folder: string): Promise<string[]> {
  const files: string[] = [];
  const entries = await readdir(folder, { withFileTypes: true }).catch((cause: unknown) => {
    throw new HoubaError('ConfigInvalid', `the folder ${folder} cannot be read`, { cause });
  });
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!entry.name.startsWith('.')) files.push(...(await walkFolder(path)));
      continue;
    }
    if (!/\.ya?ml$/.test(entry.name)) continue;
    // Also what is no file: it is refused by name, not left out.
    if (!(entry.isSymbolicLink() && (await isFolder(path)))) files.push(path);
  }
  return files;
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Reads a policy file. A link must stay in the named folder: a checkout must not quote other files. @throws Error */
export async function readPolicyText(file: string, root: string): Promise<string> {
  const handle = await openFile(file, root);
  try {
    const { size } = await handle.stat();
    if (size > LARGEST_FILE) throw new Error(`the file is larger than ${LARGEST_FILE / 1024 / 1024} MiB`);
    return decode(await handle.readFile());
  } finally {
    await handle.close();
  }
}

async function openFile(file: string, root: string): Promise<FileHandle> {
  try {
    const target = await realpath(file);
    const inside = relative(await realpath(root), target);
    if (inside === '..' || inside.startsWith(`..${sep}`)) throw new Error('the link leads out of the folder');
    if (!(await stat(target)).isFile()) throw new Error('not a regular file');
    return await open(target, 'r');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw code === undefined ? error : new Error(`the file cannot be read (${code})`, { cause: error });
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new Error('the file is not UTF-8 text', { cause });
  }
}
