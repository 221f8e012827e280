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
  /** Why it is to go; null: it is wanted. */
  readonly reason: MarkReason | null;
  readonly identity: MarkIdentity;
}

/**
 * One change of marks. `put` is attached before `remove` is deleted
 * (docs/rules/retention.md#a-marked-tag-is-never-unmarked-for-a-moment).
 */
export interface MarkChange {
  readonly kind: 'set' | 'replace' | 'clear';
  /** null: the mark names no tag. */
  readonly tag: string | null;
  readonly digest: Digest;
  readonly put: Mark | null;
  readonly remove: readonly Digest[];
}

/**
 * Plans the changes after which every tag has the mark it deserves (docs/rules/retention.md#a-right-mark-keeps-its-time); a
 * restored tag is not marked (docs/rules/retention.md#a-restored-tag-stays).
 * @param standings every managed tag of one repository, wanted or not, but for those that mode `purge` deletes at once
 * @param now the run's, ISO 8601
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
  // The newest, as for purge: a mark that somebody backdates gains no time.
  const kept = right.sort((a, b) => b.at - a.at)[0]?.placed;
  // Others are left by a replacement that was interrupted.
  if (kept !== undefined) return clear(tag, digest, referrersOf(own.filter((placed) => placed !== kept)));
  const put: Mark = { tag, state: 'pending-deletion', markedAt: now, reason, identity, restored: null };
  return { kind: own.length === 0 ? 'set' : 'replace', tag, digest, put, remove: referrers };
}

/**
 * Clears marks whose tag shows something else, and those without a tag on a wanted digest
 * (docs/rules/retention.md#a-mark-speaks-of-one-tag).
 */
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
