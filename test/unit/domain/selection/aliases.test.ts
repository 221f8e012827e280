import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aliasClashes, expandAliases, expandAliasTemplates } from '../../../../domain/selection/aliases.js';
import { orderOf } from '../../../../domain/selection/order.js';

const FLAVOUR = '^(?P<flavor>debian|alpine)-(?P<ver>\\d+)$';

describe('expandAliases', () => {
  it.each<[string, string[], string[], string | null, Record<string, string>]>([
    [
      'a ladder of versions',
      ['{major}', '{major}.{minor}', 'latest'],
      ['1.36.1', '1.36.2', '1.37.0'],
      null,
      { '1': '1.37.0', '1.36': '1.36.2', '1.37': '1.37.0', latest: '1.37.0' },
    ],
    [
      'named groups, and text order where nothing is a version',
      ['{flavor}'],
      ['debian-11', 'debian-12', 'alpine-3', 'alpine-10'],
      FLAVOUR,
      { debian: 'debian-12', alpine: 'alpine-3' },
    ],
    [
      'tags that cannot fill a placeholder are skipped',
      ['{major}'],
      ['1.0.0', '2.0.0', 'latest'],
      null,
      {
        '1': '1.0.0',
        '2': '2.0.0',
      },
    ],
    ['a placeholder that nothing fills gives no alias', ['{nope}'], ['7.2.4'], null, {}],
    ['text around a placeholder stays', ['stable-{major}'], ['7.2.0'], null, { 'stable-7': '7.2.0' }],
    ['versions beat other tags', ['latest'], ['bookworm', 'bullseye', '1.0.0'], null, { latest: '1.0.0' }],
    [
      'prereleases count',
      ['latest', '7.2'],
      ['7.2.4', '7.2.5-alpine'],
      null,
      {
        latest: '7.2.5-alpine',
        '7.2': '7.2.5-alpine',
      },
    ],
    ['a leading zero is no part of the number', ['{major}.{minor}'], ['22.04'], null, { '22.4': '22.04' }],
    ['equal versions are decided by their text', ['{major}'], ['1.2', '1.2.0', 'v1.2'], null, { '1': 'v1.2' }],
    [
      'a group outside the match fills nothing',
      ['{os}'],
      ['7', '7-alpine'],
      '^7(?:-(?P<os>\\w+))?$',
      {
        alpine: '7-alpine',
      },
    ],
    ['groups named like a number of the version do not stand in for it', ['{major}'], ['x7'], '^x(?P<major>\\d)$', {}],
    ['a name that the pattern does not match has no groups', ['{flavor}'], ['edge'], FLAVOUR, {}],
    [
      'a value that two templates render is one alias, of all that render to it',
      ['{major}', '7'],
      ['7.1.0', '8.0.0'],
      null,
      { '7': '8.0.0', '8': '8.0.0' },
    ],
    ['nothing selected, no alias', ['latest'], [], null, {}],
  ])('%s', (_rule, templates, selected, includeRegex, expected) => {
    expect(Object.fromEntries(expandAliases(templates, selected, includeRegex))).toEqual(expected);
    expect(Object.fromEntries(expandAliases(templates, selected.toReversed(), includeRegex))).toEqual(expected);
  });

  it('skips values that are no tags, and says so', () => {
    const { aliases, unusable, unfilled } = expandAliasTemplates(['{rest}', '{nope}'], ['7-a', '7'], '^7(?P<rest>.*)$');
    expect({ aliases: [...aliases], unusable: unusable.sort(), unfilled }).toEqual({
      aliases: [],
      unusable: ['', '-a'],
      unfilled: ['{nope}'],
    });
  });

  it('points to selected tags only, whatever their order', () => {
    const tag = fc.stringMatching(/^([0-9]\.){0,2}[0-9](-[a-c])?$|^[a-c]{1,2}$/);
    const templates = ['{major}', '{major}.{minor}', 'latest', '{os}'];
    fc.assert(
      fc.property(fc.uniqueArray(tag), (selected) => {
        const aliases = expandAliases(templates, selected, '(?P<os>[a-c])');
        expect([...aliases.values()].every((target) => selected.includes(target))).toBe(true);
        expect([...expandAliases(templates, selected.toReversed(), '(?P<os>[a-c])')]).toEqual([...aliases]);
      }),
    );
  });

  it('takes ten thousand tags in a moment', () => {
    const tags = Array.from({ length: 10_000 }, (_, index) => `${index % 40}.${index % 97}.${index}`);
    const started = performance.now();
    expandAliases(['{major}', '{major}.{minor}', 'latest', 'stable-{major}'], tags, '^\\d+\\.\\d+\\.\\d+$');
    expect(performance.now() - started).toBeLessThan(1_500);
  });
});

describe('aliases in an order', () => {
  const DOCKER = orderOf({ order: 'docker', includeRegex: null });
  const FLAVOURED = '^[\\d.]+-(?P<flavour>\\w+)$';

  it.each<[string, string[], string[], string | null, Record<string, string>]>([
    [
      'the plain flavour decides',
      ['latest', '{major}'],
      ['1.9', '1.10', '1.11-alpine', '2.0-alpine'],
      null,
      { latest: '1.10', '1': '1.10', '2': '2.0-alpine' },
    ],
    [
      'a placeholder for the flavour tells them apart',
      ['{major}-{flavour}'],
      ['1.9-alpine', '1.10-alpine', '1.11-slim'],
      FLAVOURED,
      { '1-alpine': '1.10-alpine', '1-slim': '1.11-slim' },
    ],
    [
      'a number that is not there fills nothing',
      ['{major}.{minor}.x'],
      ['1', '1.2', '1.2.3'],
      null,
      { '1.2.x': '1.2.3' },
    ],
    [
      'four numbers',
      ['{major}.{minor}'],
      ['4.0.9.1000-ls50', '4.0.13.2932-ls274'],
      null,
      { '4.0': '4.0.13.2932-ls274' },
    ],
    ['what cannot be read counts last', ['latest'], ['edge', '1'], null, { latest: '1' }],
  ])('%s', (_rule, templates, selected, includeRegex, expected) => {
    expect(Object.fromEntries(expandAliases(templates, selected, includeRegex, DOCKER))).toEqual(expected);
  });

  it('are undecided between flavours, none of which is plain', () => {
    const { aliases, undecided } = expandAliasTemplates(['{major}'], ['1.9-a', '1.10-a', '1.11-b'], null, DOCKER);
    expect({ aliases: [...aliases], undecided: [...undecided] }).toEqual({
      aliases: [],
      undecided: [['1', ['1.10-a', '1.11-b']]],
    });
  });

  it('are filled with numbers as they are written', () => {
    const calver = orderOf({ order: 'calver', includeRegex: null });
    expect([...expandAliases(['{major}.{minor}.x'], ['24.04.1', '24.04.2'], null, calver)]).toEqual([
      ['24.04.x', '24.04.2'],
    ]);
  });
});

describe('aliasClashes', () => {
  it('finds aliases that are also concrete tags', () => {
    expect(aliasClashes(['7', '7.2.4'], ['7', 'latest'])).toEqual(['7']);
    expect(aliasClashes(['7.2.4'], new Map([['7', '7.2.4']]).keys())).toEqual([]);
  });
});
