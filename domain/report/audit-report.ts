import { z } from 'zod';
import { EXIT_CODES, type ReportedError } from '../errors.js';
import { compareText } from '../text/compare-text.js';
import { escapeControls } from '../text/escape.js';
import { NO_PALETTE, type Palette } from './palette.js';

/** The worst first (docs/rules/reports.md#an-audit-names-the-worst-gap-first). */
const GAPS = ['ERROR', 'UNCOVERED', 'UNSIGNED', 'NO-SBOM', 'UNSCANNED'] as const;
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
  /** Whether a scan counts and is fresh; null: not asked, or not covered. */
  readonly scan: boolean | null;
  /** ISO 8601: when the freshest one that counts was attached; null: none, or it does not say. */
  readonly scanned_at: string | null;
  /** null: no stamp, or none that says. */
  readonly policy: string | null;
  readonly error: ReportedError | null;
}

/** `errored` counts images, and repositories and registries that could not be listed; `scanned` counts images alone. */
export type AuditCounts = z.infer<typeof CountsShape>;

export interface AuditReport {
  readonly schema_version: 1;
  readonly registries: readonly string[];
  /** Names of the roster: entries that are only sources, and were not looked at. */
  readonly sources_skipped: readonly string[];
  /** Whether `signed` and `scan` mean that a signature has been verified; else that somebody has attached something. */
  readonly verified: boolean;
  /** How old a scan may be, such as `7d`; null: of any age. */
  readonly max_age: string | null;
  readonly counts: AuditCounts;
  /** Sent to registries, but for tokens and for attempts that failed. */
  readonly requests: number;
  /** Outcomes left out because there were too many to carry; covered images go first. */
  readonly outcomes_cut: number;
  readonly outcomes: readonly AuditOutcome[];
}

export type AuditPart = Pick<AuditReport, 'counts' | 'requests' | 'outcomes' | 'outcomes_cut'>;

/** Further ones are counted. */
const MOST_LISTED = 5_000;

const MOST_OF_A_REPOSITORY = 1_000;

type Asked = Pick<AuditReport, 'registries' | 'sources_skipped' | 'verified' | 'max_age'>;

export function emptyAuditReport({ registries, sources_skipped, verified, max_age }: Asked): AuditReport {
  return { schema_version: 1, registries, sources_skipped, verified, max_age, ...NOTHING };
}

/** @param requests sent for these images */
export function auditPart(images: readonly AuditOutcome[], requests: number): AuditPart {
  const counts = { ...NOTHING.counts };
  for (const { covered, signed, sbom, scan, error } of images) {
    counts.scanned += 1;
    if (error !== null) counts.errored += 1;
    else counts[covered ? 'covered' : 'uncovered'] += 1;
    if (error !== null || !covered) continue;
    if (signed !== null) counts[signed ? 'signed' : 'unsigned'] += 1;
    if (sbom !== null) counts[sbom ? 'with_sbom' : 'without_sbom'] += 1;
    if (scan !== null) counts[scan ? 'with_scan' : 'without_scan'] += 1;
  }
  return { counts, requests, ...listed(images, MOST_OF_A_REPOSITORY) };
}

export function unreadPart(image_ref: string, error: ReportedError): AuditPart {
  return { ...NOTHING, counts: { ...NOTHING.counts, errored: 1 }, outcomes: [unreadOutcome(image_ref, null, error)] };
}

/** @param digest null: not even that is known */
export function unreadOutcome(image_ref: string, digest: string | null, error: ReportedError): AuditOutcome {
  return { image_ref, digest, covered: null, signed: null, sbom: null, ...NO_SCAN, policy: null, error };
}

/** What an outcome says of scans that were not asked for. */
export const NO_SCAN = { scan: null, scanned_at: null } as const;

/** Adds a part to a report; errors find room before gaps, and gaps before covered images. */
export function addPart<Whole extends AuditPart>(whole: Whole, part: AuditPart): Whole {
  const counts = { ...NOTHING.counts };
  // What a worker of an earlier version says has fewer counts.
  for (const name of COUNTS) counts[name] = (whole.counts[name] ?? 0) + (part.counts[name] ?? 0);
  const requests = (whole.requests ?? 0) + (part.requests ?? 0);
  const { outcomes, outcomes_cut } = listed([...whole.outcomes, ...part.outcomes], MOST_LISTED);
  return { ...whole, counts, requests, outcomes, outcomes_cut: whole.outcomes_cut + part.outcomes_cut + outcomes_cut };
}

/** Sorts the outcomes by name: repositories end in any order. Adds what an earlier version left out. */
export function inOrder(report: AuditReport): AuditReport {
  const outcomes = report.outcomes.map((outcome) => ({ ...NO_SCAN, ...outcome }));
  outcomes.sort((a, b) => compareText(a.image_ref, b.image_ref));
  return { ...emptyAuditReport({ ...report, sources_skipped: [], max_age: null }), ...report, outcomes };
}

export interface AuditGates {
  readonly uncovered: boolean;
  readonly unsigned: boolean;
  readonly noSbom: boolean;
  readonly unscanned: boolean;
}

