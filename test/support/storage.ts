import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from './http.js';
import type { RunningRegistry } from './registries.js';

/** A repository as its registry keeps it on disk: no API shows untagged manifests. */
export interface StoredRepository {
  readonly tags: ReadonlyMap<string, string>;
  readonly manifests: ReadonlyMap<string, StoredManifest>;
}

export interface StoredManifest {
  readonly mediaType?: string;
  readonly artifactType?: string;
  readonly manifests?: readonly { readonly digest: string; readonly artifactType?: string }[];
  readonly config?: { readonly digest: string; readonly mediaType: string };
  readonly layers?: readonly { readonly digest: string }[];
  readonly subject?: { readonly digest: string };
  readonly annotations?: Readonly<Record<string, string>>;
}

/**
 * olareg keeps an OCI layout a repository. The bytes of a deleted manifest stay until it collects garbage, which the tests
 * have turned off; it is deleted once it is no longer served.
 */
export async function readOlaregStore(
  { storeDir, host }: RunningRegistry,
  repository: string,
): Promise<StoredRepository> {
  const folder = join(storeDir, repository);
  const layout = JSON.parse(readFileSync(join(folder, 'index.json'), 'utf8')) as {
    manifests?: { digest: string; annotations?: Record<string, string> }[];
  };
  const tags = new Map<string, string>();
  for (const { digest, annotations } of layout.manifests ?? []) {
    const tag = annotations?.['org.opencontainers.image.ref.name'];
    if (tag !== undefined) tags.set(tag, digest);
  }
  const manifests = new Map<string, StoredManifest>();
  for (const algorithm of readdirSync(join(folder, 'blobs'))) {
    for (const hex of readdirSync(join(folder, 'blobs', algorithm))) {
      const digest = `${algorithm}:${hex}`;
      const manifest = asManifest(readFileSync(join(folder, 'blobs', algorithm, hex)));
      if (manifest === null) continue;
      const served = await request(`http://${host}/v2/${repository}/manifests/${digest}`, {
        method: 'HEAD',
        headers: { accept: '*/*' },
      });
      if (served.status === 200) manifests.set(digest, manifest);
    }
  }
  return { tags, manifests };
}

/** distribution keeps links to blobs: one for each manifest ever put, one for each tag. */
export async function readDistributionStore(
  { storeDir }: RunningRegistry,
  repository: string,
): Promise<StoredRepository> {
  const root = join(storeDir, 'docker', 'registry', 'v2');
  const folder = join(root, 'repositories', repository, '_manifests');
  const tags = new Map<string, string>();
  for (const tag of list(join(folder, 'tags'))) {
    const digest = contentOf(join(folder, 'tags', tag, 'current', 'link'));
    if (digest !== null) tags.set(tag, digest.trim());
  }
  const manifests = new Map<string, StoredManifest>();
  for (const algorithm of list(join(folder, 'revisions'))) {
    for (const hex of list(join(folder, 'revisions', algorithm))) {
      if (list(join(folder, 'revisions', algorithm, hex)).length === 0) continue; // deleted
      const blob = readFileSync(join(root, 'blobs', algorithm, hex.slice(0, 2), hex, 'data'));
      const manifest = asManifest(blob);
      if (manifest !== null) manifests.set(`${algorithm}:${hex}`, manifest);
    }
  }
  return { tags, manifests };
}

const FALLBACK_TAG = /^sha256-([0-9a-f]{64})$/;

/**
 * Manifests that no thread leads to: neither a tag's, nor a child of one, an original named by a stamp, one that a stamp
 * supersedes, nor a referrer of one of these.
 */
export function orphansOf({ tags, manifests }: StoredRepository): string[] {
  const reached = new Set<string>();
  const queue = [...tags].filter(([tag]) => !FALLBACK_TAG.test(tag)).map(([, digest]) => digest);
  const referrers = new Map<string, string[]>();
  for (const [digest, { subject }] of manifests) {
    if (subject !== undefined) referrers.set(subject.digest, [...(referrers.get(subject.digest) ?? []), digest]);
  }
  for (let digest = queue.pop(); digest !== undefined; digest = queue.pop()) {
    const manifest = manifests.get(digest);
    if (manifest === undefined || reached.has(digest)) continue;
    reached.add(digest);
    const { annotations = {} } = manifest;
    const named = [annotations['org.opencontainers.image.base.digest'], annotations['io.houba.supersedes']];
    const fallback = tags.get(digest.replace(':', '-'));
    queue.push(...(manifest.manifests ?? []).map((child) => child.digest), ...(referrers.get(digest) ?? []));
    for (const next of [...named, fallback]) if (next !== undefined) queue.push(next);
  }
  const isLeft = (digest: string) => manifests.has(digest) && !reached.has(digest);
  return [...manifests].filter(([digest, it]) => isLeft(digest) && !isPastListing(it, isLeft)).map(([it]) => it);
}

/**
 * Where there is no referrers API, the list of referrers is an index under a tag; each change leaves the one before, which
 * names what is needed or has been deleted.
 */
function isPastListing(
  { manifests, subject, annotations }: StoredManifest,
  isLeft: (digest: string) => boolean,
): boolean {
  if (manifests === undefined || subject !== undefined || annotations !== undefined) return false;
  return manifests.every(({ digest, artifactType }) => artifactType !== undefined && !isLeft(digest));
}

function asManifest(bytes: Buffer): StoredManifest | null {
  if (bytes.length > 4 * 1024 * 1024 || bytes[0] !== 0x7b) return null;
  try {
    const value = JSON.parse(bytes.toString('utf8')) as StoredManifest & { schemaVersion?: number };
    const isOne = value.schemaVersion === 2 && (value.manifests !== undefined || value.config !== undefined);
    return isOne ? value : null;
  } catch {
    return null;
  }
}

/** null: it has gone since its folder was listed, for the registry goes on deleting meanwhile. */
function contentOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
