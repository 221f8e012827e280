import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Digest, digestOf } from '../../domain/digest.js';
import { OCI_INDEX } from './images.js';

/** What a registry holds, by the path of the repository. */
export type Repositories = Map<string, StoredRepository>;

export interface StoredRepository {
  readonly tags: Map<string, string>;
  readonly manifests: Map<string, { readonly type: string; readonly bytes: Buffer }>;
  readonly blobs: Map<string, Buffer>;
  /** Uploads that have begun, by their number. */
  readonly uploads: Map<string, Buffer>;
}

/** What a kind of registry offers. */
export interface RegistryKind {
  readonly referrersApi: boolean;
  /** Whether tags can be deleted; manifests always can. */
  readonly deletesTags: boolean;
}

/** The bodies that take the place of an answer's: half of the real one ends there as if whole, or breaks off. */
export const BODIES = ['empty', 'html', 'json', 'half', 'broken'] as const;

/** One answer that is replaced. */
export interface Lie {
  /** The request: `METHOD path`, with digests and upload names cut out. */
  readonly request: string;
  /** Which of those requests, from 1. */
  readonly nth: number;
  readonly status: number;
  readonly body: (typeof BODIES)[number];
  /** Whether the registry did what it was asked. */
  readonly done: boolean;
  /** Whether the headers are those of the true answer. */
  readonly headers: boolean;
}

/** A registry in memory on a free loopback port that gives one false answer. */
export interface LyingRegistry {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  repositories: Repositories;
  kind: RegistryKind;
  /** null: every answer is true. */
  lie: Lie | null;
  /** Whether the lie was told. */
  told: boolean;
  /** Called before a request is answered. */
  before: ((request: string) => void) | null;
  /** The requests so far, as `Lie.request` names them. */
  readonly requests: string[];
  /** Whether the lie would be told if these were asked now. */
  wouldLie(requests: readonly string[]): boolean;
  /** Counts requests that are not made. */
  skip(requests: readonly string[]): void;
  stop(): Promise<void>;
}

interface Reply {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Buffer;
}

export async function startLyingRegistry(): Promise<LyingRegistry> {
  const counts = new Map<string, number>();
  const server = http.createServer((incoming, outgoing) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const { method = '', url = '' } = incoming;
      const asked = { method, url: new URL(url, 'http://registry'), body: Buffer.concat(chunks), type: '' };
      asked.type = incoming.headers['content-type'] ?? '';
      const name = nameOf(method, asked.url.pathname);
      registry.before?.(name);
      const nth = (counts.get(name) ?? 0) + 1;
      counts.set(name, nth);
      registry.requests.push(name);
      const { lie } = registry;
      if (lie === null || lie.request !== name || lie.nth !== nth) {
        send(outgoing, method, answer(registry.repositories, registry.kind, asked));
        return;
      }
      registry.told = true;
      const where = lie.done ? registry.repositories : copyOf(registry.repositories);
      sendLie(outgoing, method, lie, answer(where, registry.kind, asked));
    });
  });
  // Clients keep their connections, and would run into the end of one now and then.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const registry: LyingRegistry = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    repositories: new Map(),
    kind: { referrersApi: true, deletesTags: true },
    get lie() {
      return lie;
    },
    set lie(next) {
      lie = next;
      counts.clear();
      registry.requests.length = 0;
      registry.told = false;
    },
    told: false,
    before: null,
    requests: [],
    wouldLie(requests) {
      if (lie === null) return false;
      const { request, nth } = lie;
      const asked = counts.get(request) ?? 0;
      return asked < nth && nth <= asked + requests.filter((one) => one === request).length;
    },
    skip(requests) {
      for (const name of requests) counts.set(name, (counts.get(name) ?? 0) + 1);
      registry.requests.push(...requests);
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  let lie: Lie | null = null;
  return registry;
}

export function copyOf(repositories: Repositories): Repositories {
  return new Map(
    [...repositories].map(([path, { tags, manifests, blobs, uploads }]) => [
      path,
      { tags: new Map(tags), manifests: new Map(manifests), blobs: new Map(blobs), uploads: new Map(uploads) },
    ]),
  );
}

function emptyRepository(): StoredRepository {
  return { tags: new Map(), manifests: new Map(), blobs: new Map(), uploads: new Map() };
}

/** The digests of the manifests whose subject is this one. */
export function referrersIn({ manifests }: StoredRepository, subject: string): string[] {
  return [...manifests].filter(([, { bytes }]) => parse(bytes).subject?.digest === subject).map(([digest]) => digest);
}

