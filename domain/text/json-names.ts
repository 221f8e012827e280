export interface JsonName {
  readonly name: string;
  readonly object: number;
  /** The colon follows. */
  readonly end: number;
}

const BRACE_OR_TEXT = /[{}]|"[^"\\]*(?:\\.[^"\\]*)*"/gs;
const COLON = /\s*:/y;

/**
 * All names of a JSON text in order. `JSON.parse` keeps the last of equal names, Go programs merge some
 * (docs/rules/registry-access.md#no-double-meaning).
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

/** null: no object has a name twice. */
export function repeatedName(json: string): string | null {
  const seen = new Set<string>();
  for (const { name, object } of namesIn(json)) {
    const key = `${object} ${name}`;
    if (seen.has(key)) return name;
    seen.add(key);
  }
  return null;
}

/** As Go compares names: any case, the long s (U+017F) as s, the kelvin sign as k. */
export function foldName(name: string): string {
  return name.toUpperCase().toLowerCase();
}
