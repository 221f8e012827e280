import type { Digest } from '../digest.js';

export interface StoredManifest {
  readonly digest: Digest;
  readonly children: readonly Digest[];
  readonly referrers: readonly Digest[];
  readonly subject: Digest | null;
  /** From its stamps, as are those superseded. */
  readonly originals: readonly Digest[];
  readonly supersedes: readonly Digest[];
}

/** The readable manifests of a repository; others are never deleted. */
export type ManifestGraph = ReadonlyMap<Digest, StoredManifest>;

/**
 * Finds the manifests that only `unwanted` needs (docs/rules/purge.md#a-tag-goes-before-its-manifests), in the order of
 * deletion: an index before its children, as some registries demand, else what is found through another first.
 * @param kept what all other tags of the repository show; evidence tags (`sha256-<hex>`) do not count
 * @param threads `cut`: a successor does not hold what it superseded
 */
export function unneededManifests(
  graph: ManifestGraph,
  unwanted: Iterable<Digest>,
  kept: Iterable<Digest>,
  threads: 'followed' | 'cut' = 'followed',
): Digest[] {
  const needed = neededManifests(graph, kept, threads);
  const reached = reach(graph, unwanted, (manifest) => linksOf(manifest, threads));
  return inOrder(graph, new Set([...reached].filter((digest) => graph.has(digest) && !needed.has(digest))));
}

/** Finds all that `kept` needs, also what is not in the graph. */
export function neededManifests(
  graph: ManifestGraph,
  kept: Iterable<Digest>,
  threads: 'followed' | 'cut' = 'followed',
): Set<Digest> {
  return reach(graph, kept, (manifest) => [
    ...linksOf(manifest, threads),
    ...(manifest.subject === null ? [] : [manifest.subject]),
  ]);
}

/** Lists digests by which a runtime may know an image: its own, platforms, originals and, unless cut, superseded. */
export function imagesOf(graph: ManifestGraph, image: Digest, threads: 'followed' | 'cut' = 'followed'): Digest[] {
  const reached = reach(graph, [image], ({ children, originals, supersedes }) => [
    ...children,
    ...originals,
    ...(threads === 'cut' ? [] : supersedes),
  ]);
  return [...reached].filter((digest) => graph.has(digest));
}

function linksOf(manifest: StoredManifest, threads: 'followed' | 'cut'): Digest[] {
  const own = [...manifest.children, ...manifest.referrers, ...manifest.originals];
  return threads === 'cut' ? own : [...own, ...manifest.supersedes];
}

function reach(
  graph: ManifestGraph,
  from: Iterable<Digest>,
  follow: (manifest: StoredManifest) => readonly Digest[],
): Set<Digest> {
  const reached = new Set(from);
  // A set that grows while it is iterated is iterated to its end.
  for (const digest of reached) {
    const manifest = graph.get(digest);
    if (manifest === undefined) continue;
    for (const next of follow(manifest)) reached.add(next);
  }
  return reached;
}

/** Sorts into the order of deletion. Stamps beside an image can form a circle, which is cut anywhere. */
function inOrder(graph: ManifestGraph, doomed: ReadonlySet<Digest>): Digest[] {
  const indexesOf = new Map<Digest, Digest[]>();
  for (const digest of doomed) {
    for (const child of graph.get(digest)?.children ?? []) {
      const indexes = indexesOf.get(child);
      if (indexes === undefined) indexesOf.set(child, [digest]);
      else indexes.push(digest);
    }
  }
  const visited = new Set<Digest>();
  const order: Digest[] = [];
  const visit = (digest: Digest): void => {
    if (visited.has(digest) || !doomed.has(digest)) return;
    visited.add(digest);
    const { referrers = [], originals = [], supersedes = [] } = graph.get(digest) ?? {};
    for (const first of [...referrers, ...originals, ...supersedes, ...(indexesOf.get(digest) ?? [])]) visit(first);
    order.push(digest);
  };
  for (const digest of doomed) visit(digest);
  return order;
}
