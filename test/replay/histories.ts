import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface RecordedHistory {
  /** `<workflow>/<case>.json`. */
  readonly name: string;
  /** As `historyToJSON` wrote it, parsed. */
  readonly history: unknown;
}

/** Every recorded history, in the order of their names. */
export function readHistories(): RecordedHistory[] {
  const folder = fileURLToPath(new URL('histories/', import.meta.url));
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => ({ name, history: JSON.parse(readFileSync(join(folder, name), 'utf8')) }));
}
