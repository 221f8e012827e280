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

/**
 * How much one step or one run of a workflow takes before it goes on with the next page: a payload and a history are bounded
 * (docs/rules/durability.md#histories-stay-small).
 */
export const PAGE_SIZES = {
  /** Placements, backfills and alias moves together, of a plan that is made anew or held. */
  work: 200,
  /** Policies of a fleet: each is a child workflow. */
  policies: 200,
  /** Waits that one step observes: an update each, and it has to answer. */
  waits: 100,
  /** Tags that one step deletes: the list of what goes with them travels. */
  deletions: 10,
  /** Repositories or marked tags of a sweep. */
  sweep: 100,
  /** Tags of a repository that an audit has in memory. */
  audit: 1000,
} as const;

/** The input of `placeImage`: one image to bring to one tag. Equal inputs give equal bytes. */
export interface Placement {
  readonly kind: 'imported' | 'updated' | 'restamped';
  readonly position: Position;
  /** Where the unmodified manifest comes from. */
  readonly source: Repository;
  readonly sourceTag: string;
  readonly baseDigest: Digest;
  readonly destination: DestinationRepository;
  readonly tag: string;
  /** What the tag resolved to when this was planned; publishing over anything else is refused. */
  readonly current: Digest | null;
  readonly aliases: readonly AliasMove[];
  /** The platforms to take; null: all that the source has. A rebuild names them; a restamp takes what is there. */
  readonly platforms: readonly string[] | null;
  /** null: a copy. */
  readonly transform: PlannedTransform | null;
  readonly stampTo: 'annotations' | 'referrer';
  readonly keepUpstreamEvidence: boolean;
  readonly verifyUpstream: UpstreamSigner | null;
  /** What `{prefix}.upstream.verified` will say; filled in by `placeImage` once the signature has been verified. */
  readonly upstreamVerified: string | null;
  /** Whether the evidence is signed. */
  readonly sign: boolean;
  /** Who ended the wait of this base digest by hand, for the stamp; left out or null: nobody. */
  readonly promoted?: HumanWord | null;
  /** Why a wait ended with this digest, in words, whatever the source tag shows by now; left out: there was no wait. */
  readonly settled?: string;
  /** The part of the stamp that the policy decides. */
  readonly label: {
    readonly created: string;
    readonly artifactType: 'image' | 'helmChart' | 'generic';
    readonly policy: string;
    readonly import: string;
    readonly variant: string;
    readonly owners: readonly string[];
    readonly vendor: string | null;
    /** What `{prefix}.platforms` says: only platforms that the policy names. Missing or null: nothing. */
    readonly platforms?: readonly string[] | null;
  };
}

/** What a run sees of a tag that waits for its digest to stand still. */
export interface Observation {
  /** What the source tag shows. */
  readonly digest: Digest;
  /** RFC 3339: the run's `now`. */
  readonly at: string;
  /** The source digest that the output tag's stamp records; null: the tag is new. */
  readonly placed: Digest | null;
  /** How the digest would be placed, by the policy as it is now. */
  readonly placement: Placement;
  readonly windowMs: number;
  readonly maxWaitMs: number;
  /** Where the set of policies is that wants the tag; left out: nobody can tell. */
  readonly folder?: string;
}

/** A wait as a plan asks for it. */
export interface Wait extends Observation {
  /** Whether the report says `held`; a tag that is placed anew from its recorded digest waits silently. */
  readonly listed: boolean;
  /** Why it is held beside the window, or null. */
  readonly reason: string | null;
}

/** What a placement will have to say of itself. */
export function placementFacts(placement: Placement): StatementFacts {
  const { label, source, sourceTag, baseDigest, platforms, transform, stampTo, upstreamVerified } = placement;
  return {
    ...{ policy: label.policy, import: label.import, variant: label.variant },
    ...{ source, sourceTag, baseDigest },
    created: label.created,
    ...{ platforms, transform, stampTo, upstreamVerified },
  };
}

