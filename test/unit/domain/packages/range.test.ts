import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseRange } from '../../../../domain/packages/parse-range.js';
import { onlyVersion, rangeTest } from '../../../../domain/packages/range.js';
import { compareVersions } from '../../../../domain/packages/versions.js';
import { SAMPLED_TYPES, versionsOf } from '../../../support/version-samples.js';

/** Of `versions` between spaces, those inside, and behind `?` those that nobody can tell. */
function insideOf(range: string, type: string, versions: string): string {
  const test = rangeTest(parseRange(range));
  const answers = versions.split(' ').map((version) => ({ version, kind: test(type, version).kind }));
  const inside = answers.filter(({ kind }) => kind === 'inside').map(({ version }) => version);
  const unreadable = answers.filter(({ kind }) => kind === 'unreadable').map(({ version }) => `?${version}`);
  return [...inside, ...unreadable].join(' ');
}

describe('a range takes the versions that its bounds say', () => {
  it.each<[range: string, type: string, versions: string, inside: string]>([
    ['>=5.6.0 <5.6.2', 'deb', '5.4.5-0.3 5.6.0-0.2 5.6.1-1 5.6.2-1 5.6.2~rc1-1', '5.6.0-0.2 5.6.1-1 5.6.2~rc1-1'],
    ['5.6.1', 'deb', '5.6.1 5.6.1-1 5.6.1-1ubuntu1 5.6.1+git1-1 5.6.10-1 5.6.1~rc1-1', '5.6.1 5.6.1-1 5.6.1-1ubuntu1'],
    ['= 5.6.1', 'rpm', '5.6.1-1.fc40 5.6.1 5.6.1-2.el9 5.6.2-1.fc40', '5.6.1-1.fc40 5.6.1 5.6.1-2.el9'],
    ['==5.6.1', 'apk', '5.6.1-r0 5.6.1 5.6.1-r12 5.6.1_p1-r0', '5.6.1-r0 5.6.1 5.6.1-r12'],
    ['>5.6.1', 'deb', '5.6.1-1 5.6.1-99 5.6.2-1', '5.6.2-1'],
    ['<=5.6.1', 'apk', '5.6.1-r9 5.6.2-r0', '5.6.1-r9'],
    ['!=5.6.1', 'deb', '5.6.1-1 5.6.0-1', '5.6.0-1'],
    ['5.6.1-1', 'deb', '5.6.1-1 5.6.1 5.6.1-2 5.6.1-1+b1', '5.6.1-1'],
    ['<5.6.1-r2', 'apk', '5.6.1-r1 5.6.1-r2', '5.6.1-r1'],
    ['<5.6.1-2.el9', 'rpm', '5.6.1-1.el9 5.6.1-2.el9', '5.6.1-1.el9'],
    ['>=1.0, <2.0', 'maven', '1 1.9-SNAPSHOT 2.0-rc1 2', '1 1.9-SNAPSHOT 2.0-rc1'],
    ['<2.15.0', 'maven', '2.14.1 2.0-beta9 2.15.0 2.15 2.15.0-rc1', '2.14.1 2.0-beta9 2.15.0-rc1'],
    ['<1.0 || >=2 <3||4', 'npm', '0.9.0 1.0.0 2.0.0 3.0.0 4.0.0 4.0.1', '0.9.0 2.0.0 4.0.0'],
    ['>=1.20 <1.21.4', 'golang', '1.19.5 1.20 v1.20.1 1.21rc2 1.21.4', '1.20 v1.20.1 1.21rc2'],
    ['<v0.17.0', 'golang', 'v0.0.0-20220906165146-f3363e06e74c v0.17.0', 'v0.0.0-20220906165146-f3363e06e74c'],
    ['2.1.0', 'pypi', '2.1.0+cu118 2.1 2.1.0.post1 2.1.0rc1', '2.1.0+cu118 2.1'],
    ['>2.1.0', 'pypi', '2.1.0+cu118 2.1.0.post1', '2.1.0.post1'],
    ['2.1.0+cu118', 'pypi', '2.1.0+cu118 2.1.0 2.1.0+cpu', '2.1.0+cu118'],
    ['>=1!2 <1!3', 'pypi', '1!2.5 2.5', '1!2.5'],
    ['<1.1.1x', 'generic', '1.1.1 1.1.1w 1.1.1x', '1.1.1 1.1.1w'],
    ['*', 'deb', '1 latest', '1 latest'],
  ])('%s of %s in %s: %s', (range, type, versions, inside) => {
    expect(insideOf(range, type, versions)).toBe(inside);
  });
});

