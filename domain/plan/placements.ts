import type { StatementFacts } from '../evidence/facts.js';
import type { ResolvedPolicy, ResolvedVariant } from '../policy/resolve.js';
import { parseReference, type Reference, type Repository } from '../reference.js';
import type { DestinationRepository } from '../roster.js';
import type { PlannedTransform } from '../transform/planned-transform.js';
import type { AliasDecision, TagDecision, Target } from './plan.js';
import { OPERATION_OF } from './planned-operations.js';
import type { AliasPlacement, Backfill, Placement, Wait } from './work.js';

export interface Planning {
  readonly policy: ResolvedPolicy;
  readonly source: Repository;
  readonly targets: readonly Target[];
  readonly transforms: ReadonlyMap<ResolvedVariant, PlannedTransform>;
  readonly settings: {
    /** Platform of rebuilds where the policy names none. */
    readonly buildPlatform: string;
    readonly signer: string;
  };
  readonly now: string;
  /** When the source was read, RFC 3339; earlier than now by hours where the run waited. */
  readonly seenAt: string;
  readonly folder: string | undefined;
}

export function placementOf(planning: Planning, tag: TagDecision): Placement {
  const { policy, targets, settings } = planning;
  const target = targets[tag.target] as Target;
  const { platforms, stamp, keepUpstreamEvidence, verifyUpstream, owners, vendor } = target.import;
  const restamp = tag.kind === 'restamp';
  const transform = transformOf(planning, tag);
  const named = restamp ? recordedPlatforms(tag) : platforms;
  return {
    kind: OPERATION_OF[tag.kind] as Placement['kind'],
    position: { target: tag.target, variant: tag.variant },
    ...originOf(planning, tag),
    destination: destinationOf(targets, tag.target),
    tag: tag.outTag,
    current: tag.current,
    aliases: tag.aliases,
    platforms: named ?? (transform === null || restamp ? null : [settings.buildPlatform]),
    transform,
    stampTo: stamp,
    keepUpstreamEvidence,
    verifyUpstream: restamp ? null : verifyUpstream,
    upstreamVerified: restamp ? (tag.recorded?.upstreamVerified ?? null) : null,
    sign: settings.signer !== '',
    promoted: isRecorded(tag) ? (tag.recorded?.promoted ?? null) : null,
    label: {
      created: restamp ? (tag.recorded?.created ?? planning.now) : planning.now,
      artifactType: policy.artifactType,
      policy: policy.name,
      import: target.import.name,
      variant: variantOf(targets, tag)?.name ?? '',
      owners,
      vendor,
      platforms: named,
    },
  };
}

export function waitOf(planning: Planning, tag: TagDecision): Wait {
  const digest = tag.sourceDigest as Wait['digest'];
  const asImport = placementOf(planning, { ...tag, kind: 'import', baseDigest: digest });
  return {
    digest,
    at: planning.seenAt,
    placed: tag.recorded?.baseDigest ?? null,
    placement: { ...asImport, kind: tag.recorded === null ? 'imported' : 'updated' },
    ...(tag.wait as NonNullable<TagDecision['wait']>),
    ...(planning.folder === undefined ? {} : { folder: planning.folder }),
    listed: tag.kind === 'held',
    reason: tag.reason,
  };
}

export function backfillOf(planning: Planning, tag: TagDecision): Backfill {
  const { policy, targets, now } = planning;
  return {
    position: { target: tag.target, variant: tag.variant },
    destination: destinationOf(targets, tag.target),
    tag: tag.outTag,
    sourceTag: tag.sourceTag,
    sourceDigest: tag.sourceDigest as Backfill['sourceDigest'],
    subject: tag.current as Backfill['subject'],
    created: now,
    artifactType: policy.artifactType,
    needs: tag.needs,
    facts: recordedFacts(planning, tag),
  };
}

export function aliasPlacementOf({ targets }: Planning, alias: AliasDecision): AliasPlacement {
  const { target, variant, ...move } = alias;
  return { ...move, position: { target, variant }, destination: destinationOf(targets, target) };
}

/** Takes facts from the stamp, all but `created` (docs/rules/evidence.md#recorded-facts-in-a-backfill). */
function recordedFacts(planning: Planning, tag: TagDecision): StatementFacts {
  const { policy, targets, now } = planning;
  const { recorded } = tag;
  return {
    policy: recorded?.policy ?? policy.name,
    import: recorded?.import ?? (targets[tag.target] as Target).import.name,
    variant: recorded?.variant ?? variantOf(targets, tag)?.name ?? '',
    ...originOf(planning, tag),
    created: now,
    platforms: recordedPlatforms(tag),
    transform: transformOf(planning, tag),
    stampTo: recorded?.stampTo ?? 'annotations',
    upstreamVerified: recorded?.upstreamVerified ?? null,
  };
}

function isRecorded({ kind, recorded, baseDigest }: TagDecision): boolean {
  return kind !== 'import' && recorded?.baseDigest === baseDigest;
}

/** Takes the recorded source where its digest is placed again: the policy may name another one by now. */
function originOf(planning: Planning, tag: TagDecision): Pick<Placement, 'source' | 'sourceTag' | 'baseDigest'> {
  const recorded = isRecorded(tag) ? recordedSource(tag) : null;
  return {
    source: recorded === null ? planning.source : { host: recorded.host, path: recorded.path },
    sourceTag: recorded?.tag ?? tag.sourceTag,
    baseDigest: tag.baseDigest as Placement['baseDigest'],
  };
}

/** Reads the source in the stamp; null: none, or unreadable. */
export function recordedSource({ recorded }: Pick<TagDecision, 'recorded'>): Reference | null {
  try {
    return recorded === null || recorded.baseName === null ? null : parseReference(recorded.baseName);
  } catch {
    return null;
  }
}

function recordedPlatforms({ recorded }: TagDecision): string[] | null {
  return recorded?.platforms?.split(',') ?? null;
}

function variantOf(targets: readonly Target[], tag: TagDecision): ResolvedVariant | undefined {
  return targets[tag.target]?.variants[tag.variant]?.variant;
}

export function transformOf({ targets, transforms }: Planning, tag: TagDecision): PlannedTransform | null {
  const variant = variantOf(targets, tag);
  return (variant && transforms.get(variant)) ?? null;
}

export function destinationOf(targets: readonly Target[], index: number): DestinationRepository {
  const target = targets[index] as Target;
  return { registry: target.registry, host: target.repository.host, path: target.repository.path };
}
