import type { Digest } from '../digest.js';
import { parseInstant } from '../instant.js';
import { isRestored, type Mark, type MarkReason, type PlacedMark } from '../lifecycle/mark.js';
import { type MarkChange, markChanges } from '../lifecycle/mark-changes.js';
import { type RetentionLevel, resolveRetention, surplusTags } from '../lifecycle/retention.js';
import type { ResolvedPolicy } from '../policy/resolve.js';
import { formatRepository } from '../reference.js';
import { orderOf } from '../selection/order.js';
import type { RecordedStamp } from '../stamp/annotations.js';
import { compareText } from '../text/compare-text.js';
import { type Target, wantedTags } from './plan.js';
import type { SeenRepository } from './survey.js';

/** The deletion of an unwanted tag, in mode `purge`. */
export interface TagDeletion {
  readonly target: number;
  readonly tag: string;
  readonly digest: Digest;
  readonly baseDigest: Digest;
}

export interface MarkDecision {
  readonly kind: MarkChange['kind'];
  readonly target: number;
  readonly tag: string | null;
  readonly digest: Digest;
  readonly put: Mark | null;
  /** Marks to clear where none is put; left out: all of the tag. */
  readonly remove?: readonly Digest[];
  /** The source digest in the stamp; null: the tag shows another digest. */
  readonly baseDigest: Digest | null;
}

/** A repository over the cap, not deleted from or marked (docs/rules/plan.md#one-run-takes-away-a-share-at-most). */
export interface MassDeletion {
  readonly repository: string;
  readonly unwanted: number;
  readonly managed: number;
}

export interface RemovalPlan {
  readonly deletions: readonly TagDeletion[];
  readonly marks: readonly MarkDecision[];
  readonly massDeletions: readonly MassDeletion[];
  /** `repository:tag` that the source serves but does not list; such tags stay. */
  readonly unlisted?: ReadonlySet<string>;
}

export interface RemovalSettings {
  readonly prefix: string;
  readonly maxDeletionShare: number;
  readonly retention: RetentionLevel | null;
  readonly now: string;
}

interface ManagedTag {
  readonly tag: string;
  readonly digest: Digest;
  readonly stamp: RecordedStamp;
  /** The target that wants the tag, else that of the import in its stamp. */
  readonly target: number;
  readonly reason: MarkReason | null;
}

/**
 * Plans deletions and marks of the policy's tags (docs/rules/plan.md#wanted-is-asked-of-a-whole-repository).
 * @param placed output tags that this run places: their age starts over
 */
export function planRemovals(
  policy: ResolvedPolicy,
  targets: readonly Target[],
  placed: readonly { readonly target: number; readonly outTag: string }[],
  seen: ReadonlyMap<string, SeenRepository>,
  settings: RemovalSettings,
): RemovalPlan {
  const plan = { deletions: [] as TagDeletion[], marks: [] as MarkDecision[], massDeletions: [] as MassDeletion[] };
  for (const [repository, found] of seen) {
    const here = targets.flatMap((target, index) =>
      formatRepository(target.repository) === repository ? [{ target, index }] : [],
    );
    const fallback = here[0]?.index;
    if (fallback === undefined) continue;
    const placedHere = placed.filter(({ target }) => here.some(({ index }) => index === target));
    const managed = managedTags(policy, here, new Set(placedHere.map(({ outTag }) => outTag)), found, settings);
    const deleted = managed.filter((one) => isDeleted(one, targets, found));
    const marks = markDecisions(policy, managed, new Set(deleted), found, settings.now, fallback);
    const unwanted = deleted.length + marks.filter(({ kind }) => kind === 'set').length;
    if (unwanted > settings.maxDeletionShare * managed.length) {
      plan.massDeletions.push({ repository, unwanted, managed: managed.length });
    }
    plan.marks.push(...marks);
    for (const { target, tag, digest, stamp } of deleted) {
      plan.deletions.push({ target, tag, digest, baseDigest: stamp.baseDigest });
    }
  }
  return plan;
}

type TargetHere = { readonly target: Target; readonly index: number };

