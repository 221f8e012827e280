import type { Answer, Intercepted } from './counting-proxy.js';
import { type HttpAnswer, request } from './http.js';

/** Answers some requests as an odd registry would, asking the real one behind; null: as the real one does. */
export type Oddity = (asked: Intercepted, real: (path: string) => Promise<HttpAnswer>) => Promise<Answer | null>;

export interface OddRegistry {
  /** What it does, as "a registry that …" goes on. */
  readonly what: string;
  /** Made anew for each registry: some remember. */
  readonly oddity: () => Oddity;
  /** Whether the registry behind has a referrers API. */
  readonly hasApi: boolean;
  readonly deletes: boolean;
  /** Whether it is odd as a source alone: regctl cannot write where it does not understand the answers. */
  readonly isSource: boolean;
  /** Whether images of it can be rebuilt. */
  readonly rebuilds: boolean;
  /** What `houba doctor` says of it; null: nothing. */
  readonly says: string | null;
  readonly inCi: boolean;
}

const MANIFEST = /^\/v2\/.+\/manifests\/(.+)$/;
const isRead = ({ method }: Intercepted) => method === 'GET' || method === 'HEAD';
const referenceIn = ({ path }: Intercepted) => MANIFEST.exec(path)?.[1] ?? null;

/** The same answer to whatever is asked of the referrers API. */
const referrersAnswer = (answer: Answer) => (): Oddity => async (asked) =>
  asked.path.includes('/referrers/') ? answer : null;

const deletionAnswer = (status: number) => (): Oddity => async (asked) =>
  asked.method === 'DELETE' ? { status } : null;

const BY_TAG = 'it has no referrers API';
const usual = { hasApi: true, deletes: true, isSource: false, rebuilds: true, says: null, inCi: false };
const withoutApi = { ...usual, hasApi: false, says: BY_TAG };

export const ODDITIES: readonly OddRegistry[] = [
  { ...withoutApi, what: 'says 400 of its referrers', oddity: referrersAnswer({ status: 400 }) },
  { ...withoutApi, what: 'says 404 of its referrers', oddity: referrersAnswer({ status: 404 }) },
  { ...withoutApi, what: 'says 405 of its referrers', oddity: referrersAnswer({ status: 405 }) },
  { ...withoutApi, what: 'says 406 of its referrers', oddity: referrersAnswer({ status: 406 }) },
  { ...withoutApi, what: 'says 501 of its referrers', oddity: referrersAnswer({ status: 501 }) },
  {
    ...{ ...withoutApi, what: 'shows a page for people instead of its referrers' },
    oddity: referrersAnswer({ status: 200, headers: { 'content-type': 'text/html' }, body: '<html>' }),
  },
  {
    ...{ ...withoutApi, what: 'shows the image by the name of its list of referrers', inCi: true },
    ...{ oddity: () => showsSubject, says: 'it shows the image itself under the tag of its evidence' },
  },
  {
    ...{ ...usual, what: 'serves lists of referrers as JSON' },
    oddity: () => async (asked, real) =>
      asked.path.includes('/referrers/') ? withType(await real(asked.path), 'application/json') : null,
  },
  {
    ...{ ...usual, what: 'serves manifests as text', isSource: true, rebuilds: false },
    oddity: () => async (asked, real) =>
      referenceIn(asked) !== null && asked.method === 'GET' ? withType(await real(asked.path), 'text/plain') : null,
  },
  {
    ...{ ...usual, what: 'has no HEAD', isSource: true },
    oddity: () => async (asked) => (asked.method === 'HEAD' && referenceIn(asked) !== null ? { status: 405 } : null),
  },
  {
    ...{ ...usual, what: 'gives no digest' },
    oddity: () => async (asked, real) => {
      if (referenceIn(asked) === null || !isRead(asked)) return null;
      const { status, headers, body } = await real(asked.path);
      return { status, headers: { 'content-type': String(headers['content-type'] ?? '') }, body };
    },
  },
  { ...usual, what: 'is slow to show a tag that moved', oddity: () => lagging(400) },
  { ...usual, what: 'is very slow to show a tag that moved', oddity: () => lagging(3_000) },
  { ...usual, what: 'sends full pages of tags without a word of the next', oddity: fullPages },
  { ...usual, what: 'is slow to list a new tag', oddity: () => listingLate(1_500) },
  {
    ...{ ...usual, what: 'answers 404 to every deletion', deletes: false },
    // Its 404 is that of a manifest it does not have: only a trial would tell.
    oddity: deletionAnswer(404),
  },
  {
    ...{ ...usual, what: 'answers 405 to every deletion', deletes: false, inCi: true },
    ...{ oddity: deletionAnswer(405), says: 'it deletes nothing' },
  },
  {
    ...{ ...usual, what: 'accepts every deletion and does nothing', deletes: false },
    ...{ oddity: deletionAnswer(202), says: 'it accepts deletions that it does not do' },
  },
];

