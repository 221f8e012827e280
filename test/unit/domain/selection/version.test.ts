import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareTags, parseVersion, sortTags } from '../../../../domain/selection/version.js';
import { compareText } from '../../../../domain/text/compare-text.js';

describe('parseVersion', () => {
  it.each([
    ['1.36.2', '1', '36', '2', null],
    ['v2', '2', '0', '0', null],
    ['3.4', '3', '4', '0', null],
    ['7', '7', '0', '0', null],
    ['1.2.3-rc1', '1', '2', '3', 'rc1'],
    ['7-alpine', '7', '0', '0', 'alpine'],
    ['8.0.0-ubi8', '8', '0', '0', 'ubi8'],
    ['20240101', '20240101', '0', '0', null],
    ['2024-01-01', '2024', '0', '0', '01-01'],
    ['01.2.3', '1', '2', '3', null],
    ['22.04', '22', '4', '0', null],
    ['0.0.0', '0', '0', '0', null],
    [' 1.2 ', '1', '2', '0', null],
    ['1-rc.1.x-y', '1', '0', '0', 'rc.1.x-y'],
    [`1.${'9'.repeat(40)}`, '1', '9'.repeat(40), '0', null],
  ])('reads %s as a version', (tag, major, minor, patch, prerelease) => {
    expect(parseVersion(tag)).toEqual({ major, minor, patch, prerelease });
  });

  it.each([
    'latest',
    'bookworm-slim',
    'debian-12',
    '1.2.3.4',
    '1.2.3+build',
    'V1.2.3',
    '1..2',
    '1.2.3-',
    '',
    'v',
    '-1',
    '1.2.3-a_b',
    '١.٢',
  ])('does not take %j for a version', (tag) => {
    expect(parseVersion(tag)).toBeNull();
  });
});

describe('the order of tags', () => {
  it.each<[string, string[]]>([
    ['numbers count as numbers', ['0.9.0', '1.0.0', '1.1.0', '1.10.0']],
    ['prereleases come before their final', ['1.2.3-alpha', '1.2.3-rc1', '1.2.3']],
    ['prereleases compare as text', ['1.0.0-rc.10', '1.0.0-rc.2', '1.0.0']],
    ['tags that are no versions come last, by text', ['1.0.0', '2.0.0', 'edge', 'latest']],
    ['equal versions are ordered by their text', ['1.2', '1.2.0', 'v1.2']],
    ['numbers beyond 2^53 keep their order', ['9007199254740992', '9007199254740993', '9007199254740993.1']],
    ['upper case comes before lower case, whatever the locale', ['Zulu', 'alpha']],
  ])('%s', (_rule, ascending) => {
    expect(sortTags(ascending.toReversed())).toEqual(ascending);
    expect(ascending.toSorted((a, b) => compareTags(b, a))).toEqual(ascending.toReversed());
  });

  it('is one total order: sorting does not depend on the order given', () => {
    const tag = fc.stringMatching(/^v?[0-9]{1,3}(\.[0-9]{1,2}){0,3}(-[a-c0-9.]{1,3})?$|^[a-c]{1,3}$/);
    fc.assert(
      fc.property(fc.uniqueArray(tag), (tags) => {
        expect(sortTags(tags.toReversed())).toEqual(sortTags(tags));
      }),
    );
  });

  it('gives 0 for equal text alone', () => {
    expect([compareText('a', 'a'), compareText('a', 'b'), compareText('b', 'a')]).toEqual([0, -1, 1]);
  });
});
