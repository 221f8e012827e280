import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { readNotes, type ThreadLink } from '../../domain/lifecycle/collect.js';
import type { ManifestGraph } from '../../domain/lifecycle/manifest-graph.js';
import { readMarks } from '../../domain/lifecycle/mark.js';
import { parseManifest } from '../../domain/manifest.js';
import type { Repository } from '../../domain/reference.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { readStamp, stampsBeside } from '../../domain/stamp/annotations.js';
import type { GraphReader } from '../deletion/manifest-graph.js';
import type { Dependencies } from '../dependencies.js';

/** A thread is followed this far. */
const LONGEST_THREAD = 1_000;

/** Threads of one tag: where several tags part and meet again and again, there are more than anybody could follow. */
const MOST_THREADS = 1_000;

/** For each head, what it superseded, and so on: one thread a branch. */
export async function findThreads(
  deps: Dependencies,
  graphs: GraphReader,
  repository: DestinationRepository,
  heads: readonly Digest[],
  signal: AbortSignal,
): Promise<ThreadLink[][]> {
  const graph = await graphs.read(repository, [], heads, signal);
  const links = new Map<Digest, Promise<ThreadLink | null>>();
  const linkOf = (digest: Digest): Promise<ThreadLink | null> => {
    const known = links.get(digest) ?? readLink(deps, repository, digest, signal);
    links.set(digest, known);
    return known;
  };
  const threads: ThreadLink[][] = [];
  for (const head of heads) {
    // Also where nobody knows what came before.
    threads.push([{ digest: head, created: null, notes: new Map(), stays: false }]);
    for (const path of threadsFrom(graph, head)) {
      if (path.length > 1) threads.push(untilOver(await Promise.all(path.map(linkOf))));
    }
  }
  return threads;
}

/** The graph remembers manifests that an earlier collection has deleted. What is not houba's is not for it to collect. */
function untilOver(links: readonly (ThreadLink | null)[]): ThreadLink[] {
  const found: ThreadLink[] = [];
  for (const link of links) {
    if (link === null) break;
    found.push(link);
  }
  return found;
}

function threadsFrom(graph: ManifestGraph, head: Digest): Digest[][] {
  const threads: Digest[][] = [];
  const follow = (path: Digest[]): void => {
    const last = path.at(-1) as Digest;
    const before = (graph.get(last)?.supersedes ?? []).filter((digest) => graph.has(digest) && !path.includes(digest));
    if (threads.length > MOST_THREADS) throw tangled(head);
    if (before.length === 0 || path.length === LONGEST_THREAD) threads.push(path);
    else for (const digest of before) follow([...path, digest]);
  };
  follow([head]);
  return threads;
}

function tangled(head: Digest): HoubaError {
  return new HoubaError('Unsupported', `${head} has more than ${MOST_THREADS} threads of what it superseded`, {
    hint: 'nothing is collected here; delete some of the tags that show it',
  });
}

/** null: it is gone, or bears no stamp. */
async function readLink(
  { reader, settings }: Dependencies,
  repository: Repository,
  digest: Digest,
  signal: AbortSignal,
): Promise<ThreadLink | null> {
  const { prefix } = settings;
  const raw = await reader.getManifest(repository, digest, signal);
  if (raw === null) return null;
  const manifest = parseManifest(raw.bytes, raw.mediaType);
  const referrers = await reader.listReferrers(repository, digest, {}, signal);
  const stamp = readStamp(manifest.annotations, prefix) ?? stampsBeside(referrers, prefix).at(-1)?.stamp ?? null;
  if (stamp === null) return null;
  const isRestored = readMarks(digest, referrers, prefix).some(
    ({ mark }) => mark.tag !== null && mark.state === 'restored',
  );
  const notes = readNotes(referrers, prefix);
  return { digest, created: stamp.created, notes, stays: isRestored };
}