function managedTags(
  policy: ResolvedPolicy,
  here: readonly TargetHere[],
  placed: ReadonlySet<string>,
  found: SeenRepository,
  settings: RemovalSettings,
): ManagedTag[] {
  const wantedBy = new Map(here.flatMap(({ target, index }) => wantedTags(target).map((tag) => [tag, index])));
  const ours = [...found.tags].flatMap(([tag, { digest, stamp }]) =>
    stamp !== null && isOurs(stamp, policy.name, settings.prefix) ? [{ tag, digest, stamp }] : [],
  );
  const stamps = new Map(ours.map(({ tag, stamp }) => [tag, stamp]));
  const surplus = new Set(here.flatMap(({ target }) => surplusOf(target, stamps, settings)));
  const reasonFor = (tag: string): MarkReason | null => {
    if (!wantedBy.has(tag)) return 'dropped-from-selection';
    return surplus.has(tag) && !placed.has(tag) ? 'retention-excess' : null;
  };
  return ours
    .map((one) => {
      const owner = here.find(({ target }) => target.import.name === one.stamp.import)?.index ?? here[0]?.index ?? 0;
      return { ...one, target: wantedBy.get(one.tag) ?? owner, reason: reasonFor(one.tag) };
    })
    .sort((a, b) => compareText(a.tag, b.tag));
}

function isOurs(stamp: RecordedStamp, policy: string, prefix: string): boolean {
  return prefix === '' || stamp.policy === policy;
}

function surplusOf(
  { import: { archive, tags }, variants }: Target,
  stamps: ReadonlyMap<string, RecordedStamp>,
  { retention, now }: RemovalSettings,
): string[] {
  const limits = resolveRetention(archive, retention);
  const nowMs = parseInstant(now);
  if (limits === null || nowMs === null) return [];
  return variants.flatMap(({ variant: { suffix }, selected, aliases }) => {
    const placed = selected.flatMap((tag) => {
      const stamp = stamps.get(tag + suffix);
      return stamp === undefined ? [] : [{ tag, created: stamp.created }];
    });
    const surplus = surplusTags(placed, new Set(aliases.values()), limits, nowMs, orderOf(tags));
    return surplus.map((tag) => tag + suffix);
  });
}

/** Tells what mode `purge` deletes; surplus is only marked (docs/rules/retention.md#retention-only-marks). */
function isDeleted({ tag, digest, target, reason }: ManagedTag, targets: readonly Target[], found: SeenRepository) {
  if (reason !== 'dropped-from-selection' || targets[target]?.deletionMode !== 'purge') return false;
  return !isRestored(found.marks.get(digest) ?? [], tag);
}

function markDecisions(
  policy: ResolvedPolicy,
  managed: readonly ManagedTag[],
  deleted: ReadonlySet<ManagedTag>,
  found: SeenRepository,
  now: string,
  fallback: number,
): MarkDecision[] {
  const byTag = new Map(managed.map((one) => [one.tag, one]));
  const standings = managed
    .filter((one) => !deleted.has(one))
    .map(({ tag, digest, reason, stamp }) => ({ tag, digest, reason, identity: identityOf(stamp) }));
  const marks = new Map<Digest, PlacedMark[]>();
  for (const [digest, placed] of found.marks) {
    // The mark of a deleted tag stays until then: the deletion may yet be refused.
    const ours = placed.filter(({ mark: { tag, identity } }) => {
      const known = tag === null ? undefined : byTag.get(tag);
      if (known !== undefined) return !deleted.has(known);
      return identity.policy === '' || identity.policy === policy.name;
    });
    if (ours.length > 0) marks.set(digest, ours);
  }
  return markChanges(standings, marks, now).map(({ kind, tag, digest, put, remove }) => {
    const known = tag === null ? undefined : byTag.get(tag);
    const baseDigest = known?.digest === digest ? known.stamp.baseDigest : null;
    const some = kind !== 'clear' || known === undefined || known.reason === null ? {} : { remove };
    return { kind, tag, digest, put, ...some, baseDigest, target: known?.target ?? fallback };
  });
}

function identityOf(stamp: RecordedStamp): Mark['identity'] {
  return { policy: stamp.policy ?? '', import: stamp.import ?? '', variant: stamp.variant ?? '' };
}
