import { describe, expect, it } from 'vitest';
import { classify, type DesiredFacts } from '../../../../domain/plan/classify.js';
import { A, B, recordedStamp } from './samples.js';

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
