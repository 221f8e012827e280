import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageRoot } from '../config/programs.js';
import type { PageFiles } from '../domain/report/fleet/page.js';

/** Reads what the build made of `client/page`, to be put into a page. */
export async function readPageFiles(): Promise<PageFiles> {
  const read = (name: string) => readFile(join(packageRoot(), 'dist', 'page', name), 'utf8');
  const [script, style] = await Promise.all([read('page.js'), read('page.css')]);
  return { script, style };
}
