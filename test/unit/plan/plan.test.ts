import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../domain/digest.js';
import { lostKey, type PlanSettings, type PolicyPlan, planPolicy, wantedTags } from '../../../domain/plan/plan.js';
import {
  A,
  B,
  OTHER,
  PLACED,
  REPOSITORY,
  recordedStamp,
  resolvedImport,
  resolvedPolicy,
  seenRepository,
  target,
  variantWish,
} from './samples.js';

const SETTINGS: PlanSettings = { prefix: 'io.houba', maxDeletionShare: 0.5, transforms: new Map(), lost: new Set() };
const policy = resolvedPolicy();
const noTags = seenRepository({});

function kinds(plan: PolicyPlan): Record<string, string> {
  return Object.fromEntries(plan.tags.map((tag) => [tag.outTag, tag.kind]));
}

function source(digests: Readonly<Record<string, Digest>>): Map<string, Digest> {
  return new Map(Object.entries(digests));
}

describe('planPolicy', () => {
  it('imports what is missing under the variant’s suffix and points its aliases', () => {
    const wish = variantWish('fips', '-fips', ['7.2.0', '7.3.0'], { '7.2': '7.2.0', latest: '7.3.0' });
    const seen = seenRepository({ '7.2.0-fips': { stamp: recordedStamp({ variant: 'fips' }) } });
    const plan = planPolicy(policy, [target([wish])], source({ '7.2.0': A, '7.3.0': B }), seen, SETTINGS);
    expect(kinds(plan)).toEqual({ '7.2.0-fips': 'keep', '7.3.0-fips': 'import' });
    expect(plan.aliases).toMatchObject([{ alias: '7.2-fips', outTag: '7.2.0-fips', digest: PLACED, current: null }]);
    expect(plan.tags[1]?.aliases).toEqual([{ alias: 'latest-fips', current: null }]);
    expect(plan.unwanted).toEqual([]);
  });

  it('neither deletes nor rewrites aliases that are right', () => {
    const wish = variantWish('default', '', ['7.2.0'], { '7.2': '7.2.0', latest: '7.2.0' });
    const seen = seenRepository({ '7.2': {}, latest: {}, '7.2.0': {} });
    const plan = planPolicy(policy, [target([wish])], source({ '7.2.0': A }), seen, SETTINGS);
    expect(plan.aliases).toEqual([]);
    expect(plan.unwanted).toEqual([]);
    expect(wantedTags(target([wish]))).toEqual(['7.2.0', '7.2', 'latest']);
  });

  it('points an alias that shows something else', () => {
    const wish = variantWish('default', '', ['7.2.0'], { latest: '7.2.0' });
    const seen = seenRepository({ latest: { digest: OTHER }, '7.2.0': {} });
    const plan = planPolicy(policy, [target([wish])], source({ '7.2.0': A }), seen, SETTINGS);
    expect(plan.aliases).toMatchObject([{ alias: 'latest', digest: PLACED, current: OTHER }]);
  });

  it('holds a moved tag, and its aliases follow what the tag still shows', () => {
    const wish = variantWish('default', '', ['7.2.0'], { latest: '7.2.0' });
    const plan = planPolicy(
      policy,
      [target([wish])],
      source({ '7.2.0': B }),
      seenRepository({ '7.2.0': {} }),
      SETTINGS,
    );
    expect(kinds(plan)).toEqual({ '7.2.0': 'held' });
    expect(plan.aliases).toMatchObject([{ alias: 'latest', digest: PLACED }]);
  });

  it.each([
    ['nothing', {}, []],
    ['an inventory', { sbomComplete: false }, ['sbom']],
    ['a signature', { attested: false }, ['attested']],
    ['both, the document first', { sbomComplete: false, attested: false }, ['sbom', 'attested']],
  ] as const)('asks for the evidence that a kept tag lacks: %s', (_, facts, needs) => {
    const wish = variantWish('default', '', ['7.2.0', '7.3.0']);
    const seen = seenRepository({ '7.2.0': facts, '7.3.0': facts });
    const plan = planPolicy(policy, [target([wish])], source({ '7.2.0': A, '7.3.0': B }), seen, SETTINGS);
    expect(plan.tags).toMatchObject([
      { kind: 'keep', needs },
      { kind: 'held', needs: [] },
    ]);
  });

  describe('a changed transform', () => {
    const wish = variantWish('default', '', ['7.2.0', '7.3.0'], { latest: '7.2.0' });
    const settings = { ...SETTINGS, transforms: new Map([[wish.variant, { version: 'sha256:new' }]]) };
    const recorded = recordedStamp({ transformVersion: 'sha256:old' });
    const done = recordedStamp({ transformVersion: 'sha256:new' });
    const seen = seenRepository({ '7.2.0': { stamp: recorded }, '7.3.0': { stamp: done } });
    const digests = source({ '7.2.0': B, '7.3.0': A });

    it('rebuilds at once what has the old one, from the recorded digest', () => {
      const plan = planPolicy(policy, [target([wish])], digests, seen, settings);
      expect(plan.tags).toMatchObject([
        { kind: 'update', baseDigest: A, sourceDigest: B, reason: null },
        { kind: 'keep' },
      ]);
    });

    it('is held, and says why, when nobody serves the recorded digest; its alias follows what it shows', () => {
      const lost = new Set([lostKey(REPOSITORY, A)]);
      const plan = planPolicy(policy, [target([wish])], digests, seen, { ...settings, lost });
      expect(plan.tags).toMatchObject([
        { kind: 'held', reason: expect.stringContaining(`${A} can no longer be fetched`), aliases: [] },
        { kind: 'keep' },
      ]);
      expect(plan.aliases).toMatchObject([{ alias: 'latest', digest: PLACED }]);
    });
  });

  it('leaves an alias without a stamp of its own alone: it is another tag’s image', () => {
    const stamp = recordedStamp({ stampTo: 'referrer' });
    const seen = seenRepository({ '7.2.0': { stamp }, latest: { stamp: null }, old: { stamp: null } });
    const wish = variantWish('default', '', ['7.2.0'], { latest: '7.2.0' });
    const targets = [target([wish], { import: resolvedImport({ stamp: 'referrer' }) })];
    const plan = planPolicy(policy, targets, source({ '7.2.0': A }), seen, SETTINGS);
    expect(kinds(plan)).toEqual({ '7.2.0': 'keep' });
    expect([...plan.aliases, ...plan.unwanted]).toEqual([]);
  });

  it('imports over a wanted tag that is not houba’s, and knows what it showed', () => {
    const seen = seenRepository({ '7.2.0': { stamp: null, digest: OTHER } });
    const plan = planPolicy(
      policy,
      [target([variantWish('default', '', ['7.2.0'])])],
      source({ '7.2.0': A }),
      seen,
      SETTINGS,
    );
    expect(plan.tags).toMatchObject([{ kind: 'import', current: OTHER, baseDigest: A }]);
  });

  it('restamps from the recorded base digest, never from one that moved', () => {
    const seen = seenRepository({ '7.2.0': { stamp: recordedStamp({ owners: 'user:default/bob' }) } });
    const plan = planPolicy(
      policy,
      [target([variantWish('default', '', ['7.2.0'])])],
      source({ '7.2.0': B }),
      seen,
      SETTINGS,
    );
    expect(plan.tags).toMatchObject([{ kind: 'restamp', baseDigest: A, sourceDigest: B }]);
  });

  it('tells of a tag that is listed and not served', () => {
    const plan = planPolicy(
      policy,
      [target([variantWish('default', '', ['7.2.0'])])],
      new Map([['7.2.0', null]]),
      noTags,
      SETTINGS,
    );
    expect(plan.tags).toMatchObject([{ kind: 'gone', baseDigest: null }]);
  });

  it('computes what is wanted per repository: two imports do not delete each other’s tags (L1)', () => {
    const seven = target([variantWish('default', '', ['7.0.0'])]);
    const eight = target([variantWish('default', '', ['8.0.0'])], { import: resolvedImport({ name: 'v8' }) });
    const seen = seenRepository({ '7.0.0': {}, '8.0.0': { stamp: recordedStamp({ import: 'v8' }) } });
    const plan = planPolicy(policy, [seven, eight], source({ '7.0.0': A, '8.0.0': A }), seen, SETTINGS);
    expect(plan.unwanted).toEqual([]);
  });

  it('finds unwanted only what this policy stamped', () => {
    const seen = seenRepository({
      '7.2.0': {},
      '7.3.0': {},
      '6.0.0': {},
      manual: { stamp: null },
      foreign: { stamp: recordedStamp({ policy: 'else' }) },
    });
    const wish = variantWish('default', '', ['7.2.0', '7.3.0']);
    const plan = planPolicy(policy, [target([wish])], source({ '7.2.0': A, '7.3.0': A }), seen, SETTINGS);
    expect(plan.unwanted).toEqual([{ target: 0, kind: 'marked', tag: '6.0.0', digest: PLACED, baseDigest: A }]);
    expect(plan.massDeletions).toEqual([]);
  });

  it('gives an unwanted tag to the import that its stamp names, with that target’s deletion mode', () => {
    const seen = seenRepository({ '8.1.0': { stamp: recordedStamp({ import: 'v8' }) } });
    const seven = target([variantWish('default', '', ['7.0.0'])]);
    const eight = target([variantWish('default', '', [])], {
      import: resolvedImport({ name: 'v8' }),
      deletionMode: 'purge',
    });
    const plan = planPolicy(policy, [seven, eight], source({ '7.0.0': A }), seen, { ...SETTINGS, maxDeletionShare: 1 });
    expect(plan.unwanted).toMatchObject([{ target: 1, kind: 'deleted', tag: '8.1.0' }]);
  });

  it.each([
    ['half is allowed by default', 0.5, ['a', 'b'], []],
    ['more than half is a mass deletion', 0.5, ['a', 'b', 'c'], [{ unwanted: 3, managed: 5 }]],
    ['a share of 1 lifts the cap', 1, ['a', 'b', 'c'], []],
    ['a share of 0 allows none', 0, ['a'], [{ unwanted: 1, managed: 3 }]],
  ] as const)('%s', (_rule, share, dropped, expected) => {
    const seen = seenRepository(Object.fromEntries(['1.0', '1.1', ...dropped].map((tag) => [tag, {}])));
    const wish = variantWish('default', '', ['1.0', '1.1']);
    const settings = { ...SETTINGS, maxDeletionShare: share };
    const plan = planPolicy(policy, [target([wish])], source({ '1.0': A, '1.1': A }), seen, settings);
    expect(plan.massDeletions).toMatchObject(expected);
  });

  it('after everything was placed a second plan has nothing to do', () => {
    const tag = fc.stringMatching(/^[a-z0-9]{1,8}$/);
    fc.assert(
      fc.property(fc.uniqueArray(tag, { minLength: 1, maxLength: 20 }), (tags) => {
        const wish = variantWish('default', '', tags, { 'the-alias': tags[0] as string });
        const first = planPolicy(policy, [target([wish])], new Map(tags.map((name) => [name, A])), noTags, SETTINGS);
        const placed = [...first.tags.map((found) => found.outTag), 'the-alias'];
        const seen = seenRepository(Object.fromEntries(placed.map((name) => [name, {}])));
        const second = planPolicy(policy, [target([wish])], new Map(tags.map((name) => [name, A])), seen, SETTINGS);
        expect(second.tags.every((found) => found.kind === 'keep')).toBe(true);
        expect([...second.aliases, ...second.unwanted]).toEqual([]);
      }),
    );
  });
});
