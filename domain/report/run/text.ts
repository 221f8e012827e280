import type { ReportedError } from '../../errors.js';
import { escapeControls } from '../../text/escape.js';
import { NO_PALETTE, type Paint, type Palette } from '../palette.js';
import type { Counts, NodeStatus, Operation, PolicyNode, RunReport, TargetNode } from './run-report.js';

/** A line per policy, with `verbose` also per target and operation, and one for the run. Ends with a line break. */
export function renderReport(report: RunReport, { verbose = false, palette = NO_PALETTE } = {}): string {
  const lines: string[] = [];
  for (const policy of report.policies) {
    lines.push(policyLine(policy, palette));
    for (const note of policy.notes ?? []) lines.push(`  ${palette.doubtful('note:')} ${escapeControls(note)}`);
    if (verbose) for (const target of policy.targets) targetLines(target, palette, lines);
  }
  if (verbose && report.operations_cut > 0) {
    lines.push(palette.minor(`${report.operations_cut} operations are not listed; the journal has them all`));
  }
  const failedPolicies = report.policies.filter((policy) => policy.status === 'failed').length;
  const status = paintStatus(report.status, palette)(report.status);
  lines.push(
    `reconcile [${report.mode}] status=${status} ${countsText(report.totals)} failed_policies=${failedPolicies}`,
  );
  return `${lines.join('\n')}\n`;
}

const MARKS = { ok: '✓', partial: '≈', failed: '✗' } as const satisfies Record<NodeStatus, string>;

function policyLine(policy: PolicyNode, palette: Palette): string {
  const paint = paintStatus(policy.status, palette);
  const head = `${paint(MARKS[policy.status])} ${escapeControls(policy.name)}`;
  const word = policy.status === 'ok' ? '' : ` ${paint(policy.status.toUpperCase())}`;
  const rest = policy.error === null ? countsText(policy.totals) : errorText(policy.error, palette);
  return `${head}${word} ${rest}`;
}

function targetLines(target: TargetNode, palette: Palette, lines: string[]): void {
  lines.push(`  ${escapeControls(target.dest_repo)} ${countsText(target.totals)}`);
  for (const operation of target.operations) lines.push(operationLine(operation, '', palette));
  for (const variant of target.variants) {
    for (const operation of variant.operations) lines.push(operationLine(operation, variant.name, palette));
  }
}

/** `imported 7.2-eu <- 7.2 sha256:… [eu] (planned)`, with the digest of the tag, else of the source. */
function operationLine(operation: Operation, variant: string, palette: Palette): string {
  const kind = operation.error === null ? operation.kind : palette.bad(`${operation.kind} failed`);
  const parts = [kind, escapeControls(operation.out_tag)];
  if (operation.src_tag !== null && operation.src_tag !== operation.out_tag) {
    parts.push(`<- ${escapeControls(operation.src_tag)}`);
  }
  const digest = (operation.kind === 'held' ? null : operation.out_digest) ?? operation.digest;
  if (digest !== null) parts.push(palette.minor(escapeControls(digest)));
  if (variant !== '' && variant !== 'default') parts.push(`[${escapeControls(variant)}]`);
  if (operation.transform_steps !== null && operation.transform_steps.length > 0) {
    parts.push(`steps=${escapeControls(operation.transform_steps.join(','))}`);
  }
  if (operation.ready_at !== null) parts.push(`ready_at=${operation.ready_at}`);
  if (operation.reason !== undefined) parts.push(`(${escapeControls(operation.reason)})`);
  if (operation.error !== null) parts.push(errorText(operation.error, palette));
  else if (!operation.applied && operation.kind !== 'held') parts.push(palette.minor('(planned)'));
  return `    ${parts.join(' ')}`;
}

function errorText(error: ReportedError, palette: Palette): string {
  return `${palette.bad(escapeControls(error.type))}: ${escapeControls(error.message)}`;
}

function countsText(counts: Counts): string {
  return Object.entries(counts)
    .map(([name, count]) => `${name}=${count}`)
    .join(' ');
}

function paintStatus(status: NodeStatus, palette: Palette): Paint {
  return { ok: palette.good, partial: palette.doubtful, failed: palette.bad }[status];
}
