const TEXT = /"[^"\\]*(?:\\.[^"\\]*)*"/gs;
const LIST_NOT_EMPTY = /\s*:\s*\[\s*[^\s\]]/y;

/**
 * Whether a configuration has instructions for whoever builds upon it. BuildKit, as Go programs do, reads names in any case,
 * and of equal names it reads all, so the text itself is searched: `JSON.parse` sees less than BuildKit does (conventions S3).
 */
export function hasOnBuild(config: Uint8Array): boolean {
  const json = new TextDecoder().decode(config);
  for (const { 0: text, index } of json.matchAll(TEXT)) {
    LIST_NOT_EMPTY.lastIndex = index + text.length;
    if (LIST_NOT_EMPTY.test(json) && nameIn(text).toLowerCase() === 'onbuild') return true;
  }
  return false;
}

function nameIn(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return '';
  }
}
