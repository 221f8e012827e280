import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { readNotes, type ThreadLink } from '../../domain/lifecycle/collect.js';
import type { ManifestGraph } from '../../domain/lifecycle/manifest-graph.js';
import { readMarks } from '../../domain/lifecycle/mark.js';
import { stampOf } from '../../domain/stamp/stamp-of.js';
import type { GraphReader } from '../deletion/manifest-graph.js';
import type { RepositoryAt } from '../repository/repository-at.js';

const LONGEST_THREAD = 1_000;

/** Most threads followed from one head: tags that part and meet again multiply the paths. */
const MOST_THREADS = 1_000;

/** Follows superseded digests from each head, a thread a branch (docs/rules/collect.md#threads-lead-to-what-was). */
export async function findThreads(
  graphs: GraphReader,
  at: RepositoryAt,
  heads: readonly Digest[],
): Promise<ThreadLink[][]> {
  const graph = await graphs.read(at.repository, [], heads, at.signal);
  const links = new Map<Digest, Promise<ThreadLink | null>>();
  const linkOf = (digest: Digest): Promise<ThreadLink | null> => {
    const known = links.get(digest) ?? readLink(at, digest);
    links.set(digest, known);
    return known;
  };
  const threads: ThreadLink[][] = [];
  for (const head of heads) {
    // A head without predecessors is a thread as well: the plan looks up in it what stays.
    threads.push([{ digest: head, created: null, notes: new Map(), stays: false }]);
    for (const path of threadsFrom(graph, head)) {
      if (path.length > 1) threads.push(untilOver(await Promise.all(path.map(linkOf))));
    }
  }
  return threads;
}

/** Cuts a thread at the first digest that is gone (the graph remembers deleted manifests) or bears no stamp. */
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

/** Reads one digest of a thread; null: it is gone, or bears no stamp. */
async function readLink(at: RepositoryAt, digest: Digest): Promise<ThreadLink | null> {
  const { prefix } = at;
  const found = await at.findManifest(digest);
  if (found === null) return null;
  const referrers = await at.referrers(digest);
  const stamp = stampOf(found.manifest, referrers, null, prefix);
  if (stamp === null) return null;
  const isRestored = readMarks(digest, referrers, prefix).some(
    ({ mark }) => mark.tag !== null && mark.state === 'restored',
  );
  const notes = readNotes(referrers, prefix);
  return { digest, created: stamp.created, notes, stays: isRestored };
}
