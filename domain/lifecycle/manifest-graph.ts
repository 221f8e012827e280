import type { Digest } from '../digest.js';

/** What one manifest of a repository holds on to, as it was read. */
export interface StoredManifest {
  readonly digest: Digest;
  /** Of an index. */
  readonly children: readonly Digest[];
  /** Evidence, marks, and whatever else is attached to it. */
  readonly referrers: readonly Digest[];
  /** Of a referrer. */
  readonly subject: Digest | null;
  /** The originals that its stamps name, where they are here. */
  readonly originals: readonly Digest[];
  /** What its stamps say it superseded, and bears a stamp as well. */
  readonly supersedes: readonly Digest[];
}

/** The manifests of one repository that could be read. One that is not in here is never deleted. */
export type ManifestGraph = ReadonlyMap<Digest, StoredManifest>;

/**
 * What goes when `unwanted` goes: everything reached from it (children, evidence, originals, what it superseded) that
 * nothing kept needs, be it as a tag, as a child of an index, as a subject, as the original or, unless the threads are
 * cut, as the predecessor of a stamp (docs/rules/purge.md#a-tag-goes-before-its-manifests).
 *
 * @param kept what every other tag resolves to, houba's or not. Evidence tags (`sha256-<hex>`) are no tags here
 * @param threads `cut`: what is superseded is not held by its successor, only by being in `kept`
 * @returns in the order of deletion: what is found only through another goes first, but an index before its children
 * (some registries refuse anything else). So keep the list until all of it is gone: nobody finds them without the index
 */
export function unneededManifests(
  graph: ManifestGraph,
  unwanted: Iterable<Digest>,
  kept: Iterable<Digest>,
  threads: 'followed' | 'cut' = 'followed',
): Digest[] {
  const needed = reach(graph, kept, (manifest) => [
    ...linksOf(manifest, threads),
    ...(manifest.subject === null ? [] : [manifest.subject]),
  ]);
  const reached = reach(graph, unwanted, (manifest) => linksOf(manifest, threads));
  return inOrder(graph, new Set([...reached].filter((digest) => graph.has(digest) && !needed.has(digest))));
}

/**
 * Every digest by which a runtime may know an image and what goes with it: itself, its platforms, its originals, and the
 * same of what it superseded, unless the threads are cut. Only what is there, which is what can be pulled.
 */
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
  // A set that grows while it is walked is walked to its end.
  for (const digest of reached) {
    const manifest = graph.get(digest);
    if (manifest === undefined) continue;
    for (const next of follow(manifest)) reached.add(next);
  }
  return reached;
}

/**
 * Each after everything that has to go before it. Stamps beside an image can go round in a circle: it is cut anywhere.
 */
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
