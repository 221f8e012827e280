import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import { type MarkReason, type PlacedMark, pendingMark } from '../../../../domain/lifecycle/mark.js';
import { type MarkChange, markChanges, type TagStanding } from '../../../../domain/lifecycle/mark-changes.js';
import { daysAgo, digest, IDENTITY, placed, RESTORED, SUBJECT } from './samples.js';

const TODAY = daysAgo(0);

function standing(tag: string, reason: MarkReason | null, shows = SUBJECT): TagStanding {
  return { tag, digest: shows, reason, identity: IDENTITY };
}

function changes(standings: readonly TagStanding[], marks: readonly PlacedMark[]): MarkChange[] {
  return markChanges(standings, bySubject(marks), TODAY);
}

function bySubject(marks: readonly PlacedMark[]): Map<Digest, PlacedMark[]> {
  const found = new Map<Digest, PlacedMark[]>();
  for (const one of marks) found.set(one.subject, [...(found.get(one.subject) ?? []), one]);
  return found;
}

const dropped = standing('7.2.1', 'dropped-from-selection');
const surplus = standing('7.2.1', 'retention-excess');
const wanted = standing('7.2.1', null);

describe('markChanges', () => {
  it('marks a tag that is to go, by name and with its identity', () => {
    expect(changes([dropped], [])).toEqual([
      {
        kind: 'set',
        tag: '7.2.1',
        digest: SUBJECT,
        put: {
          tag: '7.2.1',
          state: 'pending-deletion',
          markedAt: TODAY,
          reason: 'dropped-from-selection',
          identity: IDENTITY,
          restored: null,
        },
        remove: [],
      },
    ]);
  });

  it('keeps a mark for the right reason, with its time', () => {
    expect(changes([dropped], [placed(10)])).toEqual([]);
    expect(changes([surplus], [placed(10, { reason: 'retention-excess' })])).toEqual([]);
  });

  it.each([
    ['leaves the selection', dropped, 'retention-excess'],
    ['comes back as surplus', surplus, 'dropped-from-selection'],
  ] as const)('replaces the mark of a tag that %s in one step, never leaving it unmarked', (_, tag, reason) => {
    const [change, ...others] = changes([tag], [placed(10, { reason })]);
    expect(others).toEqual([]);
    expect(change).toMatchObject({
      kind: 'replace',
      put: { reason: tag.reason, markedAt: TODAY },
      remove: [digest(10)],
    });
  });

  it('clears the marks of a wanted tag, of either axis', () => {
    const marks = [placed(10), placed(11, { reason: 'retention-excess' })];
    expect(changes([wanted], marks)).toEqual([
      { kind: 'clear', tag: '7.2.1', digest: SUBJECT, put: null, remove: [digest(10), digest(11)] },
    ]);
  });

  it('finishes a replacement that stopped half way', () => {
    const marks = [placed(10, { reason: 'retention-excess' }), placed(11)];
    expect(changes([dropped], marks)).toMatchObject([{ kind: 'clear', remove: [digest(10)] }]);
  });

  it('keeps the younger of two marks for one reason, as purge does: a doubt costs waiting time only', () => {
    const marks = [placed(10, { markedAt: daysAgo(2) }), placed(11, { markedAt: daysAgo(1) })];
    expect(changes([dropped], marks)).toMatchObject([{ kind: 'clear', remove: [digest(10)] }]);
  });

  it('replaces a mark that does not say when it was made: it could never become due', () => {
    expect(changes([dropped], [placed(10, { markedAt: '' })])).toMatchObject([
      { kind: 'replace', put: { markedAt: TODAY }, remove: [digest(10)] },
    ]);
  });

  it('replaces a mark from the future, and clears it beside another: it would keep the tag for ever', () => {
    const future = placed(10, { markedAt: daysAgo(-2) });
    expect(changes([dropped], [future])).toMatchObject([
      { kind: 'replace', put: { markedAt: TODAY }, remove: [digest(10)] },
    ]);
    const right = placed(11, { markedAt: daysAgo(2) });
    expect(changes([dropped], [future, right])).toMatchObject([{ kind: 'clear', remove: [digest(10)] }]);
  });

  it.each([dropped, surplus])(
    'respects that a tag was restored as long as there is a reason to mark it: $reason',
    (tag) => {
      expect(changes([tag], [placed(10, RESTORED)])).toEqual([]);
    },
  );

  it('ends a restoration when the tag is wanted again', () => {
    expect(changes([wanted], [placed(10, RESTORED)])).toMatchObject([{ kind: 'clear', remove: [digest(10)] }]);
  });

  it('ends a restoration when the tag shows another digest, which is marked', () => {
    const moved = standing('7.2.1', 'dropped-from-selection', digest(2));
    expect(changes([moved], [placed(10, RESTORED)])).toMatchObject([
      { kind: 'set', digest: digest(2) },
      { kind: 'clear', digest: SUBJECT, remove: [digest(10)] },
    ]);
  });

  it('finishes a restoration that stopped half way', () => {
    expect(changes([dropped], [placed(10), placed(11, RESTORED)])).toMatchObject([
      { kind: 'clear', put: null, remove: [digest(10)] },
    ]);
  });

  it('marks one tag of a digest and leaves the other that shows it alone', () => {
    const [change, ...others] = changes([dropped, standing('7.2', null)], []);
    expect(others).toEqual([]);
    expect(change).toMatchObject({ kind: 'set', tag: '7.2.1' });
  });

  it('clears a mark that names no tag where a wanted tag shows the digest, and only there', () => {
    const legacy = placed(10, { tag: null });
    expect(changes([standing('7.2', null)], [legacy])).toMatchObject([
      { kind: 'clear', tag: null, remove: [digest(10)] },
    ]);
    expect(changes([dropped], [legacy])).toMatchObject([{ kind: 'set', tag: '7.2.1' }]);
  });

  it('clears a mark of a tag that is not there any more', () => {
    expect(changes([], [placed(10)])).toMatchObject([{ kind: 'clear', tag: '7.2.1', remove: [digest(10)] }]);
  });

  it('has nothing left to do once its changes are made, and then every tag has just the mark it deserves', () => {
    const reason = fc.constantFrom('dropped-from-selection', 'retention-excess', null);
    const tags = fc.uniqueArray(
      fc.record({ tag: fc.constantFrom('a', 'b', 'c'), reason, shows: fc.integer({ min: 1, max: 2 }) }),
      { selector: ({ tag }) => tag },
    );
    const marks = fc.array(
      fc.record({
        tag: fc.constantFrom('a', 'b', 'c', null),
        reason: fc.constantFrom('dropped-from-selection', 'retention-excess'),
        state: fc.constantFrom('pending-deletion', 'restored'),
        markedAt: fc.constantFrom(daysAgo(3), daysAgo(9), ''),
        shows: fc.integer({ min: 1, max: 2 }),
      }),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(tags, marks, (someTags, someMarks) => {
        const standings = someTags.map(({ tag, reason, shows }) => standing(tag, reason, digest(shows)));
        const found = someMarks.map(({ shows, ...facts }, index) =>
          placed(100 + index, facts as object, digest(shows)),
        );
        const after = apply(found, changes(standings, found));
        expect(changes(standings, after)).toEqual([]);
        for (const { tag, digest: shows, reason } of standings) {
          const own = after.filter(({ mark, subject }) => mark.tag === tag && subject === shows);
          const restored = found.some(
            ({ mark, subject }) => mark.tag === tag && subject === shows && mark.state === 'restored',
          );
          if (reason === null) expect(own).toEqual([]);
          else if (restored) expect(pendingMark(own, tag)).toBeNull();
          else expect(pendingMark(own, tag)?.mark.reason).toBe(reason);
        }
      }),
    );
  });
});

function apply(marks: readonly PlacedMark[], steps: readonly MarkChange[]): PlacedMark[] {
  const removed = new Set(steps.flatMap(({ remove }) => remove));
  const put = steps.flatMap((step, index) =>
    step.put === null ? [] : [{ referrer: digest(900 + index), subject: step.digest, mark: step.put }],
  );
  return [...marks.filter(({ referrer }) => !removed.has(referrer)), ...put];
}
