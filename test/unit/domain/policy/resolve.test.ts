import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ResolvedImport, resolvePolicy } from '../../../../domain/policy/resolve.js';
import { MirrorPolicy } from '../../../../domain/policy/schema.js';
import { policyDocument } from './documents.js';

type Written = MirrorPolicy['spec']['imports'][number];

function merge(defaults: unknown, written: object): ResolvedImport {
  const [entry] = resolvePolicy(MirrorPolicy.parse(policyDocument({ defaults, imports: [written] }))).imports;
  if (entry === undefined) throw new Error('no import');
  return entry;
}

describe('the order of tags', () => {
  const orderOf = (artifactType: 'image' | 'helmChart', tags: object) =>
    resolvePolicy(policyDocument({ artifactType, imports: [{ tags }] })).imports[0]?.tags.order;

  it.each([
    ['image', {}, undefined],
    ['image', { order: 'semver' }, undefined],
    ['image', { order: 'docker' }, 'docker'],
    ['helmChart', {}, 'helm'],
    ['helmChart', { order: 'semver' }, 'helm'],
    ['helmChart', { order: 'calver' }, 'calver'],
  ] as const)('of an %s with %j is %s', (artifactType, tags, expected) => {
    expect(orderOf(artifactType, tags)).toBe(expected);
  });

  it('and the other settings merge key by key; null takes a default back', () => {
    const defaults = { tags: { order: 'docker', finalsOnly: true, semverRange: '^1', newest: 3 } };
    expect(merge(defaults, {}).tags).toMatchObject(defaults.tags);
    const { tags } = merge(defaults, { tags: { order: 'semver', finalsOnly: false, semverRange: null, newest: null } });
    expect(tags).toEqual({ includeRegex: null, excludeRegex: [], semverOnly: true, names: [], aliases: [] });
  });
});

describe('merging defaults into an import', () => {
  it.each<[string, object, Partial<Written>, Partial<ResolvedImport>]>([
    [
      'tags merge key by key',
      { tags: { semverOnly: true, excludeRegex: ['-rc'] } },
      { tags: { includeRegex: '^1\\.', semverOnly: false } },
      { tags: { includeRegex: '^1\\.', excludeRegex: ['-rc'], semverOnly: false, names: [], aliases: [] } },
    ],
    [
      'an explicit null and an empty list count as written',
      { tags: { includeRegex: '^1', excludeRegex: ['-rc'], names: ['a'], aliases: ['latest'] } },
      { tags: { includeRegex: null, excludeRegex: [], names: [] } },
      { tags: { includeRegex: null, excludeRegex: [], semverOnly: true, names: [], aliases: ['latest'] } },
    ],
    [
      'a default of semverOnly is what the document says, not what the schema would fill in',
      { tags: { semverOnly: false } },
      { tags: {} },
      { tags: { includeRegex: null, excludeRegex: [], semverOnly: false, names: [], aliases: [] } },
    ],
    [
      'archive merges key by key',
      { archive: { keep: 5, olderThanDays: 90 } },
      { archive: { keep: 3 } },
      { archive: { keep: 3, olderThanDays: 90 } },
    ],
    [
      'an explicit null in archive counts as written',
      { archive: { keep: 5 } },
      { archive: { keep: null } },
      {
        archive: { keep: null, olderThanDays: null },
      },
    ],
    [
      'a null archive says nothing',
      { archive: { keep: 5 } },
      { archive: null },
      {
        archive: { keep: 5, olderThanDays: null },
      },
    ],
    [
      'stability merges key by key, durations become milliseconds',
      { stability: { window: '36h', maxWait: '7d', newTags: true } },
      { stability: { window: 0, newTags: false } },
      { stability: { windowMs: 0, maxWaitMs: 604_800_000, newTags: false } },
    ],
    [
      'an empty stability is one that says nothing',
      {},
      { stability: {} },
      {
        stability: { windowMs: null, maxWaitMs: null, newTags: null },
      },
    ],
    ['owners: [] clears', { owners: ['group:default/platform'] }, { owners: [] }, { owners: [] }],
    ['owners are replaced whole', { owners: ['a', 'b'] }, { owners: ['c'] }, { owners: ['c'] }],
    [
      'a null takes the default',
      { owners: ['a'], vendor: 'ACME', platforms: ['linux/amd64'] },
      {
        owners: null,
        vendor: null,
        platforms: null,
      },
      { owners: ['a'], vendor: 'ACME', platforms: ['linux/amd64'] },
    ],
    [
      'an empty vendor or platform list takes the default back',
      { vendor: 'ACME', platforms: ['linux/amd64'] },
      {
        vendor: '',
        platforms: [],
      },
      { vendor: null, platforms: null },
    ],
    [
      'a copy may have several platforms',
      { platforms: ['linux/amd64', 'linux/arm64'] },
      {},
      {
        platforms: ['linux/amd64', 'linux/arm64'],
        transform: [],
      },
    ],
    [
      'transform: [] is a copy again',
      { transform: [{ setTimezone: { zone: 'UTC' } }] },
      { transform: [] },
      {
        transform: [],
      },
    ],
    [
      'destinations are replaced whole, a name left out is null',
      { destinations: [{ registry: 'eu', project: 'a', repository: 'b' }] },
      { destinations: [{ project: 'c', repository: 'd' }] },
      { destinations: [{ registry: null, project: 'c', repository: 'd' }] },
    ],
    [
      'the rest takes the default where the import is silent',
      { stamp: 'referrer', keepUpstreamEvidence: true },
      {},
      {
        stamp: 'referrer',
        keepUpstreamEvidence: true,
      },
    ],
    [
      'and the import where it is not',
      { stamp: 'referrer', keepUpstreamEvidence: true, verifyUpstream: { key: 'k' } },
      {
        stamp: 'annotations',
        keepUpstreamEvidence: false,
        verifyUpstream: { identity: 'i', issuer: 's' },
      },
      { stamp: 'annotations', keepUpstreamEvidence: false, verifyUpstream: { identity: 'i', issuer: 's' } },
    ],
  ])('%s', (_rule, defaults, written, expected) => {
    expect(merge(defaults, written)).toMatchObject(expected);
  });

  it('takes destinations from the defaults', () => {
    const destinations = [{ registry: 'eu', project: 'a', repository: 'b' }];
    expect(merge({ destinations }, { destinations: null }).destinations).toEqual(destinations);
  });

  it('without anything written, every field has its default', () => {
    expect(merge(null, {})).toEqual({
      name: 'v1',
      tags: { includeRegex: null, excludeRegex: [], semverOnly: true, names: [], aliases: [] },
      destinations: [{ registry: null, project: 'p', repository: 'r' }],
      transform: [],
      archive: null,
      platforms: null,
      variants: [{ name: 'default', suffix: '', transform: [] }],
      owners: [],
      vendor: null,
      stability: null,
      stamp: 'annotations',
      keepUpstreamEvidence: false,
      verifyUpstream: null,
    });
  });
});

