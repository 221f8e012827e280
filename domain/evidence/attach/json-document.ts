import { HoubaError } from '../../errors.js';
import { shortLine } from '../../text/escape.js';

/** In bytes; more is refused unread (docs/rules/evidence.md#what-is-attached-is-bounded). */
export const LARGEST_DOCUMENT = 64 * 1024 * 1024;

const DEEPEST = 100;
/** Each takes some hundred bytes once it is parsed. */
const MOST_VALUES = 4_000_000;
/** Of one object: millions take the parser minutes. */
const MOST_NAMES = 100_000;

export type JsonObject = Readonly<Record<string, unknown>>;

/** A document as it came, and as it is read. */
export interface JsonDocument {
  readonly bytes: Uint8Array;
  /** The bytes without a byte order mark. */
  readonly json: Uint8Array;
  readonly value: JsonObject;
}

/**
 * Parses what somebody else wrote, within bounds (docs/rules/evidence.md#what-is-attached-is-bounded). @param what names it
 * in messages: `the report`. @throws HoubaError `ReportInvalid`
 */
export function parseJsonDocument(bytes: Uint8Array, what: string): JsonDocument {
  if (bytes.length > LARGEST_DOCUMENT) throw tooLarge(what);
  const json = startsWith(bytes, BYTE_ORDER_MARK) ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes;
  const text = decode(json, what);
  if (text.trim() === '') throw invalid(`${what} is empty`, 'look at what the scanner said, and at its exit code');
  const problem = boundsProblem(text);
  if (problem !== null) throw invalid(`${what} cannot be read: ${problem}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new HoubaError('ReportInvalid', `${what} is not JSON`, { cause });
  }
  if (!isObject(value)) throw invalid(`${what} is not a JSON object`);
  return { bytes, json, value };
}

export function tooLarge(what: string): HoubaError {
  return invalid(
    `${what} is larger than ${LARGEST_DOCUMENT / 1024 / 1024} MiB`,
    'have the scanner leave out help texts and source code, or write compact JSON',
  );
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A list; null: it is none. */
export function listOf(value: unknown): readonly unknown[] | null {
  return Array.isArray(value) ? value : null;
}

/** A field of what may be no object, or lack it: undefined. Own fields only, whatever they are called. */
export function fieldOf(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

export function invalid(message: string, hint?: string): HoubaError {
  return new HoubaError('ReportInvalid', message, hint === undefined ? {} : { hint });
}

const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
const GZIP = [0x1f, 0x8b];

function decode(bytes: Uint8Array, what: string): string {
  if (startsWith(bytes, GZIP)) throw invalid(`${what} is compressed`, 'unpack it first: gunzip');
  const isUtf16 =
    startsWith(bytes, [0xff, 0xfe]) || startsWith(bytes, [0xfe, 0xff]) || bytes.subarray(0, 2).includes(0);
  if (isUtf16)
    throw invalid(`${what} is not UTF-8 but UTF-16`, 'write it as UTF-8; > in Windows PowerShell writes UTF-16');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new HoubaError('ReportInvalid', `${what} is not UTF-8`, { cause });
  }
}

function startsWith(bytes: Uint8Array, start: readonly number[]): boolean {
  return start.every((byte, index) => bytes[index] === byte);
}

const [QUOTE, COMMA, OPEN_LIST, BACKSLASH, CLOSE_LIST, OPEN, CLOSE] = [0x22, 0x2c, 0x5b, 0x5c, 0x5d, 0x7b, 0x7d];

/**
 * Finds what is wrong with a JSON text before it is parsed: too deep, too much of it, cut off, or an object with one name
 * twice, of which every reader keeps another (docs/rules/registry-access.md#no-double-meaning). null: nothing
 */
function boundsProblem(text: string): string | null {
  /** The names of each open object so far; null: a list. */
  const open: (Set<string> | null)[] = [];
  let values = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfText(text, at);
      if (end < 0) return CUT_OFF;
      const names = open.at(-1);
      if (names != null && isName(text, end)) {
        const name = nameIn(text, at, end);
        if (names.has(name)) return `an object has ${JSON.stringify(shortLine(name, 40))} twice`;
        if (names.add(name).size > MOST_NAMES) return `an object has more than ${MOST_NAMES} names`;
      }
      at = end;
    } else if (code === OPEN || code === OPEN_LIST) {
      if (open.push(code === OPEN ? new Set() : null) > DEEPEST) return `it is nested more than ${DEEPEST} deep`;
      values++;
    } else if (code === CLOSE || code === CLOSE_LIST) open.pop();
    else if (code === COMMA) values++;
    if (values > MOST_VALUES) return `it holds more than ${MOST_VALUES} values`;
  }
  return open.length > 0 ? CUT_OFF : null;
}

const CUT_OFF = 'it is cut off';

/** The position of the closing quotation mark; negative: there is none. */
function endOfText(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return -1;
}

const COLON = /[ \t\r\n]*:/y;

function isName(text: string, end: number): boolean {
  COLON.lastIndex = end + 1;
  return COLON.test(text);
}

function nameIn(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end);
  if (!raw.includes('\\')) return raw;
  try {
    return JSON.parse(text.slice(start, end + 1));
  } catch {
    // The parser will say so.
    return raw;
  }
}
