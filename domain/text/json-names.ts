/** A name of an object in a JSON text. */
export interface JsonName {
  readonly name: string;
  /** Tells the objects of the text apart. */
  readonly object: number;
  /** Where the name ends in the text; its colon follows. */
  readonly end: number;
}

const BRACE_OR_TEXT = /[{}]|"[^"\\]*(?:\\.[^"\\]*)*"/gs;
const COLON = /\s*:/y;

/**
 * All names of a JSON text in their order, each as often as it stands there. Of equal names `JSON.parse` tells the last, Go
 * programs put some together of all (docs/rules/registry-access.md#no-double-meaning).
 *
 * @param json which `JSON.parse` accepts
 */
export function* namesIn(json: string): Generator<JsonName> {
  const open: number[] = [];
  let objects = 0;
  for (const { 0: token, index } of json.matchAll(BRACE_OR_TEXT)) {
    if (token === '{') open.push(objects++);
    else if (token === '}') open.pop();
    else {
      const end = index + token.length;
      COLON.lastIndex = end;
      if (COLON.test(json)) yield { name: JSON.parse(token), object: open.at(-1) ?? 0, end };
    }
  }
}

/** A name that one object has twice; null: there is none. */
export function repeatedName(json: string): string | null {
  const seen = new Set<string>();
  for (const { name, object } of namesIn(json)) {
    const key = `${object} ${name}`;
    if (seen.has(key)) return name;
    seen.add(key);
  }
  return null;
}

/** As Go programs compare the names they know: in any case, the long s (U+017F) as an s, the sign of the kelvin as a k. */
export function foldName(name: string): string {
  return name.toUpperCase().toLowerCase();
}
