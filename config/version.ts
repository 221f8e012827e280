import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from './programs.js';

/** Reads houba's version, `0.1.0`. */
export function houbaVersion(): string {
  const text = readFileSync(join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
