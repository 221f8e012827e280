import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { durationMs, formatDuration, parseDuration } from '../../../domain/duration.js';
import { HoubaError } from '../../../domain/errors.js';

describe('a duration', () => {
  it.each([
    ['7d', 604_800_000],
    ['36h', 129_600_000],
    ['30m', 1_800_000],
    ['20s', 20_000],
    ['0', 0],
    ['0d', 0],
    ['36500d', 3_153_600_000_000],
  ])('%s is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', '7', '7x', '-3d', '1.5h', '7w', ' 7d', '7d ', '7 d', 'd', '36501d', '99999999999s', '٧d'])(
    '%j is none',
    (text) => {
      expect(durationMs(text)).toBeNull();
      expect(() => parseDuration(text)).toThrow(HoubaError);
    },
  );

  it('reads what it writes', () => {
    expect([0, 999, 90_000, 3_600_000, 86_400_000, 129_600_000].map(formatDuration)).toEqual([
      '0',
      '0',
      '90s',
      '1h',
      '1d',
      '36h',
    ]);
    const seconds = fc.integer({ min: 0, max: 36_500 * 86_400 });
    fc.assert(fc.property(seconds, (count) => parseDuration(formatDuration(count * 1000)) === count * 1000));
  });
});
