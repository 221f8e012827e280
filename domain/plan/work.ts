import type { Digest } from '../digest.js';
import type { RunOptions } from '../durable/messages.js';
import type { ReportedError } from '../errors.js';
import type { HumanWord } from '../human-word.js';
import type { Mark } from '../lifecycle/mark.js';
import type { TransformStep } from '../policy/resolve.js';
import type { MirrorPolicy } from '../policy/schema.js';
import type { Repository } from '../reference.js';
import type { Counts, Operation } from '../report/run/run-report.js';
import type { AliasMove, EvidenceKind } from './plan.js';
import type { ItemPage, PlannedItems } from './plan-item.js';

/** A destination repository: where it is, and the roster name under which the worker finds how to reach it (S6). */
export interface DestinationRepository extends Repository {
  readonly registry: string;
}

/** Where in a policy's report something belongs. `variant` is null for deletions and marks. */
export interface Position {
  readonly target: number;
  readonly variant: number | null;
}

/** The steps of a rebuild with what decides their outcome. Names only: the build worker finds what they stand for (S6). */
export interface PlannedTransform {
  readonly steps: readonly TransformStep[];
  /** Section 3, "Transform version". */
  readonly version: string;
  /** The certificates that go in, by name and digest of their text. */
  readonly resources: readonly { readonly name: string; readonly digest: Digest }[];
}

/** Whose signature of the source digest a policy demands before anything is imported (section 2.2, `verifyUpstream`). */
export type UpstreamSigner = { readonly key: string } | { readonly identity: string; readonly issuer: string };

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

/** What `placeImage` returns; the aliases it moved and those it could not. */
export interface PlacementResult {
  readonly digest: Digest;
  readonly aliases: readonly {
    readonly alias: string;
    readonly moved: boolean;
    readonly error: ReportedError | null;
  }[];
}

/** What the statements about a placed image say; nothing that only the registry knows, and no secret. */
export interface StatementFacts {
  readonly policy: string;
  readonly import: string;
  readonly variant: string;
  readonly source: Repository;
  readonly sourceTag: string;
  readonly baseDigest: Digest;
  /** ISO 8601: of the placement; in a back-fill, of the run (section 7.3). */
  readonly created: string;
  /** null: all that the source has; of a rebuild, those that the image turns out to have. */
  readonly platforms: readonly string[] | null;
  readonly transform: PlannedTransform | null;
  readonly stampTo: 'annotations' | 'referrer';
  readonly upstreamVerified: string | null;
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

/** The input of `signEvidence`: everything about one digest that still lacks a signature is signed. */
export interface SignRequest {
  readonly destination: DestinationRepository;
  /** The output tag, for the name of the subject. */
  readonly tag: string;
  readonly subject: Digest;
  readonly artifactType: 'image' | 'helmChart' | 'generic';
  readonly facts: StatementFacts;
  /** How the journal tells of a back-fill; null inside a placement. */
  readonly journal: Readonly<Record<string, unknown>> | null;
}

/** Evidence to add to a tag that is kept: SBOMs, signatures, or both (section 5). */
export interface Backfill {
  readonly position: Position;
  readonly destination: DestinationRepository;
  readonly tag: string;
  readonly sourceTag: string;
  readonly sourceDigest: Digest;
  readonly subject: Digest;
  readonly created: string;
  readonly artifactType: SignRequest['artifactType'];
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

export interface PolicyInput {
  readonly policy: MirrorPolicy;
  /** The file it came from. */
  readonly source: string;
  readonly options: RunOptions;
  /** The run's one `now`, RFC 3339. */
  readonly now: string;
  /** Where the whole set of policies is, of which this is one; left out: nobody can tell. */
  readonly folder?: string;
  /** Carry out these and nothing else. Left out: whatever there is to do. */
  readonly plan?: PlannedItems;
  /** Of a dry run: give back the items of the plan that come after this one; null: from the first. Left out: none. */
  readonly save?: { readonly after: string | null };
}

export interface PlanRequest extends PolicyInput {
  /** `repository:tag` of what failed in this run and is not tried again. */
  readonly failed: readonly string[];
  /** Only the first page reports what needs nothing done. */
  readonly first: boolean;
  /** Repositories of which this run deletes and newly marks nothing. Left out: none. */
  readonly refused?: readonly string[];
  /** The `repository:tag` after which waits go on; null: with the first. Left out: they are told already. */
  readonly waitsAfter?: string | null;
}

export interface PlannedOperation {
  readonly position: Position;
  readonly operation: Operation;
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
  /** Repositories of which this run deletes and newly marks nothing, because it would be too much (L4). */
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
  /** A target that could not be read; the others are planned all the same (L7). */
  readonly error: ReportedError | null;
  /** Placements in flight, from the run's options or the worker's setting. */
  readonly concurrency: number;
}

export interface ReportTarget {
  readonly dest_repo: string;
  readonly variants: readonly { readonly name: string; readonly suffix: string }[];
}
