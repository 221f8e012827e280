import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareVersions, LONGEST_VERSION, versionProblem } from '../../../../domain/packages/versions.js';
import { SAMPLED_TYPES, type SampledType, versionsOf } from '../../../support/version-samples.js';

function signOf(type: string, a: string, b: string): number | null {
  const difference = compareVersions(type, a, b);
  return difference === null ? null : Math.sign(difference);
}

function readableOf(type: SampledType): fc.Arbitrary<string> {
  return versionsOf(type).filter((version) => compareVersions(type, version, version) !== null);
}

/** Versions between `<` and `=`, with what each pair of them has to come to. */
function pairsOf(chain: string): [a: string, b: string, expected: number][] {
  const words = chain.trim().split(/\s+/);
  const ranked: { version: string; rank: number }[] = [];
  let rank = 0;
  for (const word of words) {
    if (word === '<') rank += 1;
    else if (word !== '=') ranked.push({ version: word, rank });
  }
  return ranked.flatMap((a) =>
    ranked.map((b): [string, string, number] => [a.version, b.version, Math.sign(a.rank - b.rank)]),
  );
}

/** As the specifications and the tests of the tools have them. */
const PUBLISHED: readonly [type: string, chain: string][] = [
  [
    'deb',
    '1.0~~ < 1.0~~a < 1.0~ < 1.0 = 0:1.0 = 1.0-0 = 1.0-00 < 1.0-1 < 1.0-1.1 < 1.0a < 1.0+b < 1.0-z.-1 < 1.0.1 < 1:0.1',
  ],
  ['deb', '1.0~beta1~svn1245 < 1.0~beta1 < 1.0 < 1.0+dfsg < 1.0.1'],
  ['deb', '5.4.5-0.3 < 5.6.0-0.2 < 5.6.1-1 < 5.6.1+really5.4.5-1 < 5.6.2-1'],
  ['deb', '2:9.0.1378-2 < 2:9.0.1378-2+deb12u1 < 2:9.0.1378-10 < 3:1'],
  ['deb', '12.2.0-14 < 12.2.0-14ubuntu1 < 12.2.0-14+b1 < 12.2.0-14+deb12u1 < 12.2.0-15~bpo12+1 < 12.2.0-15'],
  ['deb', '1.99999999999999999998 < 1.99999999999999999999 < 1.100000000000000000000'],
  [
    'rpm',
    '1.0~rc1~git123 < 1.0~rc1 < 1.0~rc1^git1 < 1.0~rc2 < 1.0 = 1_0 = 1..0 = 0:1.0 < 1.0^ < 1.0^git1 < 1.0^git2 < 1.01 < 1:0',
  ],
  ['rpm', '1.0^20160101 < 1.0^20160101^git1 < 1.0^20160102 < 1.0.1 < 1.0.1a < 1.0.1aa < 1.0.1.0'],
  [
    'rpm',
    'xyz.4 < 2_0 = 2.0 < 5.5p1 < 5.5p2 < 5.5p10 < 5.6p1 < 6.0 < 6.0.rc1 < 10a1 < 10b2 < 10xyz < 10.0001 = 10.1 < 10.1xyz < 10.0039',
  ],
  ['rpm', '1.0 < 1.0-1.el8 < 1.0-1.el8_2.1 < 1.0-1.el9 < 1.0-2 < 1.0-10.el8 < 1.0.1'],
  ['apk', '1.0_alpha < 1.0_alpha2 < 1.0_alpha10 < 1.0_beta < 1.0_pre1 < 1.0_rc1 < 1.0 < 1.0-r0 < 1.0-r3 < 1.0-r10'],
  [
    'apk',
    '1.0 < 1.0_cvs < 1.0_svn < 1.0_git20240101 < 1.0_hg < 1.0_p < 1.0_p1 < 1.0_p1-r1 < 1.0_p9 < 1.0_p10 < 1.0a < 1.0b-r1 < 1.0.1',
  ],
  [
    'apk',
    '0.1.0_alpha_pre2 < 0.1.0_alpha < 0.1.0_alpha2 < 0.1.3_alpha < 0.8_beta1 < 0.8.0 < 1.00_beta2 < 1.00 < 1.02.07 < 1.02.10-r1 < 1.06-r6',
  ],
  [
    'apk',
    '1.06-r6 < 1.1.35-r2 < 1.39 < 2.01.01_alpha10 < 2.02.06 < 2.1 < 2.16.1-r3 < 5b-r9 < 006 = 6 < 6b-r7 < 087-r1 < 103 < 104-r9 < 104-r11',
  ],
  ['apk', '8.2.0015 < 8.2.002 < 8.2.1 < 8.2.9 < 8.2.10 < 20050405 < 20050718-r1'],
  ['apk', '1.0_pre20191002222144-r0 < 1.0_pre20210530193627-r0 < 1.0 < 1.0~a1b2 < 1.0~a1b3-r1'],
  [
    'apk',
    '2.9.11_pre20051101-r2 < 2.9.11_pre20061021 < 2.9.11_pre20061021-r1 < 2.9.11 < 3.1_p16 < 3.1_p17 < 4.2.52_p2-r1 < 4.2.52_p4-r2',
  ],
  [
    'maven',
    '1-alpha2snapshot < 1-alpha2 < 1-alpha-123 < 1-beta-2 < 1-beta123 < 1-m2 < 1-m11 < 1-rc < 1-cr2 < 1-rc123 < 1-SNAPSHOT < 1 < 1-sp < 1-sp2 < 1-sp123 < 1-abc < 1-def < 1-pom-1 < 1-1-snapshot < 1-1 < 1-2 < 1-123',
  ],
  [
    'maven',
    '2.0.a < 2-1 < 2.0.2 < 2.0.123 < 2.1.0 < 2.1-a < 2.1b < 2.1-c < 2.1-1 < 2.1.0.1 < 2.2 < 2.123 < 11.a2 < 11.a11 < 11.b2 < 11.b11 < 11.m2 < 11.m11 < 11 < 11.a < 11b < 11c < 11m',
  ],
  ['maven', '1 = 1.0 = 1.0.0 = 1-0 = 1.0-0 = 1ga = 1-ga = 1.final = 1.0.0.Final = 1-release = 01 = 1. = 1-'],
  ['maven', '1x = 1.x = 1-x = 1.0.0x = 1.0.0-X'],
  ['maven', '1a1 = 1-alpha-1 = 1.0-ALPHA1 < 1b2 = 1-beta-2 < 1m3 = 1-milestone-3 < 1cr = 1rc'],
  ['maven', '2.0-beta9 < 2.0-rc1 < 2.0 < 2.0.1 < 2.3.2 < 2.12.2 < 2.14.1 < 2.15.0 < 2.17.1'],
  [
    'maven',
    '20190126.230843 < 1234567890.12345 < 123456789012345.1H.5-beta < 12345678901234567890.1H.5-beta < 12345678901234567890.1H.5',
  ],
  ['maven', '31.0-android < 31.0-jre < 31.1-android < 31.1-jre'],
  [
    'pypi',
    '1.dev0 < 1.0.dev456 < 1.0a1 < 1.0a2.dev456 < 1.0a12.dev456 < 1.0a12 < 1.0b1.dev456 < 1.0b2 < 1.0b2.post345.dev456 < 1.0b2.post345 < 1.0rc1.dev456 < 1.0rc1 < 1.0rc2 = 1.0c2 < 1.0 < 1.0+abc.5 < 1.0+abc.7 < 1.0+5 < 1.0.post456.dev34 < 1.0.post456 < 1.0.15 < 1.1.dev1 < 1!0.1',
  ],
  [
    'pypi',
    '1.0 = 1 = v1.0.0 = 01.0 = 0!1 < 1.0-1 = 1.0.post1 = 1.0.rev1 = 1.0_post_1 < 1.1.a.1 = 1.1alpha1 < 1.1preview = 1.1pre0 = 1.1RC',
  ],
  ['pypi', '1.0 < 1.0+0x10.1 < 1.0+1e5 = 1.0+1E5 < 1.0+7 < 1.0+9007199254740993 < 1.0+9007199254740994'],
  [
    'npm',
    '1.0.0-alpha < 1.0.0-alpha.1 < 1.0.0-alpha.beta < 1.0.0-beta < 1.0.0-beta.2 < 1.0.0-beta.11 < 1.0.0-rc.1 < 1.0.0 = v1.0.0 = 1 = 1.0 = 1.0.0+build < 1.0.1 < 2.0.0-0 < 2.0.0',
  ],
  [
    'npm',
    '1.2.3-4 < 1.2.3-5 < 1.2.3-4-foo < 1.2.3-R2 < 1.2.3-a.5 < 1.2.3-a.10 < 1.2.3-a.b < 1.2.3-r100 < 1.2.3-r2 < 1.2.3',
  ],
  ['npm', '1.0.0-20240101120000123 < 1.0.0-20240101120000124 < 99999999999999999998.0.0 < 99999999999999999999.0.0'],
  [
    'golang',
    'v0.0.0-20170915032832-14c0d48ead0c < v0.0.0-20171115032832-0000d48ead0c < v0.0.0 < v1.5.1 < v1.5.2-0.20230101000000-abcdefabcdef < v1.5.2 < v2.0.0+incompatible = v2.0.0',
  ],
  ['golang', '1.20 < 1.21rc2 < 1.21rc10 < 1.21 = 1.21.0 < 1.21.1'],
  ['nuget', '1.0.0-Alpha = 1.0.0-alpha < 1.0.0-Beta < 1.0.0 = 1.0.0.0 < 1.0.0.1'],
  ['generic', '1.0-alpha < 1.0-rc1 = 1.0.RC1 < 1.0-rc.2 < 1.0 = 1 = v1.0.0 < 1.0-p1 < 1.0.1'],
  ['generic', '1.1.1 < 1.1.1a < 1.1.1w < 1.1.1-1 < 1.1.2-dev < 1.1.2 < 17.0.2+7 < 17.0.2+8 < 17.0.10+1'],
  ['gem', '1.0.0.pre1 < 1.0.0.rc1 < 1.0.0 < 1.0.0.1'],
];

