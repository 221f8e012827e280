import type { ReportedError } from '../errors.js';
import type { ItemPage, PlannedItems } from '../plan/plan-item.js';
import type { RunOptions } from '../plan/request.js';
import type { MirrorPolicy } from '../policy/schema.js';
import type { Counts, NodeStatus, PolicyNode } from '../report/run/run-report.js';

export interface PolicySource {
  readonly file: string;
  readonly policy: MirrorPolicy;
}

/** The input of `reconcileFleet`, as plain JSON. */
export interface FleetInput {
  /** null: the worker reads `POLICY_DIR` (a scheduled run). */
  readonly policies: readonly PolicySource[] | null;
  /** Folder of the policies, on the machine of the server; left out: unknown, or the worker reads them. */
  readonly folder?: string;
  readonly shard: { readonly index: number; readonly count: number };
  /** A policy name; null: all. The whole set is checked in any case. */
  readonly only: string | null;
  readonly options: RunOptions;
  /** Saved plans by policy; left out: a run carries out what it plans itself. */
  readonly plans?: Readonly<Record<string, PlannedItems>>;
  /** Return the plan's items (dry run). */
  readonly save?: true;
}

/** The outcome of one policy; the result of its child workflow has the operations. */
export interface FleetPolicy {
  readonly name: string;
  readonly source: string;
  readonly workflowId: string;
  readonly runId: string | null;
  readonly status: NodeStatus;
  readonly totals: Counts;
  readonly error: ReportedError | null;
  /** Why the policy did not run, such as `already running`, or null. */
  readonly skipped: string | null;
}

export interface FleetResult {
  readonly mode: 'apply' | 'dry-run';
  readonly status: NodeStatus;
  readonly totals: Counts;
  readonly policies: readonly FleetPolicy[];
}

/** The result of `reconcilePolicy`: its report node, and how many operations were left out of it. */
export interface PolicyResult {
  readonly node: PolicyNode;
  readonly operationsCut: number;
  readonly saved?: ItemPage;
}

/** The `progress` query, in policies of a fleet or placements of a policy. `total` is 0 until it is known. */
export interface Progress {
  readonly done: number;
  readonly total: number;
  /** Policy names, or tags, in work. At most 20. */
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
