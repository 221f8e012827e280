import { describe, expect, it } from 'vitest';
import type { Target } from '../../../../domain/plan/plan.js';
import { planRemovals, type RemovalPlan, type RemovalSettings } from '../../../../domain/plan/removals.js';
import type { SeenRepository } from '../../../../domain/plan/survey.js';
import { daysAgo, placed, RESTORED } from '../lifecycle/samples.js';
import {
  A,
  OTHER,
  PLACED,
  recordedStamp,
  resolvedImport,
  resolvedPolicy,
  seenRepository,
  target,
  variantWish,
} from './samples.js';

const NOW = daysAgo(0);
const SETTINGS: RemovalSettings = { prefix: 'io.houba', maxDeletionShare: 1, retention: null, now: NOW };
const POLICY = resolvedPolicy();
const KEPT = variantWish('default', '', ['7.2.0', '7.3.0']);
const IDENTITY = { policy: 'redis', import: 'v7', variant: 'default' };

interface Facts {
  readonly seen: Map<string, SeenRepository>;
  readonly targets?: readonly Target[];
  readonly settings?: Partial<RemovalSettings>;
  readonly placed?: readonly { readonly target: number; readonly outTag: string }[];
}

function plan({ seen, targets = [target([KEPT])], settings = {}, placed: again = [] }: Facts): RemovalPlan {
  return planRemovals(POLICY, targets, again, seen, { ...SETTINGS, ...settings });
}

const told = ({ marks }: RemovalPlan) => marks.map(({ kind, tag, put }) => [kind, tag, put?.reason ?? null]);

describe('tags that left the selection', () => {
  const seen = seenRepository({
    '7.2.0': {},
    '7.3.0': {},
    '6.0.0': {},
    manual: { stamp: null },
    foreign: { stamp: recordedStamp({ policy: 'else' }) },
  });

  it('get a mark that names them and says why, if this policy stamped them, and nobody else’s does', () => {
    const { marks, deletions, massDeletions } = plan({ seen, settings: { maxDeletionShare: 0.5 } });
    expect(marks).toEqual([
      {
        ...{ kind: 'set', target: 0, tag: '6.0.0', digest: PLACED, baseDigest: A },
        put: {
          ...{ tag: '6.0.0', state: 'pending-deletion', markedAt: NOW, restored: null },
          ...{ reason: 'dropped-from-selection', identity: IDENTITY },
        },
      },
    ]);
    expect([...deletions, ...massDeletions]).toEqual([]);
  });

  it('are deleted at once in mode purge', () => {
    const { marks, deletions } = plan({ seen, targets: [target([KEPT], { deletionMode: 'purge' })] });
    expect(deletions).toEqual([{ target: 0, tag: '6.0.0', digest: PLACED, baseDigest: A }]);
    expect(marks).toEqual([]);
  });

  it('are not deleted in mode purge when somebody restored them, nor is that word taken back', () => {
    const restored = seenRepository({ '6.0.0': {} }, [placed(9, { tag: '6.0.0', ...RESTORED }, PLACED)]);
    const targets = [target([KEPT], { deletionMode: 'purge' })];
    expect(plan({ seen: restored, targets })).toMatchObject({ deletions: [], marks: [] });
  });

  it('take their marks along, which nobody clears before', () => {
    const marked = seenRepository({ '6.0.0': {} }, [placed(9, { tag: '6.0.0' }, PLACED)]);
    const targets = [target([KEPT], { deletionMode: 'purge' })];
    expect(plan({ seen: marked, targets })).toMatchObject({ deletions: [{ tag: '6.0.0' }], marks: [] });
  });

  it('are told to the import that their stamp names, with that target’s deletion mode', () => {
    const v8 = seenRepository({ '8.1.0': { stamp: recordedStamp({ import: 'v8' }) } });
    const eight = target([variantWish('default', '', [])], {
      import: resolvedImport({ name: 'v8' }),
      deletionMode: 'purge',
    });
    expect(plan({ seen: v8, targets: [target([KEPT]), eight] }).deletions).toMatchObject([{ target: 1 }]);
  });

  it('are none of those that another import of the policy wants in the repository', () => {
    const both = seenRepository({ '7.2.0': {}, '8.0.0': { stamp: recordedStamp({ import: 'v8' }) } });
    const eight = target([variantWish('default', '', ['8.0.0'])], { import: resolvedImport({ name: 'v8' }) });
    expect(plan({ seen: both, targets: [target([KEPT]), eight] })).toEqual({
      deletions: [],
      marks: [],
      massDeletions: [],
    });
  });

  it('may be an alias that is no longer written: its mark names the alias, and not the tag that shows the same', () => {
    const aliased = seenRepository({ '7.2.0': {}, latest: {} });
    expect(told(plan({ seen: aliased }))).toEqual([['set', 'latest', 'dropped-from-selection']]);
  });
});