describe('the published versions are in order', () => {
  it.each(PUBLISHED)('%s: %s', (type, chain) => {
    const pairs = pairsOf(chain);
    expect(pairs.map(([a, b]) => [a, b, signOf(type, a, b)])).toEqual(pairs);
  });
});

describe('a version that the order cannot read', () => {
  it.each<[type: string, versions: string]>([
    ['deb', '1.0- - 1: a:1 1:a :1 latest v1.0 -1 1-2-'],
    ['rpm', 'latest -1 UNKNOWN ~ 1:rc'],
    ['apk', '1.0bc 23_foo 1.0-1 1.0_ 1.0-r 1..0 .1 1.0_alpha.1 v1.0 1.0a1 1.0A 1.0~xyz 1.0-r1_p1 1:1.0 1.0-rc1'],
    // biome-ignore lint/suspicious/noTemplateCurlyInString: so it stands in manifests that nobody filled in
    ['maven', '${revision} UNKNOWN 1.0@x 1/2'],
    ['pypi', '1.0.x french-toast 1.0+a+ 1.0++x 1.0+_x 1.0+x_ 1.0.post1.dev2.rc1 2004d 1..0 1!'],
    ['npm', 'latest file:../x git+https://example.org/x.git 1.0.0+ 1.0.0- * ^1.0.0 1.2.3_4'],
    ['golang', '(devel) master v v1. 1.2.3+'],
    ['generic', 'latest UNKNOWN sha256:00 -1'],
  ])('of %s is not ordered: %s', (type, versions) => {
    for (const version of versions.split(' ')) {
      expect(compareVersions(type, version, '1.0'), version).toBeNull();
      expect(compareVersions(type, '1.0', version), version).toBeNull();
      expect(versionProblem(type, version), version).toContain(JSON.stringify(version));
    }
  });

  it.each(['', ' ', '1.0 ', '1\n0', '1.0\u0000', '１.0', '1.٣', '1.0é', `1.${'0'.repeat(LONGEST_VERSION)}`])(
    'in no ecosystem: %j',
    (version) => {
      for (const type of [...SAMPLED_TYPES, 'gem', '__proto__', 'constructor', '']) {
        expect(compareVersions(type, version, '1.0')).toBeNull();
        expect(versionProblem(type, version)).not.toBeNull();
      }
    },
  );

  it('is told with the reason', () => {
    expect(versionProblem('deb', '5.6.1-1')).toBeNull();
    expect(versionProblem('deb', 'latest')).toBe('"latest" is no version of Debian');
    expect(versionProblem('gem', 'latest')).toBe('"latest" is no version that begins with a number');
    expect(versionProblem('deb', '1'.repeat(300))).toBe('its version is longer than 256 characters');
  });
});

