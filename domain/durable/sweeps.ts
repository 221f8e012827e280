/** The input of `purgeFleet`. */
export interface PurgeInput {
  /** A name of the roster; null: all. */
  readonly registry: string | null;
  /** `host/path`: look at these alone; null: at all there are. */
  readonly repositories: readonly string[] | null;
  /** false: say what would be done. */
  readonly apply: boolean;
  /** Retirements that one run may begin, those it ends at once among them; null: any number. */
  readonly maxDeletions: number | null;
  readonly requireApproval: boolean;
}

/** The input of `collectGarbage`. */
export interface GcInput {
  readonly registry: string | null;
  readonly repositories: readonly string[] | null;
  readonly apply: boolean;
  /** Scan reports kept of each tool and format. */
  readonly keep: number;
  readonly olderThanDays: number;
}

export const GC_DEFAULTS = { keep: 2, olderThanDays: 30 } as const;

/** The place at which a sweep goes on: the repository after this one, or this one after a tag. */
export interface SweepCursor {
  /** A name of the roster. */
  readonly registry: string;
  readonly path: string;
  /** null: the repository is done. */
  readonly tag: string | null;
}