describe('marks', () => {
  it('are left alone while they are right', () => {
    const seen = seenRepository({ '6.0.0': {} }, [placed(9, { tag: '6.0.0', identity: IDENTITY }, PLACED)]);
    expect(plan({ seen, settings: { maxDeletionShare: 0 } })).toMatchObject({ marks: [], massDeletions: [] });
  });

  it('are cleared when the tag is wanted again', () => {
    const seen = seenRepository({ '7.2.0': {} }, [placed(9, { tag: '7.2.0' }, PLACED)]);
    expect(plan({ seen }).marks).toMatchObject([
      { kind: 'clear', target: 0, tag: '7.2.0', digest: PLACED, put: null, baseDigest: A },
    ]);
  });

  it('are cleared when they name no tag, or one that shows something else, on an image that is wanted', () => {
    const seen = seenRepository({ '7.2.0': {}, '7.3.0': { digest: OTHER } }, [
      placed(8, { tag: null }, PLACED),
      placed(9, { tag: '7.3.0' }, PLACED),
    ]);
    expect(plan({ seen }).marks).toMatchObject([
      { kind: 'clear', tag: null, baseDigest: null },
      { kind: 'clear', tag: '7.3.0', digest: PLACED, baseDigest: null },
    ]);
  });

  it('of another policy are that policy’s business', () => {
    const theirs = { tag: 'theirs', identity: { ...IDENTITY, policy: 'else' } };
    expect(plan({ seen: seenRepository({ '7.2.0': {} }, [placed(9, theirs, PLACED)]) }).marks).toEqual([]);
  });

  it('are replaced in one step when the reason is another one', () => {
    const seen = seenRepository({ '6.0.0': {} }, [placed(9, { tag: '6.0.0', reason: 'retention-excess' }, PLACED)]);
    expect(told(plan({ seen }))).toEqual([['replace', '6.0.0', 'dropped-from-selection']]);
  });
});

describe('retention', () => {
  const old = (days: number) => ({ stamp: recordedStamp({ created: daysAgo(days) }) });
  const wish = variantWish('default', '', ['1.0', '1.1', '1.2', '1.3'], { latest: '1.3' });
  const stream = { '1.0': old(90), '1.1': old(80), '1.2': old(70), '1.3': old(60) };
  const archived = (archive: { keep: number | null; olderThanDays: number | null } | null) => [
    target([wish], { import: resolvedImport({ archive }) }),
  ];
  const SURPLUS = 'retention-excess';

  it('marks the surplus of each stream; what an alias shows is kept and not counted', () => {
    const targets = archived({ keep: 1, olderThanDays: 30 });
    expect(told(plan({ seen: seenRepository(stream), targets }))).toEqual([
      ['set', '1.0', SURPLUS],
      ['set', '1.1', SURPLUS],
    ]);
  });

  it.each([
    ['off without a setting', null, null, []],
    ['the fleet’s counts', null, { keep: 1, olderThanDays: 75 }, ['1.0', '1.1']],
    ['the import’s wins, field by field', { keep: 2, olderThanDays: null }, { keep: 1, olderThanDays: 75 }, ['1.0']],
  ])('takes its limits from both levels: %s', (_, archive, retention, marked) => {
    const found = plan({ seen: seenRepository(stream), targets: archived(archive), settings: { retention } });
    expect(found.marks.map(({ tag }) => tag)).toEqual(marked);
  });

  it('marks only, whatever the deletion mode', () => {
    const [one] = archived({ keep: 1, olderThanDays: 30 });
    const targets = [{ ...(one as Target), deletionMode: 'purge' as const }];
    expect(plan({ seen: seenRepository(stream), targets })).toMatchObject({ deletions: [], marks: [{}, {}] });
  });

  it('counts per variant and import, each by itself', () => {
    const variants = [variantWish('default', '', ['1.0', '1.1']), variantWish('eu', '-eu', ['1.0', '1.1'])];
    const seen = seenRepository({ '1.0': old(90), '1.1': old(80), '1.0-eu': old(90), '1.1-eu': old(80) });
    const targets = [target(variants, { import: resolvedImport({ archive: { keep: 1, olderThanDays: 1 } }) })];
    expect(plan({ seen, targets }).marks.map(({ tag }) => tag)).toEqual(['1.0', '1.0-eu']);
  });

  it('leaves a tag alone that this run places anew, and clears its mark', () => {
    const targets = archived({ keep: 1, olderThanDays: 30 });
    const seen = seenRepository(stream, [placed(9, { tag: '1.0', reason: SURPLUS }, PLACED)]);
    const again = [
      { target: 0, outTag: '1.0' },
      { target: 7, outTag: '1.1' },
    ];
    expect(told(plan({ seen, targets, placed: again }))).toEqual([
      ['clear', '1.0', null],
      ['set', '1.1', SURPLUS],
    ]);
  });

  it('takes its marks back when it is turned off', () => {
    const seen = seenRepository(stream, [placed(9, { tag: '1.0', reason: SURPLUS }, PLACED)]);
    expect(told(plan({ seen, targets: archived(null) }))).toEqual([['clear', '1.0', null]]);
  });

  it('knows nothing of age in a run without a time', () => {
    const targets = archived({ keep: 1, olderThanDays: 30 });
    expect(plan({ seen: seenRepository(stream), targets, settings: { now: 'once' } }).marks).toEqual([]);
  });
});

