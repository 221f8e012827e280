import { foldName, namesIn } from '../../domain/text/json-names.js';

const LIST_NOT_EMPTY = /\s*:\s*\[\s*[^\s\]]/y;

/**
 * Whether a configuration has instructions for whoever builds upon it. BuildKit, as Go programs do, reads names in any case,
 * and of equal names it reads all, so the text itself is searched: `JSON.parse` sees less than BuildKit does.
 */
export function hasOnBuild(config: Uint8Array): boolean {
  const json = new TextDecoder().decode(config);
  for (const { name, end } of namesIn(json)) {
    LIST_NOT_EMPTY.lastIndex = end;
    if (LIST_NOT_EMPTY.test(json) && foldName(name) === 'onbuild') return true;
  }
  return false;
}
