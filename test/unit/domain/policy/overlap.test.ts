import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { expandTargets } from '../../../../domain/plan/targets.js';
import { formatPath } from '../../../../domain/policy/issues.js';
import { overlaps } from '../../../../domain/policy/overlap.js';
import { resolvePolicy } from '../../../../domain/policy/resolve.js';
import { sampleTags } from '../../../../domain/policy/sample-tags.js';
import { policyDocument } from './documents.js';

const VARIANTS = [{ name: 'eu', suffix: '-eu' }];
const ROSTER = new Map([
  [
    'main',
    { name: 'main', host: 'registry.example', namespace: null, tlsVerify: true, deletionMode: null, sourceOnly: false },
  ],
]);
const OTHER = [{ project: 'p', repository: 'other' }];

type Parts = NonNullable<Parameters<typeof policyDocument>[0]>['imports'];

describe('imports of one policy at one destination', () => {
  it.each<[string, Parts, string]>([
    [
      'one name twice',
      [{ tags: { names: ['7.2'] } }, { tags: { names: ['8', '7.2'], includeRegex: '^9' } }],
      'p/r:7.2',
    ],
    [
      'a name that the other one selects',
      [{ tags: { includeRegex: '^7' } }, { tags: { names: ['7.2'], includeRegex: '^9' } }],
      'p/r:7.2',
    ],
    [
      'the same, in the other order',
      [{ tags: { names: ['7.2'], includeRegex: '^9' } }, { tags: { includeRegex: '^7' } }],
      'p/r:7.2',
    ],
  ])('is a mistake for %s', (_what, imports, tag) => {
    const { mistakes, warnings } = overlaps(policyDocument({ imports }));
    expect(warnings).toEqual([]);
    expect(mistakes.map(({ path, message }) => `${formatPath(path)}: ${message}`)).toEqual([
      `spec.imports[1].tags: import v1 (spec.imports[0]) writes ${tag} as well, when the source has the tag`,
    ]);
  });

  it.each<[string, Parts, string]>([
    [
      'one pattern twice',
      [
        { tags: { includeRegex: '^jammy-\\d{8}$', semverOnly: false } },
        { tags: { includeRegex: '^jammy-\\d{8}$', semverOnly: false } },
      ],
      'jammy-11111111',
    ],
    ['a pattern and every version', [{ tags: {} }, { tags: { includeRegex: '^7\\.' } }], '7.2.4'],
    [
      'a pattern that implies the other',
      [
        { tags: { includeRegex: '^(?:noble|jammy)-', semverOnly: false } },
        { tags: { includeRegex: '^jammy-(?P<day>[0-9]+)', semverOnly: false } },
      ],
      'jammy-0',
    ],
    [
      'two names that a suffix makes the same',
      [
        { tags: { names: ['7-eu'], includeRegex: '^9' } },
        { tags: { names: ['7'], includeRegex: '^9' }, variants: VARIANTS },
      ],
      '7-eu',
    ],
    [
      'one alias twice',
      [{ tags: { includeRegex: '^7', aliases: ['newest'] } }, { tags: { includeRegex: '^9', aliases: ['newest'] } }],
      'the alias newest',
    ],
    [
      'the newest of what the other one names',
      [{ tags: { includeRegex: '^7', newest: 1 } }, { tags: { names: ['7.2.4'], includeRegex: '^7\\.2' } }],
      '7.2.4',
    ],
  ])('is a warning for %s', (_what, imports, example) => {
    const { mistakes, warnings } = overlaps(policyDocument({ imports }));
    expect(mistakes).toEqual([]);
    expect(warnings.map(({ message }) => message)).toEqual([expect.stringContaining(`such as ${example},`)]);
  });

  it.each<[string, Parts]>([
    ['disjoint patterns', [{ tags: { includeRegex: '^7\\.' } }, { tags: { includeRegex: '^8\\.' } }]],
    ['an exclusion between them', [{ tags: { excludeRegex: ['alpine'] } }, { tags: { includeRegex: 'alpine' } }]],
    ['different suffixes', [{ tags: {} }, { tags: {}, variants: VARIANTS }]],
    ['different destinations', [{ tags: { names: ['7'] } }, { tags: { names: ['7'] }, destinations: OTHER }]],
    ['finals and a pre-release', [{ tags: { finalsOnly: true } }, { tags: { includeRegex: '-' } }]],
    ['ranges', [{ tags: { semverRange: '<2' } }, { tags: { semverRange: '>=2' } }]],
    [
      'a name that is evidence',
      [
        { tags: { names: [`sha256-${'a'.repeat(64)}`], includeRegex: '^9' } },
        { tags: { names: [`sha256-${'a'.repeat(64)}`], includeRegex: '^8' } },
      ],
    ],
  ])('is nothing for %s', (_what, imports) => {
    expect(overlaps(policyDocument({ imports }))).toEqual({ mistakes: [], warnings: [] });
  });

  it('never calls a mistake what a run would not refuse, were the tag there', () => {
    const names = fc.uniqueArray(fc.constantFrom('7.1', '7.2', '8.1', '7.1-eu', 'latest'), { maxLength: 3 });
    const tags = fc.record({
      names,
      includeRegex: fc.constantFrom('^7', '^8', '-eu$', null),
      semverOnly: fc.boolean(),
      newest: fc.constantFrom(1, null),
    });
    const entry = fc.record({ tags, variants: fc.constantFrom(undefined, VARIANTS) });
    fc.assert(
      fc.property(entry, entry, (first, second) => {
        const policy = policyDocument({ imports: [first, second] });
        if (overlaps(policy).mistakes.length === 0) return;
        const everything = ['7.1', '7.2', '8.1', '7.1-eu', '7', 'latest'];
        expect(() => expandTargets(resolvePolicy(policy), everything, ROSTER, 'mark')).toThrow('several writers');
      }),
    );
  });
});

describe('sampleTags', () => {
  it.each([
    ['^v?(?P<major>\\d+)\\.(\\d+)-(alpine|slim)$', ['1.1-alpine', 'v1.1-slim']],
    ['^RELEASE\\.[0-9]{4}-[^0]+', ['RELEASE.0000-a']],
    ['(?i)^jammy[.-]x*?$', ['jammy.', 'jammy.x']],
  ])('spells what %s may mean', (source, expected) => {
    expect(sampleTags([source])).toEqual(expect.arrayContaining(expected));
  });

  it('ends for any text, quickly, and gives tags alone', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a\\()[\]{}|*+?.^$1,-]{0,40}$/), (source) => {
        expect(sampleTags([source]).every((tag) => /^\w[\w.-]{0,127}$/.test(tag))).toBe(true);
      }),
    );
    const started = performance.now();
    sampleTags([`${'(a|b)?'.repeat(600)}`, `${'('.repeat(1_000)}`, 'x{9}'.repeat(1_000)]);
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});
