import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Retention, resolveRetention, surplusTags } from '../../../../domain/lifecycle/retention.js';
import { orderOf } from '../../../../domain/selection/order.js';
import { DAY, daysAgo, NOW } from './samples.js';

describe('resolveRetention', () => {
  it.each([
    [null, null, null],
    [{ keep: 9 }, { keep: 5, olderThanDays: 10 }, { keep: 9, olderThanDays: 10 }],
    [{}, { keep: 4 }, { keep: 4, olderThanDays: 30 }],
    [{ olderThanDays: 7 }, null, { keep: 2, olderThanDays: 7 }],
    [{}, null, { keep: 2, olderThanDays: 30 }],
    [null, {}, { keep: 2, olderThanDays: 30 }],
    [
      { keep: 0, olderThanDays: 0 },
      { keep: 5, olderThanDays: 5 },
      { keep: 0, olderThanDays: 0 },
    ],
  ])('takes each field from the import %j, else from the fleet %j, else the default', (ofImport, ofFleet, expected) => {
    const level = (fields: object | null) => fields && { keep: null, olderThanDays: null, ...fields };
    expect(resolveRetention(level(ofImport), level(ofFleet))).toEqual(expected);
  });
});

function surplus(ages: Readonly<Record<string, number | null>>, retention: Retention, targets: readonly string[] = []) {
  const stream = Object.entries(ages).map(([tag, days]) => ({ tag, created: days === null ? null : daysAgo(days) }));
  return surplusTags(stream, new Set(targets), retention, NOW);
}

describe('surplusTags', () => {
  it.each([
    [
      'what is beyond the newest and old is surplus',
      { '7.2.0': 60, '7.2.1': 50, '7.2.2': 2, '7.2.3': 1 },
      2,
      30,
      ['7.2.0', '7.2.1'],
    ],
    ['the newest are kept, however old', { a: 100, b: 90 }, 2, 30, []],
    ['a tag exactly as old as allowed is not surplus', { a: 1, b: 30 }, 1, 30, []],
    [
      'a tag that does not say when it was placed is left alone, and not counted',
      { '1.0': null, '1.1': 60, '1.2': 1 },
      1,
      30,
      ['1.1'],
    ],
    ['of tags placed at one time the higher version is the newer', { '7.2.9': 40, '7.2.10': 40 }, 1, 30, ['7.2.9']],
    ['nothing is kept for its rank with keep 0', { '7.2.0': 60, '7.2.1': 1 }, 0, 30, ['7.2.0']],
    ['all that is older than now is surplus with 0 and 0', { '7.2.0': 1, '7.2.1': 0 }, 0, 0, ['7.2.0']],
  ])('%s', (_, ages, keep, olderThanDays, expected) => {
    expect(surplus(ages, { keep, olderThanDays })).toEqual(expected);
  });

  it('counts each flavour for itself, and ends ties by the order', () => {
    const order = orderOf({ order: 'docker', includeRegex: null });
    const tags = ['1.9', '1.10', '1.9-alpine', '1.10-alpine', '1.10-slim', 'edge'];
    const stream = tags.map((tag) => ({ tag, created: daysAgo(60) }));
    const limits = { keep: 1, olderThanDays: 30 };
    expect(surplusTags(stream, new Set(), limits, NOW, order)).toEqual(['1.9', '1.10', '1.9-alpine']);
    expect(surplusTags(stream, new Set(['edge']), limits, NOW, order)).toEqual(['1.9', '1.9-alpine']);
  });

  it('keeps what an alias shows, without counting it', () => {
    const ages = { '1.0': 60, '1.1': 50, '1.2': 1 };
    expect(surplus(ages, { keep: 1, olderThanDays: 30 }, ['1.0'])).toEqual(['1.1']);
  });

  it('takes a stamp whose time cannot be read for one without', () => {
    const stream = [{ tag: '1.0', created: 'long ago' }];
    expect(surplusTags(stream, new Set(), { keep: 0, olderThanDays: 0 }, NOW)).toEqual([]);
  });

  it('does not depend on the order in which the tags are listed, never takes the newest, and takes less the more is kept', () => {
    const stream = fc.uniqueArray(fc.record({ tag: fc.stringMatching(/^\d\.\d{1,2}$/), days: fc.nat(90) }), {
      selector: ({ tag }) => tag,
    });
    fc.assert(
      fc.property(stream, fc.nat(5), fc.nat(60), (tags, keep, olderThanDays) => {
        const run = (list: typeof tags, kept: number) =>
          surplusTags(
            list.map(({ tag, days }) => ({ tag, created: daysAgo(days) })),
            new Set(),
            { keep: kept, olderThanDays },
            NOW,
          );
        const found = run(tags, keep);
        expect(run([...tags].reverse(), keep)).toEqual(found);
        expect(found.length).toBeLessThanOrEqual(Math.max(0, tags.length - keep));
        for (const tag of run(tags, keep + 1)) expect(found).toContain(tag);
        const ages = new Map(tags.map(({ tag, days }) => [tag, days]));
        for (const tag of found) expect((ages.get(tag) ?? 0) * DAY).toBeGreaterThan(olderThanDays * DAY);
      }),
    );
  });
});
