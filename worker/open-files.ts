import { readFileSync } from 'node:fs';
import { HoubaError } from '../domain/errors.js';

/** What a worker may need at once: connections to registries, pipes to programs, Temporal, Node.js itself. */
const LEAST_OPEN_FILES = 256;

/** Refuses a limit at which a worker would die on the way (on Linux). @throws HoubaError `MachineFailed` */
export function requireOpenFiles(limits = readLimits()): void {
  const most = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  if (most === undefined || Number(most) >= LEAST_OPEN_FILES) return;
  throw new HoubaError('MachineFailed', `${most} open files are allowed, and a worker needs ${LEAST_OPEN_FILES}`, {
    hint: `raise the limit: ulimit -n ${LEAST_OPEN_FILES * 4}`,
  });
}

function readLimits(): string {
  try {
    return readFileSync('/proc/self/limits', 'utf8');
  } catch {
    return ''; // another system
  }
}
