import { foldName, namesIn } from '../../domain/text/json-names.js';

const LIST_NOT_EMPTY = /\s*:\s*\[\s*[^\s\]]/y;

/** Whether a configuration has `ONBUILD`, searched as text: BuildKit reads keys in any case, and all of equal ones. */
export function hasOnBuild(config: Uint8Array): boolean {
  const json = new TextDecoder().decode(config);
  for (const { name, end } of namesIn(json)) {
    LIST_NOT_EMPTY.lastIndex = end;
    if (LIST_NOT_EMPTY.test(json) && foldName(name) === 'onbuild') return true;
  }
  return false;
}
