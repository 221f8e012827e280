import { RE2JS } from 're2js';
import { HoubaError } from '../errors.js';

/** Searched, not anchored (docs/rules/selection.md#patterns-are-searched-in-linear-time). */
export interface Pattern {
  readonly source: string;
  /** Its named groups. */
  readonly names: readonly string[];
  matches(text: string): boolean;
  /** The named groups of the first match that took part in it; null when nothing matches. */
  groups(text: string): ReadonlyMap<string, string> | null;
  /** Where the first match ends in the text, or -1. */
  endOfMatch(text: string): number;
}

export const LONGEST_PATTERN = 4_000;

/** Linear time still multiplies by the instructions: `x{1000}` has a thousand. */
const LARGEST_PROGRAM = 6_000;

const COMPILED = new Map<string, Pattern>();
const REMEMBERED = 500;

/**
 * Compiles a pattern, once.
 * @throws HoubaError `PolicyInvalid`
 */
export function compilePattern(source: string): Pattern {
  const known = COMPILED.get(source);
  if (known !== undefined) return known;
  if (source.length > LONGEST_PATTERN) throw invalid(source, `longer than ${LONGEST_PATTERN} characters`);
  const doubtful = findDoubtful(source);
  if (doubtful !== null) throw invalid(source, doubtful);
  const regex = compile(source);
  if (regex.programSize() > LARGEST_PROGRAM) throw invalid(source, 'its repetitions multiply to too large a program');
  const pattern = patternOf(source, regex);
  if (COMPILED.size >= REMEMBERED) COMPILED.clear();
  COMPILED.set(source, pattern);
  return pattern;
}

function patternOf(source: string, regex: RE2JS): Pattern {
  const names = Object.keys(regex.namedGroups());
  return {
    source,
    names,
    matches: (text) => regex.test(text),
    groups(text) {
      const matcher = regex.matcher(text);
      if (!matcher.find()) return null;
      const found = new Map<string, string>();
      for (const name of names) {
        const value: string | null = matcher.group(name);
        if (value !== null) found.set(name, value);
      }
      return found;
    },
    endOfMatch(text) {
      const matcher = regex.matcher(text);
      return matcher.find() ? matcher.end() : -1;
    },
  };
}

function compile(source: string): RE2JS {
  try {
    return RE2JS.compile(source);
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^error parsing regexp: /, '') : String(error);
    throw invalid(source, why, error);
  }
}

/** Parts of a pattern: an escape, literal text, a class of POSIX, a repetition, a brace that is none, anything else. */
const PART =
  /\\Q[\s\S]*?(?:\\E|$)|\\[pPx]\{[^}]*\}|\\[\s\S]|\[:\^?\w*:\]|\{\d+(?:,\d*)?\}|\{,\d*\}|\{[^{}[\]]*\}|[\s\S]/g;

/** Finds what RE2 reads otherwise than Python or other engines; null: nothing. */
function findDoubtful(source: string): string | null {
  /** Where the text of the class begins that is being read; null: none is. */
  let inside: number | null = null;
  for (const { 0: part, index } of source.matchAll(PART)) {
    const at = `at character ${index + 1}, ${part}`;
    if (inside !== null && part.startsWith('[:') && part.endsWith(':]')) {
      return `${at} is a class in some engines and a list of letters in others: write \\d, \\w, \\s or a range`;
    }
    if (inside === null && part.startsWith('{,')) {
      return `${at} is a repetition in some engines and literal text in others: write {0${part.slice(1)}`;
    }
    if (inside === null && /^\{(?!\d+(?:,\d*)?\})/.test(part)) {
      return `${at} is literal text, which no tag has, or a repetition in other engines: write {n}, {n,} or {n,m}`;
    }
    if (part === '[' && inside === null) inside = index + (source[index + 1] === '^' ? 2 : 1);
    // The first character of a class is one of it, also `]`.
    else if (part === ']' && inside !== null && index > inside) inside = null;
  }
  return null;
}

const LOOKAROUND = /\(\?<?[=!]/;
const BACKREFERENCE = /\\[1-9]|\\[kg]|\(\?P=/;

function invalid(source: string, why: string, cause?: unknown): HoubaError {
  return new HoubaError('PolicyInvalid', `not a usable pattern: ${JSON.stringify(source.slice(0, 100))}: ${why}`, {
    hint: hintFor(source),
    cause,
  });
}

function hintFor(source: string): string {
  if (LOOKAROUND.test(source)) return 'lookaround is not supported; use excludeRegex for what must not match';
  if (BACKREFERENCE.test(source)) return 'back-references are not supported; use excludeRegex, or one pattern per case';
  if (source.includes('\\Z')) return 'write $ or \\z for the end of the tag';
  return 'patterns are RE2: Python syntax without lookaround and back-references; use excludeRegex to leave tags out';
}
