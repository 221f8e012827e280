import { HoubaError } from '../../domain/errors.js';
import type { Answer, Call, RegistryClient } from './client.js';
import { failureOf } from './failure.js';

/** Registries choose the size of a page; the smallest have 50 entries. */
const MOST_PAGES = 5000;

/** Sizes of a page to ask for, in order: some registries refuse a large one. null: theirs. */
const SIZES = [1000, 100, null] as const;
const REFUSED_SIZE = [400, 413, 422];

interface Listing extends Omit<Call, 'method' | 'path'> {
  /** @param query `n` and `last`, where they are asked for */
  path(query: string): string;
  /** Takes a page in. @returns the names on it, in its order */
  take(page: Answer): readonly string[];
}

/**
 * Reads a listing of names to its end (docs/rules/registry-access.md#the-end-of-a-list-is-shown). @returns false: there
 * is no such listing. @throws HoubaError `Unsupported` when its pages contradict each other or never end
 */
export async function readNames(
  client: RegistryClient,
  host: string,
  listing: Listing,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const { path, take, ...rest } = listing;
  for (const size of SIZES) {
    const pathOf = (last?: string) => {
      const parameters = [
        ...(size === null ? [] : [`n=${size}`]),
        ...(last === undefined ? [] : [`last=${encodeURIComponent(last)}`]),
      ];
      return path(parameters.length === 0 ? '' : `?${parameters.join('&')}`);
    };
    const first = { ...rest, path: pathOf(), absent: [404, ...REFUSED_SIZE] };
    const absent = await readPages(client, host, first, signal, { take, after: pathOf, size });
    if (absent === null) return true;
    if (absent.status === 404) return false;
    if (size === null) throw failureOf(host, { method: 'GET', path: first.path }, absent, null);
  }
  return false;
}

interface Reading {
  take(page: Answer): readonly string[];
  /** The path of the page after a name; left out: only links lead on. */
  after?(last: string): string;
  /** Names asked for on a page; null: the registry chooses. */
  readonly size?: number | null;
}

/**
 * Reads the pages of a listing along `Link: <…>; rel="next"`, or after the last name where a page may not be the last.
 * @returns null, or the first answer when it means "absent"
 */
export async function readPages(
  client: RegistryClient,
  host: string,
  first: Omit<Call, 'method'>,
  signal: AbortSignal | undefined,
  { take, after, size }: Reading,
): Promise<Answer | null> {
  const asked = new Set<string>();
  const names = new Set<string>();
  let next: Omit<Call, 'method'> = first;
  /** Whether nothing but the size of a page says that there may be another. */
  let isGuess = false;
  for (;;) {
    asked.add(next.path);
    const page = await client.call(host, { ...next, method: 'GET' }, signal);
    if (page.status >= 300) {
      if (asked.size === 1) return page;
      if (isGuess) return null;
      throw new HoubaError('NotFound', `${host}: a listing broke off in the middle`, { facts: { registry: host } });
    }
    const onPage = take(page);
    const known = names.size;
    for (const name of onPage) names.add(name);
    const link = readLink(page, host);
    if (asked.size > 1 && names.size === known) {
      if (link === null && (isGuess || onPage.length === 0)) return null;
      throw contradicts(host, 'repeat themselves');
    }
    let path: string;
    if (link !== null && link !== 'unreadable') {
      path = link.path;
      isGuess = false;
    } else {
      const last = onPage.at(-1);
      if (link === null && !mayBeCut(onPage.length, size)) return null;
      if (after === undefined || last === undefined) throw contradicts(host, 'have a link that cannot be read');
      path = after(last);
      // A longer page than was asked for is of a registry that knows no pages.
      isGuess = link === null && onPage.length !== size;
    }
    if (asked.has(path)) throw contradicts(host, 'lead in a circle');
    if (asked.size >= MOST_PAGES) throw contradicts(host, `are more than ${MOST_PAGES}`);
    next = { ...first, path, origin: page.origin };
  }
}

/** Whether a page without a link may be cut: as long as was asked for, or of a size that registries cut at. */
function mayBeCut(count: number, size: number | null | undefined): boolean {
  if (size === undefined) return false;
  if (size !== null && count >= size) return true;
  return count >= 10 && (count % 10 === 0 || count % 25 === 0);
}

type Link = { readonly path: string } | 'unreadable' | null;

/**
 * Finds the next page: path and query of the link, on the server of this page
 * (docs/rules/registry-access.md#pages-stay-with-their-server).
 */
function readLink(page: Answer, host: string): Link {
  const { link } = page.headers;
  if (typeof link !== 'string' || link.trim() === '') return null;
  const header = link.slice(0, 8192);
  const target = linkedNext(header);
  if (target === null) return /\brel\s*=\s*"?[^"]*\bnext\b/i.test(header) ? 'unreadable' : null;
  const here = page.origin.url + page.path;
  if (!URL.canParse(target, here)) return 'unreadable';
  const { pathname, search, protocol } = new URL(target, here);
  if (!/^https?:$/.test(protocol)) throw contradicts(host, `have a link to ${protocol}`);
  return { path: pathname + search };
}

function linkedNext(header: string): string | null {
  for (const [, target, parameters = ''] of header.matchAll(/<([^>]*)>([^<]*)/g)) {
    if (/;\s*rel\s*=\s*(?:next\b|"[^"]*\bnext\b[^"]*")/i.test(parameters)) return target ?? null;
  }
  return null;
}

function contradicts(host: string, how: string): HoubaError {
  return new HoubaError('Unsupported', `${host}: the pages of a listing ${how}`, {
    hint: 'nobody can say what is missing: the registry, or something before it, pages its lists wrongly',
    facts: { registry: host },
  });
}
