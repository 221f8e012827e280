import { z } from 'zod';
import { EXIT_CODES, type ReportedError } from '../errors.js';
import { escapeControls } from '../text/escape.js';
import { NO_PALETTE, type Palette } from './palette.js';

/**
 * What becomes of a marked tag. `purge`: due and not in use; `protect`: in use, wanted or restored; `uncertain`: nobody
 * could say, so it is kept; `wait`: not yet due, or not yet approved.
 */
export const PURGE_DECISIONS = ['purge', 'protect', 'uncertain', 'wait'] as const;
export type PurgeDecisionKind = (typeof PURGE_DECISIONS)[number];

export interface PurgeOutcome {
  /** `repository:tag`; a repository alone when it could not be read. */
  readonly image_ref: string;
  readonly digest: string | null;
  readonly decision: PurgeDecisionKind;
  readonly reason: string;
  /** RFC 3339: when it is looked at again by itself; null: no such time. */
  readonly due_at: string | null;
  readonly applied: boolean;
  readonly error: ReportedError | null;
}

export interface PurgeReport {
  readonly schema_version: 1;
  readonly mode: 'apply' | 'dry-run';
  readonly counts: Readonly<Record<PurgeDecisionKind | 'applied' | 'failed', number>>;
  /** Outcomes left out because there were too many to carry; the journal has the deletions. */
  readonly outcomes_cut: number;
  readonly outcomes: readonly PurgeOutcome[];
}

/** Further ones are counted. */
const MOST_LISTED = 5_000;

export function emptyPurgeReport(mode: PurgeReport['mode']): PurgeReport {
  const counts = { purge: 0, protect: 0, uncertain: 0, wait: 0, applied: 0, failed: 0 };
  return { schema_version: 1, mode, counts, outcomes_cut: 0, outcomes: [] };
}

/** A report with more outcomes; failures and deletions find room before the rest. */
export function addOutcomes(report: PurgeReport, more: readonly PurgeOutcome[]): PurgeReport {
  const counts = { ...report.counts };
  for (const { decision, applied, error } of more) {
    counts[decision] += 1;
    if (applied) counts.applied += 1;
    if (error !== null) counts.failed += 1;
  }
  const matters = (one: PurgeOutcome) => one.applied || one.error !== null;
  const all = [...report.outcomes, ...more];
  const outcomes = all.length <= MOST_LISTED ? all : [...all.filter(matters), ...all.filter((one) => !matters(one))];
  const cut = Math.max(0, all.length - MOST_LISTED);
  return { ...report, counts, outcomes: outcomes.slice(0, MOST_LISTED), outcomes_cut: report.outcomes_cut + cut };
}

/** Picks the exit code of a purge (docs/rules/errors.md#the-worst-code-ends-a-command). */
export function purgeExitCode(report: PurgeReport): number {
  const worst = Math.max(0, ...report.outcomes.map(({ error }) => error?.exit_code ?? 0));
  return worst === 0 && report.counts.failed > 0 ? EXIT_CODES.Internal : worst;
}

export function renderPurgeReport(report: PurgeReport, palette: Palette = NO_PALETTE): string {
  const lines = report.outcomes.map((outcome) => lineOf(outcome, palette));
  const { counts, mode, outcomes_cut: cut } = report;
  const told = Object.entries(counts).map(([name, count]) => `${name}=${count}`);
  const more = cut === 0 ? '' : ` (${cut} outcomes are only counted)`;
  return `${[...lines, `purge [${mode}] ${told.join(' ')}${more}`].join('\n')}\n`;
}

function lineOf({ image_ref, digest, decision, reason, due_at, applied, error }: PurgeOutcome, palette: Palette) {
  const paint = { purge: palette.bad, protect: palette.good, uncertain: palette.doubtful, wait: palette.minor };
  const verb = applied ? 'DELETED' : decision.toUpperCase();
  const due = due_at === null ? '' : ` (due ${due_at})`;
  const failure = error === null ? '' : ` ${palette.bad(`${error.type}: ${escapeControls(error.message)}`)}`;
  const pinned = digest === null ? '' : ` ${palette.minor(digest)}`;
  return `${paint[decision](verb.padEnd(9))} ${escapeControls(image_ref)}${pinned}  ${escapeControls(reason)}${due}${failure}`;
}

export function purgeReportJsonSchema(): Record<string, unknown> {
  const { $schema, ...body } = z.toJSONSchema(PurgeReportShape, { target: 'draft-2020-12' });
  return { $schema, $id: 'https://houba.io/schemas/purge-report.schema.json', title: 'houba purge report', ...body };
}

const Count = z.int().min(0);

export const PurgeReportShape = z.strictObject({
  schema_version: z.literal(1),
  mode: z.enum(['apply', 'dry-run']),
  counts: z
    .strictObject({ purge: Count, protect: Count, uncertain: Count, wait: Count, applied: Count, failed: Count })
    .describe('Outcomes by decision, and how many tags were deleted or could not be handled'),
  outcomes_cut: Count.describe('Outcomes left out because there were too many to carry; the journal has the deletions'),
  outcomes: z.array(
    z.strictObject({
      image_ref: z.string().describe('Repository and tag; a repository alone when it could not be read'),
      digest: z.string().nullable().describe('What the tag resolves to'),
      decision: z
        .enum(PURGE_DECISIONS)
        .describe('purge: due and unused; protect: used, wanted or restored; uncertain: kept; wait: not yet due'),
      reason: z.string().describe('Why, for a person'),
      due_at: z.iso.datetime({ offset: true }).nullable().describe('When it is looked at again by itself'),
      applied: z.boolean().describe('Whether the tag was deleted'),
      error: z.strictObject({ type: z.string(), message: z.string(), exit_code: z.int().min(0).max(255) }).nullable(),
    }),
  ),
});
