export interface PurgeInput {
  /** A roster name; null: all. */
  readonly registry: string | null;
  /** `host/path`; null: all. */
  readonly repositories: readonly string[] | null;
  readonly apply: boolean;
  /** Retirements that one run may begin or end at once; null: no limit. */
  readonly maxDeletions: number | null;
  readonly requireApproval: boolean;
}

export interface GcInput {
  readonly registry: string | null;
  readonly repositories: readonly string[] | null;
  readonly apply: boolean;
  /** Scan reports kept of each tool and format. */
  readonly keep: number;
  readonly olderThanDays: number;
}

export const GC_DEFAULTS = { keep: 2, olderThanDays: 30 } as const;

/** Where a sweep goes on: after the tag of this repository or, with tag null, after the repository. */
export interface SweepCursor {
  readonly registry: string;
  readonly path: string;
  readonly tag: string | null;
}
