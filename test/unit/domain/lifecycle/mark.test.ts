import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatInstant, parseInstant } from '../../../../domain/instant.js';
import {
  isRestored,
  MARK_ARTIFACT_TYPE,
  type Mark,
  markAnnotations,
  pendingMark,
  readMarks,
  restoredMark,
} from '../../../../domain/lifecycle/mark.js';
import { digest, mark, NOW, placed, RESTORED, SUBJECT } from './samples.js';

/** What is read back from a mark with these annotations. */
function readBack(annotations: Record<string, string>, prefix: string): Mark | undefined {
  const [found] = readMarks(SUBJECT, [{ digest: digest(9), artifactType: MARK_ARTIFACT_TYPE, annotations }], prefix);
  return found?.mark;
}

describe('a deletion mark', () => {
  it('says what, when, why, whose, and of which tag', () => {
    expect(MARK_ARTIFACT_TYPE).toBe('application/vnd.houba.lifecycle.pending+json');
    expect(markAnnotations(mark(), 'io.houba')).toEqual({
      'io.houba.lifecycle.state': 'pending-deletion',
      'io.houba.lifecycle.marked-at': '2026-06-12T08:00:00+00:00',
      'io.houba.lifecycle.reason': 'dropped-from-selection',
      'io.houba.policy': 'redis',
      'io.houba.import': 'stable',
      'io.houba.variant': 'hardened',
      'io.houba.lifecycle.tag': '7.2.1',
    });
  });

  it('has bare keys and no identity with an empty prefix', () => {
    expect(markAnnotations(mark(), '')).toEqual({
      'lifecycle.state': 'pending-deletion',
      'lifecycle.marked-at': '2026-06-12T08:00:00+00:00',
      'lifecycle.reason': 'dropped-from-selection',
      'lifecycle.tag': '7.2.1',
    });
  });

  it('leaves out the parts of the identity that nobody knows', () => {
    const unknown = mark({ identity: { policy: 'redis', import: '', variant: '' } });
    expect(Object.keys(markAnnotations(unknown, 'io.houba'))).not.toContain('io.houba.variant');
  });

  it('reads back as it was written, under any prefix', () => {
    const text = fc.string({ minLength: 1 });
    const anyMark = fc.record<Mark>({
      tag: text,
      state: fc.constant('pending-deletion'),
      markedAt: text,
      reason: fc.constantFrom('dropped-from-selection', 'retention-excess'),
      identity: fc.record({ policy: fc.string(), import: fc.string(), variant: fc.string() }),
      restored: fc.constant(null),
    });
    fc.assert(
      fc.property(anyMark, fc.constantFrom('io.houba', 'com.example', ''), (written, prefix) => {
        const identity = prefix === '' ? { policy: '', import: '', variant: '' } : written.identity;
        expect(readBack(markAnnotations(written, prefix), prefix)).toEqual({ ...written, identity });
      }),
    );
  });

  it('that was restored says by whom and why, and when', () => {
    const restored = restoredMark(mark(), 'alice', 'still needed', NOW);
    const annotations = markAnnotations(restored, 'io.houba');
    expect(annotations).toMatchObject({
      'io.houba.lifecycle.state': 'restored',
      'io.houba.lifecycle.marked-at': '2026-06-13T00:00:00+00:00',
      'io.houba.lifecycle.restored.by': 'alice',
      'io.houba.lifecycle.restored.reason': 'still needed',
    });
    expect(readBack(annotations, 'io.houba')).toEqual(restored);
  });

  it('of the earlier implementation names no tag; missing keys read as empty', () => {
    expect(readBack({ 'io.houba.lifecycle.state': 'pending-deletion' }, 'io.houba')).toEqual({
      tag: null,
      state: 'pending-deletion',
      markedAt: '',
      reason: 'dropped-from-selection',
      identity: { policy: '', import: '', variant: '' },
      restored: null,
    });
  });

  it.each([[{}], [{ 'io.houba.lifecycle.state': 'frozen' }]])(
    'in a state that is not known here, as in %j, is no wish to delete',
    (annotations: Record<string, string>) => {
      expect(readBack(annotations, 'io.houba')?.state).toBe('restored');
    },
  );

  it('is of the selection axis for any reason but surplus', () => {
    expect(readBack({ 'io.houba.lifecycle.reason': 'whatever' }, 'io.houba')?.reason).toBe('dropped-from-selection');
    expect(readBack({ 'io.houba.lifecycle.reason': 'retention-excess' }, 'io.houba')?.reason).toBe('retention-excess');
  });

  it('is told from other referrers by its type', () => {
    expect(
      readMarks(SUBJECT, [{ digest: digest(9), artifactType: 'application/spdx+json', annotations: {} }], 'p'),
    ).toEqual([]);
  });

  it('does not read what every object inherits', () => {
    expect(readBack(Object.create({ 'io.houba.lifecycle.state': 'pending-deletion' }), 'io.houba')?.state).toBe(
      'restored',
    );
  });
});

describe('pendingMark', () => {
  it('is the mark of this tag alone', () => {
    const marks = [placed(10, { tag: '7.2' }), placed(11, { tag: null })];
    expect(pendingMark(marks, '7.2')).toBe(marks[0]);
    expect(pendingMark(marks, '7.2.1')).toBeNull();
    expect(pendingMark([], '7.2.1')).toBeNull();
  });

  it('is the one made last, whatever their order', () => {
    const early = placed(10, { markedAt: '2026-06-01T00:00:00Z' });
    const late = placed(11, { markedAt: '2026-06-02T00:00:00+00:00' });
    expect(pendingMark([early, late], '7.2.1')).toBe(late);
    expect(pendingMark([late, early], '7.2.1')).toBe(late);
  });

  it('is none when somebody restored the tag, also while the old mark is still there', () => {
    const marks = [placed(10), placed(11, RESTORED)];
    expect(isRestored(marks, '7.2.1')).toBe(true);
    expect(isRestored(marks, '7.2')).toBe(false);
    expect(pendingMark(marks, '7.2.1')).toBeNull();
  });

  it('is none when a mark does not say when it was made', () => {
    expect(pendingMark([placed(10), placed(11, { markedAt: 'yesterday' })], '7.2.1')).toBeNull();
  });
});

describe('an instant', () => {
  it.each([
    ['2026-06-13T00:00:00Z', NOW],
    ['2026-06-13T00:00:00+00:00', NOW],
    ['2026-06-13T00:00:00', NOW],
    ['2026-06-13T02:00:00+02:00', NOW],
    ['2026-06-12T19:00:00-0500', NOW],
    ['2026-06-13T00:00:00.5Z', NOW + 500],
    ['2026-06-13T00:00:00.123456789Z', NOW + 123],
  ])('is read from %s', (text, ms) => {
    expect(parseInstant(text)).toBe(ms);
  });

  it.each([
    '',
    'now',
    '2026-06-13',
    '13.06.2026',
    '2026-13-01T00:00:00Z',
    '2026-06-13T00:00:00 Z',
    ' 2026-06-13T00:00:00Z',
  ])('is not read from %j', (text) => {
    expect(parseInstant(text)).toBeNull();
  });

  it('reads back as it was written', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000_000 }), (ms) => {
        expect(parseInstant(formatInstant(ms))).toBe(ms);
      }),
    );
    expect(formatInstant(NOW)).toBe('2026-06-13T00:00:00+00:00');
    expect(formatInstant(NOW + 5)).toBe('2026-06-13T00:00:00.005+00:00');
  });
});
