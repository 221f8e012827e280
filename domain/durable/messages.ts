import type { ReportedError } from '../errors.js';
import type { ItemPage, PlannedItems } from '../plan/plan-item.js';
import type { RunOptions } from '../plan/request.js';
import type { MirrorPolicy } from '../policy/schema.js';
import type { Counts, NodeStatus, PolicyNode } from '../report/run/run-report.js';

export interface PolicySource {
  readonly file: string;
  readonly policy: MirrorPolicy;
}

/** What clients send to `reconcileFleet` and what they get back. Plain JSON: it is what a history holds. */
export interface FleetInput {
  /** null: read `POLICY_DIR` on the worker (a scheduled run). */
  readonly policies: readonly PolicySource[] | null;
  /** A path of the machine that runs Temporal too; left out: unknown, or the worker reads them. */
  readonly folder?: string;
  readonly shard: { readonly index: number; readonly count: number };
  /** null: all. The whole set is checked in any case. */
  readonly only: string | null;
  readonly options: RunOptions;
  /** Held plans by policy; left out: whatever there is to do. */
  readonly plans?: Readonly<Record<string, PlannedItems>>;
  /** Give the items of the plan back (dry run). */
  readonly save?: true;
}

/** One policy of a fleet's outcome; its operations are the result of the child workflow named here. */
export interface FleetPolicy {
  readonly name: string;
  readonly source: string;
  readonly workflowId: string;
  readonly runId: string | null;
  readonly status: NodeStatus;
  readonly totals: Counts;
  readonly error: ReportedError | null;
  /** Why nothing was done, such as `already running`, or null. */
  readonly skipped: string | null;
}

export interface FleetResult {
  readonly mode: 'apply' | 'dry-run';
  readonly status: NodeStatus;
  readonly totals: Counts;
  readonly policies: readonly FleetPolicy[];
}

/** What `reconcilePolicy` returns: its node of the run report, and how many operations it had to leave out. */
export interface PolicyResult {
  readonly node: PolicyNode;
  readonly operationsCut: number;
  /** The first items of the plan, where they were asked for. */
  readonly saved?: ItemPage;
}

/** The `progress` query, of a fleet (policies) or of a policy (placements). `total` is 0 until it is known. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  /** What is being worked on now: policy names, or tags. At most 20. */
  readonly current: readonly string[];
}

/** The `status` query of every workflow. */
export interface Status {
  readonly phase: string;
  /** RFC 3339. */
  readonly since: string;
  readonly digest?: string;
  readonly lastError?: string;
}
