import type { MirrorPolicy } from '../policy/schema.js';
import type { PlannedItems } from './plan-item.js';

export interface RunOptions {
  readonly dryRun: boolean;
  /** Placements in flight; null: `HOUBA_MAX_CONCURRENCY`. */
  readonly concurrency: number | null;
  /** Do not trust the cache of what digests carry. */
  readonly recheck: boolean;
  /** `--allow-mass-deletion`. */
  readonly allowMassDeletion: boolean;
}

export interface PolicyInput {
  readonly policy: MirrorPolicy;
  readonly source: string;
  readonly options: RunOptions;
  /** RFC 3339. */
  readonly now: string;
  /** Folder of the policy set; left out: unknown. */
  readonly folder?: string;
  /** A held plan; left out: whatever there is to do. */
  readonly plan?: PlannedItems;
  /** Give items back, those after this one; null: from the first. */
  readonly save?: { readonly after: string | null };
}

export interface PlanRequest extends PolicyInput {
  /** `repository:tag` that are not tried again. */
  readonly failed: readonly string[];
  readonly first: boolean;
  /** Repositories that are too much to delete from. */
  readonly refused?: readonly string[];
  /** null: from the first wait; left out: all are told. */
  readonly waitsAfter?: string | null;
}
