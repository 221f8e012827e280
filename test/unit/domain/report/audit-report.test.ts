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
const FINE = auditOutcome('r.io/a:1', {
  signed: true,
  sbom: true,
  scan: true,
  scanned_at: '2026-03-09T00:00:00+00:00',
});
const UNCOVERED = auditOutcome('r.io/a:2', { covered: false, policy: null });
const UNSIGNED = auditOutcome('r.io/a:3', { signed: false, sbom: false });
const NO_SBOM = auditOutcome('r.io/a:4', { signed: true, sbom: false });
const UNSCANNED = auditOutcome('r.io/a:6', { signed: true, sbom: true, scan: false });
const STALE = auditOutcome('r.io/a:7', { scan: false, scanned_at: '2026-01-01T00:00:00+00:00' });
const FAILED = auditOutcome('r.io/a:5', { covered: null, policy: null, digest: null, error: ERROR });
const NO_GATES: AuditGates = { uncovered: false, unsigned: false, noSbom: false, unscanned: false };
const ALL_GATES: AuditGates = { uncovered: true, unsigned: true, noSbom: true, unscanned: true };

const ASKED = { registries: ['r.io'], sources_skipped: [], verified: true, max_age: null };

function reportOf(...outcomes: readonly AuditOutcome[]): AuditReport {
  return addPart(emptyAuditReport(ASKED), auditPart(outcomes, outcomes.length));
}

describe('a gap is the first that applies', () => {
  it.each([
    [FINE, null],
    [auditOutcome('r.io/a:1'), null],
    [UNCOVERED, 'UNCOVERED'],
    [UNSIGNED, 'UNSIGNED'],
    [NO_SBOM, 'NO-SBOM'],
    [{ ...NO_SBOM, scan: false }, 'NO-SBOM'],
    [UNSCANNED, 'UNSCANNED'],
    [STALE, 'UNSCANNED'],
    [FAILED, 'ERROR'],
    [{ ...FAILED, covered: false, signed: false, sbom: false, scan: false }, 'ERROR'],
  ])('%o', (outcome, gap) => {
    expect(gapOf(outcome)).toBe(gap);
  });
});

describe('the exit code of an audit', () => {
  it.each<[string, AuditOutcome[], Partial<AuditGates>, number]>([
    ['nothing to see', [], ALL_GATES, 0],
    ['all fine', [FINE], ALL_GATES, 0],
    ['gaps that nobody gates', [UNCOVERED, UNSIGNED, NO_SBOM, UNSCANNED], {}, 0],
    ['an uncovered image', [FINE, UNCOVERED], { uncovered: true }, 1],
    ['an uncovered image under other gates', [UNCOVERED], { unsigned: true, noSbom: true }, 0],
    ['an unsigned image', [UNSIGNED], { unsigned: true }, 1],
    ['an image without inventory', [NO_SBOM], { noSbom: true }, 1],
    ['a signed image without inventory, under the other gate', [NO_SBOM], { unsigned: true }, 0],
    ['an image without a fresh scan', [STALE], { unscanned: true }, 1],
    [
      'an image without a scan, under the other gates',
      [UNSCANNED],
      { uncovered: true, unsigned: true, noSbom: true },
      0,
    ],
    ['an image that nobody has looked for a scan of', [auditOutcome('r.io/b:1')], { unscanned: true }, 1],
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
  const report = reportOf(FINE, UNCOVERED, UNSIGNED, NO_SBOM, FAILED, UNSCANNED, STALE);

  it('counts every image once', () => {
    expect(report.counts).toEqual({
      ...{ scanned: 7, covered: 5, uncovered: 1, signed: 3, unsigned: 1, with_sbom: 2, without_sbom: 2, errored: 1 },
      ...{ with_scan: 1, without_scan: 2 },
    });
    expect(report.requests).toBe(7);
    const all = fc.array(
      fc.constantFrom(FINE, UNCOVERED, UNSIGNED, NO_SBOM, UNSCANNED, STALE, FAILED, auditOutcome('r.io/b:1')),
    );
    fc.assert(
      fc.property(all, all, (some, more) => {
        const { counts, outcomes } = addPart(reportOf(...some), auditPart(more, 1));
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
      auditPart([...Array.from({ length: 1_200 }, (_, tag) => auditOutcome(`r.io/${name}:${tag}`)), UNCOVERED], 0);
    const one = repository('one');
    expect([one.outcomes.length, one.outcomes_cut, one.outcomes[0]]).toEqual([1_000, 201, UNCOVERED]);
    let full = emptyAuditReport(ASKED);
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) full = addPart(full, repository(name));
    full = addPart(full, auditPart([FAILED], 0));
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
      `UNSCANNED r.io/a:6 ${UNSCANNED.digest}  policy redis`,
      `UNSCANNED r.io/a:7 ${STALE.digest}  policy redis  last scan 2026-01-01T00:00:00+00:00`,
      'audit scanned=7 covered=5 uncovered=1 signed=3 unsigned=1 with_sbom=2 without_sbom=2 with_scan=1 without_scan=2 ' +
        'errored=1 requests=7 signatures=verified',
      '',
    ]);
  });

  it.each([
    [{}, 'errored=0 requests=1'],
    [{ sbom: false }, 'with_sbom=0 without_sbom=1 errored=0 requests=1'],
    [{ signed: true }, 'signed=1 unsigned=0 errored=0 requests=1 signatures=unverified'],
    [{ scan: true }, 'with_scan=1 without_scan=0 errored=0 requests=1 signatures=unverified'],
  ])('as text tells of probed tiers only: %o', (asked, text) => {
    const last = renderAuditReport({ ...reportOf(auditOutcome('r.io/a:1', asked)), verified: false })
      .split('\n')
      .at(-2);
    expect(last).toBe(`audit scanned=1 covered=1 uncovered=0 ${text}`);
  });

  it('as text names the sources that were not looked at', () => {
    const text = renderAuditReport({ ...reportOf(), sources_skipped: ['hub', 'my\nown'] });
    expect(text).toBe('audit scanned=0 covered=0 uncovered=0 errored=0 requests=0 sources_skipped=hub,my\\x0aown\n');
  });

  it('goes on from what an earlier version has found, which knew of no scans and counted no requests', () => {
    const { scan: _, scanned_at: __, ...old } = FINE;
    const { sources_skipped: ___, max_age: ____, requests: _____, ...carried } = reportOf();
    const { with_scan: _6, without_scan: _7, ...counts } = reportOf(FINE).counts;
    const earlier = { ...carried, counts, outcomes: [old] } as unknown as AuditReport;
    const ended = inOrder(
      addPart(addPart(earlier, auditPart([UNSCANNED], 4)), { counts, outcomes: [old], outcomes_cut: 0 } as never),
    );
    expect(AuditReportShape.parse(ended)).toEqual(ended);
    expect(ended.counts).toMatchObject({ scanned: 3, with_scan: 0, without_scan: 1 });
    expect(ended).toMatchObject({ requests: 4, max_age: null, sources_skipped: [] });
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
