import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import {
  type AuditGates,
  type AuditOutcome,
  type AuditReport,
  AuditReportShape,
  addPart,
  auditExitCode,
  auditPart,
  auditReportJsonSchema,
  emptyAuditReport,
  gapOf,
  inOrder,
  renderAuditReport,
  unreadPart,
} from '../../../../domain/report/audit-report.js';
import { auditOutcome } from '../../../support/fake-steps.js';

type Frozen<T> = T extends object ? { readonly [Key in keyof T]: Frozen<T[Key]> } : T;

const ERROR = { type: 'Denied', message: 'line\nbreak', exit_code: 2 };
const FINE = auditOutcome('r.io/a:1', { signed: true, sbom: true });
const UNCOVERED = auditOutcome('r.io/a:2', { covered: false, policy: null });
const UNSIGNED = auditOutcome('r.io/a:3', { signed: false, sbom: false });
const NO_SBOM = auditOutcome('r.io/a:4', { signed: true, sbom: false });
const FAILED = auditOutcome('r.io/a:5', { covered: null, policy: null, digest: null, error: ERROR });
const NO_GATES: AuditGates = { uncovered: false, unsigned: false, noSbom: false };
const ALL_GATES: AuditGates = { uncovered: true, unsigned: true, noSbom: true };

function reportOf(...outcomes: readonly AuditOutcome[]): AuditReport {
  return addPart(emptyAuditReport(['r.io'], true), auditPart(outcomes));
}

describe('a gap is the first that applies', () => {
  it.each([
    [FINE, null],
    [auditOutcome('r.io/a:1'), null],
    [UNCOVERED, 'UNCOVERED'],
    [UNSIGNED, 'UNSIGNED'],
    [NO_SBOM, 'NO-SBOM'],
    [FAILED, 'ERROR'],
    [{ ...FAILED, covered: false, signed: false, sbom: false }, 'ERROR'],
  ])('%o', (outcome, gap) => {
    expect(gapOf(outcome)).toBe(gap);
  });
});

describe('the exit code of an audit', () => {
  it.each<[string, AuditOutcome[], Partial<AuditGates>, number]>([
    ['nothing to see', [], ALL_GATES, 0],
    ['all fine', [FINE], ALL_GATES, 0],
    ['gaps that nobody gates', [UNCOVERED, UNSIGNED, NO_SBOM], {}, 0],
    ['an uncovered image', [FINE, UNCOVERED], { uncovered: true }, 1],
    ['an uncovered image under other gates', [UNCOVERED], { unsigned: true, noSbom: true }, 0],
    ['an unsigned image', [UNSIGNED], { unsigned: true }, 1],
    ['an image without inventory', [NO_SBOM], { noSbom: true }, 1],
    ['a signed image without inventory, under the other gate', [NO_SBOM], { unsigned: true }, 0],
    ['a read error', [FAILED], {}, 2],
    ['a gap and a read error', [UNCOVERED, FAILED], { uncovered: true }, 2],
    ['the worst of several errors', [FAILED, { ...FAILED, error: { ...ERROR, exit_code: 4 } }], {}, 4],
  ])('%s', (_, outcomes, gates, code) => {
    expect(auditExitCode(reportOf(...outcomes), { ...NO_GATES, ...gates })).toBe(code);
  });

  it('is never 0 after an error, although it is not listed', () => {
    expect(auditExitCode({ ...reportOf(FAILED), outcomes: [] }, NO_GATES)).toBe(4);
  });
});

