import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import {
  missingBaseKey,
  type PlanSettings,
  type PolicyPlan,
  planPolicy,
  wantedTags,
} from '../../../../domain/plan/plan.js';
import { settledOperations } from '../../../../domain/plan/planned-operations.js';
import { DAY } from '../lifecycle/samples.js';
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

const SETTINGS: PlanSettings = {
  prefix: 'io.houba',
  transforms: new Map(),
  missingBases: new Set(),
  stability: { windowMs: 7 * DAY, maxWaitMs: 28 * DAY, newTags: false },
};
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
  });

  it('leaves aliases that are right', () => {
    const wish = variantWish('default', '', ['7.2.0'], { '7.2': '7.2.0', latest: '7.2.0' });
    const seen = seenRepository({ '7.2': {}, latest: {}, '7.2.0': {} });
    const plan = planPolicy(policy, [target([wish])], source({ '7.2.0': A }), seen, SETTINGS);
    expect(plan.aliases).toEqual([]);
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

  describe('the stability window', () => {
    const wish = variantWish('default', '', ['7.2.0'], { latest: '7.2.0' });
    const waiting = (
      stability: ReturnType<typeof resolvedImport>['stability'],
      seen = seenRepository({ '7.2.0': {} }),
    ) =>
      planPolicy(
        policy,
        [target([wish], { import: resolvedImport({ stability }) })],
        source({ '7.2.0': B }),
        seen,
        SETTINGS,
      ).tags[0];
    const none = { windowMs: null, maxWaitMs: null, newTags: null };

    it.each([
      ['the fleet’s, where the import says nothing', null, { windowMs: 7 * DAY, maxWaitMs: 28 * DAY }],
      ['the import’s own window', { ...none, windowMs: 20_000 }, { windowMs: 20_000, maxWaitMs: 28 * DAY }],
      ['the import’s own maximum', { ...none, maxWaitMs: DAY }, { windowMs: 7 * DAY, maxWaitMs: DAY }],
    ])('is %s', (_, stability, wait) => {
      expect(waiting(stability)).toMatchObject({ kind: 'held', wait, aliases: [{ alias: 'latest' }] });
    });

    it('of 0 holds nothing: the moved digest is an update', () => {
      expect(waiting({ ...none, windowMs: 0 })).toMatchObject({ kind: 'update', baseDigest: B, wait: null });
    });

    it('is not for new tags, unless the import says so', () => {
      expect(waiting(null, noTags)).toMatchObject({ kind: 'import', wait: null });
      expect(waiting({ ...none, newTags: true }, noTags)).toMatchObject({
        kind: 'held',
        baseDigest: B,
        wait: { windowMs: 7 * DAY },
      });
    });
  });

  it.each([
    ['nothing', {}, []],
    ['an inventory', { sbomComplete: false }, ['sbom']],
    ['a signature', { attested: false }, ['attested']],
    ['both, the document first', { sbomComplete: false, attested: false }, ['sbom', 'attested']],
  ] as const)('asks for the evidence that a tag lacks, also while it waits: %s', (_, facts, needs) => {
    const wish = variantWish('default', '', ['7.2.0', '7.3.0']);
    const seen = seenRepository({ '7.2.0': facts, '7.3.0': facts });
    const plan = planPolicy(policy, [target([wish])], source({ '7.2.0': A, '7.3.0': B }), seen, SETTINGS);
    expect(plan.tags).toMatchObject([
      { kind: 'keep', needs },
      { kind: 'held', needs },
    ]);
  });

  it('asks for no evidence of what is not there yet, or not houba’s', () => {
    const newTags = { windowMs: null, maxWaitMs: null, newTags: true };
    const wish = variantWish('default', '', ['7.2.0', '7.3.0']);
    const seen = seenRepository({ '7.2.0': { stamp: null, sbomComplete: false } });
    const waiting = target([wish], { import: resolvedImport({ stability: newTags }) });
    const plan = planPolicy(policy, [waiting], source({ '7.2.0': A, '7.3.0': A }), seen, SETTINGS);
    expect(plan.tags).toMatchObject([
      { kind: 'held', needs: [] },
      { kind: 'held', needs: [] },
    ]);
  });

  it('refuses by itself a tag or an alias that is none with its suffix', () => {
    const long = `7.2.0-${'a'.repeat(120)}`;
    const wish = variantWish('eu', '-eu', ['7.2.0', long], { latest: '7.2.0', [`x${long}`]: long });
    const plan = planPolicy(policy, [target([wish])], source({ '7.2.0': A, [long]: A }), noTags, SETTINGS);
    expect(kinds(plan)).toEqual({ '7.2.0-eu': 'import', [`${long}-eu`]: 'overlong' });
    expect(plan.tags.map(({ aliases }) => aliases.map(({ alias }) => alias))).toEqual([['latest-eu'], []]);
    const failed = settledOperations(plan).map(({ operation }) => [
      operation.kind,
      operation.out_tag,
      operation.error?.type,
    ]);
    expect(failed).toEqual([
      ['imported', `${long}-eu`, 'PolicyInvalid'],
      ['aliased', `x${long}-eu`, 'PolicyInvalid'],
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
      const missingBases = new Set([missingBaseKey(REPOSITORY, A)]);
      const plan = planPolicy(policy, [target([wish])], digests, seen, { ...settings, missingBases });
      expect(plan.tags).toMatchObject([
        { kind: 'held', reason: expect.stringContaining(`${A} can no longer be fetched`), wait: { windowMs: 7 * DAY } },
        { kind: 'keep' },
      ]);
      expect(plan.aliases).toMatchObject([{ alias: 'latest', digest: PLACED }]);
    });

    it('takes what upstream shows now instead where nothing is waited for', () => {
      const missingBases = new Set([missingBaseKey(REPOSITORY, A)]);
      const stability = { windowMs: 0, maxWaitMs: 0, newTags: false };
      const plan = planPolicy(policy, [target([wish])], digests, seen, { ...settings, missingBases, stability });
      expect(plan.tags[0]).toMatchObject({ kind: 'update', baseDigest: B, wait: null });
    });

    it('does not end the wait of a digest that has moved', () => {
      const plan = planPolicy(policy, [target([wish])], digests, seen, settings);
      expect(plan.tags[0]).toMatchObject({ kind: 'update', baseDigest: A, wait: { windowMs: 7 * DAY } });
    });
  });

  it('leaves an alias without a stamp of its own alone: it is another tag’s image', () => {
    const stamp = recordedStamp({ stampTo: 'referrer' });
    const seen = seenRepository({ '7.2.0': { stamp }, latest: { stamp: null }, old: { stamp: null } });
    const wish = variantWish('default', '', ['7.2.0'], { latest: '7.2.0' });
    const targets = [target([wish], { import: resolvedImport({ stamp: 'referrer' }) })];
    const plan = planPolicy(policy, targets, source({ '7.2.0': A }), seen, SETTINGS);
    expect(kinds(plan)).toEqual({ '7.2.0': 'keep' });
    expect(plan.aliases).toEqual([]);
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
        expect(second.aliases).toEqual([]);
      }),
    );
  });
});
