import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { ManifestGraph } from '../../domain/lifecycle/manifest-graph.js';
import { formatTagged } from '../../domain/reference.js';
import type { Dependencies, PlacedTag } from '../dependencies.js';
import { readBack } from '../repository/read-back.js';
import type { RepositoryAt } from '../repository/repository-at.js';
import type { GraphReader, RepositoryTags } from './manifest-graph.js';

interface Question {
  /** Tags that are being deleted: what they show says nothing. */
  readonly doomed: ReadonlySet<string>;
  readonly unwanted: readonly Digest[];
  /** Digests that stay beside those of the tags. */
  readonly alsoKept?: readonly Digest[];
}

interface Shown {
  readonly shown: RepositoryTags;
  readonly graph: ManifestGraph;
  /** All digests that stay. */
  readonly kept: readonly Digest[];
}

/**
 * Reads what the tags of a repository show and need, so that a deletion may rely on it
 * (docs/rules/registry-access.md#what-was-just-written-is-known-without-reading): again, for a while, as long as a listed
 * tag is not served, a tag that was just placed does not show its image, or what a tag shows cannot be read. @throws
 * HoubaError `RegistryUnavailable` when that stays unreadable, for nobody can tell what it needs
 */
export async function readShown(
  { deps, graphs }: { readonly deps: Dependencies; readonly graphs: GraphReader },
  at: RepositoryAt,
  { doomed, unwanted, alsoKept = [] }: Question,
): Promise<Shown> {
  const { repository, signal } = at;
  const placed = (await recentlyPlaced(deps, at)).filter(({ tag }) => !doomed.has(tag));
  const look = async () => {
    const shown = await graphs.tags(repository, signal);
    const kept = [...shown.tags.values(), ...alsoKept];
    const graph = await graphs.read(repository, unwanted, kept, signal);
    const unread = [...shown.tags].find(([tag, digest]) => !graph.has(digest) && !doomed.has(tag));
    const unserved = shown.unserved.filter((tag) => !doomed.has(tag) && !wasSeenGone(deps, at, tag));
    return { shown, graph, kept, unread, unserved };
  };
  type Look = Awaited<ReturnType<typeof look>>;
  const showsImage = ({ shown, graph }: Look, { tag, baseDigest }: PlacedTag) => {
    const digest = shown.tags.get(tag);
    return digest !== undefined && (graph.get(digest)?.originals ?? []).includes(baseDigest);
  };
  const isSure = (found: Look) =>
    found.unread === undefined &&
    found.unserved.length === 0 &&
    placed.every((one) => performance.now() >= one.staleUntil || showsImage(found, one));
  const { shown, graph, kept, unread, unserved } = await readBack(look, isSure, deps.readBackMs, signal);
  if (unread === undefined) {
    // Names that lead nowhere are not waited for by the next deletion as well.
    for (const tag of unserved) rememberGone(deps, at, tag);
    return { shown, graph, kept };
  }
  const [tag, digest] = unread;
  const name = formatTagged(repository, tag);
  throw new HoubaError('RegistryUnavailable', `${name} shows ${digest}, which is not there`, {
    hint: 'nothing is deleted while nobody can tell what that tag needs: push it again, or delete the tag',
  });
}

export interface RecentTag extends PlacedTag {
  /** Until when a read may show what was there before, by `performance.now()`. */
  readonly staleUntil: number;
}

/** Lists what was placed a moment ago, but for what this worker has seen go since. */
export async function recentlyPlaced(deps: Dependencies, at: RepositoryAt): Promise<RecentTag[]> {
  const { readBackMs } = deps;
  const nowMs = Date.now();
  const placed = await deps.placedSince(at.repository, nowMs - readBackMs);
  return placed
    .filter(({ tag, endedAtMs }) => !wasSeenGone(deps, at, tag, endedAtMs))
    .map((one) => {
      // Where our clock is behind that of Temporal, or was set back, the end lies in the future.
      const leftMs = Math.min(one.endedAtMs + readBackMs - nowMs, readBackMs);
      return { ...one, staleUntil: performance.now() + leftMs };
    });
}

function wasSeenGone(
  { goneTags, readBackMs }: Dependencies,
  { repository }: RepositoryAt,
  tag: string,
  sinceMs = 0,
): boolean {
  const seenMs = goneTags.get(formatTagged(repository, tag));
  return seenMs !== undefined && seenMs >= Math.max(sinceMs, Date.now() - readBackMs);
}

/** Remembers that a tag was deleted, for as long as a read may lag. */
export function rememberGone({ goneTags, readBackMs }: Dependencies, { repository }: RepositoryAt, tag: string): void {
  const nowMs = Date.now();
  for (const [name, atMs] of goneTags) if (nowMs - atMs > readBackMs) goneTags.delete(name);
  goneTags.set(formatTagged(repository, tag), nowMs);
}