/** The exit code: the worst of its errors, else 1 for a gap that a gate names. */
export function auditExitCode({ outcomes, counts }: AuditReport, gates: AuditGates): number {
  const worst = Math.max(0, ...outcomes.map(({ error }) => error?.exit_code ?? 0));
  if (worst > 0) return worst;
  if (counts.errored > 0) return EXIT_CODES.Internal;
  // By what was found, not by what lacks: a worker of an earlier version does not look for all of it.
  const breached =
    (gates.uncovered && counts.uncovered > 0) ||
    (gates.unsigned && counts.signed < counts.covered) ||
    (gates.noSbom && counts.with_sbom < counts.covered) ||
    (gates.unscanned && counts.with_scan < counts.covered);
  return breached ? EXIT_CODES.GateBreached : 0;
}

export function renderAuditReport(report: AuditReport, palette: Palette = NO_PALETTE): string {
  const lines = report.outcomes.flatMap((outcome) => {
    const gap = gapOf(outcome);
    return gap === null ? [] : [lineOf(gap, outcome, palette)];
  });
  const { counts, requests, verified, sources_skipped: skipped, outcomes_cut: cut } = report;
  const unprobed = new Set(TIERS.flatMap((tier) => (tier.some((name) => counts[name] > 0) ? [] : tier)));
  const told = COUNTS.filter((name) => !unprobed.has(name)).map((name) => `${name}=${counts[name]}`);
  const isSigned = !unprobed.has('signed') || !unprobed.has('with_scan');
  const last = [
    ...['audit', ...told, `requests=${requests}`],
    ...(isSigned ? [`signatures=${verified ? 'verified' : 'unverified'}`] : []),
    ...(skipped.length === 0 ? [] : [`sources_skipped=${escapeControls(skipped.join(','))}`]),
    ...(cut === 0 ? [] : [`(${cut} outcomes are only counted)`]),
  ];
  return `${[...lines, last.join(' ')].join('\n')}\n`;
}

export function auditReportJsonSchema(): Record<string, unknown> {
  const { $schema, ...body } = z.toJSONSchema(AuditReportShape, { target: 'draft-2020-12' });
  return { $schema, $id: 'https://houba.io/schemas/audit-report.schema.json', title: 'houba audit report', ...body };
}

/** null: nothing that was asked for lacks. */
export function gapOf({ error, covered, signed, sbom, scan }: AuditOutcome): Gap | null {
  if (error !== null) return 'ERROR';
  if (!covered) return 'UNCOVERED';
  if (signed === false) return 'UNSIGNED';
  if (sbom === false) return 'NO-SBOM';
  return scan === false ? 'UNSCANNED' : null;
}

function lineOf(gap: Gap, outcome: AuditOutcome, palette: Palette): string {
  const { image_ref, digest, policy, scanned_at, error } = outcome;
  const paint = gap === 'ERROR' ? palette.bad : palette.doubtful;
  const pinned = digest === null ? '' : ` ${palette.minor(digest)}`;
  const whose = policy === null ? '' : `  policy ${escapeControls(policy)}`;
  const since = gap === 'UNSCANNED' && scanned_at !== null ? `  last scan ${escapeControls(scanned_at)}` : '';
  const why = error === null ? `${whose}${since}` : `  ${error.type}: ${escapeControls(error.message)}`;
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
  with_scan: Count.describe('Of the covered ones: with a scan that counts and is fresh; 0 when not asked'),
  without_scan: Count,
  errored: Count.describe('Images that could not be read, and repositories and registries that could not be listed'),
});

const COUNTS = CountsShape.keyof().options;
/** Counts of what is looked for only when asked. */
const TIERS: readonly (readonly (keyof AuditCounts)[])[] = [
  ['signed', 'unsigned'],
  ['with_sbom', 'without_sbom'],
  ['with_scan', 'without_scan'],
];
const NOTHING: AuditPart = {
  counts: Object.fromEntries(COUNTS.map((name) => [name, 0])) as AuditCounts,
  requests: 0,
  outcomes_cut: 0,
  outcomes: [],
};

export const AuditReportShape = z.strictObject({
  schema_version: z.literal(1),
  registries: z.array(z.string()).describe('Hosts'),
  sources_skipped: z
    .array(z.string())
    .describe('Names of the roster: entries that are only sources, and were not looked at'),
  verified: z
    .boolean()
    .describe(
      'Whether signed and scan mean that a signature has been verified; else that somebody has attached something',
    ),
  max_age: z.string().nullable().describe('How old a scan may be, such as 7d; null: of any age'),
  counts: CountsShape,
  requests: Count.describe('Sent to registries, but for tokens and for attempts that failed'),
  outcomes_cut: Count.describe('Outcomes left out because there were too many to carry; covered images go first'),
  outcomes: z.array(
    z.strictObject({
      image_ref: z.string().describe('repository:tag; a repository or a registry that could not be read'),
      digest: z.string().nullable().describe('What the tag shows; null: it could not be read'),
      covered: z.boolean().nullable().describe('Whether it has a stamp of ours; null: nobody can say'),
      signed: z.boolean().nullable().describe('null: not asked, or not covered'),
      sbom: z.boolean().nullable().describe('null: not asked, or not covered'),
      scan: z.boolean().nullable().describe('Whether a scan counts and is fresh; null: not asked, or not covered'),
      scanned_at: z
        .string()
        .nullable()
        .describe('ISO 8601: when the freshest one that counts was attached; null: none, or it does not say'),
      policy: z.string().nullable(),
      error: z.strictObject({ type: z.string(), message: z.string(), exit_code: z.int().min(0).max(255) }).nullable(),
    }),
  ),
});
