import type { MirrorPolicy } from '../policy/schema.js';
import type { PlannedItems } from './plan-item.js';

export interface RunOptions {
  readonly dryRun: boolean;
  /** Placements in flight; null: `HOUBA_MAX_CONCURRENCY`. */
  readonly concurrency: number | null;
  /** Bypass the cache of what digests carry. */
  readonly recheck: boolean;
  readonly allowMassDeletion: boolean;
}

export interface PolicyInput {
  readonly policy: MirrorPolicy;
  readonly source: string;
  readonly options: RunOptions;
  readonly now: string;
  readonly folder?: string;
  /** A saved plan to carry out; left out: whatever is planned now. */
  readonly plan?: PlannedItems;
  /** Return the items after this key; null: from the first. */
  readonly save?: { readonly after: string | null };
}

export interface PlanRequest extends PolicyInput {
  /** `repository:tag` of failures, not tried again in this run. */
  readonly failed: readonly string[];
  readonly first: boolean;
  /** Repositories refused for too many removals. */
  readonly refused?: readonly string[];
  /** Key of the last wait told; null: start with the first; left out: all are told. */
  readonly waitsAfter?: string | null;
}
