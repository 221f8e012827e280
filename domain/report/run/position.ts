import type { Operation } from './run-report.js';

/** Where in a policy's report something belongs. `variant` is null for deletions and marks. */
export interface Position {
  readonly target: number;
  readonly variant: number | null;
}

export interface PlannedOperation {
  readonly position: Position;
  readonly operation: Operation;
}

export interface ReportTarget {
  readonly dest_repo: string;
  readonly variants: readonly { readonly name: string; readonly suffix: string }[];
}
