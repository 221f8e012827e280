import { z } from 'zod';
import { EXIT_CODES, type ReportedError } from '../errors.js';
import { escapeControls } from '../text/escape.js';
import { NO_PALETTE, type Palette } from './palette.js';

/** `scans`: superseded reports of one image; `superseded`: what the tags of one repository showed before. */
export const GC_KINDS = ['scans', 'superseded'] as const;

export interface GcOutcome {
  readonly kind: (typeof GC_KINDS)[number];
  /** `repository@digest` for scans, a repository for what is superseded, or could not be read. */
  readonly image_ref: string;
  /** How many stay: reports, or superseded digests. */
  readonly kept: number;
  readonly collected: readonly string[];
  readonly applied: boolean;
  readonly error: ReportedError | null;
}

export interface GcReport {
  readonly schema_version: 1;
  readonly mode: 'apply' | 'dry-run';
  readonly counts: { readonly repositories: number; readonly collected: number; readonly failed: number };
  /** Outcomes left out because there were too many to carry. */
  readonly outcomes_cut: number;
  readonly outcomes: readonly GcOutcome[];
}

/** Further ones are counted. */
const MOST_DIGESTS = 10_000;

export function emptyGcReport(mode: GcReport['mode']): GcReport {
  const counts = { repositories: 0, collected: 0, failed: 0 };
  return { schema_version: 1, mode, counts, outcomes_cut: 0, outcomes: [] };
}

export function addRepository(report: GcReport, more: readonly GcOutcome[]): GcReport {
  const counts = {
    repositories: report.counts.repositories + 1,
    collected: report.counts.collected + digestsIn(more),
    failed: report.counts.failed + more.filter(({ error }) => error !== null).length,
  };
  let room = MOST_DIGESTS - digestsIn(report.outcomes) - report.outcomes.length;
  const listed: GcOutcome[] = [];
  for (const outcome of more) {
    room -= outcome.collected.length + 1;
    if (room >= 0) listed.push(outcome);
  }
  const cut = more.length - listed.length;
  return { ...report, counts, outcomes: [...report.outcomes, ...listed], outcomes_cut: report.outcomes_cut + cut };
}

export function gcExitCode(report: GcReport): number {
  const worst = Math.max(0, ...report.outcomes.map(({ error }) => error?.exit_code ?? 0));
  return worst === 0 && report.counts.failed > 0 ? EXIT_CODES.Internal : worst;
}

export function renderGcReport(report: GcReport, palette: Palette = NO_PALETTE): string {
  const lines = report.outcomes.flatMap(({ kind, image_ref, kept, collected, applied, error }) => {
    const verb =
      error !== null ? palette.bad('FAILED') : applied ? palette.bad('COLLECTED') : palette.doubtful('COLLECT');
    const told =
      error === null
        ? `${kind}: ${collected.length} ${applied ? 'gone' : 'to go'}, ${kept} kept`
        : `${error.type}: ${error.message}`;
    const digests = collected.map((digest) => `  ${escapeControls(digest)}`);
    return [`${verb} ${escapeControls(image_ref)}  ${escapeControls(told)}`, ...digests];
  });
  const { counts, mode, outcomes_cut: cut } = report;
  const told = Object.entries(counts).map(([name, count]) => `${name}=${count}`);
  const more = cut === 0 ? '' : ` (${cut} outcomes are only counted)`;
  return `${[...lines, `gc [${mode}] ${told.join(' ')}${more}`].join('\n')}\n`;
}

export function gcReportJsonSchema(): Record<string, unknown> {
  const { $schema, ...body } = z.toJSONSchema(GcReportShape, { target: 'draft-2020-12' });
  return { $schema, $id: 'https://houba.io/schemas/gc-report.schema.json', title: 'houba gc report', ...body };
}

function digestsIn(outcomes: readonly GcOutcome[]): number {
  return outcomes.reduce((sum, { collected }) => sum + collected.length, 0);
}

const Count = z.int().min(0);

export const GcReportShape = z.strictObject({
  schema_version: z.literal(1),
  mode: z.enum(['apply', 'dry-run']),
  counts: z.strictObject({ repositories: Count, collected: Count, failed: Count }),
  outcomes_cut: Count.describe('Outcomes left out because there were too many to carry'),
  outcomes: z.array(
    z.strictObject({
      kind: z.enum(GC_KINDS).describe('scans: reports of one image; superseded: what the tags of a repository showed'),
      image_ref: z.string().describe('An image by its digest for scans, else a repository'),
      kept: Count.describe('How many stay: reports, or superseded digests'),
      collected: z.array(z.string()).describe('Digests, in the order of deletion'),
      applied: z.boolean().describe('false: only planned'),
      error: z.strictObject({ type: z.string(), message: z.string(), exit_code: z.int().min(0).max(255) }).nullable(),
    }),
  ),
});
