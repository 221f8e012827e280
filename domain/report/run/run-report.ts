import type { ReportedError } from '../../errors.js';

/** The kinds of things a run does to a tag, in the order reports count them. */
export const OPERATION_KINDS = [
  'imported',
  'updated',
  'restamped',
  'held',
  'deleted',
  'aliased',
  'skipped',
  'marked',
  'attested',
  'sbom',
] as const;

export type OperationKind = (typeof OPERATION_KINDS)[number];
export type Counts = Record<OperationKind | 'failed', number>;
export type NodeStatus = 'ok' | 'partial' | 'failed';

/** One operation of the run report. `digest` is the source's, `out_digest` what the tag resolves to. */
export interface Operation {
  readonly kind: OperationKind;
  readonly out_tag: string;
  readonly src_tag: string | null;
  readonly digest: string | null;
  readonly applied: boolean;
  readonly ready_at: string | null;
  readonly error: ReportedError | null;
  readonly transform_steps: readonly string[] | null;
  readonly out_digest: string | null;
  /** Why a tag is held, where that is not the stability window, why it is marked, or what its image lacks. */
  readonly reason?: string | undefined;
}

export function newOperation(kind: OperationKind, outTag: string): Operation {
  return {
    kind,
    out_tag: outTag,
    src_tag: null,
    digest: null,
    applied: false,
    ready_at: null,
    error: null,
    transform_steps: null,
    out_digest: null,
  };
}

/** Says of a placed image what it is without (docs/rules/stamp.md#a-lost-attestation-is-left-out). */
export function withoutLost(lost: readonly string[]): string {
  return `without ${lost.length === 1 ? 'an attestation' : `${lost.length} attestations`} that upstream has lost`;
}

export interface VariantNode {
  readonly name: string;
  readonly suffix: string;
  readonly status: NodeStatus;
  readonly totals: Counts;
  readonly operations: readonly Operation[];
}

export interface TargetNode {
  readonly dest_repo: string;
  readonly status: NodeStatus;
  readonly totals: Counts;
  readonly operations: readonly Operation[];
  readonly variants: readonly VariantNode[];
}

export interface PolicyNode {
  readonly name: string;
  readonly source: string;
  readonly status: NodeStatus;
  readonly error: ReportedError | null;
  readonly totals: Counts;
  readonly targets: readonly TargetNode[];
  /** What people should know although nothing failed; absent: nothing. */
  readonly notes?: readonly string[];
}

export interface RunReport {
  readonly schema_version: 1;
  /** Operations left out because there were too many to carry; the journal has them all. */
  readonly operations_cut: number;
  readonly mode: 'apply' | 'dry-run';
  readonly status: NodeStatus;
  readonly totals: Counts;
  readonly policies: readonly PolicyNode[];
}

export function noCounts(): Counts {
  return {
    imported: 0,
    updated: 0,
    restamped: 0,
    held: 0,
    deleted: 0,
    aliased: 0,
    skipped: 0,
    marked: 0,
    attested: 0,
    sbom: 0,
    failed: 0,
  };
}

/** Counts an operation, a failed one only as failed (docs/rules/reports.md#planned-operations-count). */
export function countOperation(counts: Counts, operation: Operation): void {
  counts[operation.error === null ? operation.kind : 'failed'] += 1;
}

export function addCounts(into: Counts, more: Counts): void {
  for (const key of Object.keys(into) as (keyof Counts)[]) into[key] += more[key];
}

/** Derives a status from counts (docs/rules/reports.md#status-is-the-worst-of-the-parts). */
export function statusOf(totals: Counts): NodeStatus {
  if (totals.failed === 0) return 'ok';
  const fine = Object.values(totals).reduce((sum, n) => sum + n, 0) - totals.failed;
  return fine === 0 ? 'failed' : 'partial';
}

/** The same rule over children's statuses: no children is `ok`. */
export function worstOf(statuses: readonly NodeStatus[]): NodeStatus {
  if (statuses.every((status) => status === 'ok')) return 'ok';
  return statuses.every((status) => status === 'failed') ? 'failed' : 'partial';
}