describe('a bound without an epoch takes versions of every epoch', () => {
  it.each<[range: string, type: string, versions: string, inside: string]>([
    ['<1.2.14', 'deb', '1:1.2.13-1 1.2.13-1 1:1.2.14-1', '1:1.2.13-1 1.2.13-1'],
    ['9.0.1378', 'deb', '2:9.0.1378-2', '2:9.0.1378-2'],
    ['9.0.1378-2', 'deb', '2:9.0.1378-2', '2:9.0.1378-2'],
    ['<9.11.36-4.el8', 'rpm', '32:9.11.36-3.el8', '32:9.11.36-3.el8'],
    ['<0:1.2.14', 'deb', '1:1.2.13-1 1.2.13-1', '1.2.13-1'],
    ['<1:1.2.14', 'deb', '1:1.2.13-1 7.0-1 2:0.1-1', '1:1.2.13-1 7.0-1'],
    ['1:1.2.13', 'deb', '1:1.2.13-1 1.2.13-1', '1:1.2.13-1'],
    ['<32:9.11.36', 'rpm', '32:9.11.35-3.el8 9.11.99-1 33:1-1', '32:9.11.35-3.el8 9.11.99-1'],
  ])('%s of %s in %s: %s', (range, type, versions, inside) => {
    expect(insideOf(range, type, versions)).toBe(inside);
  });
});

describe('what follows +really is what a package has inside', () => {
  it.each<[range: string, versions: string, inside: string]>([
    ['>=5.6.0 <5.6.2', '5.6.1+really5.4.5-1', ''],
    ['5.6.1', '5.6.1+really5.4.5-1', ''],
    ['5.4.5', '5.6.1+really5.4.5-1', '5.6.1+really5.4.5-1'],
    ['<5.6.0', '5.6.1+really5.4.5-1', '5.6.1+really5.4.5-1'],
    ['>=2.1 <2.3', '2.3-3+really2.2-1', '2.3-3+really2.2-1'],
    ['1.1', '3+really2+really1.1-1 1:3+really1.1', '3+really2+really1.1-1 1:3+really1.1'],
    ['vers:deb/>=5.6.0|<5.6.2', '5.6.1+really5.4.5-1 5.6.1-1', '5.6.1-1'],
    // Whoever writes a version as Debian has it asks in Debian's order.
    ['<5.6.1+really5.4.5-1', '5.6.1-1 5.6.1+really5.4.5-1', '5.6.1-1'],
    ['<=5.6.1+really5.4.5', '5.6.1-1 5.6.1+really5.4.5-1 5.6.2-1', '5.6.1-1 5.6.1+really5.4.5-1'],
    ['>=5.6.1-1 <5.6.2-1', '5.6.1+really5.4.5-1', '5.6.1+really5.4.5-1'],
    [
      '1.2.13',
      '1:1.2.13.dfsg-1 1.2.13+ds-1 1.2.13+dfsg1-2 1.2.13~dfsg-1 1.2.13+really1.2.11-1',
      '1:1.2.13.dfsg-1 1.2.13+ds-1 1.2.13+dfsg1-2 1.2.13~dfsg-1',
    ],
    ['>1.2.13', '1:1.2.13.dfsg-1 1.2.13+git1-1', '1.2.13+git1-1'],
    ['1.2.13.dfsg', '1:1.2.13.dfsg-1 1.2.13-1', '1:1.2.13.dfsg-1'],
    ['1.2', '1.3+really1.2+dfsg-1', '1.3+really1.2+dfsg-1'],
  ])('%s in %s: %s', (range, versions, inside) => {
    expect(insideOf(range, 'deb', versions)).toBe(inside);
  });
});

