import { describe, expect, it } from 'vitest';
import { DAY_MS, formatSpan, formatTime, msBetween } from '../../../../../domain/report/fleet/age.js';

describe('an age', () => {
  it.each([
    [0, '0 min'],
    [59 * 60_000, '59 min'],
    [3_600_000, '1 h'],
    [2 * DAY_MS - 1, '47 h'],
    [2 * DAY_MS, '2 d'],
    [400.9 * DAY_MS, '400 d'],
    [-3 * DAY_MS, '3 d'],
  ])('of %d ms is told as %s', (ms, text) => {
    expect(formatSpan(ms)).toBe(text);
  });

  it('is null where a time is missing or none', () => {
    expect(msBetween('2026-05-31T06:30:00Z', '2026-06-01T08:30:00+02:00')).toBe(DAY_MS);
    expect(msBetween(null, '2026-06-01T06:30:00Z')).toBeNull();
    expect(msBetween('yesterday', '2026-06-01T06:30:00Z')).toBeNull();
  });

  it('counts from a time that is told in UTC', () => {
    expect(formatTime('2026-06-01T08:30:59.5+02:00')).toBe('2026-06-01 06:30 UTC');
    expect(formatTime('yesterday')).toBe('yesterday');
  });
});