/** Evidence to add to a tag that is kept: SBOMs, signatures, or both (docs/rules/plan.md#kept-tags-may-lack-evidence). */
export interface Backfill {
  readonly position: Position;
  readonly destination: DestinationRepository;
  readonly tag: string;
  readonly sourceTag: string;
  readonly sourceDigest: Digest;
  readonly subject: Digest;
  readonly created: string;
  readonly artifactType: Placement['label']['artifactType'];
  /** In the order in which they are made: a signature needs the document. */
  readonly needs: readonly EvidenceKind[];
  /** What the statements say, from the recorded stamp. */
  readonly facts: StatementFacts;
}

/** An alias to point at a tag that is kept. */
export interface AliasPlacement {
  readonly position: Position;
  readonly destination: DestinationRepository;
  readonly alias: string;
  readonly outTag: string;
  readonly digest: Digest;
  readonly current: Digest | null;
}

/** The mark of one tag to set, replace or clear. */
export interface PlannedMark {
  readonly kind: 'set' | 'replace' | 'clear';
  readonly position: Position;
  readonly destination: DestinationRepository;
  /** null: marks that name no tag. */
  readonly tag: string | null;
  /** What the tag resolved to when this was planned. */
  readonly digest: Digest;
  /** null: the tag has none. */
  readonly put: Mark | null;
  /** The marks that go where none is put; left out: all of the tag's. */
  readonly remove?: readonly Digest[];
  /** The source's, for the report. */
  readonly baseDigest: Digest | null;
}

/** A tag to delete at once. */
export interface PlannedDeletion {
  readonly position: Position;
  readonly destination: DestinationRepository;
  readonly tag: string;
  readonly digest: Digest;
  readonly baseDigest: Digest;
}

/** One page of a plan: what must be done now, and, on the first page, what was merely found. */
export interface PlanPage {
  readonly targets: readonly ReportTarget[];
  readonly settled: readonly PlannedOperation[];
  /** What needs no word of its own, and what there is no room to list. */
  readonly counted: readonly { readonly position: Position; readonly kind: keyof Counts; readonly count: number }[];
  readonly placements: readonly Placement[];
  readonly backfills: readonly Backfill[];
  readonly aliases: readonly AliasPlacement[];
  /** Left out, as marks and what is refused, by a plan from before tags were retired. */
  readonly deletions?: readonly PlannedDeletion[];
  /** Those that are made first, then those that are cleared, of which nobody is told. */
  readonly marks?: readonly PlannedMark[];
  /**
   * Repositories of which this run deletes and newly marks nothing, because it would be too much
   * (docs/rules/plan.md#one-run-takes-away-a-share-at-most).
   */
  readonly refused?: readonly string[];
  /** Tags whose digest has to stand still first. Left out by a plan from before there were waits. */
  readonly waits?: readonly Wait[];
  /** The cursor for the waits that this page has no room for; null: it has the last. */
  readonly waitsAfter?: string | null;
  /** What a plan that is saved holds; left out: nobody asked. */
  readonly saved?: ItemPage;
  /** Everything there is to do, this page included. */
  readonly pending: number;
  /** How many operations are only counted for want of room; the journal has them. */
  readonly cut: number;
  /** A target that could not be read; the others are planned all the same (docs/rules/plan.md#what-fails-stays-apart). */
  readonly error: ReportedError | null;
  /** Placements in flight, from the run's options or the worker's setting. */
  readonly concurrency: number;
}

/** Everything there is to do for a policy, as it would be carried out. */
export interface PlannedWork {
  readonly placements: readonly Placement[];
  readonly backfills: readonly Backfill[];
  readonly aliases: readonly AliasPlacement[];
  readonly waits: readonly Wait[];
  readonly deletions: readonly PlannedDeletion[];
  readonly marks: readonly PlannedMark[];
}