describe('what cannot be read is neither inside nor outside', () => {
  it.each<[range: string, type: string, version: string | null, why: string]>([
    ['<2', 'deb', 'latest', '"latest" is no version of Debian'],
    ['!=2', 'maven', 'UNKNOWN', '"UNKNOWN" is no version of Maven'],
    ['<2', 'npm', null, 'it has no version'],
    ['<2.0-rc1', 'apk', '1.0', 'of the range, "2.0-rc1" is no version of Alpine'],
    ['<2', 'pypi', '1'.repeat(300), 'its version is longer than 256 characters'],
    ['>1 <2.0-rc1', 'apk', '1.5', 'of the range, "2.0-rc1" is no version of Alpine'],
    ['<1 || latest', 'npm', '1.0.0', 'of the range, "latest" is no semantic version'],
  ])('%s of %s: %s, because %s', (range, type, version, why) => {
    expect(rangeTest(parseRange(range))(type, version)).toEqual({ kind: 'unreadable', why });
  });

  it.each<[range: string, type: string, version: string, kind: string]>([
    ['latest', 'npm', 'latest', 'inside'],
    ['!=latest', 'npm', 'latest', 'outside'],
    ['<=2.0-rc1', 'apk', '2.0-rc1', 'inside'],
    ['>2 <2.5-rc1', 'apk', '1.0', 'outside'],
    ['<1 || <2.5-rc1', 'apk', '0.5', 'inside'],
    ['* || latest', 'npm', 'main', 'inside'],
  ])('but %s of %s says of %s: %s', (range, type, version, kind) => {
    expect(rangeTest(parseRange(range))(type, version).kind).toBe(kind);
  });

  it('and a package without a version is in a range of all', () => {
    expect(rangeTest(parseRange('*'))('deb', null).kind).toBe('inside');
  });
});

describe('a range that is none is refused with its place', () => {
  it.each([
    ['', 'character 1: a version is missing'],
    ['  ', 'character 1: a version is missing'],
    ['>=5.6.0 <', 'character 9: a version is missing behind <'],
    ['>=', 'character 1: a version is missing behind >='],
    ['<1 ||', 'character 6: a version is missing'],
    ['|| <1', 'character 1: a version is missing'],
    ['<1 | >2', 'character 4: "|" is not part of a range'],
    ['>=1 =>2', 'character 5: a version is missing behind ='],
    ['<1 !', 'character 4: "!" is not a version'],
    ['^1.2.3', 'character 1: "^1.2.3" is not a version; write both ends'],
    ['>=1 ~2', 'character 5: "~2" is not a version; write both ends'],
    ['1.x', '"1.x" is not a version; write both ends'],
    ['1.2.*', '"1.2.*" is not a version; write both ends'],
    ['* <2', '* is every version, and stands alone'],
    ['1.0 2.0', 'no version is both 1.0 and 2.0; write || between them'],
    ['1.0 - 2.0', 'character 5: "-" is not a version'],
    ['>2 <1', 'nothing lies between 2 and 1'],
    ['<1 || >5.6.2 <=5.6.1', 'character 6: nothing lies between 5.6.2 and 5.6.1'],
    ['>=1.0 <1.0', 'nothing lies between 1.0 and 1.0'],
    ['1.0 <0.9', 'nothing lies between 1.0 and 0.9'],
    ['<latest', '"latest" has no number to order it by'],
    ['1.0@2', '"1.0@2" is not a version'],
    ['5.6.1%2Breally', '"5.6.1%2Breally" is not a version'],
    ['１.0', 'is not a version'],
    ['1'.repeat(257), 'a version is longer than 256 characters'],
    ['1 '.repeat(3_000), 'it is longer than 4000 characters'],
  ])('%j: %s', (range, why) => {
    expect(() => parseRange(range)).toThrow(
      expect.objectContaining({
        code: 'ReferenceInvalid',
        message: expect.stringContaining(why),
        hint: expect.any(String),
      }),
    );
  });

  it.each(['>=1.0 <=1.0', '>=1:1.0 <0:5', '>2:1 <1.5', '>1.05 <1.1', '<1.10 >1.9', '>=1.0.0 <1.0.0-rc1'])(
    'but not one that some order may find something in: %s',
    (range) => {
      expect(() => parseRange(range)).not.toThrow();
    },
  );
});

describe.each(SAMPLED_TYPES)('in every range of %s', (type) => {
  const version = versionsOf(type).filter(
    (text) => compareVersions(type, text, text) !== null && /^\w[\w.+~:-]*$/.test(text) && !/\.x(\.|$)/i.test(text),
  );

  it('each version is below, equal to or above a bound, and only one of the three', () => {
    fc.assert(
      fc.property(version, version, (bound, tested) => {
        const kinds = ['<', '=', '>'].map(
          (comparator) => rangeTest(parseRange(`${comparator}${bound}`))(type, tested).kind,
        );
        expect(kinds.toSorted()).toEqual(['inside', 'outside', 'outside']);
        const [below, , above] = kinds;
        expect(rangeTest(parseRange(`>=${bound}`))(type, tested).kind).toBe(below === 'inside' ? 'outside' : 'inside');
        expect(rangeTest(parseRange(`<=${bound}`))(type, tested).kind).toBe(above === 'inside' ? 'outside' : 'inside');
        expect(rangeTest(onlyVersion(tested))(type, tested).kind).toBe('inside');
      }),
      { numRuns: 300 },
    );
  });
});