describe('more than one run may take away', () => {
  it.each([
    ['half is allowed by default', 0.5, ['a', 'b'], []],
    ['more than half is too much', 0.5, ['a', 'b', 'c'], [{ unwanted: 3, managed: 5 }]],
    ['a share of 1 lifts the cap', 1, ['a', 'b', 'c'], []],
    ['a share of 0 allows none', 0, ['a'], [{ unwanted: 1, managed: 3 }]],
  ] as const)('%s', (_rule, maxDeletionShare, dropped, expected) => {
    const seen = seenRepository(Object.fromEntries(['7.2.0', '7.3.0', ...dropped].map((tag) => [tag, {}])));
    expect(plan({ seen, settings: { maxDeletionShare } }).massDeletions).toMatchObject(expected);
    const targets = [target([KEPT], { deletionMode: 'purge' })];
    expect(plan({ seen, targets, settings: { maxDeletionShare } }).massDeletions).toMatchObject(expected);
  });

  it('counts surplus tags as well', () => {
    const targets = [target([KEPT], { import: resolvedImport({ archive: { keep: 0, olderThanDays: 0 } }) })];
    const seen = seenRepository({ '7.2.0': {}, '7.3.0': {}, gone: {} });
    expect(plan({ seen, targets, settings: { maxDeletionShare: 0.9 } }).massDeletions).toEqual([
      { repository: 'registry.example/lib/redis', unwanted: 3, managed: 3 },
    ]);
  });

  it('does not count what is marked already, or changes its reason', () => {
    const marks = [placed(8, { tag: 'a' }, PLACED), placed(9, { tag: 'b', reason: 'retention-excess' }, PLACED)];
    const seen = seenRepository({ a: {}, b: {} }, marks);
    expect(plan({ seen, settings: { maxDeletionShare: 0 } })).toMatchObject({ massDeletions: [], marks: [{}] });
  });
});

describe('an empty prefix', () => {
  it('makes every tag with a base digest managed, and marks without an identity', () => {
    const stamp = recordedStamp({ policy: null, import: null, variant: null });
    const seen = seenRepository({ gone: { stamp } }, [placed(9, { tag: 'else' }, PLACED)]);
    const { marks } = plan({ seen, settings: { prefix: '' } });
    expect(marks).toMatchObject([
      { kind: 'set', tag: 'gone', put: { identity: { policy: '', import: '', variant: '' } } },
      { kind: 'clear', tag: 'else' },
    ]);
  });
});

it('a repository that could not be read, or that no target names, is left alone', () => {
  expect(plan({ seen: new Map() })).toEqual({ deletions: [], marks: [], massDeletions: [] });
  const elsewhere = { repository: { host: 'other.example', path: 'x' }, tags: new Map(), marks: new Map() };
  expect(plan({ seen: new Map([['other.example/x', elsewhere]]) }).marks).toEqual([]);
});
