import pLimit from 'p-limit';
import type { ReferrerDescriptor } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { ManifestGraph, StoredManifest } from '../../domain/lifecycle/manifest-graph.js';
import { parseManifest } from '../../domain/manifest.js';
import { formatPinned, isEvidenceTag, isTag, type Repository } from '../../domain/reference.js';
import { type RecordedStamp, readStamp } from '../../domain/stamp/annotations.js';
import { stampsBeside } from '../../domain/stamp/stamp-of.js';
import type { Dependencies } from '../dependencies.js';
import { repositoryAt } from '../repository/repository-at.js';

/** Reads the tags of a repository, and the graph of its manifests. */
export interface GraphReader {
  tags(repository: Repository, signal: AbortSignal): Promise<RepositoryTags>;
  /**
   * Reads all that `unwanted` leads to, evidence included, and what `kept` may need of it. A missing or unreadable
   * manifest is left out of the graph. @throws HoubaError `Unsupported` when a kept one is unreadable: nobody can tell
   * what it needs
   */
  read(
    repository: Repository,
    unwanted: Iterable<Digest>,
    kept: Iterable<Digest>,
    signal: AbortSignal,
  ): Promise<ManifestGraph>;
}

export interface RepositoryTags {
  readonly tags: ReadonlyMap<string, Digest>;
  /** Tags that are listed, and of which the registry says that they are not there. */
  readonly unserved: readonly string[];
  /** Evidence tags: `sha256-<hex>`, alone or with a suffix. */
  readonly evidence: readonly string[];
}

/** The links in the bytes of a manifest, which never change. */
interface Links {
  readonly children: readonly Digest[];
  readonly subject: Digest | null;
  readonly stamp: RecordedStamp | null;
}

/** Some hundred bytes each. */
const MOST_REMEMBERED = 50_000;

export function createGraphReader(deps: Dependencies): GraphReader {
  const { reader, settings } = deps;
  const remembered = new Map<string, Links>();

  async function linksOf(repository: Repository, digest: Digest, signal: AbortSignal): Promise<Links | null> {
    const key = formatPinned(repository, digest);
    const known = remembered.get(key);
    if (known !== undefined) return known;
    const raw = await reader.getManifest(repository, digest, signal);
    if (raw === null) return null;
    const manifest = parseManifest(raw.bytes, raw.mediaType);
    const links: Links = {
      children: manifest.kind === 'index' ? manifest.manifests.map((child) => child.digest) : [],
      subject: manifest.subject?.digest ?? null,
      stamp: readStamp(manifest.annotations, settings.prefix),
    };
    if (remembered.size >= MOST_REMEMBERED) remembered.clear();
    remembered.set(key, links);
    return links;
  }

  /** @param whole lists the referrers in any case; else only without a stamp: one may be beside the image */
  async function readOne(
    repository: Repository,
    digest: Digest,
    whole: boolean,
    signal: AbortSignal,
  ): Promise<StoredManifest | null> {
    // The remembered manifest may be deleted by now.
    if (whole && (await repositoryAt(deps, repository, signal).find(digest)) === null) return null;
    const links = await linksOf(repository, digest, signal).catch((error: unknown) => {
      if (whole && error instanceof HoubaError && error.code === 'Unsupported') return 'unreadable' as const;
      throw error;
    });
    if (links === 'unreadable') return null;
    if (links === null && whole) {
      throw new HoubaError('RegistryUnavailable', `${formatPinned(repository, digest)} is there by one read alone`, {
        hint: 'nothing is deleted while the registry contradicts itself',
      });
    }
    if (links === null) return null;
    const listed = whole || links.stamp === null;
    const referrers = listed ? await reader.listReferrers(repository, digest, {}, signal) : [];
    return stored(digest, links, referrers, settings.prefix);
  }

  return {
    async tags(repository, signal) {
      const listed = ((await reader.listTags(repository, signal)) ?? []).filter(isTag);
      const limit = pLimit(settings.maxConcurrency);
      const heads = listed
        .filter((tag) => !isEvidenceTag(tag))
        .map((tag) =>
          limit(async () => [tag, (await reader.headListed(repository, tag, signal))?.digest ?? null] as const),
        );
      const tags = new Map<string, Digest>();
      const unserved: string[] = [];
      for (const [tag, digest] of await Promise.all(heads)) {
        if (digest === null) unserved.push(tag);
        else tags.set(tag, digest);
      }
      return { tags, unserved, evidence: listed.filter(isEvidenceTag) };
    },

    async read(repository, unwanted, kept, signal) {
      const graph = new Map<Digest, StoredManifest>();
      await walk(graph, unwanted, settings.maxConcurrency, (digest) => readOne(repository, digest, true, signal));
      await walk(graph, kept, settings.maxConcurrency, (digest) => readOne(repository, digest, false, signal));
      return withoutStrangers(graph);
    },
  };
}

function stored(
  digest: Digest,
  { children, subject, stamp }: Links,
  referrers: readonly ReferrerDescriptor[],
  prefix: string,
): StoredManifest {
  const stamps = stamp === null ? stampsBeside(referrers, prefix).map((beside) => beside.stamp) : [stamp];
  return {
    ...{ digest, children, subject },
    referrers: referrers.map((referrer) => referrer.digest),
    // All stamps beside an image count (docs/rules/stamp.md#the-stamp-of-a-tag); tags that moved together say the same.
    originals: [...new Set(stamps.map(({ baseDigest }) => baseDigest))],
    supersedes: [...new Set(stamps.flatMap(({ supersedes }) => (supersedes === null ? [] : [supersedes])))],
  };
}

/** Leaves out superseded images without a stamp: they were somebody else's before houba took the tag over. */
function withoutStrangers(graph: ManifestGraph): ManifestGraph {
  const isOurs = (digest: Digest) => (graph.get(digest)?.originals.length ?? 0) > 0;
  return new Map(
    [...graph].map(([digest, manifest]) => [
      digest,
      { ...manifest, supersedes: manifest.supersedes.filter((one) => isOurs(one)) },
    ]),
  );
}

/** Walks the graph breadth first and reads each manifest once, going on from what an earlier walk has read. */
async function walk(
  graph: Map<Digest, StoredManifest>,
  from: Iterable<Digest>,
  width: number,
  read: (digest: Digest) => Promise<StoredManifest | null>,
): Promise<void> {
  const limit = pLimit(width);
  const seen = new Set(from);
  for (let next = [...seen]; next.length > 0; ) {
    const found = await Promise.all(next.map((digest) => limit(async () => graph.get(digest) ?? (await read(digest)))));
    next = [];
    for (const manifest of found) {
      if (manifest === null) continue;
      graph.set(manifest.digest, manifest);
      const { children, referrers, originals, supersedes, subject } = manifest;
      for (const link of [...children, ...referrers, ...originals, ...supersedes, ...(subject ? [subject] : [])]) {
        if (seen.has(link)) continue;
        seen.add(link);
        next.push(link);
      }
    }
  }
}
