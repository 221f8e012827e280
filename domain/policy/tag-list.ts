import { HoubaError } from '../errors.js';
import { isTag } from '../reference.js';

/** Tags of a repository, as a run reads them, and the names that it leaves out because they are no tags. */
export interface TagList {
  readonly tags: readonly string[];
  readonly odd: readonly string[];
}

/** As many as a run reads of one repository. */
const MOST_TAGS = 200_000;

const HINT = 'give the JSON of GET /v2/<name>/tags/list, page by page if there are several, or one tag a line';

/**
 * Reads a list of tags (docs/policies.md#select-tags): answers to `tags/list`, their bare lists, or one tag a line.
 * @param file for messages. @throws HoubaError `ConfigInvalid` when it is no such list
 */
export function parseTagList(file: string, bytes: Uint8Array): TagList {
  const text = decode(bytes);
  const names = /^\s*[{[]/.test(text) ? namesOfJson(file, text) : text.split(/\r\n|\r|\n/).map(nameInLine);
  const distinct = [...new Set(names)].filter((name) => name !== '');
  const tags = distinct.filter(isTag);
  const odd = distinct.filter((name) => !isTag(name));
  if (tags.length > MOST_TAGS) throw invalid(`${file}: more than ${MOST_TAGS} tags, which a run does not read either`);
  if (tags.length > 0 || odd.length === 0) return { tags, odd };
  throw invalid(`${file}: ${JSON.stringify(odd[0]?.slice(0, 150))} is not a tag, and no other name is`);
}

/** `jq` writes names in quotes, unless it is told otherwise. */
function nameInLine(line: string): string {
  return /^\s*"([^"\\]*)",?\s*$/.exec(line)?.[1] ?? line.trim();
}

/** PowerShell writes UTF-16 with a byte order mark. */
function decode(bytes: Uint8Array): string {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
  return new TextDecoder(encoding).decode(bytes);
}

function namesOfJson(file: string, text: string): string[] {
  return documentsIn(file, text).flatMap((document) => {
    const names = listIn(document);
    if (names === undefined) throw invalid(`${file}: no list of tags in this JSON${errorIn(document)}`);
    const texts = names.filter((name) => typeof name === 'string');
    if (texts.length > 0 || names.every((name) => name === null)) return texts;
    throw invalid(`${file}: a list of something else than names of tags`);
  });
}

/** The documents of a text: one, or several one after the other. */
function documentsIn(file: string, text: string): unknown[] {
  try {
    return [JSON.parse(text)];
  } catch (cause) {
    try {
      return JSON.parse(`[${text.replace(/([}\]])\s*(?=[{[])/g, '$1,')}]`) as unknown[];
    } catch {
      throw invalid(`${file}: not valid JSON`, cause);
    }
  }
}

/** The names in a document; undefined: it holds no list. A registry answers null for a repository without tags. */
function listIn(document: unknown): unknown[] | undefined {
  if (Array.isArray(document)) return document;
  if (typeof document !== 'object' || document === null) return undefined;
  const { tags, Tags, name } = document as Record<string, unknown>;
  const list = tags ?? Tags ?? ('tags' in document || typeof name === 'string' ? [] : undefined);
  return Array.isArray(list) ? list : undefined;
}

function errorIn(document: unknown): string {
  const { errors } = (document ?? {}) as { readonly errors?: unknown };
  return Array.isArray(errors) ? ', but the error of a registry' : '';
}

function invalid(message: string, cause?: unknown): HoubaError {
  return new HoubaError('ConfigInvalid', message, { hint: HINT, cause });
}
