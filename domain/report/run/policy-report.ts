import type { ReportedError } from '../../errors.js';
import type { Position, ReportTarget } from './position.js';
import {
  addCounts,
  type Counts,
  countOperation,
  type NodeStatus,
  noCounts,
  type Operation,
  type OperationKind,
  type PolicyNode,
  statusOf,
  worstOf,
} from './run-report.js';

/** Failures have some room beyond (docs/rules/reports.md#reports-are-cut-and-say-so). */
const MOST_OPERATIONS = 5_000;
const MOST_FAILURES = 500;
const LONGEST_MESSAGE = 500;
/** Of a longer one: who failed stands at its beginning, why and what to do next at its end. */
const BEGINNING = 200;

/** Bytes that may travel, compressed; the last part is for failures. */
const HEAVIEST = 500 * 1024;
const HEAVIEST_WITHOUT_FAILURES = 450 * 1024;

/** A policy's report in the making. Plain JSON: a run that continues as new carries it along. */
export interface PolicyReport {
  readonly name: string;
  readonly source: string;
  targets: ReportTarget[];
  /** Per target: its own counts, then its variants'. */
  counts: Counts[][];
  readonly operations: { readonly position: Position; readonly operation: Operation }[];
  failuresKept: number;
  /** Bytes, compressed, about. */
  weight: number;
  cut: number;
  error: ReportedError | null;
  /** Absent: none, as in older recorded histories. */
  notes?: readonly string[];
}

export function startReport(name: string, source: string): PolicyReport {
  return { name, source, targets: [], counts: [], operations: [], failuresKept: 0, weight: 0, cut: 0, error: null };
}

export function setTargets(report: PolicyReport, targets: readonly ReportTarget[]): void {
  if (report.targets.length > 0) return;
  report.targets = [...targets];
  report.counts = targets.map((target) => [noCounts(), ...target.variants.map(noCounts)]);
}

export function addOperation(report: PolicyReport, position: Position, operation: Operation): void {
  const counts = countsAt(report, position);
  if (counts !== undefined) countOperation(counts, operation);
  const listed = operation.error === null ? operation : { ...operation, error: shortened(operation.error) };
  const weight = report.weight + weightOf(listed);
  if (operation.error === null ? !hasRoom(report, weight) : !hasRoomForFailure(report, weight)) {
    report.cut += 1;
    return;
  }
  report.weight = weight;
  if (operation.error !== null) report.failuresKept += 1;
  report.operations.push({ position, operation: listed });
}

function hasRoom(report: PolicyReport, weight: number): boolean {
  return report.operations.length - report.failuresKept < MOST_OPERATIONS && weight <= HEAVIEST_WITHOUT_FAILURES;
}

function hasRoomForFailure(report: PolicyReport, weight: number): boolean {
  return report.failuresKept < MOST_FAILURES && weight <= HEAVIEST;
}

/** A digest is 32 random bytes, of which zlib makes 37; names and messages are taken to be random as well. */
function weightOf({ digest, out_digest, out_tag, src_tag, error, reason }: Operation): number {
  const digests = (digest === null ? 0 : 37) + (out_digest === null ? 0 : 37);
  const words = (error?.message.length ?? 0) + (reason?.length ?? 0);
  const text = out_tag.length + (src_tag === out_tag ? 0 : (src_tag?.length ?? 0)) + words;
  return digests + 3 + 0.9 * text;
}

/** Counts operations that are not listed (docs/rules/reports.md#planned-operations-count). */
export function addCounted(report: PolicyReport, position: Position, kind: keyof Counts, count: number): void {
  const counts = countsAt(report, position);
  if (counts !== undefined) counts[kind] += count;
}

/** The first failure of a whole target or policy; later ones do not hide it. */
export function setError(report: PolicyReport, error: ReportedError): void {
  report.error ??= shortened(error);
}

export function addNotes(report: PolicyReport, notes: readonly string[]): void {
  if (notes.length > 0) report.notes = [...(report.notes ?? []), ...notes];
}

/** Closes a report, in the order of the plan (docs/rules/reports.md#order-does-not-depend-on-timing). */
export function finishReport(report: PolicyReport): PolicyNode {
  const totals = noCounts();
  const targets = report.targets.map((target, index) => {
    const [own = noCounts(), ...perVariant] = report.counts[index] ?? [];
    const targetTotals = { ...own };
    const variants = target.variants.map((variant, variantIndex) => {
      const variantTotals = perVariant[variantIndex] ?? noCounts();
      addCounts(targetTotals, variantTotals);
      const operations = operationsAt(report, { target: index, variant: variantIndex });
      return { ...variant, status: statusOf(variantTotals), totals: variantTotals, operations };
    });
    addCounts(totals, targetTotals);
    const operations = operationsAt(report, { target: index, variant: null });
    return { dest_repo: target.dest_repo, status: statusOf(targetTotals), totals: targetTotals, operations, variants };
  });
  return {
    name: report.name,
    source: report.source,
    status: policyStatus(report, statusOf(totals)),
    error: report.error,
    totals,
    targets,
    ...(report.notes === undefined ? {} : { notes: report.notes }),
  };
}

/** Combines the counts with the policy's own error (docs/rules/reports.md#status-is-the-worst-of-the-parts). */
function policyStatus(report: PolicyReport, status: NodeStatus): NodeStatus {
  if (report.error === null) return status;
  return report.targets.length === 0 ? 'failed' : worstOf(['failed', status]);
}

const ORDER: readonly OperationKind[] = [
  'imported',
  'updated',
  'restamped',
  'held',
  'attested',
  'sbom',
  'skipped',
  'aliased',
  'deleted',
  'marked',
];
const RANK = new Map(ORDER.map((kind, index) => [kind, index < 4 ? 0 : index]));

function operationsAt(report: PolicyReport, { target, variant }: Position): Operation[] {
  return report.operations
    .filter(({ position }) => position.target === target && position.variant === variant)
    .map(({ operation }) => operation)
    .sort((a, b) => (RANK.get(a.kind) ?? 0) - (RANK.get(b.kind) ?? 0));
}

function countsAt(report: PolicyReport, position: Position): Counts | undefined {
  return report.counts[position.target]?.[position.variant === null ? 0 : position.variant + 1];
}

function shortened(error: ReportedError): ReportedError {
  if (error.message.length <= LONGEST_MESSAGE) return error;
  const [beginning, end] = [error.message.slice(0, BEGINNING), error.message.slice(BEGINNING - LONGEST_MESSAGE)];
  return { ...error, message: `${beginning}…${end}` };
}
