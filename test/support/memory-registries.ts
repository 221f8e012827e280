import type { Regctl } from '../../adapters/regctl.js';
import type { ReferrerDescriptor, RegistryReader } from '../../adapters/registry.js';
import type { Syft } from '../../adapters/syft.js';
import { type Digest, digestOf, isDigest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { parseManifest } from '../../domain/manifest.js';
import { formatPinned, formatRepository, type Repository } from '../../domain/reference.js';

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';
const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json';

/**
 * Registries in memory behind the ports of the activities, with real manifests and digests. Every call is noted as
 * `VERB host/path:tag` or `VERB host/path@digest`, in order.
 */
export interface MemoryRegistries {
  readonly reader: RegistryReader;
  readonly regctl: Regctl;
  readonly syft: Syft;
  /** Reads: `TAGS`, `HEAD`, `GET`, `BLOB`, `REFERRERS`. */
  readonly reads: string[];
  /** Writes: `COPY`, `PUT`, `ATTACH`, `DELETE`. */
  readonly writes: string[];
  /** What syft looked into. */
  readonly scans: string[];
  /** Called before each call takes effect; it may throw, wait, or change what is there. */
  before: (call: string, signal: AbortSignal | undefined) => void | Promise<void>;
  /** Whether manifests can be deleted; `false` is said, `pretended` is not. */
  deletes: boolean | 'pretended';
  /** Whether tags can; `false` is answered as if there were no such tag. */
  deletesTags: boolean | 'pretended';
  store(repository: Repository): Store;
  /** What a read sees of a repository: all of it, unless a test lets reads lag. */
  shows: (store: Store, read: Read) => Store;
}

/** `list`: of tags; `referrers`: the list of those. */
export type Read = 'list' | 'tag' | 'digest' | 'referrers';

export interface Store {
  readonly tags: Map<string, Digest>;
  readonly manifests: Map<Digest, StoredManifest>;
  readonly blobs: Map<Digest, Uint8Array>;
}

interface StoredManifest {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

export function createMemoryRegistries(): MemoryRegistries {
  const stores = new Map<string, Store>();
  const reads: string[] = [];
  const writes: string[] = [];
  const scans: string[] = [];
  const under = new WeakMap<AbortSignal, number>();

  const store = (repository: Repository): Store => {
    const name = formatRepository(repository);
    const found = stores.get(name) ?? { tags: new Map(), manifests: new Map(), blobs: new Map() };
    stores.set(name, found);
    return found;
  };
  const note = async (into: string[], call: string, signal: AbortSignal | undefined): Promise<void> => {
    signal?.throwIfAborted();
    into.push(call);
    if (signal !== undefined) under.set(signal, (under.get(signal) ?? 0) + 1);
    await world.before(call, signal);
  };
  const find = ({ tags, manifests }: Store, reference: string): (StoredManifest & { digest: Digest }) | null => {
    const digest = isDigest(reference) ? reference : tags.get(reference);
    const manifest = digest === undefined ? undefined : manifests.get(digest);
    return digest === undefined || manifest === undefined ? null : { ...manifest, digest };
  };
  const must = (repository: Repository, digest: Digest) => {
    const manifest = find(store(repository), digest);
    if (manifest === null) throw new HoubaError('NotFound', `regctl: no ${formatPinned(repository, digest)}`);
    return manifest;
  };
  const see = (repository: Repository, reference: string) =>
    find(world.shows(store(repository), isDigest(reference) ? 'digest' : 'tag'), reference);
  const referrersOf = (repository: Repository, subject: Digest): ReferrerDescriptor[] =>
    [...world.shows(store(repository), 'referrers').manifests].flatMap(([digest, { bytes, mediaType }]) => {
      const parsed = parseManifest(bytes, mediaType);
      if (parsed.subject?.digest !== subject) return [];
      const { artifactType, annotations } = parsed;
      return [{ digest, artifactType: artifactType ?? '', mediaType, size: bytes.length, annotations }];
    });
  const copy = (from: Store, to: Store, digest: Digest): void => {
    const manifest = from.manifests.get(digest) as StoredManifest;
    const parsed = parseManifest(manifest.bytes, manifest.mediaType);
    if (parsed.kind === 'index') for (const child of parsed.manifests) copy(from, to, child.digest);
    else {
      for (const blob of [parsed.config, ...parsed.layers]) {
        to.blobs.set(blob.digest, from.blobs.get(blob.digest) ?? new Uint8Array());
      }
    }
    to.manifests.set(digest, manifest);
  };

  const reader: RegistryReader = {
    async listTags(repository, signal) {
      await note(reads, `TAGS ${formatRepository(repository)}`, signal);
      if (!stores.has(formatRepository(repository))) return null;
      return [...world.shows(store(repository), 'list').tags.keys()];
    },
    async headManifest(repository, reference, signal) {
      await note(reads, `HEAD ${named(repository, reference)}`, signal);
      const found = see(repository, reference);
      return found && { digest: found.digest, mediaType: found.mediaType, size: found.bytes.length };
    },
    listTagsToWrite: (repository, signal) => reader.listTags(repository, signal),
    async headListed(repository, tag, signal) {
      const head = await reader.headManifest(repository, tag, signal);
      if (head !== null) return head;
      const found = await reader.getManifest(repository, tag, signal);
      return found && { ...found, size: found.bytes.length, byGet: true };
    },
    async getManifest(repository, reference, signal) {
      await note(reads, `GET ${named(repository, reference)}`, signal);
      return see(repository, reference);
    },
    async getBlob(repository, digest, maxBytes, signal) {
      await note(reads, `BLOB ${named(repository, digest)}`, signal);
      const bytes = store(repository).blobs.get(digest);
      if (bytes === undefined) throw new HoubaError('NotFound', `no blob ${digest}`);
      if (bytes.length > maxBytes) throw new HoubaError('Unsupported', 'too large');
      return bytes;
    },
    async listReferrers(repository, digest, _options, signal) {
      await note(reads, `REFERRERS ${named(repository, digest)}`, signal);
      return referrersOf(repository, digest);
    },
    listUnderTag: async () => [],
    async deleteTag(repository, tag, signal) {
      await note(writes, `DELETE ${named(repository, tag)}`, signal);
      if (world.deletesTags === true) return store(repository).tags.delete(tag);
      return world.deletesTags === 'pretended';
    },
    listRepositories: async (host) =>
      [...stores.keys()].filter((name) => name.startsWith(`${host}/`)).map((name) => name.slice(host.length + 1)),
    ping: async () => undefined,
    requestCounts: () => new Map(),
    requestsUnder: (signal) => under.get(signal) ?? 0,
    close: async () => undefined,
  };

  const regctl: Regctl = {
    async copyImage({ repository, digest }, destination, { subject } = {}, signal) {
      const more = subject === undefined ? '' : ` of ${subject}`;
      await note(writes, `COPY ${named(repository, digest)} ${formatRepository(destination)}${more}`, signal);
      must(repository, digest);
      copy(store(repository), store(destination), digest);
    },
    async copyBlob({ repository, digest }, destination, signal) {
      await note(writes, `COPY BLOB ${named(repository, digest)} ${formatRepository(destination)}`, signal);
      const bytes = store(repository).blobs.get(digest);
      if (bytes === undefined) throw new HoubaError('NotFound', `no blob ${digest}`);
      store(destination).blobs.set(digest, bytes);
    },
    exportImage: async () => {
      throw new HoubaError('Unsupported', 'there are no layouts in memory');
    },
    importImage: async () => {
      throw new HoubaError('Unsupported', 'there are no layouts in memory');
    },
    async putManifest(repository, target, mediaType, bytes, signal) {
      const digest = digestOf(bytes);
      await note(writes, `PUT ${named(repository, 'tag' in target ? target.tag : target.digest)}`, signal);
      if ('digest' in target && target.digest !== digest) throw new HoubaError('DigestMismatch', 'other bytes');
      store(repository).manifests.set(digest, { bytes, mediaType });
      if ('tag' in target) store(repository).tags.set(target.tag, digest);
      return digest;
    },
    async putArtifact(repository, subject, { artifactType, annotations, file }, signal) {
      const where = subject === null ? formatRepository(repository) : named(repository, subject);
      await note(writes, `ATTACH ${where} ${artifactType}`, signal);
      if (subject !== null) must(repository, subject);
      const layer = file?.bytes ?? new Uint8Array();
      store(repository).blobs.set(digestOf(layer), layer);
      const { digest } = putJson(store(repository), OCI_MANIFEST, {
        artifactType,
        config: describe('application/vnd.oci.empty.v1+json', encode({})),
        layers: [describe(file?.mediaType ?? artifactType, layer)],
        ...(subject !== null && { subject: { mediaType: OCI_MANIFEST, digest: subject, size: 0 } }),
        annotations,
      });
      return digest;
    },
    async deleteManifest(repository, digest, signal) {
      await note(writes, `DELETE ${named(repository, digest)}`, signal);
      if (world.deletes === false) return 'unsupported';
      if (world.deletes === 'pretended') return store(repository).manifests.has(digest) ? 'deleted' : 'absent';
      const { tags, manifests } = store(repository);
      for (const [tag, target] of tags) if (target === digest) tags.delete(tag);
      return manifests.delete(digest) ? 'deleted' : 'absent';
    },
    version: async () => 'v0',
  };

  const syft: Syft = {
    async scan(repository, digest, formats, signal) {
      await note(scans, named(repository, digest), signal);
      must(repository, digest);
      return new Map(formats.map((format) => [format, encode({ format, of: digest })]));
    },
    version: async () => '1.54.0',
  };

  const world: MemoryRegistries = {
    ...{ reader, regctl, syft, reads, writes, scans, store },
    before: () => undefined,
    shows: (all) => all,
    deletes: true,
    deletesTags: true,
  };
  return world;
}

export interface ImageFacts {
  /** Sets images apart that are otherwise equal. */
  readonly salt?: string;
  readonly architecture?: string;
  readonly variant?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Stores an image of one layer, without a tag. */
export function storeImage(store: Store, { salt = '', labels = {}, annotations, ...platform }: ImageFacts): Digest {
  const layer = encode(`layer ${salt}`);
  const config = encode({ os: 'linux', architecture: 'amd64', ...platform, config: { Labels: labels }, salt });
  for (const blob of [layer, config]) store.blobs.set(digestOf(blob), blob);
  return putJson(store, OCI_MANIFEST, {
    config: describe(OCI_CONFIG, config),
    layers: [describe('application/vnd.oci.image.layer.v1.tar+gzip', layer)],
    ...(annotations && { annotations }),
  }).digest;
}

/** Stores an index over what is there: `platform` is `os/architecture`, left out where null. */
export function storeIndex(
  store: Store,
  children: readonly { readonly digest: Digest; readonly platform: string | null }[],
): Digest {
  const manifests = children.map(({ digest, platform }) => {
    const { bytes, mediaType } = store.manifests.get(digest) as StoredManifest;
    const [os = '', architecture = ''] = platform?.split('/') ?? [];
    return { mediaType, digest, size: bytes.length, ...(platform !== null && { platform: { os, architecture } }) };
  });
  return putJson(store, OCI_INDEX, { manifests }).digest;
}

function putJson(store: Store, mediaType: string, body: object): { digest: Digest } {
  const bytes = encode({ schemaVersion: 2, mediaType, ...body });
  const digest = digestOf(bytes);
  store.manifests.set(digest, { bytes, mediaType });
  return { digest };
}

function describe(mediaType: string, bytes: Uint8Array) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function named(repository: Repository, reference: string): string {
  return `${formatRepository(repository)}${isDigest(reference) ? '@' : ':'}${reference}`;
}

function encode(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
