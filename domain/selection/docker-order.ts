import { endsNumber, isCommit, readSuffix } from './suffix.js';
import type { TagVersion } from './tag-version.js';

const TAG = /^v?(\d+(?:\.\d+)*)(.*)$/;

/** Reads numbers and a suffix that names a flavour (docs/rules/selection.md#the-suffix-names-a-flavour). */
export function readDockerTag(tag: string): TagVersion | null {
  const match = isCommit(tag) ? null : TAG.exec(tag);
  if (match === null) return null;
  const [, numbers = '', suffix = ''] = match;
  return endsNumber(suffix) ? { numbers: numbers.split('.'), ...readSuffix(suffix) } : null;
}