export interface Document {
  readonly artifactType?: string;
  readonly config?: { readonly digest: string; readonly mediaType: string };
  readonly layers?: readonly { readonly digest: string }[];
  readonly manifests?: readonly { readonly digest: string }[];
  readonly subject?: { readonly digest: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

export function parse(bytes: Buffer): Document {
  return JSON.parse(bytes.toString('utf8'));
}

function nameOf(method: string, path: string): string {
  const cut = path.replace(/sha256([:-])[0-9a-f]{64}/g, 'sha256$1…').replace(/(\/uploads\/).+$/, '$1…');
  return `${method} ${cut}`;
}

interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly body: Buffer;
  readonly type: string;
}

const ROUTE = /^\/v2\/(.+?)\/(manifests|referrers|tags|blobs\/uploads|blobs)\/(.*)$/;

function answer(repositories: Repositories, kind: RegistryKind, asked: Asked): Reply {
  const { method, url } = asked;
  if (url.pathname === '/v2/') return reply(200, {}, '{}');
  const [, path, what, name] = ROUTE.exec(url.pathname) ?? [];
  if (path === undefined || name === undefined) return failed(404, 'UNSUPPORTED');
  const isWrite = method === 'PUT' || method === 'POST' || method === 'PATCH';
  const found = repositories.get(path);
  if (found === undefined && !isWrite) return failed(404, 'NAME_UNKNOWN');
  const repository = found ?? emptyRepository();
  if (isWrite) repositories.set(path, repository);
  if (what === 'manifests') return answerManifest(repository, kind, name, asked);
  if (what === 'blobs/uploads') return answerUpload(repository, path, name, asked);
  if (what === 'blobs') {
    const bytes = repository.blobs.get(name);
    if (bytes === undefined) return failed(404, 'BLOB_UNKNOWN');
    return reply(200, { 'content-type': 'application/octet-stream', 'docker-content-digest': name }, bytes);
  }
  if (what === 'tags') return json({ name: path, tags: [...repository.tags.keys()].sort() });
  return kind.referrersApi ? json(referrersOf(repository, name), OCI_INDEX) : failed(404, 'UNSUPPORTED');
}

function answerManifest(
  repository: StoredRepository,
  { referrersApi, deletesTags }: RegistryKind,
  name: string,
  { method, body, type }: Asked,
): Reply {
  const { tags, manifests } = repository;
  const isDigest = name.startsWith('sha256:');
  if (method === 'PUT') {
    const digest = digestOf(body);
    if (isDigest && name !== digest) return failed(400, 'DIGEST_INVALID');
    const { config, layers = [], manifests: children = [], subject } = parse(body);
    const blobs = [...layers, ...(config === undefined ? [] : [config])];
    if (blobs.some((blob) => !repository.blobs.has(blob.digest))) return failed(400, 'MANIFEST_BLOB_UNKNOWN');
    if (children.some((child) => !manifests.has(child.digest))) return failed(400, 'MANIFEST_BLOB_UNKNOWN');
    manifests.set(digest, { type, bytes: body });
    if (!isDigest) tags.set(name, digest);
    const listed: Record<string, string> =
      referrersApi && subject !== undefined ? { 'oci-subject': subject.digest } : {};
    return reply(201, { location: `/v2/x/manifests/${digest}`, 'docker-content-digest': digest, ...listed }, '');
  }
  const digest = isDigest ? name : tags.get(name);
  const manifest = digest === undefined ? undefined : manifests.get(digest);
  if (method === 'DELETE' && !isDigest) {
    if (!deletesTags) return failed(405, 'UNSUPPORTED');
    return tags.delete(name) ? reply(202, {}, '') : failed(404, 'MANIFEST_UNKNOWN');
  }
  if (digest === undefined || manifest === undefined) return failed(404, 'MANIFEST_UNKNOWN');
  if (method === 'DELETE') {
    manifests.delete(digest);
    for (const [tag, shown] of tags) if (shown === digest) tags.delete(tag);
    return reply(202, {}, '');
  }
  return reply(200, { 'content-type': manifest.type, 'docker-content-digest': digest }, manifest.bytes);
}

function answerUpload(
  { blobs, uploads }: StoredRepository,
  path: string,
  name: string,
  { method, url, body }: Asked,
): Reply {
  const digest = url.searchParams.get('digest');
  if (method === 'POST' && (digest === null || body.length === 0)) {
    const number = `${uploads.size + 1}`;
    uploads.set(number, Buffer.alloc(0));
    return reply(202, { location: `/v2/${path}/blobs/uploads/${number}`, range: '0-0' }, '');
  }
  const bytes = Buffer.concat([uploads.get(name) ?? Buffer.alloc(0), body]);
  if (method === 'PATCH') {
    uploads.set(name, bytes);
    return reply(202, { location: `/v2/${path}/blobs/uploads/${name}`, range: `0-${bytes.length - 1}` }, '');
  }
  if (method === 'DELETE') return uploads.delete(name) ? reply(204, {}, '') : failed(404, 'BLOB_UPLOAD_UNKNOWN');
  if (digest === null || digestOf(bytes) !== digest) return failed(400, 'DIGEST_INVALID');
  blobs.set(digest, bytes);
  return reply(201, { location: `/v2/${path}/blobs/${digest}`, 'docker-content-digest': digest }, '');
}

function referrersOf(repository: StoredRepository, subject: string) {
  const manifests = referrersIn(repository, subject).map((digest) => {
    const { type, bytes } = repository.manifests.get(digest) as { type: string; bytes: Buffer };
    const { artifactType, config, annotations } = parse(bytes);
    const described = { mediaType: type, digest, size: bytes.length };
    return { ...described, artifactType: artifactType ?? config?.mediaType ?? '', ...(annotations && { annotations }) };
  });
  return { schemaVersion: 2, mediaType: OCI_INDEX, manifests };
}

function reply(status: number, headers: Record<string, string>, body: string | Buffer): Reply {
  return { status, headers, body: Buffer.from(body) };
}

function json(document: unknown, type = 'application/json'): Reply {
  return reply(200, { 'content-type': type }, JSON.stringify(document));
}

function failed(status: number, code: string): Reply {
  return reply(status, { 'content-type': 'application/json' }, JSON.stringify({ errors: [{ code, message: code }] }));
}

function send(outgoing: http.ServerResponse, method: string, { status, headers, body }: Reply): void {
  outgoing.writeHead(status, { ...headers, 'content-length': body.length });
  outgoing.end(method === 'HEAD' ? undefined : body);
}

const PAGE = '<!DOCTYPE html><html><body><h1>Back in a minute</h1></body></html>';
const ERROR = JSON.stringify({ errors: [{ code: 'UNKNOWN', message: 'something went wrong' }] });

function sendLie(outgoing: http.ServerResponse, method: string, { status, body, headers }: Lie, real: Reply): void {
  const half = real.body.subarray(0, real.body.length / 2);
  const [bytes, type] = {
    empty: [Buffer.alloc(0), null],
    html: [Buffer.from(PAGE), 'text/html'],
    json: [Buffer.from(ERROR), 'application/json'],
    half: [half, real.headers['content-type'] ?? null],
    broken: [half, real.headers['content-type'] ?? null],
  }[body] as [Buffer, string | null];
  const isBroken = body === 'broken' && method !== 'HEAD' && half.length > 0;
  const length = isBroken || method === 'HEAD' ? real.body.length : bytes.length;
  const noBody = status === 204 || status === 304;
  outgoing.writeHead(status, {
    ...(headers && real.headers),
    ...(type !== null && { 'content-type': type }),
    ...(!noBody && { 'content-length': length }),
  });
  if (noBody || method === 'HEAD') outgoing.end();
  else if (isBroken) outgoing.write(bytes, () => outgoing.socket?.destroy());
  else outgoing.end(bytes);
}

/** Stores an image of one layer under a tag. */
export function storeTagged(repositories: Repositories, path: string, tag: string, text: string): Digest {
  const repository = repositories.get(path) ?? emptyRepository();
  repositories.set(path, repository);
  const describe = (mediaType: string, bytes: Buffer) => {
    repository.blobs.set(digestOf(bytes), bytes);
    return { mediaType, digest: digestOf(bytes), size: bytes.length };
  };
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const config = Buffer.from(JSON.stringify({ os: 'linux', architecture: 'amd64', config: {}, text }));
  const bytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: type,
      config: describe('application/vnd.oci.image.config.v1+json', config),
      layers: [describe('application/vnd.oci.image.layer.v1.tar+gzip', Buffer.from(`layer ${text}`))],
    }),
  );
  const digest = digestOf(bytes);
  repository.manifests.set(digest, { type, bytes });
  repository.tags.set(tag, digest);
  return digest;
}
