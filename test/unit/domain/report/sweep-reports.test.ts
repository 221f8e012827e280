import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import { failedOutcome, type Judgement, outcomeOf } from '../../../../domain/durable/retire.js';
import {
  addRepository,
  emptyGcReport,
  type GcOutcome,
  type GcReport,
  GcReportShape,
  gcExitCode,
  gcReportJsonSchema,
  renderGcReport,
} from '../../../../domain/report/collect-report.js';
import {
  addOutcomes,
  emptyPurgeReport,
  type PurgeOutcome,
  type PurgeReport,
  PurgeReportShape,
  purgeExitCode,
  purgeReportJsonSchema,
  renderPurgeReport,
} from '../../../../domain/report/purge-report.js';
import { digestFor } from '../../../support/durable-samples.js';
import { MARKED, markedTag } from '../../../support/retire-samples.js';

type Frozen<T> = T extends object ? { readonly [Key in keyof T]: Frozen<T[Key]> } : T;

const TAG = markedTag('lib/redis', '7');
const ERROR = { type: 'Denied', message: 'no', exit_code: 2 };
const at = Date.parse('2026-06-01T00:00:00Z');
const wait = (why: 'mark' | 'seen' | 'unknown'): Judgement => ({
  ...{ act: 'wait', why, digest: MARKED, untilMs: at, reason: why },
});
const DELETE: Judgement = { act: 'delete', digest: MARKED, reason: 'not seen', needsApproval: false };
const END: Judgement = { act: 'end', digest: null, reason: 'gone', gone: true };

describe('how a marked tag stands in the report', () => {
  it.each([
    [DELETE, 'purge', null],
    [END, 'protect', null],
    [wait('mark'), 'wait', '2026-06-01T00:00:00+00:00'],
    [wait('seen'), 'protect', '2026-06-01T00:00:00+00:00'],
    [wait('unknown'), 'uncertain', '2026-06-01T00:00:00+00:00'],
  ] as const)('%o', (judgement, decision, due) => {
    expect(outcomeOf(TAG, judgement)).toEqual({
      ...{ image_ref: 'registry.example/lib/redis:7', digest: MARKED, decision, reason: judgement.reason },
      ...{ due_at: due, applied: false, error: null },
    });
  });

  it('is uncertain when it could not be judged', () => {
    expect(failedOutcome(TAG, ERROR)).toMatchObject({ decision: 'uncertain', applied: false, error: ERROR });
  });
});

describe('the purge report', () => {
  const outcomes: PurgeOutcome[] = [
    { ...outcomeOf(TAG, DELETE), applied: true },
    outcomeOf(TAG, wait('mark')),
    failedOutcome({ ...TAG, digest: null }, ERROR),
    { ...outcomeOf(TAG, END), reason: 'line\nbreak' },
  ];
  const report = addOutcomes(emptyPurgeReport('apply'), outcomes);

  it('counts decisions, deletions and failures, and exits with the worst error', () => {
    expect(report.counts).toEqual({ purge: 1, protect: 1, uncertain: 1, wait: 1, applied: 1, failed: 1 });
    expect(purgeExitCode(report)).toBe(2);
    expect(purgeExitCode(addOutcomes(emptyPurgeReport('apply'), [outcomeOf(TAG, wait('unknown'))]))).toBe(0);
    expect(purgeExitCode({ ...report, outcomes: [] })).toBe(4);
  });

  it('carries so many outcomes and counts the rest; deletions and failures find room first', () => {
    const many = Array.from({ length: 5_010 }, () => outcomeOf(TAG, wait('mark')));
    const full = addOutcomes(addOutcomes(emptyPurgeReport('apply'), many), outcomes);
    expect(full.outcomes).toHaveLength(5_000);
    expect(full.outcomes_cut).toBe(14);
    expect(full.counts.wait).toBe(5_011);
    expect(full.outcomes.filter(({ applied, error }) => applied || error !== null)).toHaveLength(2);
  });

  it('as text has a line for each outcome that nothing in it can break', () => {
    const text = renderPurgeReport({ ...report, outcomes_cut: 3 });
    expect(text.split('\n')).toHaveLength(6);
    expect(text).toContain(`DELETED   registry.example/lib/redis:7 ${MARKED}  not seen\n`);
    expect(text).toContain('WAIT      registry.example/lib/redis:7');
    expect(text).toContain('(due 2026-06-01T00:00:00+00:00)');
    expect(text).toContain('Denied: no');
    expect(text).toContain('line\\x0abreak');
    expect(text).toContain('purge [apply] purge=1 protect=1 uncertain=1 wait=1 applied=1 failed=1 (3 outcomes');
  });

  it('is what its published schema describes, and nothing else', () => {
    expect(JSON.parse(readFileSync('docs/reference/purge-report.schema.json', 'utf8'))).toEqual(
      purgeReportJsonSchema(),
    );
    expectTypeOf<Frozen<z.infer<typeof PurgeReportShape>>>().toEqualTypeOf<Frozen<PurgeReport>>();
    expect(PurgeReportShape.parse(report)).toEqual(report);
    const validate = new Ajv2020({ strict: true, formats: { 'date-time': true } }).compile(purgeReportJsonSchema());
    expect(validate(report), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...report, surprise: 1 })).toBe(false);
  });
});

