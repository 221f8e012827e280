import { createHash } from 'node:crypto';
import { type Digest, isDigest } from '../domain/digest.js';
import { HoubaError } from '../domain/errors.js';
import {
  bareMediaType,
  type Descriptor,
  isIndexType,
  MANIFEST_MEDIA_TYPES,
  MAX_MANIFEST_BYTES,
  mediaTypeOf,
  OCI_INDEX,
  type ParsedIndex,
  type ParsedManifest,
  parseManifest,
} from '../domain/manifest.js';
import {
  formatPinned,
  formatRepository,
  formatTagged,
  isTag,
  type Repository,
  referrersTag,
} from '../domain/reference.js';
import { asObject, jsonOrNull } from '../domain/text/json.js';
import { type Answer, createRegistryClient, type RegistryClientOptions } from './registry/client.js';
import { saysUnknown } from './registry/failure.js';
import { readNames, readPages } from './registry/pages.js';

export type { RegistryClientOptions as RegistryReaderOptions } from './registry/client.js';

interface ManifestHead {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number | null;
  /** Whether it took a GET, for want of HEAD: that may count as a pull. Absent: no. */
  readonly byGet?: boolean;
}

export interface Manifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

export interface ReferrerDescriptor {
  readonly digest: Digest;
  readonly artifactType: string;
  readonly mediaType: string;
  readonly size: number;
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * Reads registries over HTTP, and deletes tags (docs/rules/registry-access.md#bytes-are-hashed-where-they-are-read).
 * @throws the signal's reason; HoubaError `Unauthorized`, `Denied`, `RateLimited`, `RegistryUnavailable`,
 * `DigestMismatch`, `Unsupported`, `ConfigInvalid`
 */
export interface RegistryReader {
  /** The repository's valid tags; null: the registry does not know it (some answer an empty list instead). */
  listTags(repository: Repository, signal?: AbortSignal): Promise<string[] | null>;
  /** As `listTags`, for a destination: some registries show a repository that is not there only to who may push. */
  listTagsToWrite(repository: Repository, signal?: AbortSignal): Promise<string[] | null>;
  /**
   * Resolves a tag or digest by one HEAD, or a GET where that gives no digest; null: absent. For thousands let a few
   * loops share the list: a pending promise a tag costs a quarter more time.
   */
  headManifest(repository: Repository, reference: string, signal?: AbortSignal): Promise<ManifestHead | null>;
  /**
   * Resolves a tag that the registry lists: by GET where HEAD says that it is not there and, where it says so twice, from
   * then on for the whole host, for some registries answer no HEAD. A GET may count as a pull.
   */
  headListed(repository: Repository, tag: string, signal?: AbortSignal): Promise<ManifestHead | null>;
  /** @param reference a tag or a digest. null: absent */
  getManifest(repository: Repository, reference: string, signal?: AbortSignal): Promise<Manifest | null>;
  getBlob(repository: Repository, digest: Digest, maxBytes: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** By the referrers API, else by the tag `sha256-<hex>` (docs/rules/registry-access.md#referrers-have-two-homes). */
  listReferrers(
    repository: Repository,
    digest: Digest,
    options?: { readonly artifactType?: string },
    signal?: AbortSignal,
  ): Promise<ReferrerDescriptor[]>;
  /** The digests in the list under the tag `sha256-<hex>`, which clients keep; none where the registry lists referrers. */
  listUnderTag(repository: Repository, digest: Digest, signal?: AbortSignal): Promise<readonly Digest[]>;
  /**
   * Requests the deletion of a tag without its manifest (distribution specification, "Deleting tags"). @returns whether
   * it was accepted (2xx); neither answer proves anything: read the tag back
   */
  deleteTag(repository: Repository, tag: string, signal?: AbortSignal): Promise<boolean>;
  /** The paths of all repositories in the catalogue of a host. */
  listRepositories(host: string, signal?: AbortSignal): Promise<string[]>;
  /** @throws HoubaError when the registry does not answer or refuses the credentials */
  ping(host: string, signal?: AbortSignal): Promise<void>;
  /** Requests sent so far, by `METHOD host`, tokens and redirects included. */
  requestCounts(): ReadonlyMap<string, number>;
  /** Requests sent so far under one signal, redirects included; tokens are for all, and not counted. */
  requestsUnder(signal: AbortSignal): number;
  close(): Promise<void>;
}

const ACCEPT_MANIFESTS = MANIFEST_MEDIA_TYPES.join(', ');

/** Answers to the deletion of a tag that is not there, or where deletion is not offered. */
const NO_TAG_DELETED = [400, 404, 405, 415, 501];

/** Answers to HEAD where GET may work. */
const NO_HEAD: readonly number[] = [405, 406, 501];

/** Answers of registries without a referrers API: 404 by the specification, the others as met. */
const NO_REFERRERS_API: readonly number[] = [400, 404, 405, 406, 501];
/** For how long it is remembered what a host does not have, ms. */
const REMEMBERED_MS = 10 * 60_000;

const MAX_PAGE_BYTES = 32 * 1024 * 1024;
const MAX_TAGS = 200_000;
const MAX_REPOSITORIES = 100_000;
const MAX_REFERRERS = 1000;

export function createRegistryReader(options: RegistryClientOptions): RegistryReader {
  const client = createRegistryClient(options);
  const elapsed = options.clock?.elapsed ?? (() => performance.now());
  /** Hosts without a referrers API, until when. */
  const withoutApi = new Map<string, number>();
  /** Hosts that have listed referrers. */
  const withApi = new Set<string>();
  /** Repositories that are read with a token for pushing. */
  const pushing = new Set<string>();
  /** Hosts that answer HEAD as if nothing were there, until when. */
  const withoutHead = new Map<string, number>();

  async function listTags(repository: Repository, signal?: AbortSignal): Promise<string[] | null> {
    const { host, path } = repository;
    const tags = new Set<string>();
    const take = (page: Answer) => {
      const names = namesIn(page, 'tags');
      for (const tag of names) if (tag !== null && isTag(tag)) tags.add(tag);
      if (tags.size > MAX_TAGS) throw tooMany(`${host}/${path}`, MAX_TAGS, 'tags');
      return names;
    };
    const listing = { ...JSON_PAGE, path: (query: string) => `/v2/${path}/tags/list${query}`, take };
    const known = await readNames(client, host, { ...listing, scope: pullScope(repository) }, signal);
    return known ? [...tags] : null;
  }

  async function listTagsToWrite(repository: Repository, signal?: AbortSignal): Promise<string[] | null> {
    try {
      return await listTags(repository, signal);
    } catch (error) {
      if (!(error instanceof HoubaError) || !['Unauthorized', 'Denied'].includes(error.code)) throw error;
      signal?.throwIfAborted();
      const name = formatRepository(repository);
      pushing.add(name);
      try {
        return await listTags(repository, signal);
      } catch {
        pushing.delete(name);
        throw error;
      }
    }
  }

  function pullScope(repository: Repository): string {
    return `repository:${repository.path}:${pushing.has(formatRepository(repository)) ? 'pull,push' : 'pull'}`;
  }

  async function listRepositories(host: string, signal?: AbortSignal): Promise<string[]> {
    const paths = new Set<string>();
    const take = (page: Answer) => {
      const names = namesIn(page, 'repositories');
      for (const path of names) if (path !== null) paths.add(path);
      if (paths.size > MAX_REPOSITORIES) throw tooMany(host, MAX_REPOSITORIES, 'repositories');
      return names;
    };
    const listing = { ...JSON_PAGE, path: (query: string) => `/v2/_catalog${query}`, take };
    const known = await readNames(client, host, { ...listing, scope: 'registry:catalog:*' }, signal);
    if (!known) throw new HoubaError('Unsupported', `${host} has no catalogue`, { facts: { registry: host } });
    return [...paths];
  }

  async function headManifest(
    repository: Repository,
    reference: string,
    signal?: AbortSignal,
  ): Promise<ManifestHead | null> {
    const answer = await askManifest('HEAD', repository, reference, signal);
    if (answer.status === 404) return null;
    const said = digestSaid(answer);
    const contentType = answer.headers['content-type'] ?? '';
    if (NO_HEAD.includes(answer.status) || said === null || !isDigest(said)) {
      const manifest = await getManifest(repository, reference, signal);
      return manifest && headOf(repository, reference, manifest);
    }
    if (isDigest(reference) && algorithmOf(said) === algorithmOf(reference) && said !== reference) {
      throw mismatch(repository, reference, reference, said);
    }
    const length = isCompressed(answer) ? undefined : answer.headers['content-length'];
    return {
      digest: isDigest(reference) ? reference : said,
      mediaType: bareMediaType(contentType),
      size: length === undefined ? null : Number(length),
    };
  }

  async function headListed(repository: Repository, tag: string, signal?: AbortSignal): Promise<ManifestHead | null> {
    const isKnown = (withoutHead.get(repository.host) ?? 0) > elapsed();
    const head = isKnown ? null : await headManifest(repository, tag, signal);
    if (head !== null) return head;
    const manifest = await getManifest(repository, tag, signal);
    if (manifest === null) return null;
    // One wrong answer must not have the whole host asked by GET.
    if (!isKnown && (await headManifest(repository, tag, signal)) === null) {
      withoutHead.set(repository.host, elapsed() + REMEMBERED_MS);
    }
    return headOf(repository, tag, manifest);
  }

  async function getManifest(
    repository: Repository,
    reference: string,
    signal?: AbortSignal,
  ): Promise<Manifest | null> {
    const answer = await askManifest('GET', repository, reference, signal);
    if (answer.status === 404) return null;
    const said = digestSaid(answer);
    const bytes = bytesOf(answer, isDigest(reference) ? reference : said);
    if (said !== null) checkDigest(repository, reference, bytes, said);
    if (isDigest(reference)) checkDigest(repository, reference, bytes, reference);
    const digest = isDigest(reference) ? reference : (said ?? hash(bytes, 'sha256'));
    return { digest: digest as Digest, mediaType: mediaTypeOf(bytes, answer.headers['content-type'] ?? ''), bytes };
  }

  function askManifest(
    method: 'HEAD' | 'GET',
    repository: Repository,
    reference: string,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    if (!isTag(reference) && !isDigest(reference)) {
      throw new HoubaError(
        'ReferenceInvalid',
        `neither a tag nor a digest: ${JSON.stringify(reference.slice(0, 200))}`,
      );
    }
    const path = `/v2/${repository.path}/manifests/${reference}`;
    const scope = pullScope(repository);
    return client.call(
      repository.host,
      {
        ...{ method, path, scope, accept: ACCEPT_MANIFESTS, maxBytes: MAX_MANIFEST_BYTES },
        ...(method === 'HEAD' && { absent: [404, ...NO_HEAD] }),
      },
      signal,
    );
  }

  async function getBlob(
    repository: Repository,
    digest: Digest,
    maxBytes: number,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const { host, path } = repository;
    const wanted = { method: 'GET' as const, path: `/v2/${path}/blobs/${digest}`, accept: '*/*', maxBytes };
    const answer = await client.call(host, { ...wanted, scope: pullScope(repository) }, signal);
    if (answer.status === 404) {
      throw new HoubaError('NotFound', `${host}/${path} has no blob ${digest}`, { facts: { registry: host, digest } });
    }
    const bytes = bytesOf(answer, digest);
    checkDigest(repository, digest, bytes, digest);
    return bytes;
  }

  async function listReferrers(
    repository: Repository,
    digest: Digest,
    filter: { readonly artifactType?: string } = {},
    signal?: AbortSignal,
  ): Promise<ReferrerDescriptor[]> {
    const { artifactType } = filter;
    const ask = () => listReferrersByApi(repository, digest, artifactType, signal);
    let listed = hasNoApi(repository.host) ? 'none' : await ask();
    if (listed === 'no API') {
      // One wrong answer would hide all the evidence of the host (docs/rules/registry-access.md#absence-is-shown-twice).
      listed = await ask();
      if (listed === 'no API') withoutApi.set(repository.host, elapsed() + REMEMBERED_MS);
    }
    const found = typeof listed === 'string' ? await listReferrersByTag(repository, digest, signal) : listed;
    // A registry may ignore the filter.
    return artifactType === undefined ? found : found.filter((referrer) => referrer.artifactType === artifactType);
  }

  function hasNoApi(host: string): boolean {
    return (withoutApi.get(host) ?? 0) > elapsed();
  }

  /** `none`: the registry says that it does not know the repository or the manifest. */
  async function listReferrersByApi(
    repository: Repository,
    digest: Digest,
    artifactType: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<ReferrerDescriptor[] | 'no API' | 'none'> {
    const { host, path } = repository;
    const query = artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`;
    const first = {
      path: `/v2/${path}/referrers/${digest}${query}`,
      scope: pullScope(repository),
      accept: OCI_INDEX,
      maxBytes: MAX_MANIFEST_BYTES,
      absent: NO_REFERRERS_API,
    };
    let listed: Descriptor[] | null = null;
    const take = (page: Answer) => {
      const list = indexIn(page, `the list of referrers of ${host}/${path}@${digest}`);
      if (list === null && listed !== null) throw notListed(page, 'referrers');
      // A page for people, say: such a server answers any path with 200.
      if (list === null) return [];
      listed = [...(listed ?? []), ...list];
      if (listed.length > MAX_REFERRERS) throw tooMany(`${host}/${path}@${digest}`, MAX_REFERRERS, 'referrers');
      return list.map((descriptor) => descriptor.digest);
    };
    const absent = await readPages(client, host, first, signal, { take });
    if (absent !== null) return saysUnknown(absent.body) ? 'none' : 'no API';
    const found = listed as Descriptor[] | null;
    if (found === null) return 'no API';
    withApi.add(host);
    return Promise.all(found.map((descriptor) => toReferrer(repository, descriptor, digest, signal)));
  }

  /** Some registries list no artifact types: those are read from the manifests. */
  async function toReferrer(
    repository: Repository,
    { digest, mediaType, size, artifactType, annotations }: Descriptor,
    subject: Digest,
    signal: AbortSignal | undefined,
  ): Promise<ReferrerDescriptor> {
    const isUntold = artifactType === undefined && MANIFEST_MEDIA_TYPES.includes(mediaType);
    const read = isUntold ? await readReferrer(repository, digest, subject, signal) : null;
    const listed = { digest, mediaType, size, artifactType: artifactType ?? '', annotations: annotations ?? {} };
    return read === null ? listed : { ...read, annotations: { ...read.annotations, ...annotations } };
  }

  /** Reads the manifests named by the fallback index: clients write its other fields in different ways. */
  async function listReferrersByTag(
    repository: Repository,
    digest: Digest,
    signal: AbortSignal | undefined,
  ): Promise<ReferrerDescriptor[]> {
    const listed = await readListUnderTag(repository, digest, signal);
    const read = await Promise.all(listed.map((child) => readReferrer(repository, child, digest, signal)));
    return read.filter((referrer) => referrer !== null);
  }

  async function readListUnderTag(
    repository: Repository,
    digest: Digest,
    signal: AbortSignal | undefined,
  ): Promise<readonly Digest[]> {
    const tag = referrersTag(digest);
    const isList = (manifest: Manifest | null) => manifest !== null && isIndexType(manifest.mediaType);
    let index = await getManifest(repository, tag, signal);
    // One wrong answer would hide the evidence (docs/rules/registry-access.md#absence-is-shown-twice). Some registries
    // take such a tag for the digest, and show the subject itself.
    if (index !== null && index.digest !== digest && !isList(index)) index = await getManifest(repository, tag, signal);
    if (index === null || index.digest === digest || (!isList(index) && isJson(index))) return [];
    const { manifests } = parseFrom(formatTagged(repository, tag), index.bytes, index.mediaType) as ParsedIndex;
    return [...new Set(manifests.map((child) => child.digest))];
  }

  async function readReferrer(
    repository: Repository,
    referrer: Digest,
    subject: Digest,
    signal: AbortSignal | undefined,
  ): Promise<ReferrerDescriptor | null> {
    const manifest = await getManifest(repository, referrer, signal);
    if (manifest === null) return null;
    const parsed = parseFrom(formatPinned(repository, referrer), manifest.bytes, manifest.mediaType);
    if (parsed.subject?.digest !== subject) return null;
    const { mediaType, annotations } = parsed;
    const artifactType = parsed.artifactType ?? (parsed.kind === 'image' ? parsed.config.mediaType : '');
    return { digest: referrer, artifactType, mediaType, size: manifest.bytes.length, annotations };
  }

  async function deleteTag({ host, path }: Repository, tag: string, signal?: AbortSignal): Promise<boolean> {
    if (!isTag(tag)) throw new HoubaError('ReferenceInvalid', `not a tag: ${JSON.stringify(tag.slice(0, 200))}`);
    const wanted = {
      method: 'DELETE' as const,
      path: `/v2/${path}/manifests/${tag}`,
      scope: `repository:${path}:delete`,
      ...JSON_PAGE,
      absent: NO_TAG_DELETED,
    };
    return (await client.call(host, wanted, signal)).status < 300;
  }

  async function ping(host: string, signal?: AbortSignal): Promise<void> {
    const answer = await client.call(host, { method: 'GET', path: '/v2/', scope: '', ...JSON_PAGE }, signal);
    if (answer.status !== 404) return;
    throw new HoubaError('NotFound', `${host} answers, but not as a registry: there is no /v2/`, {
      hint: 'check host and port in HOUBA_REGISTRIES',
      facts: { registry: host, status: answer.status },
    });
  }

  return {
    listTags,
    listTagsToWrite,
    headManifest,
    headListed,
    getManifest,
    getBlob,
    listReferrers,
    listUnderTag: async (repository, digest, signal) =>
      withApi.has(repository.host) ? [] : await readListUnderTag(repository, digest, signal),
    deleteTag,
    listRepositories,
    ping,
    requestCounts: client.requestCounts,
    requestsUnder: client.requestsUnder,
    close: async () => client.close(),
  };
}

const JSON_PAGE = { accept: 'application/json', maxBytes: MAX_PAGE_BYTES };

/**
 * The names in a JSON page; null: an entry that is none, which counts for its length. An empty list may be null, or left
 * out beside the repository's name (Go).
 */
function namesIn(answer: Answer, key: 'tags' | 'repositories'): (string | null)[] {
  const page = asObject(jsonOrNull(answer.body));
  const list = page[key] ?? (key in page || 'name' in page ? [] : undefined);
  if (Array.isArray(list)) return list.map((name) => (typeof name === 'string' ? name : null));
  throw notListed(answer, key);
}

function notListed({ origin }: Answer, what: string): HoubaError {
  return new HoubaError('RegistryUnavailable', `${origin.url} answered a listing without a list of ${what}`, {
    hint: 'a proxy or a login page may be in the way',
  });
}

/**
 * The entries of an index, whatever type it is served as; null: the answer is no index. @param name for messages.
 * @throws HoubaError `Unsupported` for a list that cannot be read
 */
export function indexIn({ body }: Pick<Answer, 'body'>, name: string): readonly Descriptor[] | null {
  const mediaType = mediaTypeOf(body, '');
  if (isIndexType(mediaType)) return (parseFrom(name, body, mediaType) as ParsedIndex).manifests;
  // A list that calls itself something else must not count as none.
  if ('manifests' in asObject(jsonOrNull(body))) parseFrom(name, body, OCI_INDEX);
  return null;
}

/** Parses a manifest. @param name for messages. @throws HoubaError `Unsupported` */
function parseFrom(name: string, bytes: Uint8Array, mediaType: string): ParsedManifest {
  try {
    return parseManifest(bytes, mediaType);
  } catch (error) {
    if (!(error instanceof HoubaError)) throw error;
    throw new HoubaError(error.code, `${name}: ${error.message}`, {
      hint: error.hint ?? 'what cannot be read cannot be checked: delete it, or push it again with a current client',
      cause: error,
    });
  }
}

/** @throws HoubaError `RegistryUnavailable` for a page for people: its digest would look like one that has moved */
function headOf({ host, path }: Repository, reference: string, { digest, mediaType, bytes }: Manifest): ManifestHead {
  if (mediaType !== 'text/html') return { digest, mediaType, size: bytes.length, byGet: true };
  throw new HoubaError('RegistryUnavailable', `${host}/${path} answered the manifest ${reference} with a web page`, {
    hint: 'a proxy or a login page may be in the way',
    facts: { registry: host },
  });
}

/** The digest in the headers; null: none, or one of an algorithm that cannot be checked. */
function digestSaid({ headers }: Answer): string | null {
  const header = headers['docker-content-digest'];
  if (typeof header !== 'string') return null;
  const said = header
    .trim()
    .replace(/^"(.*)"$/, '$1')
    .toLowerCase();
  return /^sha(?:256|512):/.test(said) ? said : null;
}

/** Whether a registry may show this under a tag; a page for people says nothing of what it has there. */
function isJson({ bytes }: Manifest): boolean {
  return Object.keys(asObject(jsonOrNull(bytes))).length > 0;
}

function isCompressed({ headers }: Answer): boolean {
  return !['', 'identity'].includes(headers['content-encoding']?.trim().toLowerCase() ?? '');
}

/** The bytes that a digest is of, where an answer was compressed: some registries hold what is, some compress it. */
function bytesOf({ body, sent }: Answer, digest: string | null): Uint8Array {
  if (sent === undefined || digest === null || !isDigest(digest)) return body;
  return hash(sent, algorithmOf(digest)) === digest ? sent : body;
}

function algorithmOf(digest: Digest): 'sha256' | 'sha512' {
  return digest.startsWith('sha512:') ? 'sha512' : 'sha256';
}

function hash(bytes: Uint8Array, algorithm: 'sha256' | 'sha512'): string {
  return `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
}

/** @throws HoubaError `DigestMismatch` when the bytes do not match the digest, or it is none */
function checkDigest(repository: Repository, reference: string, bytes: Uint8Array, expected: string): void {
  const actual = isDigest(expected) ? hash(bytes, algorithmOf(expected)) : 'no digest';
  if (actual !== expected) throw mismatch(repository, reference, expected, actual);
}

function mismatch(repository: Repository, reference: string, expected: string, actual: string): HoubaError {
  const { host, path } = repository;
  const said = JSON.stringify(expected.slice(0, 150));
  return new HoubaError('DigestMismatch', `${host}/${path} ${reference}: expected ${said}, got ${actual}`, {
    hint: 'the registry, or something between here and it, serves other content than was asked for',
    facts: { registry: host, actual },
  });
}

function tooMany(where: string, limit: number, what: string): HoubaError {
  return new HoubaError('Unsupported', `${where} has more than ${limit} ${what}`, {
    hint: `houba reads no more of one: remove some there, or spread them`,
  });
}
