import type { Digest } from '../digest.js';
import { type WaitSettings, waitFor } from '../lifecycle/settle.js';
import type { ResolvedImport, ResolvedPolicy, ResolvedVariant } from '../policy/resolve.js';
import { formatPinned, formatRepository, isTag, type Repository } from '../reference.js';
import type { RecordedStamp } from '../stamp/annotations.js';
import { classify } from './classify.js';
import type { SeenRepository, SeenTag, SourceDigests } from './survey.js';

/** One import at one destination: the unit of planning and reports. */
export interface Target {
  readonly repository: Repository;
  readonly registry: string;
  readonly import: ResolvedImport;
  readonly deletionMode: 'purge' | 'mark';
  readonly variants: readonly TargetVariant[];
}

export interface TargetVariant {
  readonly variant: ResolvedVariant;
  /** Source tags, lowest first; the aliases below map to them. All are without suffix. */
  readonly selected: readonly string[];
  readonly aliases: ReadonlyMap<string, string>;
}

/** Evidence that a tag may lack although it stays as it is (docs/rules/plan.md#kept-tags-may-lack-evidence). */
export type EvidenceKind = 'sbom' | 'attested';

export interface TagDecision {
  /** `gone`: the source lists it and does not serve it. `overlong`: with its suffix it is no tag. */
  readonly kind: 'import' | 'update' | 'restamp' | 'held' | 'keep' | 'gone' | 'overlong';
  readonly target: number;
  readonly variant: number;
  readonly sourceTag: string;
  readonly outTag: string;
  /** null: listed, but not served. */
  readonly sourceDigest: Digest | null;
  /** The source's on an import, else the recorded one, so that no waiting digest comes in. */
  readonly baseDigest: Digest | null;
  readonly current: Digest | null;
  readonly recorded: RecordedStamp | null;
  readonly aliases: readonly AliasMove[];
  readonly needs: readonly EvidenceKind[];
  /** Why the tag is held; null: by the window, or it is not held. */
  readonly reason: string | null;
  readonly wait: WaitSettings | null;
}

export interface AliasMove {
  readonly alias: string;
  readonly current: Digest | null;
}

export interface AliasDecision extends AliasMove {
  readonly target: number;
  readonly variant: number;
  readonly outTag: string;
  readonly digest: Digest;
}

/** An alias that is no tag with its suffix. */
export interface OverlongAlias {
  readonly target: number;
  readonly variant: number;
  readonly alias: string;
}

export interface PolicyPlan {
  readonly tags: readonly TagDecision[];
  readonly aliases: readonly AliasDecision[];
  readonly overlong: readonly OverlongAlias[];
}

export interface PlanSettings {
  readonly prefix: string;
  readonly stability: WaitSettings & { readonly newTags: boolean };
  readonly transforms: ReadonlyMap<ResolvedVariant, { readonly version: string }>;
  /** Base digests that cannot be fetched, by `missingBaseKey`. */
  readonly missingBases: ReadonlySet<string>;
}

export function missingBaseKey(destination: Repository, baseDigest: Digest): string {
  return formatPinned(destination, baseDigest);
}

/**
 * Compares a policy with a survey (docs/rules/plan.md#a-plan-is-pure).
 * @param seen by `formatRepository`; every target's repository is there
 */
export function planPolicy(
  policy: ResolvedPolicy,
  targets: readonly Target[],
  source: SourceDigests,
  seen: ReadonlyMap<string, SeenRepository>,
  settings: PlanSettings,
): PolicyPlan {
  const tags: TagDecision[] = [];
  const aliases: AliasDecision[] = [];
  const overlong: OverlongAlias[] = [];
  targets.forEach((target, targetIndex) => {
    const found = seenAt(seen, target.repository);
    target.variants.forEach((wish, variantIndex) => {
      const at = { target: targetIndex, variant: variantIndex };
      const decided = new Map<string, TagDecision>();
      const moves = aliasMoves(wish, found);
      for (const alias of wish.aliases.keys()) {
        if (!isTag(alias + wish.variant.suffix)) overlong.push({ ...at, alias: alias + wish.variant.suffix });
      }
      for (const sourceTag of wish.selected) {
        const decision = decide(policy, target, wish, at, sourceTag, source.get(sourceTag) ?? null, found, settings);
        const moving = isPlaced(decision) || decision.wait !== null;
        const whole = moving ? { ...decision, aliases: moves.get(sourceTag) ?? [] } : decision;
        decided.set(sourceTag, whole);
        tags.push(whole);
      }
      for (const [sourceTag, pointed] of moves) {
        const aim = decided.get(sourceTag);
        if (aim === undefined || isPlaced(aim) || aim.current === null || aim.recorded === null) continue;
        for (const move of pointed) {
          if (move.current !== aim.current) aliases.push({ ...at, ...move, outTag: aim.outTag, digest: aim.current });
        }
      }
    });
  });
  return { tags, aliases, overlong };
}

