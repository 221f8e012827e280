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

/** Where a managed tag of a repository stands with the policy. */
export interface TagStanding {
  readonly tag: string;
  /** What it resolves to now. */
  readonly digest: Digest;
  /** Why it is to go; null: it is wanted. */
  readonly reason: MarkReason | null;
  readonly identity: MarkIdentity;
}

/**
 * One step: `put` is attached first and `remove` deleted then, so that a marked tag is never without its mark
 * (docs/rules/retention.md#a-marked-tag-is-never-unmarked-for-a-moment).
 */
export interface MarkChange {
  readonly kind: 'set' | 'replace' | 'clear';
  /** null: of a mark that names no tag. */
  readonly tag: string | null;
  readonly digest: Digest;
  readonly put: Mark | null;
  /** Digests of marks. */
  readonly remove: readonly Digest[];
}

/**
 * What to change so that every tag has exactly the mark it deserves. A mark for the right reason stays as it is and keeps its
 * time; one for another reason is replaced in one step, by one made now; a tag without a reason has none
 * (docs/rules/retention.md#a-right-mark-keeps-its-time). A restored tag is not marked again until it would not be marked anyway
 * (docs/rules/retention.md#a-restored-tag-stays). A mark that names a tag which shows something else now is over.
 *
 * @param standings every managed tag of one repository, wanted or not. A tag that mode `purge` deletes at once is left out,
 * unless it was restored, which forbids that (`isRestored`)
 * @param marks the marks found there, by the digest they hang on
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
  // The one made last, as purge takes it: a mark that somebody backdates gains no time.
  const kept = right.sort((a, b) => b.at - a.at)[0]?.placed;
  // Left by a replacement that did not come to its end.
  if (kept !== undefined) return clear(tag, digest, referrersOf(own.filter((placed) => placed !== kept)));
  const put: Mark = { tag, state: 'pending-deletion', markedAt: now, reason, identity, restored: null };
  return { kind: own.length === 0 ? 'set' : 'replace', tag, digest, put, remove: referrers };
}

/**
 * Marks on a digest whose tag is not there, and those that name none on a digest that a wanted tag shows
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
