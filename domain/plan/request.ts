import type { MirrorPolicy } from '../policy/schema.js';
import type { PlannedItems } from './plan-item.js';

/** How the policies of one run are carried out. */
export interface RunOptions {
  readonly dryRun: boolean;
  /** Placements in flight per policy; null takes the worker's `HOUBA_MAX_CONCURRENCY`. */
  readonly concurrency: number | null;
  /** Ignore the local cache of what digests carry and look at the registry again. */
  readonly recheck: boolean;
  /** Lift the cap on the share of tags one run may mark or delete, for this run (`--allow-mass-deletion`). */
  readonly allowMassDeletion: boolean;
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
