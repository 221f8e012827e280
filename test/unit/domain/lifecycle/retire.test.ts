import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { judgeUse, type LastLook, lastLook, purgeDueMs } from '../../../../domain/lifecycle/retire.js';
import { recordedStamp } from '../plan/samples.js';
import { DAY, daysAgo, digest, NOW, placed, RESTORED, SUBJECT } from './samples.js';

const WINDOW = 15 * DAY;

describe('a mark', () => {
  it.each(['dropped-from-selection', 'retention-excess'] as const)(
    'is due one window after it was made: %s',
    (reason) => {
      expect(purgeDueMs(placed(10, { reason, markedAt: daysAgo(20) }), WINDOW)).toBe(NOW - 5 * DAY);
    },
  );

  it('that does not say when it was made is never due', () => {
    expect(purgeDueMs(placed(10, { markedAt: '' }), WINDOW)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('judgeUse', () => {
  it('lets go what was not seen', () => {
    expect(judgeUse({ kind: 'unseen', detail: 'no pods' }, NOW, WINDOW)).toEqual({
      decision: 'purge',
      reason: 'not seen in use: no pods',
      askAgainMs: null,
    });
  });

  it.each([
    ['an old sighting', NOW - 100 * DAY, NOW + WINDOW],
    ['one of just now', NOW, NOW + WINDOW],
    ['one by a clock that is ahead', NOW + DAY, NOW + DAY + WINDOW],
    ['one by a clock that is far off', NOW + 100_000 * DAY, NOW + 2 * WINDOW],
  ])('protects for one window from the later of sighting and now: %s', (_, atMs, askAgainMs) => {
    expect(judgeUse({ kind: 'seen', atMs, detail: '' }, NOW, WINDOW)).toMatchObject({
      decision: 'protect',
      askAgainMs,
    });
  });

  it('tells when it was seen, and by whom', () => {
    const { reason } = judgeUse({ kind: 'seen', atMs: NOW - DAY, detail: 'team-a/web' }, NOW, WINDOW);
    expect(reason).toBe('last seen in use 2026-06-12T00:00:00+00:00: team-a/web');
  });

  it('takes no answer for use, and asks again on the next day, or sooner with a short window', () => {
    const unknown = { kind: 'unknown', detail: 'it printed nothing' } as const;
    expect(judgeUse(unknown, NOW, WINDOW)).toEqual({
      decision: 'uncertain',
      reason: 'nobody could say whether it is in use: it printed nothing',
      askAgainMs: NOW + DAY,
    });
    expect(judgeUse(unknown, NOW, 20_000).askAgainMs).toBe(NOW + 20_000);
  });

  it('never asks again at once, however short the window', () => {
    fc.assert(
      fc.property(fc.nat(3_000), fc.integer({ min: NOW - WINDOW, max: NOW + WINDOW }), (windowMs, atMs) => {
        expect(judgeUse({ kind: 'seen', atMs, detail: '' }, NOW, windowMs).askAgainMs).toBeGreaterThanOrEqual(
          NOW + 1_000,
        );
        expect(judgeUse({ kind: 'unknown', detail: '' }, NOW, windowMs).askAgainMs).toBeGreaterThanOrEqual(NOW + 1_000);
      }),
    );
  });
});

const due: LastLook = {
  tag: '7.2.1',
  digest: SUBJECT,
  current: SUBJECT,
  stamp: recordedStamp(),
  marks: [placed(10, { markedAt: daysAgo(20) })],
};

describe('the last look', () => {
  it('lets a due tag go, whatever marks other tags of the digest have', () => {
    const marks = [
      ...due.marks,
      placed(11, { markedAt: daysAgo(30) }),
      placed(12, { tag: '7.2', markedAt: daysAgo(30) }),
    ];
    expect(lastLook({ ...due, marks }, NOW, WINDOW)).toEqual({ act: 'delete' });
  });

  it.each<[string, Partial<LastLook>, string]>([
    ['the tag is gone', { current: null }, 'gone already'],
    ['the tag shows another digest', { current: digest(2) }, 'another digest'],
    ['the image has no stamp', { stamp: null }, 'stamp'],
    ['the image is of another policy', { stamp: recordedStamp({ policy: 'valkey' }) }, 'of policy "redis"'],
    ['the mark is gone', { marks: [] }, 'mark is gone'],
    ['the mark is of another tag', { marks: [placed(10, { tag: '7.2', markedAt: daysAgo(20) })] }, 'mark is gone'],
    ['the mark names no tag', { marks: [placed(10, { tag: null, markedAt: daysAgo(20) })] }, 'mark is gone'],
    ['the mark is from the future', { marks: [placed(10, { markedAt: daysAgo(-2) })] }, 'from the future'],
    ['the mark has no time', { marks: [placed(10, { markedAt: '' })] }, 'mark is gone'],
    ['the tag was restored', { marks: [...due.marks, placed(11, RESTORED)] }, 'restored'],
  ])('ends it when %s', (_, change, reason) => {
    expect(lastLook({ ...due, ...change }, NOW, WINDOW)).toEqual({
      act: 'end',
      reason: expect.stringContaining(reason),
    });
  });

  it('goes on waiting when the mark was made anew', () => {
    const marks = [...due.marks, placed(11, { markedAt: daysAgo(1) })];
    expect(lastLook({ ...due, marks }, NOW, WINDOW)).toMatchObject({ act: 'wait', untilMs: NOW + 14 * DAY });
  });

  it('lets go at exactly the end of the window, not a moment before', () => {
    const marks = [placed(10, { markedAt: daysAgo(15) })];
    expect(lastLook({ ...due, marks }, NOW - 1, WINDOW)).toMatchObject({ act: 'wait', untilMs: NOW });
    expect(lastLook({ ...due, marks }, NOW, WINDOW)).toMatchObject({ act: 'delete' });
  });

  it('works with an empty prefix, under which neither mark nor stamp names a policy', () => {
    const nobody = { policy: '', import: '', variant: '' };
    const look = {
      ...due,
      stamp: recordedStamp({ policy: null, import: null, variant: null }),
      marks: [placed(10, { markedAt: daysAgo(20), identity: nobody })],
    };
    expect(lastLook(look, NOW, WINDOW)).toMatchObject({ act: 'delete' });
  });
});
