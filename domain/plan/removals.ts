import type { Digest } from '../digest.js';
import { parseInstant } from '../instant.js';
import { isRestored, type Mark, type MarkReason, type PlacedMark } from '../lifecycle/mark.js';
import { type MarkChange, markChanges } from '../lifecycle/mark-changes.js';
import { type RetentionLevel, resolveRetention, surplusTags } from '../lifecycle/retention.js';
import type { ResolvedPolicy } from '../policy/resolve.js';
import { formatRepository } from '../reference.js';
import type { RecordedStamp } from '../stamp/annotations.js';
import { compareText } from '../text/compare-text.js';
import { type Target, wantedTags } from './plan.js';
import type { SeenRepository } from './survey.js';

/** A tag that goes at once: no import wants it, and the deletion mode is `purge`. */
export interface TagDeletion {
  readonly target: number;
  readonly tag: string;
  readonly digest: Digest;
  readonly baseDigest: Digest;
}

/** What to do so that a tag has exactly the mark it deserves. */
export interface MarkDecision {
  readonly kind: MarkChange['kind'];
  readonly target: number;
  /** null: of marks that name no tag. */
  readonly tag: string | null;
  readonly digest: Digest;
  /** The tag's mark; null: it has none. */
  readonly put: Mark | null;
  /** The marks that go where none is put; left out: all of a tag that is wanted, or gone. */
  readonly remove?: readonly Digest[];
  /** As the tag's stamp says; null for marks of a tag that shows something else. */
  readonly baseDigest: Digest | null;
}

/**
 * A repository of which one run would take away more than it may: nothing of it is deleted or newly marked
 * (docs/rules/plan.md#one-run-takes-away-a-share-at-most).
 */
export interface MassDeletion {
  readonly repository: string;
  /** Tags that would be deleted, or marked and were not. */
  readonly unwanted: number;
  readonly managed: number;
}

export interface RemovalPlan {
  readonly deletions: readonly TagDeletion[];
  readonly marks: readonly MarkDecision[];
  readonly massDeletions: readonly MassDeletion[];
  /** `repository:tag` of what the source serves, although it does not list it: none of it goes. Left out: none. */
  readonly unlisted?: ReadonlySet<string>;
}

export interface RemovalSettings {
  readonly prefix: string;
  /** 0 to 1; 1 lifts the cap. */
  readonly maxDeletionShare: number;
  /** The fleet's (`HOUBA_RETENTION`); null: there is none. */
  readonly retention: RetentionLevel | null;
  /** The run's, ISO 8601. */
  readonly now: string;
}

/** A tag whose stamp names the policy. */
interface ManagedTag {
  readonly tag: string;
  readonly digest: Digest;
  readonly stamp: RecordedStamp;
  /** Where it is reported and whose deletion mode counts: the target that wants it, else that of the import it names. */
  readonly target: number;
  /** Why it is to go; null: it is wanted. */
  readonly reason: MarkReason | null;
}

/**
 * What becomes of the tags whose stamp names this policy (docs/rules/plan.md#wanted-is-asked-of-a-whole-repository). Which of
 * them are wanted is asked of all imports that write to a repository
 * (docs/rules/plan.md#wanted-is-asked-of-a-whole-repository). Somebody else's tag is never touched.
 *
 * @param placed the output tags that this run places anew: what they show now, and how old it is, is over
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

/** The surplus output tags of each of a target's streams. */
function surplusOf(
  { import: { archive }, variants }: Target,
  stamps: ReadonlyMap<string, RecordedStamp>,
  { retention, now }: RemovalSettings,
): string[] {
  const limits = resolveRetention(archive, retention);
  const nowMs = parseInstant(now);
  if (limits === null || nowMs === null) return [];
  return variants.flatMap(({ variant: { suffix }, selected, aliases }) => {
    const stream = selected.flatMap((sourceTag) => {
      const stamp = stamps.get(sourceTag + suffix);
      return stamp === undefined ? [] : [{ tag: sourceTag + suffix, created: stamp.created }];
    });
    const shown = new Set([...aliases.values()].map((sourceTag) => sourceTag + suffix));
    return surplusTags(stream, shown, limits, nowMs);
  });
}

/** Retention only ever marks, and what somebody restored stays (docs/rules/retention.md#retention-only-marks, `isRestored`). */
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
    // The mark of a tag that is deleted goes with it, and not before: the deletion may yet be refused.
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
