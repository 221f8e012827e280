import { z } from 'zod';
import { NO_PALETTE, type Palette } from '../report/palette.js';
import { escapeControls } from '../text/escape.js';
import { REQUIREMENTS, type VerifyReport } from './verify.js';

export function renderVerifyReport(report: VerifyReport, palette: Palette = NO_PALETTE): string {
  const lines = report.requirements.map(({ requirement, passed, detail }) => {
    const mark = passed ? palette.good('✓') : palette.bad('✗');
    return `${mark} ${requirement.padEnd(WIDTH)}  ${escapeControls(detail)}`;
  });
  const failed = report.requirements.filter(({ passed }) => !passed).length;
  const verdict = report.passed ? palette.good('PASSED') : palette.bad('FAILED');
  const count = report.passed ? '' : ` (${failed} of ${report.requirements.length})`;
  const pinned = report.ref.endsWith(report.digest) ? '' : ` ${palette.minor(report.digest)}`;
  return `${[...lines, `${verdict} ${escapeControls(report.ref)}${pinned}${count}`].join('\n')}\n`;
}

const WIDTH = Math.max(...REQUIREMENTS.map((name) => name.length));

export function verifyReportJsonSchema(): Record<string, unknown> {
  const { $schema, ...body } = z.toJSONSchema(VerifyReportShape, { target: 'draft-2020-12' });
  const $id = 'https://houba.io/schemas/verify-report.schema.json';
  return { $schema, $id, title: 'houba verify report', ...body };
}

export const VerifyReportShape = z.strictObject({
  schema_version: z.literal(1),
  ref: z.string().describe('The reference as it was asked for'),
  digest: z.string().describe('What it resolved to'),
  passed: z.boolean().describe('Whether all requirements hold'),
  requirements: z.array(
    z.strictObject({
      requirement: z.enum(REQUIREMENTS),
      passed: z.boolean(),
      detail: z.string().describe('What was found, or what is wrong with it; for a person'),
    }),
  ),
});