describe.each(SAMPLED_TYPES)('the order of %s', (type: SampledType) => {
  it('knows its own versions, and turns round with the pair', () => {
    const readable = readableOf(type);
    fc.assert(
      fc.property(readable, readable, (a, b) => {
        expect(signOf(type, a, a)).toBe(0);
        expect((signOf(type, a, b) ?? Number.NaN) + (signOf(type, b, a) ?? Number.NaN)).toBe(0);
      }),
      { numRuns: 500 },
    );
  });

  it('reads the worst texts that a hostile inventory may hold, and ends', () => {
    const worst = [
      '1',
      '0',
      '.',
      '-',
      '-1',
      '1-',
      'a1',
      '~',
      '+really',
      '_p',
      '.1',
      '^a',
      '0.0-',
      '-alpha',
      '1!',
      '%',
      ':',
    ];
    for (const piece of worst) {
      for (const [start, end] of [
        ['1', ''],
        ['1.', '!'],
        ['', '-r1'],
      ] as const) {
        const text = `${start}${piece.repeat(LONGEST_VERSION)}`.slice(0, LONGEST_VERSION - end.length) + end;
        const other = `${text.slice(0, -1)}9`;
        const [difference, turned] = [signOf(type, text, other), signOf(type, other, text)];
        expect((difference ?? 0) + (turned ?? 0)).toBe(0);
      }
    }
  });
});

// Not Maven's, which runs in circles by its own rules: 1.0.0.Final < 1-sp < 1.0-0-a1 < 1.0.0.Final.
describe.each(SAMPLED_TYPES.filter((type) => type !== 'maven'))('the order of %s', (type) => {
  it('is transitive', () => {
    const readable = readableOf(type);
    fc.assert(
      fc.property(readable, readable, readable, (a, b, c) => {
        const [ab, bc, ac] = [signOf(type, a, b) ?? 0, signOf(type, b, c) ?? 0, signOf(type, a, c) ?? 0];
        if (ab <= 0 && bc <= 0) expect(ac).toBe(ab === 0 && bc === 0 ? 0 : -1);
      }),
      { numRuns: 1_000 },
    );
  });
});
