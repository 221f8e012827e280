export interface JsonName {
  readonly name: string;
  readonly object: number;
  readonly end: number;
}

const BRACE_OR_TEXT = /[{}]|"[^"\\]*(?:\\.[^"\\]*)*"/gs;
const COLON = /\s*:/y;

/** Lists the names of a JSON text in order, repeated ones too (docs/rules/registry-access.md#no-double-meaning). */
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

/** Finds a name that an object has twice; null: none has. */
export function repeatedName(json: string): string | null {
  const seen = new Set<string>();
  for (const { name, object } of namesIn(json)) {
    const key = `${object} ${name}`;
    if (seen.has(key)) return name;
    seen.add(key);
  }
  return null;
}

/** Folds a name as Go compares it: any case, the long s (U+017F) as s, the kelvin sign as k. */
export function foldName(name: string): string {
  return name.toUpperCase().toLowerCase();
}
