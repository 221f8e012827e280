import { z } from 'zod';
import { NO_PALETTE, type Palette } from '../../report/palette.js';
import { escapeControls } from '../../text/escape.js';
import { REPORT_FORMATS } from './attachment.js';

/** What an attach came to; in camelCase, which its readers know (docs/rules/reports.md#names-are-stable). */
export interface AttachReport {
  readonly schemaVersion: 1;
  readonly mode: 'apply' | 'dry-run';
  readonly ref: string;
  /** What it is attached to. */
  readonly subjectDigest: string;
  /** The artifact with the document; null: a dry run. */
  readonly referrerDigest: string | null;
  readonly tool: string;
  readonly toolVersion: string | null;
  readonly format: 'sarif' | 'openvex';
  readonly facts: Readonly<Record<string, string>>;
  /** When it was attached, ISO 8601. */
  readonly timestamp: string;
  readonly attestation: SignedStatement | null;
  readonly vulnsAttestation: SignedStatement | null;
}

export interface SignedStatement {
  readonly predicateType: string;
  readonly referrerDigest: string;
}

/** Formats the report for a person. @param unsigned why a statement is not signed; empty: nothing is missing */
export function renderAttachReport(
  report: AttachReport,
  unsigned: readonly string[] = [],
  palette: Palette = NO_PALETTE,
): string {
  const { mode, ref, subjectDigest, referrerDigest, tool, toolVersion, format, timestamp } = report;
  const pinned = ref.endsWith(subjectDigest) ? '' : ` ${palette.minor(subjectDigest)}`;
  const [mark, verb] =
    mode === 'apply' ? [palette.good('✓'), 'ATTACHED to'] : [palette.doubtful('–'), 'would attach to'];
  const statements = [report.attestation, report.vulnsAttestation].filter((one) => one !== null);
  const lines = [
    `${mark} ${verb} ${escapeControls(ref)}${pinned}`,
    line(
      'document',
      [`${tool}${toolVersion === null ? '' : ` ${toolVersion}`}, ${format}`, timestamp, referrerDigest ?? '']
        .join('  ')
        .trimEnd(),
    ),
    ...factLines(report.facts),
    ...statements.map(({ predicateType, referrerDigest: digest }) => line('signed', `${predicateType}  ${digest}`)),
    ...unsigned.map((why) => line('unsigned', why)),
  ];
  return `${lines.join('\n')}\n`;
}

/** One line for each group of facts: `vuln  critical=0 high=2`. */
function factLines(facts: AttachReport['facts']): string[] {
  const groups = new Map<string, string[]>();
  for (const [name, value] of Object.entries(facts)) {
    const dot = name.indexOf('.');
    const group = dot < 0 ? 'vex' : name.slice(0, dot);
    groups.set(group, [...(groups.get(group) ?? []), `${name.slice(dot + 1)}=${value}`]);
  }
  return [...groups].map(([group, values]) => line(group, values.join(' ')));
}

function line(name: string, text: string): string {
  return `  ${name.padEnd(8)}  ${escapeControls(text)}`;
}

const StatementShape = z
  .strictObject({
    predicateType: z.string(),
    referrerDigest: z.string().describe('The artifact with the signed statement'),
  })
  .nullable();

export const AttachReportShape = z.strictObject({
  schemaVersion: z.literal(1),
  mode: z.enum(['apply', 'dry-run']),
  ref: z.string().describe('The reference as it was asked for'),
  subjectDigest: z.string().describe('What the document is attached to: the digest of the tag, or of a platform'),
  referrerDigest: z.string().nullable().describe('The artifact with the document as it came; null: a dry run'),
  tool: z.string().describe('The scanner, unknown where no run names one; of a VEX document, its author'),
  toolVersion: z.string().nullable(),
  format: z.enum([...REPORT_FORMATS, 'openvex']),
  facts: z.record(z.string(), z.string()).describe('Counts in decimal by name, and ruleset.hash'),
  timestamp: z.string().describe('When it was attached'),
  attestation: StatementShape.describe('What is signed about it; null: no signer is set, or a dry run'),
  vulnsAttestation: StatementShape.describe('The in-toto vulnerability statement; null: there is none'),
});

export function attachReportJsonSchema(): Record<string, unknown> {
  const { $schema, ...body } = z.toJSONSchema(AttachReportShape, { target: 'draft-2020-12' });
  const $id = 'https://houba.io/schemas/attach-report.schema.json';
  return { $schema, $id, title: 'houba attach report', ...body };
}
