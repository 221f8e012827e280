import { HoubaError } from '../../domain/errors.js';
import type { Answer, Call, RegistryClient } from './client.js';

/** Registries choose the size of a page; the smallest have 50 entries. */
const MOST_PAGES = 5000;

/**
 * Reads the pages of a listing along `Link: <…>; rel="next"`. @returns false: there is no such listing. @throws
 * HoubaError `Denied` when a link leaves the server, `Unsupported` when links lead in circles or never end
 */
export async function readPages(
  client: RegistryClient,
  host: string,
  first: Omit<Call, 'method'>,
  signal: AbortSignal | undefined,
  take: (page: Answer) => void,
): Promise<boolean> {
  const seen = new Set<string>();
  let next: Omit<Call, 'method'> = first;
  for (;;) {
    seen.add(next.path);
    const page = await client.call(host, { ...next, method: 'GET' }, signal);
    if (page.status >= 300 && seen.size === 1) return false;
    if (page.status >= 300) throw new HoubaError('NotFound', `${host}: a listing broke off in the middle`);
    take(page);
    const path = nextPath(page, host);
    if (path === null) return true;
    if (seen.has(path)) throw new HoubaError('Unsupported', `${host}: the pages of a listing lead in a circle`);
    if (seen.size >= MOST_PAGES) throw new HoubaError('Unsupported', `${host}: a listing has over ${MOST_PAGES} pages`);
    next = { ...first, path, origin: page.origin };
  }
}

/** The next page's path; links elsewhere are refused (docs/rules/registry-access.md#pages-stay-with-their-server). */
function nextPath(page: Answer, host: string): string | null {
  const { link } = page.headers;
  const target = typeof link === 'string' ? linkedNext(link) : null;
  if (target === null) return null;
  const here = page.origin.url + page.path;
  const url = URL.canParse(target, here) ? new URL(target, here) : null;
  if (url?.origin === new URL(here).origin && url.username === '') return url.pathname + url.search;
  throw new HoubaError('Denied', `${host}: the next page of a listing is at ${url?.origin ?? 'no usable address'}`, {
    hint: 'a registry behind a proxy must know its own outside address',
    facts: { registry: host },
  });
}

function linkedNext(header: string): string | null {
  for (const [, target, parameters = ''] of header.slice(0, 8192).matchAll(/<([^>]*)>([^<]*)/g)) {
    if (/;\s*rel\s*=\s*(?:next\b|"[^"]*\bnext\b[^"]*")/i.test(parameters)) return target ?? null;
  }
  return null;
}
