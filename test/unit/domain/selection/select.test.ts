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