describe('the audit report', () => {
  const report = reportOf(FINE, UNCOVERED, UNSIGNED, NO_SBOM, FAILED);

  it('counts every image once', () => {
    expect(report.counts).toEqual({
      ...{ scanned: 5, covered: 3, uncovered: 1, signed: 2, unsigned: 1, with_sbom: 1, without_sbom: 2, errored: 1 },
    });
    const all = fc.array(fc.constantFrom(FINE, UNCOVERED, UNSIGNED, NO_SBOM, FAILED, auditOutcome('r.io/b:1')));
    fc.assert(
      fc.property(all, all, (some, more) => {
        const { counts, outcomes } = addPart(reportOf(...some), auditPart(more));
        expect(counts).toEqual(reportOf(...some, ...more).counts);
        expect(counts.covered + counts.uncovered + counts.errored).toBe(some.length + more.length);
        expect(counts.scanned).toBe(outcomes.length);
      }),
    );
  });

  it('counts what could not be listed as an error, and as no image', () => {
    const unread = addPart(report, unreadPart('r.io/broken', ERROR));
    expect(unread.counts).toEqual({ ...report.counts, errored: 2 });
    expect(unread.outcomes.at(-1)).toMatchObject({ image_ref: 'r.io/broken', covered: null, error: ERROR });
  });

  it('lists so many outcomes and counts the rest; errors and gaps find room first', () => {
    const repository = (name: string) =>
      auditPart([...Array.from({ length: 1_200 }, (_, tag) => auditOutcome(`r.io/${name}:${tag}`)), UNCOVERED]);
    const one = repository('one');
    expect([one.outcomes.length, one.outcomes_cut, one.outcomes[0]]).toEqual([1_000, 201, UNCOVERED]);
    let full = emptyAuditReport(['r.io'], false);
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) full = addPart(full, repository(name));
    full = addPart(full, auditPart([FAILED]));
    expect([full.outcomes.length, full.outcomes_cut]).toEqual([5_000, 6 * 1_201 + 1 - 5_000]);
    expect(full.counts).toMatchObject({ scanned: 6 * 1_201 + 1, uncovered: 6, errored: 1 });
    expect(full.outcomes.filter((outcome) => gapOf(outcome) !== null)).toHaveLength(7);
    expect(renderAuditReport(full)).toContain('(2207 outcomes are only counted)');
  });

  it('lists outcomes in the order of their names', () => {
    expect(inOrder(reportOf(FAILED, NO_SBOM, FINE)).outcomes).toEqual([FINE, NO_SBOM, FAILED]);
  });

  it('as text has a line a gap that nothing in it can break, then the counts of what was asked', () => {
    const lines = renderAuditReport(report).split('\n');
    expect(lines).toEqual([
      `UNCOVERED r.io/a:2 ${UNCOVERED.digest}`,
      `UNSIGNED  r.io/a:3 ${UNSIGNED.digest}  policy redis`,
      `NO-SBOM   r.io/a:4 ${NO_SBOM.digest}  policy redis`,
      'ERROR     r.io/a:5  Denied: line\\x0abreak',
      'audit scanned=5 covered=3 uncovered=1 signed=2 unsigned=1 with_sbom=1 without_sbom=2 errored=1 signatures=verified',
      '',
    ]);
  });

  it.each([
    [{ signed: false, sbom: false }, 'audit scanned=1 covered=1 uncovered=0 errored=0'],
    [{ signed: false, sbom: true }, 'audit scanned=1 covered=1 uncovered=0 with_sbom=0 without_sbom=1 errored=0'],
    [
      { signed: true, sbom: false },
      'audit scanned=1 covered=1 uncovered=0 signed=1 unsigned=0 errored=0 signatures=unverified',
    ],
  ])('as text tells of probed tiers only: %o', (asked, text) => {
    const image = auditOutcome('r.io/a:1', { signed: asked.signed || null, sbom: asked.sbom ? false : null });
    const last = renderAuditReport({ ...reportOf(image), verified: false })
      .split('\n')
      .at(-2);
    expect(last).toBe(text);
  });

  it('is what its published schema describes, and nothing else', () => {
    expect(JSON.parse(readFileSync('docs/reference/audit-report.schema.json', 'utf8'))).toEqual(
      auditReportJsonSchema(),
    );
    expectTypeOf<Frozen<z.infer<typeof AuditReportShape>>>().toEqualTypeOf<Frozen<AuditReport>>();
    expect(AuditReportShape.parse(report)).toEqual(report);
    const validate = new Ajv2020({ strict: true }).compile(auditReportJsonSchema());
    expect(validate(report), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...report, surprise: 1 })).toBe(false);
  });
});
