import { z } from 'zod';
import { EXIT_CODES, type ReportedError } from '../errors.js';
import { compareText } from '../text/compare-text.js';
import { escapeControls } from '../text/escape.js';
import { NO_PALETTE, type Palette } from './palette.js';

/** The worst first (docs/rules/reports.md#an-audit-names-the-worst-gap-first). */
const GAPS = ['ERROR', 'UNCOVERED', 'UNSIGNED', 'NO-SBOM'] as const;
type Gap = (typeof GAPS)[number];

export interface AuditOutcome {
  /** `repository:tag`; less when it could not be read. */
  readonly image_ref: string;
  /** null: unread. */
  readonly digest: string | null;
  /** null: unknown. */
  readonly covered: boolean | null;
  readonly signed: boolean | null;
  /** null: not asked, or not covered. */
  readonly sbom: boolean | null;
  /** null: no stamp, or none that says. */
  readonly policy: string | null;
  readonly error: ReportedError | null;
}

/** `errored` counts images, and repositories and registries that could not be listed; `scanned` counts images alone. */
export type AuditCounts = z.infer<typeof CountsShape>;

export interface AuditReport {
  readonly schema_version: 1;
  readonly registries: readonly string[];
  /** Whether `signed` means that a signature has been verified; else that somebody has attached one. */
  readonly verified: boolean;
  readonly counts: AuditCounts;
  /** Outcomes left out because there were too many to carry; covered images go first. */
  readonly outcomes_cut: number;
  readonly outcomes: readonly AuditOutcome[];
}

export type AuditPart = Pick<AuditReport, 'counts' | 'outcomes' | 'outcomes_cut'>;

/** Further ones are counted. */
const MOST_LISTED = 5_000;

const MOST_OF_A_REPOSITORY = 1_000;

export function emptyAuditReport(registries: readonly string[], verified: boolean): AuditReport {
  return { schema_version: 1, registries, verified, ...NOTHING };
}

export function auditPart(images: readonly AuditOutcome[]): AuditPart {
  const counts = { ...NOTHING.counts };
  for (const { covered, signed, sbom, error } of images) {
    counts.scanned += 1;
    if (error !== null) counts.errored += 1;
    else counts[covered ? 'covered' : 'uncovered'] += 1;
    if (error !== null || !covered) continue;
    if (signed !== null) counts[signed ? 'signed' : 'unsigned'] += 1;
    if (sbom !== null) counts[sbom ? 'with_sbom' : 'without_sbom'] += 1;
  }
  return { counts, ...listed(images, MOST_OF_A_REPOSITORY) };
}

export function unreadPart(image_ref: string, error: ReportedError): AuditPart {
  const outcome = { image_ref, digest: null, covered: null, signed: null, sbom: null, policy: null, error };
  return { counts: { ...NOTHING.counts, errored: 1 }, outcomes_cut: 0, outcomes: [outcome] };
}

/** Adds a part to a report; errors find room before gaps, and gaps before covered images. */
export function addPart<Whole extends AuditPart>(whole: Whole, part: AuditPart): Whole {
  const counts = { ...whole.counts };
  for (const name of COUNTS) counts[name] += part.counts[name];
  const { outcomes, outcomes_cut } = listed([...whole.outcomes, ...part.outcomes], MOST_LISTED);
  return { ...whole, counts, outcomes, outcomes_cut: whole.outcomes_cut + part.outcomes_cut + outcomes_cut };
}

/** Sorts the outcomes by name: repositories end in any order. */
export function inOrder(report: AuditReport): AuditReport {
  return { ...report, outcomes: [...report.outcomes].sort((a, b) => compareText(a.image_ref, b.image_ref)) };
}

export interface AuditGates {
  readonly uncovered: boolean;
  readonly unsigned: boolean;
  readonly noSbom: boolean;
}

/** The exit code: the worst of its errors, else 1 for a gap that a gate names. */
export function auditExitCode({ outcomes, counts }: AuditReport, gates: AuditGates): number {
  const worst = Math.max(0, ...outcomes.map(({ error }) => error?.exit_code ?? 0));
  if (worst > 0) return worst;
  if (counts.errored > 0) return EXIT_CODES.Internal;
  const breached =
    (gates.uncovered && counts.uncovered > 0) ||
    (gates.unsigned && counts.unsigned > 0) ||
    (gates.noSbom && counts.without_sbom > 0);
  return breached ? EXIT_CODES.GateBreached : 0;
}

