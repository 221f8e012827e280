import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import { RunReportShape, runReportJsonSchema } from '../../../../../domain/report/run/json-schema.js';
import type { RunReport } from '../../../../../domain/report/run/run-report.js';
import { operation, policyNode, runReport } from './report-samples.js';

type Frozen<T> = T extends object ? { readonly [Key in keyof T]: Frozen<T[Key]> } : T;

const report = runReport([
  policyNode('redis', [operation({ ready_at: '2026-03-09T05:00:00Z' }), operation({ reason: 'gone' })]),
  policyNode('boom', [], { status: 'failed', error: { type: 'NotFound', message: 'gone', exit_code: 2 }, targets: [] }),
]);

describe('the JSON Schema of the run report', () => {
  it('is the one that is published; `houba schema run-report` prints it', () => {
    const published = JSON.parse(readFileSync('docs/reference/run-report.schema.json', 'utf8'));
    expect(published).toEqual(runReportJsonSchema());
  });

  it('describes exactly the type of the run report', () => {
    expectTypeOf<Frozen<z.infer<typeof RunReportShape>>>().toEqualTypeOf<Frozen<RunReport>>();
    expect(RunReportShape.parse(report)).toEqual(report);
  });

  it('accepts a report and refuses one with a field nobody knows', () => {
    const validate = new Ajv2020({ strict: true, formats: { 'date-time': true } }).compile(runReportJsonSchema());
    expect(validate(report), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...report, surprise: 1 })).toBe(false);
    expect(validate({ ...report, mode: 'maybe' })).toBe(false);
  });
});