describe('the gc report', () => {
  const outcome = (more: Partial<GcOutcome> = {}): GcOutcome => ({
    ...{ kind: 'scans', image_ref: 'registry.example/a', kept: 2, collected: [digestFor('a')], applied: true },
    ...{ error: null, ...more },
  });
  const failed = outcome({ kind: 'superseded', collected: [], applied: false, error: ERROR });
  const report = addRepository(addRepository(emptyGcReport('apply'), [outcome(), failed]), []);

  it('counts repositories, what was collected, and failures', () => {
    expect(report.counts).toEqual({ repositories: 2, collected: 1, failed: 1 });
    expect([gcExitCode(report), gcExitCode(emptyGcReport('apply'))]).toEqual([2, 0]);
    expect(gcExitCode({ ...report, outcomes: [] })).toBe(4);
  });

  it('carries so many digests and counts the rest', () => {
    const collected = Array.from({ length: 9_000 }, (_, index) => digestFor(`${index}`));
    const full = addRepository(addRepository(emptyGcReport('apply'), [outcome({ collected })]), [
      outcome({ collected }),
    ]);
    expect(full.outcomes).toHaveLength(1);
    expect(full).toMatchObject({ outcomes_cut: 1, counts: { collected: 18_000 } });
  });

  it('as text has a line for each outcome and each digest', () => {
    const planned = outcome({ applied: false });
    expect(renderGcReport(addRepository({ ...report, outcomes_cut: 1 }, [planned])).split('\n')).toEqual([
      'COLLECTED registry.example/a  scans: 1 gone, 2 kept',
      `  ${digestFor('a')}`,
      'FAILED registry.example/a  Denied: no',
      'COLLECT registry.example/a  scans: 1 to go, 2 kept',
      `  ${digestFor('a')}`,
      'gc [apply] repositories=3 collected=2 failed=1 (1 outcomes are only counted)',
      '',
    ]);
  });

  it('is what its published schema describes, and nothing else', () => {
    expect(JSON.parse(readFileSync('docs/reference/gc-report.schema.json', 'utf8'))).toEqual(gcReportJsonSchema());
    expectTypeOf<Frozen<z.infer<typeof GcReportShape>>>().toEqualTypeOf<Frozen<GcReport>>();
    expect(GcReportShape.parse(report)).toEqual(report);
    const validate = new Ajv2020({ strict: true }).compile(gcReportJsonSchema());
    expect(validate(report), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...report, mode: 'maybe' })).toBe(false);
  });
});