export function renderAuditReport(report: AuditReport, palette: Palette = NO_PALETTE): string {
  const lines = report.outcomes.flatMap((outcome) => {
    const gap = gapOf(outcome);
    return gap === null ? [] : [lineOf(gap, outcome, palette)];
  });
  const { counts, verified, outcomes_cut: cut } = report;
  const signed = counts.signed + counts.unsigned > 0;
  const sbom = counts.with_sbom + counts.without_sbom > 0;
  const shown = COUNTS.filter((name) => (signed || !OF_SIGNED.has(name)) && (sbom || !OF_SBOM.has(name)));
  const told = shown.map((name) => `${name}=${counts[name]}`).join(' ');
  const tier = signed ? ` signatures=${verified ? 'verified' : 'unverified'}` : '';
  const more = cut === 0 ? '' : ` (${cut} outcomes are only counted)`;
  return `${[...lines, `audit ${told}${tier}${more}`].join('\n')}\n`;
}

export function auditReportJsonSchema(): Record<string, unknown> {
  const { $schema, ...body } = z.toJSONSchema(AuditReportShape, { target: 'draft-2020-12' });
  return { $schema, $id: 'https://houba.io/schemas/audit-report.schema.json', title: 'houba audit report', ...body };
}

/** null: nothing that was asked for lacks. */
export function gapOf({ error, covered, signed, sbom }: AuditOutcome): Gap | null {
  if (error !== null) return 'ERROR';
  if (!covered) return 'UNCOVERED';
  if (signed === false) return 'UNSIGNED';
  return sbom === false ? 'NO-SBOM' : null;
}

function lineOf(gap: Gap, { image_ref, digest, policy, error }: AuditOutcome, palette: Palette): string {
  const paint = gap === 'ERROR' ? palette.bad : palette.doubtful;
  const pinned = digest === null ? '' : ` ${palette.minor(digest)}`;
  const whose = policy === null ? '' : `  policy ${escapeControls(policy)}`;
  const why = error === null ? whose : `  ${error.type}: ${escapeControls(error.message)}`;
  return `${paint(gap.padEnd(9))} ${escapeControls(image_ref)}${pinned}${why}`;
}

function listed(all: readonly AuditOutcome[], most: number): Pick<AuditPart, 'outcomes' | 'outcomes_cut'> {
  if (all.length <= most) return { outcomes: all, outcomes_cut: 0 };
  const worstFirst = [...GAPS, null].flatMap((gap) => all.filter((one) => gapOf(one) === gap));
  return { outcomes: worstFirst.slice(0, most), outcomes_cut: all.length - most };
}

const Count = z.int().min(0);

const CountsShape = z.strictObject({
  scanned: Count.describe('Images that were looked at'),
  covered: Count,
  uncovered: Count,
  signed: Count.describe('Of the covered ones; 0 when not asked'),
  unsigned: Count,
  with_sbom: Count.describe('Of the covered ones; 0 when not asked'),
  without_sbom: Count,
  errored: Count.describe('Images that could not be read, and repositories and registries that could not be listed'),
});

const COUNTS = CountsShape.keyof().options;
const OF_SIGNED: ReadonlySet<string> = new Set(['signed', 'unsigned']);
const OF_SBOM: ReadonlySet<string> = new Set(['with_sbom', 'without_sbom']);
const NOTHING: AuditPart = {
  counts: { scanned: 0, covered: 0, uncovered: 0, signed: 0, unsigned: 0, with_sbom: 0, without_sbom: 0, errored: 0 },
  outcomes_cut: 0,
  outcomes: [],
};

export const AuditReportShape = z.strictObject({
  schema_version: z.literal(1),
  registries: z.array(z.string()).describe('Hosts'),
  verified: z
    .boolean()
    .describe('Whether signed means that a signature has been verified; else that somebody has attached one'),
  counts: CountsShape,
  outcomes_cut: Count.describe('Outcomes left out because there were too many to carry; covered images go first'),
  outcomes: z.array(
    z.strictObject({
      image_ref: z.string().describe('repository:tag; a repository or a registry that could not be read'),
      digest: z.string().nullable().describe('What the tag shows; null: it could not be read'),
      covered: z.boolean().nullable().describe('Whether it has a stamp of ours; null: nobody can say'),
      signed: z.boolean().nullable().describe('null: not asked, or not covered'),
      sbom: z.boolean().nullable().describe('null: not asked, or not covered'),
      policy: z.string().nullable(),
      error: z.strictObject({ type: z.string(), message: z.string(), exit_code: z.int().min(0).max(255) }).nullable(),
    }),
  ),
});
