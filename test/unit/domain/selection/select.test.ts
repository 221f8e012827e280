import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rejectionRule, selectTags, type TagSelection } from '../../../../domain/selection/select.js';

const ALL: TagSelection = { includeRegex: null, excludeRegex: [], semverOnly: true, names: [], aliases: [] };
const ANY: TagSelection = { ...ALL, semverOnly: false };

const BUSYBOX = ['1.36.0', '1.36.1', '1.37.0', '2.0.0', '2.0.0-rc1', 'latest', '1.36.1-special'];
const REDIS = '7.2.4 7.2.5 7.2.5-alpine 7.2.6-rc1 7 7.2 latest 7-bookworm alpine 20240101 2024-05-01'.split(' ');
const EVIDENCE = `sha256-${'a'.repeat(64)}`;

describe('selectTags', () => {
  it.each<[string, TagSelection, string[], string[]]>([
    [
      'includeRegex keeps what it finds, prereleases first',
      { ...ANY, includeRegex: '^1\\.' },
      BUSYBOX,
      ['1.36.0', '1.36.1-special', '1.36.1', '1.37.0'],
    ],
    [
      'any excludeRegex drops',
      { ...ANY, excludeRegex: ['-rc', '-special'] },
      BUSYBOX,
      ['1.36.0', '1.36.1', '1.37.0', '2.0.0', 'latest'],
    ],
    [
      'names pass every filter',
      { ...ANY, excludeRegex: ['-special'], names: ['1.36.1-special'] },
      BUSYBOX,
      ['1.36.0', '1.36.1-special', '1.36.1', '1.37.0', '2.0.0-rc1', '2.0.0', 'latest'],
    ],
    [
      'an anchored pattern takes finals alone',
      { ...ALL, includeRegex: '^7\\.\\d+\\.\\d+$' },
      REDIS,
      ['7.2.4', '7.2.5'],
    ],
    ['a pattern searches, and the tag must be a version', { ...ALL, includeRegex: 'alpine' }, REDIS, ['7.2.5-alpine']],
    ['dates are versions', { ...ALL, includeRegex: '^20' }, REDIS, ['2024-05-01', '20240101']],
    ['names pass semverOnly', { ...ALL, includeRegex: '^none$', names: ['latest'] }, REDIS, ['latest']],
    ['no rule but semverOnly takes every version', ALL, ['1', 'x', '1.2.3.4'], ['1']],
    ['each tag counts once', ANY, ['1', '1', '2', '1'], ['1', '2']],
    [
      'the newest of each flavour',
      { ...ALL, order: 'docker', newest: 1 },
      ['1.9', '1.10', '1.10-alpine', '1.11-alpine', '1.11-slim', 'latest'],
      ['1.10', '1.11-alpine', '1.11-slim'],
    ],
    [
      'the newest of one stream, where the order knows no flavour',
      { ...ALL, newest: 2 },
      REDIS,
      ['2024-05-01', '20240101'],
    ],
    [
      'names come on top of the newest, and do not count',
      { ...ALL, includeRegex: '^7\\.', newest: 1, names: ['7.2.4'] },
      REDIS,
      ['7.2.4', '7.2.6-rc1'],
    ],
    [
      'newest counts what the other rules leave',
      { ...ALL, includeRegex: '^7\\.', finalsOnly: true, newest: 1 },
      REDIS,
      ['7.2.5'],
    ],
    ['a suffix is a pre-release in semver', { ...ALL, finalsOnly: true }, ['7', '7-alpine', '7-rc1'], ['7']],
    [
      'and a flavour in docker',
      { ...ALL, order: 'docker', finalsOnly: true },
      ['7', '7-alpine', '7-rc1', '7-rc1-alpine'],
      ['7', '7-alpine'],
    ],
    [
      'what the order cannot read is no final, in no range and not among the newest',
      { ...ANY, finalsOnly: true, semverRange: '*', newest: 9, names: ['edge'] },
      ['1', 'latest', 'edge'],
      ['1', 'edge'],
    ],
    [
      'a range is that of npm',
      { ...ALL, semverRange: '>=1.2 <2 || 3.x' },
      ['1', '1.2', 'v1.9.9', '2-rc1', '2.0.0', '3', '3.1-alpine', '9'.repeat(20)],
      ['1.2', 'v1.9.9', '3'],
    ],
    [
      'of a longer version the first three numbers are in a range',
      { ...ALL, order: 'docker', semverRange: '^1.43.3' },
      ['1.43.3.10896-cb3ebc72d', '1.43.2.9', '2.0.0.1'],
      ['1.43.3.10896-cb3ebc72d'],
    ],
    [
      'a calendar year is in a range as it is written',
      { ...ALL, order: 'calver', semverRange: '>=23' },
      ['22.04', '24.04'],
      ['24.04'],
    ],
    [
      'evidence stored as a tag is never selected, not even by name',
      { ...ANY, names: [EVIDENCE, `${EVIDENCE}.sig`] },
      [EVIDENCE, `${EVIDENCE}.sig`, `${EVIDENCE}.att`, `${EVIDENCE}.sbom`, `${EVIDENCE}.other`, 'sha256-abc'],
      [`${EVIDENCE}.other`, 'sha256-abc'],
    ],
  ])('%s', (_rule, selection, upstream, expected) => {
    expect(selectTags(upstream, selection).selected).toEqual(expected);
  });

  it('reports names that the source does not have, each once', () => {
    const { selected, missingNames } = selectTags(['1'], { ...ALL, names: ['gone', '1', 'gone'] });
    expect({ selected, missingNames }).toEqual({ selected: ['1'], missingNames: ['gone'] });
  });

  it.each([
    ['1', null],
    ['latest', null],
    ['latest2', 'includeRegex'],
    ['1-rc', 'excludeRegex[1]'],
    ['1-slim-rc', 'excludeRegex[0]'],
    ['1_x', 'semverOnly'],
    [EVIDENCE, 'evidence-tag'],
  ])('names the first rule that leaves %s out: %s', (tag, rule) => {
    const selection = { ...ALL, includeRegex: '^1', excludeRegex: ['slim', '-rc'], names: ['latest'] };
    expect(rejectionRule(selection)(tag)).toBe(rule);
  });

  it('does not depend on the order of the source, and takes nothing that it does not have', () => {
    const tag = fc.stringMatching(/^[0-9]{1,2}(\.[0-9])?(-[a-c]{1,2})?$/);
    const selection = { ...ALL, includeRegex: '[1-7]', excludeRegex: ['b'], names: ['3-b', '99'] };
    fc.assert(
      fc.property(fc.array(tag), (upstream) => {
        const { selected } = selectTags(upstream, selection);
        expect(selectTags(upstream.toReversed(), selection).selected).toEqual(selected);
        expect(selected.every((one) => upstream.includes(one))).toBe(true);
        expect(new Set(selected).size).toBe(selected.length);
      }),
    );
  });
});
