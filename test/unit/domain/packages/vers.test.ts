import { describe, expect, it } from 'vitest';
import { parseRange } from '../../../../domain/packages/parse-range.js';
import { rangeTest } from '../../../../domain/packages/range.js';

function insideOf(range: string, type: string, versions: string): string {
  const test = rangeTest(parseRange(range));
  return versions
    .split(' ')
    .filter((version) => test(type, version).kind === 'inside')
    .join(' ');
}

describe('a VERS string takes what its specification says', () => {
  it.each<[range: string, type: string, versions: string, inside: string]>([
    ['vers:deb/>=1.0|<2.0', 'deb', '0.9-1 1.0-1 1.9-1 2.0-1', '1.0-1 1.9-1'],
    ['vers:npm/1.2.3|>=2.0.0|<5.0.0', 'npm', '1.2.2 1.2.3 1.2.4 2.0.0 4.9.9 5.0.0', '1.2.3 2.0.0 4.9.9'],
    ['vers:pypi/0.0.0|0.0.1|0.0.2|0.0.3|1.0|2.0pre1', 'pypi', '0.0.2 0.0.4 1.0.0 2.0 2.0rc1', '0.0.2 1.0.0 2.0rc1'],
    [
      'vers:maven/>=1.0.0-beta1|<=1.7.5|>=7.0.0-M1|<=7.0.7|>=7.1.0|<=7.1.2|>=8.0.0-M1|<=8.0.1',
      'maven',
      '0.9 1.0.0-beta1 1.7.5 1.7.6 7.0.0-M2 7.0.8 7.1.0 8.0.0 8.0.1 8.0.2',
      '1.0.0-beta1 1.7.5 7.0.0-M2 7.1.0 8.0.0 8.0.1',
    ],
    ['vers:gem/>=2.2.0|!=2.2.1|<2.3.0', 'gem', '2.2.0 2.2.1 2.2.2 2.3.0', '2.2.0 2.2.2'],
    ['vers:deb/<1.0', 'deb', '0.9-1 1.0-1', '0.9-1'],
    ['vers:deb/>1.0', 'deb', '1.0-1 1.1-1', '1.1-1'],
    ['vers:deb/<1.0|>=2.0', 'deb', '0.9-1 1.5-1 2.0-1', '0.9-1 2.0-1'],
    ['vers:npm/<1.0.0|1.5.0|>2.0.0', 'npm', '0.1.0 1.0.0 1.5.0 2.0.0 2.0.1', '0.1.0 1.5.0 2.0.1'],
    ['vers:npm/<=1.0.0|!=1.5.0|>=2.0.0', 'npm', '1.0.0 1.5.0 2.0.0', '1.0.0 2.0.0'],
    ['vers:npm/!=1.0.0|>=2.0.0', 'npm', '1.0.0 1.5.0 2.0.0', '2.0.0'],
    ['vers:npm/!=1.0.0|!=2.0.0', 'npm', '1.0.0 1.5.0 2.0.0', '1.5.0'],
    ['vers:npm/*', 'npm', '1.0.0 latest', '1.0.0 latest'],
    ['vers:npm/*', 'deb', '1.0.0', ''],
    ['vers:all/*', 'deb', '1.0.0 latest', '1.0.0 latest'],
    ['vers:none/*', 'deb', '1.0.0', ''],
    ['vers:npm/<5.0.0', 'deb', '1.0.0', ''],
    ['vers:alpine/<5.0.0', 'apk', '4.0-r1', '4.0-r1'],
    ['vers:rpm/<0:1.2.3-4.el8', 'rpm', '1.2.3-3.el8 1.2.3-4.el8 1:1.0-1', '1.2.3-3.el8'],
    ['vers:deb/1%3A2.0%2Bdfsg-1', 'deb', '1:2.0+dfsg-1 2.0+dfsg-1', '1:2.0+dfsg-1'],
    ['vers:pypi/1%212.0', 'pypi', '1!2.0 2.0', '1!2.0'],
  ])('%s for %s in %s: %s', (range, type, versions, inside) => {
    expect(insideOf(range, type, versions)).toBe(inside);
  });
});

describe('a VERS string that breaks its specification is refused with its place', () => {
  it.each([
    ['vers:deb', 'character 1: it must begin with vers:, a type in lower case and /'],
    ['vers:/1.0', 'it must begin with vers:'],
    ['vers:NPM/1.0.0', 'it must begin with vers:'],
    ['VERS:npm/1.0.0', 'it must begin with vers:'],
    ['vers:npm/>=1.0.0| <2.0.0', 'character 18: a vers: string has no spaces'],
    ['vers:npm/', 'character 10: a version is missing'],
    ['vers:npm/|>=1.0.0', 'character 10: a version is missing'],
    ['vers:npm/>=1.0.0|', 'character 18: a version is missing'],
    ['vers:npm/>=1.0.0||<2.0.0', 'character 18: a version is missing'],
    ['vers:npm/>=', 'character 10: a version is missing'],
    ['vers:npm/>=2.0.0|<1.0.0', 'character 18: 1.0.0 comes before the version to its left; sort them'],
    ['vers:npm/>=1.0.0|<1.0', 'character 18: 1.0 comes twice'],
    ['vers:npm/1.0.0|!=1.0.0', '1.0.0 comes twice'],
    ['vers:npm/>=1.0.0|>=2.0.0', 'character 18: >= cannot follow >='],
    ['vers:npm/<1.0.0|<2.0.0', '< cannot follow <'],
    ['vers:npm/1.0.0|<2.0.0', '< cannot follow ='],
    ['vers:npm/>1.0.0|2.0.0', '= cannot follow >'],
    ['vers:npm/>1.0.0|!=1.5.0|>2.0.0', '> cannot follow >'],
    ['vers:npm/=1.0.0', '"=1.0.0" is no constraint'],
    ['vers:npm/*|1.0.0', '"*" is no constraint'],
    ['vers:npm/>=*', '">=*" is no constraint'],
    ['vers:npm/>=!1.0', 'is no constraint'],
    ['vers:npm/1.0%2G0', '"1.0%2G0" is not percent-encoded'],
    ['vers:npm/<latest', '"latest" has no number to order it by'],
    ['vers:apk/>=1.0-rc1', 'character 10: "1.0-rc1" is no version of Alpine'],
    ['vers:all/1.0', 'vers:all/ is followed by * alone'],
    ['vers:invalid/1.0', 'character 6: no packages have the type invalid'],
    ['vers:pipy/1.0', 'no packages have the type pipy; did you mean pypi?'],
  ])('%s: %s', (range, why) => {
    expect(() => parseRange(range)).toThrow(
      expect.objectContaining({ code: 'ReferenceInvalid', message: expect.stringContaining(why) }),
    );
  });
});
