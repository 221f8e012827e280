import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../domain/digest.js';
import { classify, type DesiredFacts } from '../../../domain/plan/classify.js';
import { isSettled, settle } from '../../../domain/plan/stability.js';
import { A, B, recordedStamp } from './samples.js';

const DAY = 86_400_000;
const NOW = Date.parse('2026-06-15T12:00:00Z');
const WINDOW = 7 * DAY;

const desired: DesiredFacts = {
  policy: 'redis',
  import: 'v7',
  variant: 'default',
  owners: ['group:default/caching'],
  vendor: null,
  transformVersion: null,
  platforms: null,
  stampTo: 'annotations',
};
const recorded = recordedStamp({ owners: 'group:default/caching' });

describe('classify', () => {
  it.each([
    ['a tag that is absent is imported', desired, A, null, 'import'],
    ['an equal digest and equal facts are kept', desired, A, recorded, 'keep'],
    ['another source digest has moved', desired, B, recorded, 'moved'],
    ['a changed transform is an update', { ...desired, transformVersion: 'sha256:new' }, A, recorded, 'update'],
    [
      'a transform that is gone is an update',
      desired,
      A,
      recordedStamp({ owners: 'group:default/caching', transformVersion: 'sha256:old' }),
      'update',
    ],
    [
      'a changed transform outranks a moved digest',
      { ...desired, transformVersion: 'sha256:new' },
      B,
      recorded,
      'update',
    ],
    ['another owner restamps', { ...desired, owners: ['user:default/alice'] }, A, recorded, 'restamp'],
    ['owners that were cleared restamp', { ...desired, owners: [] }, A, recorded, 'restamp'],
    ['another vendor restamps', { ...desired, vendor: 'ACME' }, A, recorded, 'restamp'],
    ['another policy name restamps', { ...desired, policy: 'redis-all' }, A, recorded, 'restamp'],
    ['another import name restamps', { ...desired, import: 'v8' }, A, recorded, 'restamp'],
    ['another variant name restamps', { ...desired, variant: 'plain' }, A, recorded, 'restamp'],
    ['a restamp outranks a moved digest', { ...desired, vendor: 'ACME' }, B, recorded, 'restamp'],
    ['another place for the stamp restamps', { ...desired, stampTo: 'referrer' }, A, recorded, 'restamp'],
    ['other platforms are an update', { ...desired, platforms: ['linux/amd64'] }, A, recorded, 'update'],
  ] as const)('%s', (_rule, facts, source, known, decision) => {
    expect(classify(facts, source, known, 'io.houba')).toBe(decision);
  });

  it('with an empty prefix only the vendor and the digest can differ', () => {
    const bare = recordedStamp({ policy: null, import: null, variant: null, owners: null });
    expect(classify(desired, A, bare, '')).toBe('keep');
    expect(classify(desired, B, bare, '')).toBe('moved');
    expect(classify({ ...desired, vendor: 'ACME' }, A, bare, '')).toBe('restamp');
  });
});

describe('the stability window', () => {
  it.each([
    ['an absent tag is imported at once', null, A, NOW, 'import'],
    ['a digest seen ten days ago is taken over', recorded, B, NOW - 10 * DAY, 'update'],
    ['exactly the window is enough', recorded, B, NOW - WINDOW, 'update'],
    ['a moment less is not', recorded, B, NOW - WINDOW + 1, 'held'],
    ['an unknown time does not pass', recorded, B, null, 'held'],
    ['what has not moved waits for nothing', recorded, A, null, 'keep'],
  ] as const)('%s', (_rule, known, source: Digest, firstSeen, outcome) => {
    expect(settle(classify(desired, source, known, 'io.houba'), firstSeen, NOW, WINDOW)).toBe(outcome);
  });

  it('a window of zero passes as soon as the digest was seen', () => {
    expect(isSettled(NOW, NOW, 0)).toBe(true);
  });
});
