import { z } from 'zod';
import { EXIT_CODES } from '../../errors.js';
import { OPERATION_KINDS } from './run-report.js';

/** Where the published schema lives; also its `$id`. */
export const RUN_REPORT_SCHEMA_ID = 'https://houba.io/schemas/run-report.schema.json';

export function runReportJsonSchema(): Record<string, unknown> {
  const { $schema, ...body } = z.toJSONSchema(RunReportShape, { target: 'draft-2020-12' });
  return { $schema, $id: RUN_REPORT_SCHEMA_ID, title: 'houba run report', ...body };
}

const Count = z.int().min(0);

const Counts = z
  .strictObject({
    imported: Count,
    updated: Count,
    restamped: Count,
    held: Count,
    deleted: Count,
    aliased: Count,
    skipped: Count,
    marked: Count,
    attested: Count,
    sbom: Count,
    failed: Count,
  })
  .describe('Operations by kind, planned ones too; a failed one counts only in failed')
  .meta({ id: 'Counts' });

const ReportedError = z
  .strictObject({
    type: z.string().describe(`One of ${Object.keys(EXIT_CODES).join(', ')}`),
    message: z.string(),
    exit_code: z.int().min(0).max(255),
  })
  .meta({ id: 'Error' });

const NodeStatus = z.enum(['ok', 'partial', 'failed']).meta({ id: 'Status' });

const Operation = z
  .strictObject({
    kind: z.enum(OPERATION_KINDS),
    out_tag: z.string().describe('The tag at the destination'),
    src_tag: z.string().nullable().describe('The tag at the source; for an alias, the tag it points to'),
    digest: z.string().nullable().describe("The source's digest"),
    applied: z.boolean().describe('false: only planned'),
    ready_at: z.iso.datetime({ offset: true }).nullable().describe('When a held tag will be taken over'),
    error: ReportedError.nullable(),
    transform_steps: z.array(z.string()).nullable(),
    out_digest: z.string().nullable().describe('What the tag at the destination resolves to'),
    reason: z
      .string()
      .optional()
      .describe('Why a tag is held, where that is not the stability window, why it is marked, or what its image lacks'),
  })
  .meta({ id: 'Operation' });

const Variant = z
  .strictObject({
    name: z.string(),
    suffix: z.string(),
    status: NodeStatus,
    totals: Counts,
    operations: z.array(Operation),
  })
  .meta({ id: 'Variant' });

const Target = z
  .strictObject({
    dest_repo: z.string(),
    status: NodeStatus,
    totals: Counts,
    operations: z.array(Operation).describe('Deletions and marks'),
    variants: z.array(Variant),
  })
  .meta({ id: 'Target' });

const Policy = z
  .strictObject({
    name: z.string(),
    source: z.string(),
    status: NodeStatus,
    error: ReportedError.nullable().describe('What stopped the whole policy'),
    totals: Counts,
    targets: z.array(Target),
    notes: z.array(z.string()).optional().describe('What people should know although nothing failed'),
  })
  .meta({ id: 'Policy' });

export const RunReportShape = z.strictObject({
  schema_version: z.literal(1),
  operations_cut: Count.describe('Operations left out because there were too many to carry; the journal has them all'),
  mode: z.enum(['apply', 'dry-run']),
  status: NodeStatus,
  totals: Counts,
  policies: z.array(Policy),
});