/** As a source: registries where HEAD finds no tag. */
export const WITHOUT_HEAD: Oddity = async (asked) =>
  asked.method === 'HEAD' && referenceIn(asked) !== null ? { status: 404 } : null;

const showsSubject: Oddity = async (asked, real) => {
  const [name, hex] = /\/sha256-([0-9a-f]{64})$/.exec(asked.path) ?? [];
  if (name === undefined || !isRead(asked)) return null;
  if ((await real(asked.path)).status === 200) return null;
  const subject = await real(asked.path.replace(name, `/sha256:${hex}`));
  return subject.status === 200 ? passedOn(subject) : null;
};

/** Answers that were true until a moment ago, each by a key, and are given for a while after. */
function staleFor(ms: number) {
  const kept = new Map<string, { readonly answer: HttpAnswer; readonly until: number }>();
  return {
    keep: (key: string, answer: HttpAnswer) => kept.set(key, { answer, until: Date.now() + ms }),
    answer(key: string): Answer | null {
      const found = kept.get(key);
      return found !== undefined && Date.now() < found.until ? passedOn(found.answer) : null;
    },
  };
}

/** Serves what a tag showed before for a while after it was written. */
function lagging(ms: number): Oddity {
  const before = staleFor(ms);
  return async (asked, real) => {
    const reference = referenceIn(asked);
    if (reference === null || reference.includes(':')) return null;
    if (asked.method === 'PUT') before.keep(asked.path, await real(asked.path));
    return isRead(asked) ? before.answer(asked.path) : null;
  };
}

const TAG_LIST = /^\/v2\/.+\/tags\/list/;

/** Lists one tag a page, whatever is asked, and never says that there is another page. */
function fullPages(): Oddity {
  return async ({ path, method }, real) => {
    if (method !== 'GET' || !TAG_LIST.test(path)) return null;
    const asked = new URL(path, 'http://registry');
    const whole = await real(asked.pathname);
    if (whole.status !== 200) return passedOn(whole);
    const { name, tags } = JSON.parse(whole.body.toString('utf8')) as { name: string; tags: string[] | null };
    const most = Number(asked.searchParams.get('n') ?? '1000');
    const after = asked.searchParams.get('last') ?? '';
    const page = (tags ?? [])
      .sort()
      .filter((tag) => tag > after)
      .slice(0, most);
    return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name, tags: page }) };
  };
}

/** Lists what was there before, for a while after a tag was written or deleted. */
function listingLate(ms: number): Oddity {
  const before = staleFor(ms);
  return async (asked, real) => {
    const reference = referenceIn(asked);
    const repository = /^\/v2\/(.+)\/(?:manifests|tags)\//.exec(asked.path)?.[1];
    if (repository === undefined) return null;
    if (!isRead(asked) && reference !== null && !reference.includes(':')) {
      before.keep(repository, await real(`/v2/${repository}/tags/list`));
    }
    return TAG_LIST.test(asked.path) ? before.answer(repository) : null;
  };
}

function withType(answer: HttpAnswer, type: string): Answer {
  return { ...passedOn(answer), headers: { ...textHeaders(answer), 'content-type': type } };
}

function passedOn(answer: HttpAnswer): Answer {
  return { status: answer.status, headers: textHeaders(answer), body: answer.body };
}

function textHeaders({ headers }: HttpAnswer): Record<string, string> {
  const kept = ['content-type', 'docker-content-digest', 'link'];
  return Object.fromEntries(kept.flatMap((name) => (typeof headers[name] === 'string' ? [[name, headers[name]]] : [])));
}

/** @param host of the real registry @returns what `CountingProxy.intercept` takes */
export function interceptAs(oddity: Oddity, host: string): (asked: Intercepted) => Promise<Answer | null> {
  const accept = [
    ...['application/vnd.oci.image.index.v1+json', 'application/vnd.oci.image.manifest.v1+json'],
    ...[
      'application/vnd.docker.distribution.manifest.list.v2+json',
      'application/vnd.docker.distribution.manifest.v2+json',
    ],
  ].join(', ');
  return (asked) => oddity(asked, (path) => request(`http://${host}${path}`, { headers: { accept } }));
}
