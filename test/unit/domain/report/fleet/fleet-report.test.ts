import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import {
  type FleetReport,
  FleetReportShape,
  fleetReportJsonSchema,
} from '../../../../../domain/report/fleet/fleet-report.js';
import { sampleFleet } from '../../../../support/fleet-samples.js';

type Frozen<T> = T extends object ? { readonly [Key in keyof T]: Frozen<T[Key]> } : T;

describe('the JSON Schema of the fleet report', () => {
  const report = sampleFleet();

  it('is the one that is published; `houba schema fleet-report` prints it', () => {
    const published = JSON.parse(readFileSync('docs/reference/fleet-report.schema.json', 'utf8'));
    expect(published).toEqual(fleetReportJsonSchema());
  });

  it('describes exactly the type of the report', () => {
    expectTypeOf<Frozen<z.infer<typeof FleetReportShape>>>().toEqualTypeOf<Frozen<FleetReport>>();
    expect(FleetReportShape.parse(report)).toEqual(report);
  });

  it('accepts a report and refuses one with a field nobody knows', () => {
    const validate = new Ajv2020({ strict: true, formats: { 'date-time': true } }).compile(fleetReportJsonSchema());
    expect(validate(report), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...report, surprise: 1 })).toBe(false);
    expect(validate({ ...report, generated_at: 'today' })).toBe(false);
  });
});