export function isPlaced({ kind }: TagDecision): boolean {
  return kind === 'import' || kind === 'update' || kind === 'restamp';
}

/** Lists the output tags and aliases of a target. */
export function wantedTags(target: Target): string[] {
  return target.variants.flatMap(({ variant, selected, aliases }) =>
    [...selected, ...aliases.keys()].map((tag) => tag + variant.suffix),
  );
}

function decide(
  policy: ResolvedPolicy,
  target: Target,
  wish: TargetVariant,
  at: { target: number; variant: number },
  sourceTag: string,
  sourceDigest: Digest | null,
  found: SeenRepository,
  settings: PlanSettings,
): TagDecision {
  const outTag = sourceTag + wish.variant.suffix;
  const tag = found.tags.get(outTag);
  const recorded = tag?.stamp ?? null;
  const facts = {
    ...at,
    ...{ sourceTag, outTag, sourceDigest, recorded },
    current: tag?.digest ?? null,
    baseDigest: recorded?.baseDigest ?? sourceDigest,
    ...{ aliases: [], needs: [], reason: null },
    wait: waitFor(recorded, sourceDigest, target.import.stability, settings.stability),
  };
  if (!isTag(outTag)) return { ...facts, kind: 'overlong', wait: null };
  if (sourceDigest === null) return { ...facts, kind: 'gone', baseDigest: null };
  const desired = {
    policy: policy.name,
    import: target.import.name,
    variant: wish.variant.name,
    owners: target.import.owners,
    vendor: target.import.vendor,
    transformVersion: settings.transforms.get(wish.variant)?.version ?? null,
    platforms: target.import.platforms,
    stampTo: target.import.stamp,
  };
  const decision = classify(desired, sourceDigest, recorded, settings.prefix);
  const mayTake = facts.wait === null && facts.baseDigest !== sourceDigest;
  // What a tag shows while it waits is what people run: it lacks nothing for that.
  const needs = tag === undefined || recorded === null ? [] : lacking(tag);
  if (decision === 'import' && facts.wait !== null) return { ...facts, kind: 'held' };
  if (decision === 'moved')
    return mayTake ? { ...facts, kind: 'update', baseDigest: sourceDigest } : { ...facts, kind: 'held', needs };
  if (decision === 'keep') return { ...facts, kind: 'keep', needs };
  const isMissing =
    facts.baseDigest !== null && settings.missingBases.has(missingBaseKey(target.repository, facts.baseDigest));
  if (decision === 'update' && isMissing) {
    if (mayTake) return { ...facts, kind: 'update', baseDigest: sourceDigest };
    return { ...facts, kind: 'held', needs, reason: missingBaseReason(facts.baseDigest) };
  }
  return { ...facts, kind: decision };
}

/** Explains a held tag (docs/rules/plan.md#a-changed-transform-takes-the-recorded-digest). */
function missingBaseReason(baseDigest: Digest | null): string {
  return `its base digest ${baseDigest} can no longer be fetched, neither here nor from the source`;
}

function lacking({ sbomComplete, attested }: SeenTag): EvidenceKind[] {
  return [...(sbomComplete ? [] : (['sbom'] as const)), ...(attested ? [] : (['attested'] as const))];
}

function aliasMoves(wish: TargetVariant, found: SeenRepository): Map<string, AliasMove[]> {
  const moves = new Map<string, AliasMove[]>();
  for (const [alias, sourceTag] of wish.aliases) {
    const outAlias = alias + wish.variant.suffix;
    if (!isTag(outAlias)) continue;
    const list = moves.get(sourceTag) ?? [];
    list.push({ alias: outAlias, current: found.tags.get(outAlias)?.digest ?? null });
    moves.set(sourceTag, list);
  }
  return moves;
}

function seenAt(seen: ReadonlyMap<string, SeenRepository>, repository: Repository): SeenRepository {
  return seen.get(formatRepository(repository)) ?? { repository, tags: new Map(), marks: new Map() };
}