describe('variants', () => {
  const inject = { name: 'injectCA', params: { certs: ['a'] } };

  it('inherit the steps of the import with null, and replace them with a list, also an empty one', () => {
    const { variants } = merge(
      { transform: [{ setTimezone: null }] },
      {
        transform: [{ injectCA: { certs: ['a'] } }],
        variants: [
          { name: 'standard', suffix: '' },
          { name: 'null', suffix: '-n', transform: null },
          { name: 'tz', suffix: '-eu', transform: [{ setTimezone: { zone: 'UTC' } }] },
          { name: 'plain', suffix: '-p', transform: [] },
        ],
      },
    );
    expect(variants).toEqual([
      { name: 'standard', suffix: '', transform: [inject] },
      { name: 'null', suffix: '-n', transform: [inject] },
      { name: 'tz', suffix: '-eu', transform: [{ name: 'setTimezone', params: { zone: 'UTC' } }] },
      { name: 'plain', suffix: '-p', transform: [] },
    ]);
  });

  it('null parameters mean none, and null variants one without a suffix', () => {
    const { transform, variants } = merge({ transform: [{ setTimezone: null }] }, { variants: null });
    expect(transform).toEqual([{ name: 'setTimezone', params: {} }]);
    expect(variants).toEqual([{ name: 'default', suffix: '', transform }]);
  });
});

describe('resolvePolicy', () => {
  it('keeps what stands above the imports', () => {
    const policy = policyDocument({ name: 'redis' });
    expect(resolvePolicy(policy)).toMatchObject({
      name: 'redis',
      labels: {},
      artifactType: 'image',
      source: { registry: 'docker.io', repository: 'library/redis' },
      deletionMode: null,
    });
    const marked = { ...policy, metadata: { name: 'redis', labels: { a: 'b' } } };
    marked.spec = { ...policy.spec, deletionMode: 'mark' };
    expect(resolvePolicy(marked)).toMatchObject({ labels: { a: 'b' }, deletionMode: 'mark' });
  });

  it('resolves an import that writes out what was resolved to the same', () => {
    const list = fc.option(fc.uniqueArray(fc.constantFrom('a', 'b', 'c')), { nil: undefined });
    const regex = fc.option(fc.constantFrom('^1', null), { nil: undefined });
    const tags = fc.record({ includeRegex: regex, names: list, excludeRegex: list, aliases: list }).map(written);
    const archive = fc.option(fc.record({ keep: fc.option(fc.nat(9)), olderThanDays: fc.option(fc.nat(9)) }));
    const part = fc
      .record({ tags, archive, owners: list, vendor: fc.option(fc.constantFrom('', 'ACME')) })
      .map(written);
    fc.assert(
      fc.property(part, part, (defaults, entry) => {
        const once = merge(defaults, entry);
        const { tags: resolved, archive: kept, owners, vendor } = once;
        expect(merge(defaults, { tags: resolved, archive: kept, owners, vendor: vendor ?? '' })).toEqual(once);
      }),
    );
  });
});

function written(entry: object): object {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined));
}
