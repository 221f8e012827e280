import type { Digest } from '../digest.js';
import type { ReportedError } from '../errors.js';
import type { StatementFacts, UpstreamSigner } from '../evidence/facts.js';
import type { HumanWord } from '../human-word.js';
import type { Mark } from '../lifecycle/mark.js';
import type { Repository } from '../reference.js';
import type { PlannedOperation, Position, ReportTarget } from '../report/run/position.js';
import type { Counts } from '../report/run/run-report.js';
import type { DestinationRepository } from '../roster.js';
import type { PlannedTransform } from '../transform/planned-transform.js';
import type { AliasMove, EvidenceKind } from './plan.js';
import type { ItemPage } from './plan-item.js';

/** Page sizes, as payloads and histories are bounded (docs/rules/durability.md#histories-stay-small). */
export const PAGE_SIZES = {
  /** Placements, backfills and alias moves together. */
  work: 200,
  policies: 200,
  /** Waits that a step observes, with one update each. */
  waits: 100,
  /** Tags that a step deletes; the list of their manifests is in the payload. */
  deletions: 10,
  sweep: 100,
  /** Tags of a repository that an audit holds in memory. */
  audit: 1000,
} as const;

/** The input of `placeImage`: the placement of one tag. Equal inputs give equal bytes. */
export interface Placement {
  readonly kind: 'imported' | 'updated' | 'restamped';
  readonly position: Position;
  readonly source: Repository;
  readonly sourceTag: string;
  readonly baseDigest: Digest;
  readonly destination: DestinationRepository;
  readonly tag: string;
  /** What the tag showed when this was planned; nothing else is overwritten. */
  readonly current: Digest | null;
  readonly aliases: readonly AliasMove[];
  /** null: all that the source has. A rebuild names them. */
  readonly platforms: readonly string[] | null;
  readonly transform: PlannedTransform | null;
  readonly stampTo: 'annotations' | 'referrer';
  readonly keepUpstreamEvidence: boolean;
  readonly verifyUpstream: UpstreamSigner | null;
  /** The signer, set by `placeImage` once the signature is verified. */
  readonly upstreamVerified: string | null;
  readonly sign: boolean;
  readonly promoted?: HumanWord | null;
  /** Why the wait ended; left out: there was none. */
  readonly settled?: string;
  readonly label: {
    readonly created: string;
    readonly artifactType: 'image' | 'helmChart' | 'generic';
    readonly policy: string;
    readonly import: string;
    readonly variant: string;
    readonly owners: readonly string[];
    readonly vendor: string | null;
    readonly platforms?: readonly string[] | null;
  };
}

export interface Observation {
  readonly digest: Digest;
  readonly at: string;
  /** The source digest in the stamp; null: the tag is new. */
  readonly placed: Digest | null;
  readonly placement: Placement;
  readonly windowMs: number;
  readonly maxWaitMs: number;
  readonly folder?: string;
}

export interface Wait extends Observation {
  /** false: the recorded digest is placed again meanwhile. */
  readonly listed: boolean;
  readonly reason: string | null;
}

export function placementFacts(placement: Placement): StatementFacts {
  const { label, source, sourceTag, baseDigest, platforms, transform, stampTo, upstreamVerified } = placement;
  return {
    ...{ policy: label.policy, import: label.import, variant: label.variant },
    ...{ source, sourceTag, baseDigest },
    created: label.created,
    ...{ platforms, transform, stampTo, upstreamVerified },
  };
}

/** Evidence to add to a kept tag: SBOMs, signatures, or both (docs/rules/plan.md#kept-tags-may-lack-evidence). */
export interface Backfill {
  readonly position: Position;
  readonly destination: DestinationRepository;
  readonly tag: string;
  readonly sourceTag: string;
  readonly sourceDigest: Digest;
  readonly subject: Digest;
  readonly created: string;
  readonly artifactType: Placement['label']['artifactType'];
  /** In order: an SBOM is signed after it is attached. */
  readonly needs: readonly EvidenceKind[];
  readonly facts: StatementFacts;
}

export interface AliasPlacement {
  readonly position: Position;
  readonly destination: DestinationRepository;
  readonly alias: string;
  readonly outTag: string;
  readonly digest: Digest;
  readonly current: Digest | null;
}

export interface PlannedMark {
  readonly kind: 'set' | 'replace' | 'clear';
  readonly position: Position;
  readonly destination: DestinationRepository;
  readonly tag: string | null;
  readonly digest: Digest;
  readonly put: Mark | null;
  /** Marks to clear where none is put; left out: all of the tag. */
  readonly remove?: readonly Digest[];
  readonly baseDigest: Digest | null;
}

export interface PlannedDeletion {
  readonly position: Position;
  readonly destination: DestinationRepository;
  readonly tag: string;
  readonly digest: Digest;
  readonly baseDigest: Digest;
}

/** A page of a plan; what needs no work is on the first. */
export interface PlanPage {
  readonly targets: readonly ReportTarget[];
  readonly settled: readonly PlannedOperation[];
  readonly counted: readonly { readonly position: Position; readonly kind: keyof Counts; readonly count: number }[];
  readonly placements: readonly Placement[];
  readonly backfills: readonly Backfill[];
  readonly aliases: readonly AliasPlacement[];
  /** Absent in recorded histories from before retirements. */
  readonly deletions?: readonly PlannedDeletion[];
  readonly marks?: readonly PlannedMark[];
  /** Repositories refused for too many removals (docs/rules/plan.md#one-run-takes-away-a-share-at-most). */
  readonly refused?: readonly string[];
  /** Absent in recorded histories from before waits. */
  readonly waits?: readonly Wait[];
  /** Key of the last wait of this page; null: there are no more. */
  readonly waitsAfter?: string | null;
  readonly saved?: ItemPage;
  /** Operations left to do, those of this page included. */
  readonly pending: number;
  /** Operations that are counted but not listed. */
  readonly cut: number;
  /** What people should know although nothing failed, on the first page. Absent in older recorded histories. */
  readonly notes?: readonly string[];
  /** The failure of a part, such as a destination (docs/rules/plan.md#what-fails-stays-apart). */
  readonly error: ReportedError | null;
  readonly concurrency: number;
}

export interface PlannedWork {
  readonly placements: readonly Placement[];
  readonly backfills: readonly Backfill[];
  readonly aliases: readonly AliasPlacement[];
  readonly waits: readonly Wait[];
  readonly deletions: readonly PlannedDeletion[];
  readonly marks: readonly PlannedMark[];
}
