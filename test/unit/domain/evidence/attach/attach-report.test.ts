import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import {
  type AttachReport,
  type AttachReportShape,
  attachReportJsonSchema,
  renderAttachReport,
} from '../../../../../domain/evidence/attach/attach-report.js';

type Frozen<T> = T extends object ? { readonly [Key in keyof T]: Frozen<T[Key]> } : T;

const [SUBJECT, RAW, TWIN] = ['a', 'b', 'c'].map((digit) => `sha256:${digit.repeat(64)}`) as [string, string, string];
const REPORT: AttachReport = {
  schemaVersion: 1,
  mode: 'apply',
  ref: 'registry.example/cache/redis:7',
  subjectDigest: SUBJECT,
  referrerDigest: RAW,
  tool: 'grype',
  toolVersion: '0.90.0',
  format: 'sarif',
  facts: { 'vuln.critical': '0', 'vuln.high': '2', 'policy.passed': '1', 'ruleset.hash': 'x\u001by' },
  timestamp: '2026-03-09T00:00:00+00:00',
  attestation: { predicateType: 'https://houba.dev/predicate/scan/v1', referrerDigest: TWIN },
  vulnsAttestation: null,
};

describe('the report of an attach', () => {
  it('is a few lines for a person; what somebody else wrote is harmless', () => {
    expect(renderAttachReport(REPORT, ['no vulnerability statement: several scanners'])).toBe(
      [
        `✓ ATTACHED to registry.example/cache/redis:7 ${SUBJECT}`,
        `  document  grype 0.90.0, sarif  2026-03-09T00:00:00+00:00  ${RAW}`,
        '  vuln      critical=0 high=2',
        '  policy    passed=1',
        '  ruleset   hash=x\\x1by',
        `  signed    https://houba.dev/predicate/scan/v1  ${TWIN}`,
        '  unsigned  no vulnerability statement: several scanners',
        '',
      ].join('\n'),
    );
  });

  it('of a dry run says what would be', () => {
    const ref = `registry.example/cache/redis@${SUBJECT}`;
    const nothing = { referrerDigest: null, attestation: null, toolVersion: null };
    const facts = { statements: '1', fixed: '1' };
    expect(renderAttachReport({ ...REPORT, ...nothing, mode: 'dry-run', ref, format: 'openvex', facts })).toBe(
      [
        `– would attach to ${ref}`,
        '  document  grype, openvex  2026-03-09T00:00:00+00:00',
        '  vex       statements=1 fixed=1',
        '',
      ].join('\n'),
    );
  });

  it('has the JSON Schema that is published', () => {
    const published = JSON.parse(readFileSync('docs/reference/attach-report.schema.json', 'utf8'));
    expect(published, 'bin/houba schema attach-report > docs/reference/attach-report.schema.json').toEqual(
      attachReportJsonSchema(),
    );
  });

  it('is exactly what the schema describes', () => {
    expectTypeOf<Frozen<z.infer<typeof AttachReportShape>>>().toEqualTypeOf<Frozen<AttachReport>>();
    const validate = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(attachReportJsonSchema());
    expect(validate(REPORT), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...REPORT, surprise: 1 })).toBe(false);
  });
});
