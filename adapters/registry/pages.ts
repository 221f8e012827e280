import { HoubaError } from '../../domain/errors.js';
import type { Answer, Call, RegistryClient } from './client.js';
import { failureOf, saysUnknown } from './failure.js';

/** Registries choose the size of a page; the smallest have 50 entries. */
const MOST_PAGES = 5000;

/** Sizes of a page to ask for, in order: some registries refuse a large one. null: theirs. */
const SIZES = [1000, 100, null] as const;
const REFUSED_SIZE = [400, 405, 406, 413, 414, 416, 422, 501];

interface Listing extends Omit<Call, 'method' | 'path'> {
  /** @param query `n` and `last`, where they are asked for */
  path(query: string): string;
  /** Takes a page in. @returns the names on it, in its order; null: an entry that is none */
  take(page: Answer): readonly (string | null)[];
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
  let failure: HoubaError | null = null;
  for (let sizes: readonly (number | null)[] = SIZES; ; ) {
    const [size = null, ...smaller] = sizes;
    const pathOf = (last?: string) => {
      const parameters = [
        ...(size === null ? [] : [`n=${size}`]),
        ...(last === undefined ? [] : [`last=${encodeURIComponent(last)}`]),
      ];
      return path(parameters.length === 0 ? '' : `?${parameters.join('&')}`);
    };
    const first = { ...rest, path: pathOf(), absent: [404, ...REFUSED_SIZE] };
    const reading = { take, after: pathOf, size };
    let absent: Answer | null;
    try {
      absent = await readPages(client, host, first, signal, reading);
    } catch (error) {
      // Some registries fail over the size of a page, instead of refusing it.
      if (failure !== null || !(error instanceof HoubaError) || error.facts.status !== 500) throw failure ?? error;
      failure = error;
      sizes = [null];
      continue;
    }
    if (absent === null) return true;
    const { status } = absent;
    if (failure !== null) throw failure;
    if (status === 404 && (size === null || saysUnknown(absent.body))) return false;
    if (size === null) throw failureOf(host, { method: 'GET', path: first.path }, absent, null);
    // A 404 that does not speak of the repository is asked once more, without a size.
    sizes = REFUSED_SIZE.includes(status) ? smaller : [null];
  }
}

interface Reading {
  take(page: Answer): readonly (string | null)[];
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
  const own = bare(first.path);
  let next: Omit<Call, 'method'> = first;
  /** Whether nothing but the length of a page says that there may be another. */
  let isGuess = false;
  /** Where the next page is too, if it is not where a link says. */
  let instead: string | null = null;
  let longest = 0;
  for (;;) {
    asked.add(next.path);
    const page = await client.call(host, { ...next, method: 'GET' }, signal);
    if (page.status >= 300) {
      if (asked.size === 1) return page;
      if (isGuess) return null;
      if (instead === null) throw brokeOff(host, own, page.status);
      next = { ...next, path: instead };
      instead = null;
      continue;
    }
    const onPage = take(page);
    const known = names.size;
    for (const name of onPage) if (name !== null) names.add(name);
    const link = readLink(page, host, own);
    const leadsOn = link !== null && link !== 'unreadable' && !asked.has(link.path);
    if (asked.size > 1 && names.size === known && !(leadsOn && onPage.length === 0)) {
      if (isGuess || onPage.length === 0) return null;
      throw contradicts(host, own, 'repeat themselves');
    }
    const isCut = mayBeCut(onPage.length, size) || (longest > 0 && onPage.length >= longest);
    longest = Math.max(longest, onPage.length);
    const last = onPage.findLast((name) => name !== null);
    const afterLast = after === undefined || last == null ? null : after(last);
    let path: string;
    if (leadsOn) {
      path = link.path;
      instead = afterLast === path ? null : afterLast;
      isGuess = false;
    } else {
      if (link === null && (afterLast === null || !isCut)) return null;
      if (afterLast === null) {
        throw contradicts(host, own, link === 'unreadable' ? 'have a link that cannot be read' : 'lead in a circle');
      }
      path = afterLast;
      instead = null;
      // A longer page than was asked for is of a registry that knows no pages.
      isGuess = link === null && onPage.length !== size;
    }
    if (asked.has(path)) throw contradicts(host, own, 'lead in a circle');
    if (asked.size >= MOST_PAGES) throw contradicts(host, own, `are more than ${MOST_PAGES}`);
    next = { ...first, path, origin: page.origin };
  }
}

function bare(path: string): string {
  return path.split('?', 1)[0] ?? '';
}

/** Whether a page without a link may be cut: as long as was asked for, or of a size that registries cut at. */
function mayBeCut(count: number, size: number | null | undefined): boolean {
  return (size != null && count >= size) || (count >= 10 && (count % 10 === 0 || count % 25 === 0));
}

type Link = { readonly path: string } | 'unreadable' | null;

/**
 * Finds the next page: path and query of the link, on the server of this page
 * (docs/rules/registry-access.md#pages-stay-with-their-server). @param own the path of the listing, without a query
 */
function readLink(page: Answer, host: string, own: string): Link {
  const { link } = page.headers;
  if (typeof link !== 'string' || link.trim() === '') return null;
  const target = linkedNext(link);
  if (target === null)
    return /\brel\s*=\s*"?[^"]*\bnext\b/i.test(link) || !/\brel\s*=/i.test(link) ? 'unreadable' : null;
  const here = page.origin.url + page.path;
  if (target.trim() === '' || !URL.canParse(target, here)) return 'unreadable';
  const { pathname, search, protocol } = new URL(target, here);
  if (!/^https?:$/.test(protocol)) throw contradicts(host, own, `have a link to ${protocol}`);
  // Behind a proxy a registry may name the path that it has inside.
  return { path: (pathname.endsWith(own.replace(/^\/v2(?=\/)/, '')) ? own : pathname) + search };
}

function linkedNext(header: string): string | null {
  for (const [, target, parameters = ''] of header.matchAll(/<([^<>]*)>([^<]*)/g)) {
    if (/;\s*rel\s*=\s*(?:next\b|"[^"]*\bnext\b[^"]*")/i.test(parameters)) return target ?? null;
  }
  return null;
}

function brokeOff(host: string, path: string, status: number): HoubaError {
  return new HoubaError('NotFound', `${host}${path}: a listing broke off in the middle (${status})`, {
    hint: 'the registry names a next page that it does not serve: run again, and look at proxies in between',
    facts: { registry: host, status },
  });
}

function contradicts(host: string, path: string, how: string): HoubaError {
  return new HoubaError('Unsupported', `${host}${path}: the pages of a listing ${how}`, {
    hint: 'nobody can say what is missing: the registry, or something before it, pages its lists wrongly',
    facts: { registry: host },
  });
}
