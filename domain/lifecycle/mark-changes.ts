import type { Digest } from '../digest.js';
import { parseInstant } from '../instant.js';
import {
  FASTEST_CLOCK_MS,
  isRestored,
  type Mark,
  type MarkIdentity,
  type MarkReason,
  type PlacedMark,
} from './mark.js';

export interface TagStanding {
  readonly tag: string;
  readonly digest: Digest;
  /** null: the tag is wanted. */
  readonly reason: MarkReason | null;
  readonly identity: MarkIdentity;
}

/** A change of marks: `put`, then `remove` (docs/rules/retention.md#a-marked-tag-is-never-unmarked-for-a-moment). */
export interface MarkChange {
  readonly kind: 'set' | 'replace' | 'clear';
  readonly tag: string | null;
  readonly digest: Digest;
  readonly put: Mark | null;
  readonly remove: readonly Digest[];
}

/**
 * Plans the changes of marks in a repository (docs/rules/retention.md#a-right-mark-keeps-its-time).
 * @param standings all managed tags, but for those that mode `purge` deletes at once
 * @param now of the run, ISO 8601
 */
export function markChanges(
  standings: readonly TagStanding[],
  marks: ReadonlyMap<Digest, readonly PlacedMark[]>,
  now: string,
): MarkChange[] {
  const changes: MarkChange[] = [];
  for (const standing of standings) {
    const own = (marks.get(standing.digest) ?? []).filter(({ mark }) => mark.tag === standing.tag);
    const change = changeFor(standing, own, now);
    if (change !== null) changes.push(change);
  }
  const byDigest = new Map<Digest, TagStanding[]>();
  for (const standing of standings) {
    const here = byDigest.get(standing.digest);
    if (here === undefined) byDigest.set(standing.digest, [standing]);
    else here.push(standing);
  }
  for (const [digest, placed] of marks) changes.push(...clearOver(digest, placed, byDigest.get(digest) ?? []));
  return changes;
}

function changeFor(standing: TagStanding, own: readonly PlacedMark[], now: string): MarkChange | null {
  const { tag, digest, reason, identity } = standing;
  const referrers = own.map(({ referrer }) => referrer);
  if (reason === null) return clear(tag, digest, referrers);
  if (isRestored(own, tag)) {
    return clear(tag, digest, referrersOf(own.filter(({ mark }) => mark.state === 'pending-deletion')));
  }
  const latest = (parseInstant(now) ?? 0) + FASTEST_CLOCK_MS;
  const right = own
    .filter(({ mark }) => mark.reason === reason)
    .map((placed) => ({ placed, at: parseInstant(placed.mark.markedAt) ?? Number.POSITIVE_INFINITY }))
    .filter(({ at }) => at <= latest);
  // The newest, as purge does: a mark with an older, forged date wins nothing.
  const kept = right.sort((a, b) => b.at - a.at)[0]?.placed;
  // Other marks are left by a replacement that was interrupted.
  if (kept !== undefined) return clear(tag, digest, referrersOf(own.filter((placed) => placed !== kept)));
  const put: Mark = { tag, state: 'pending-deletion', markedAt: now, reason, identity, restored: null };
  return { kind: own.length === 0 ? 'set' : 'replace', tag, digest, put, remove: referrers };
}

/** Clears marks of tags that show something else, or of none (docs/rules/retention.md#a-mark-speaks-of-one-tag). */
function clearOver(digest: Digest, placed: readonly PlacedMark[], here: readonly TagStanding[]): MarkChange[] {
  const wanted = here.some(({ reason }) => reason === null);
  return placed.flatMap(({ mark: { tag }, referrer }) => {
    const over = tag === null ? wanted : !here.some((standing) => standing.tag === tag);
    return over ? [{ kind: 'clear' as const, tag, digest, put: null, remove: [referrer] }] : [];
  });
}

function clear(tag: string, digest: Digest, remove: readonly Digest[]): MarkChange | null {
  return remove.length === 0 ? null : { kind: 'clear', tag, digest, put: null, remove };
}

function referrersOf(placed: readonly PlacedMark[]): Digest[] {
  return placed.map(({ referrer }) => referrer);
}
