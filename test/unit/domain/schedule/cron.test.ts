import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatCron, readCron } from '../../../../domain/schedule/cron.js';

function canonical(text: string): string {
  const read = readCron(text);
  return 'times' in read ? formatCron(read.times) : `wrong: ${read.problem}`;
}

describe('a cron expression', () => {
  it.each([
    ['0 * * * *', '0 * * * *'],
    ['  5   4 * * * ', '5 4 * * *'],
    ['*/15 * * * *', '*/15 * * * *'],
    ['0,15,30,45 * * * *', '*/15 * * * *'],
    ['*/30 */12 * * *', '0,30 0,12 * * *'],
    ['10/20 * * * *', '10,30,50 * * * *'],
    ['0 6-20/2 * * *', '0 6,8,10,12,14,16,18,20 * * *'],
    ['0 9-17 * * mon-fri', '0 9-17 * * 1-5'],
    ['0 0 * * 7', '0 0 * * 0'],
    ['0 0 * * Sun', '0 0 * * 0'],
    ['0 0 * * 5-7', '0 0 * * 0,5-6'],
    ['0 0 * * 1-7', '0 0 * * *'],
    ['0 0 1 jan,JUL *', '0 0 1 1,7 *'],
    ['0 0 1-7 * mon', '0 0 1-7 * 1'],
    ['0-59 0-23 1-31 1-12 0-6', '* * * * *'],
    ['@hourly', '0 * * * *'],
    ['@daily', '0 0 * * *'],
    ['@weekly', '0 0 * * 0'],
    ['@monthly', '0 0 1 * *'],
  ])('%j names the times of %j', (text, same) => {
    expect(canonical(text)).toBe(same);
  });

  it.each([
    ['', 'five fields'],
    ['0 3 * *', 'five fields'],
    ['0 0 3 * * *', 'five fields'],
    ['@every 1h', 'five fields'],
    ['60 * * * *', 'has "60" for the minute, which is not made of values from 0 to 59'],
    ['0 24 * * *', '"24" for the hour'],
    ['0 0 0 * *', '"0" for the day of month'],
    ['0 0 * 13 *', 'values from 1 to 12 or jan to dec'],
    ['0 0 * * 8', 'values from 0 to 6 or sun to sat'],
    ['0 0 * * fri-sun', '"fri-sun" for the day of week'],
    ['5-1 * * * *', '"5-1" for the minute'],
    ['*/0 * * * *', '"*/0" for the minute'],
    ['1, * * * *', '"1," for the minute'],
    ['a * * * *', '"a" for the minute'],
    ['jan * * * *', '"jan" for the minute'],
    ['1-2-3 * * * *', '"1-2-3" for the minute'],
  ])('%j is refused: %s', (text, why) => {
    expect(canonical(text)).toContain(why);
  });

  it('means the same once it is written in its shortest form', () => {
    const some = (least: number, most: number) =>
      fc
        .uniqueArray(fc.integer({ min: least, max: most }), { minLength: 1 })
        .map((values) => values.sort((a, b) => a - b));
    const times = fc.record({
      minute: some(0, 59),
      hour: some(0, 23),
      dayOfMonth: some(1, 31),
      month: some(1, 12),
      dayOfWeek: some(0, 6),
    });
    fc.assert(fc.property(times, (wanted) => void expect(readCron(formatCron(wanted))).toEqual({ times: wanted })));
  });
});
