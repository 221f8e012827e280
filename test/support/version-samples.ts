import fc from 'fast-check';

/** What the versions of a type are made from: plausible pieces, and nasty ones. */
interface Shape {
  /** Begins most versions. */
  readonly starts: readonly string[];
  readonly pieces: readonly string[];
  /** Versions that specifications and tests of the real tools name. */
  readonly published: readonly string[];
}

const NUMBERS = `0 1 2 9 10 00 01 007 99 20240101 99999999999999999999`;

/** Each as words between spaces. */
function shape(starts: string, pieces: string, published: string): Shape {
  const [begin, parts, known] = [starts, `${NUMBERS} ${pieces}`, published].map((words) => words.trim().split(/\s+/));
  return { starts: begin ?? [], pieces: parts ?? [], published: known ?? [] };
}

export const SHAPES = {
  deb: shape(
    `1.2 1:1.2 0:1 2:0 5.6.1 0 00 1-2 3.0~rc1`,
    `
    . . . - - + ~ ~~ : _ ^ -1 -0 -1ubuntu2 +b1 a b rc Z z +really +dfsg .dfsg1 +deb12u1 ~bpo12+1 +git is 1: .0 ~
    alpha -0.1 +nmu1`,
    `
    0 0:0 0- 0-0 0:0-0 1.0 1.0-0 1.0-1 1.0-1.1 1:0.9 1.0~beta1~svn1245 1.0~beta1 5.6.1-1 5.6.1+really5.4.5-1
    5.6.0-0.2 5.4.1-0.2 2:9.0.1378-2 1.2.13.dfsg-1 1:1.2.13.dfsg-1 12.2.0-14+deb12u1 12.2.0-14+b1 7.6p2-4 1.0.3-3
    1.3 1.3-7 1.18.36:5.4 0:4:7 2.4.47-2 1.2.3~rc1-1 1.2.3-1~bpo12+1 1.0.0-3+really1.0.0-2 3.0.9really2.1-1
    20240203+dfsg-1 1.0.4~~ 1.0.4`,
  ),
  rpm: shape(
    `1.2 1:1.2 5.6.1 0 1.0~rc1 1.0^git1 1.0-1 4.18.0-1.fc40`,
    `
    . . . - - ~ ^ ~~ ^^ ^~ ~^ _ + a b rc git fc40 .el8 -1 .fc a Z z p1 rc1 .0 .. 1a a1 -1.el9 .module+el8
    ^20240101git1234`,
    `
    1.0 2.0 2.0.1 2.0.1a 5.5p1 5.5p2 5.5p10 10xyz 10.1xyz xyz10 xyz10.1 xyz.4 8 5.5p2 5.6p1 6.0.rc1 6.0 10b2 10a1
    1.0aa 1.0a 10.0001 10.1 10.0039 4.999.9 5.0 20101121 20101122 2_0 1.0~rc1 1.0~rc2 1.0~rc1~git123 1.0^ 1.0^git1
    1.0^git2 1.01 1.0^20160101 1.0.1 1.0^20160101^git1 1.0^20160102 1.0~rc1^git1 1.0^git1~pre 1b.fc17 1.fc17 1.900
    1.8.0 1g.fc17 5.6.1-1.fc40 1:5.6.1-1.fc40 5.6.1-1 0:5.6.1 1.12.8-18.el8_2.1`,
  ),
  apk: shape(
    `1.2 5.6.1 0 1.0_rc1 1.0a 3.1.4-r1 006 1.0_p1`,
    `
    . . . .0 .01 .1 .10 a b _alpha _beta _pre _rc _cvs _svn _git _hg _p _p1 _rc2 _alpha1 -r0 -r1 -r10 ~a1b2 ~0 _foo
    -1 _git20240101 _rc1-r1 .002 .0015`,
    `
    2.34 0.1.0_alpha 0.1.0_alpha2 0.1.3_alpha 2.2.39-r1 1.0.4-r3 1.1_alpha1 0.8_beta1 2.3.0b-r1 3.1_p16 3.1_p17
    1.06-r6 006 2.16.1-r3 20050718-r1 2.01.01_alpha10 0.99.3.20040818 1.00_beta2 4.2.52_p2-r1 1.02.07 1.02.10-r1
    2.5.1a-r1 2.1.9.200602141850 021109-r3 6b-r7 0.15.1b-r2 1.2.07.8 02.08.01b 0.2.10-r2 0.20070207_rc1 1.8.5_p2
    2.9.11_pre20061021-r1 12.17.9 087-r1 2.12r-r4 8.2.0015 8.2.002 1.3_pre1-r1 1.0_p10-r0 0.1.0_alpha_pre2
    1.0.0_pre20191002222144-r0 6.0_pre1 6.0_p1 6.0`,
  ),
  maven: shape(
    `1.2 1.0 1 2.14.1 1-alpha 1.0-SNAPSHOT 0 v1 31.1-jre 1.0.0.Final`,
    `
    . . . - - - _ + .0 -0 .. -- -. .- a b m alpha beta milestone rc cr SNAPSHOT ga final release sp x foo jre
    RELEASE a1 b2 m3 -1 .1 -a1`,
    `
    1-alpha2snapshot 1-alpha2 1-alpha-123 1-beta-2 1-beta123 1-m2 1-m11 1-rc 1-cr2 1-rc123 1-SNAPSHOT 1 1-sp 1-sp2
    1-sp123 1-abc 1-def 1-pom-1 1-1-snapshot 1-1 1-2 1-123 2.0 2.0.a 2-1 2.0.2 2.0.123 2.1.0 2.1-a 2.1b 2.1-c 2.1-1
    2.1.0.1 2.2 2.123 11.a2 11.a11 11.b2 11.m2 11 11.a 11b 11c 11m 1.0.0.RC1 1.0.0-RC2 4.0.0.Beta3 6.1.0rc3 0.7
    5.0.7 5.0.9.0 5.0.7.0 2.0.1.MR 1x 1.0.0x 1.0.0-x 20190126.230843 2.15.0 1.0.RC2`,
  ),
  pypi: shape(
    `1.2 1.0 1 1!1.0 0 v1.0 2024.1 1.0a1 1.0.dev1 1.0.post1 1.0+local`,
    `
    . . . - _ + ! .0 a b c rc alpha beta pre preview post rev r dev a1 b2 rc3 .post1 .dev0 .dev -1 +cu118 +1 +abc.1
    +ABC .1 1e5 +0x10 .post -r4`,
    `
    1.dev0 1.0.dev456 1.0a1 1.0a2.dev456 1.0a12.dev456 1.0a12 1.0b1.dev456 1.0b2 1.0b2.post345 1.0b2.post345.dev456
    1.0rc1.dev456 1.0rc1 1.0c2 1.0 1.0+abc.5 1.0+abc.7 1.0+5 1.0.post456 1.0.post456.dev34 1.0.15 1.1.dev1
    1.2+123abc 1.2+123abc456 1.2+abc 1.2+abc123 1.2.r32+123456 1.2.rev33+123456 1!1.0b2 1!1.0.post1 1.1.0 1.1
    01.02.03 1.0-1 V1.0 1.0_post_1 2.1.0+cu118`,
  ),
  npm: shape(
    `1.2.3 1.0.0 0.0.0 1.2.3-rc.1 10.2.3 v1.2.3 1.0.0-alpha`,
    `
    . . - - + -alpha -beta -rc .0 .1 .10 -0 -1 -a -A -a-b a b +build -rc.1 -rc.10 -rc1 .alpha -- -x.7.z.92 +exp.sha
    -20240101 .x`,
    `
    1.0.0 2.0.0 2.1.0 2.1.1 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta 1.0.0-beta.2 1.0.0-beta.11
    1.0.0-rc.1 0.0.0-foo 0.0.0 1.2.3-asdf 1.2.3-4 1.2.3-4-foo 1.2.3-5 1.2.3-5-foo 1.2.3-a.10 1.2.3-a.5 1.2.3-a.b
    1.2.3-a.b.c.10.d.5 1.2.3-r2 1.2.3-r100 1.2.3-R2 1.2.3+build`,
  ),
  golang: shape(
    `v1.2.3 v0.0.0-20240101120000-abcdef123456 v2.0.0+incompatible v1 v1.2 v1.2.3-rc.1`,
    `
    . . - - + -pre -rc .0 .1 .10 -0 -1 -a +incompatible -0.20240101120000-abcdef123456 -rc.1 -rc.10 a +dirty
    -20240101120000123456`,
    `
    v1.0.0 v1 v1.0 v1.0.0-alpha v1.0.0-alpha.1 v1.0.0-beta.2 v1.0.0-beta.11 v1.0.0-rc.1 v1.2.3 v1.2.0 v1.2.3-456
    v1.2.3-456.789 v1.2.3-456-789 v1.2.3-456a v1.2.3-pre v1.2.3-pre+meta v1.2.3-pre.1 v1.2.3-zzz v1.2.3+meta
    v0.0.0-20170915032832-14c0d48ead0c v0.0.0-20171115032832-14c0d48ead0c v2.0.0+incompatible
    v1.5.2-0.20230101000000-abcdefabcdef v1.5.2 v1.5.1 v4.0.0-20190101000000-abcdefabcdef+incompatible`,
  ),
  generic: shape(
    `1.2 1.0 1 1.1.1 17.0.2 v2 1.0-rc1 0`,
    `
    . . - _ + w p1 rc alpha dev snapshot .0 -0 -rc1 +8 _392 -b08 .Final x`,
    `
    1.1.1 1.1.1a 1.1.1w 9.6p1 17.0.2+8 1.8.0_392-b08 1.0.0.pre1 1.0 1 2024-01-15 4.0.0-1`,
  ),
} satisfies Record<string, Shape>;

export type SampledType = keyof typeof SHAPES;

export const SAMPLED_TYPES = Object.keys(SHAPES) as SampledType[];

/** Versions of a type, some published, most made up; many that its order cannot read. */
export function versionsOf(type: SampledType): fc.Arbitrary<string> {
  return piecesOf(SHAPES[type]).map((pieces) => pieces.join(''));
}

/** Two versions, in most pairs one a change of the other. */
export function versionPairs(type: SampledType): fc.Arbitrary<readonly [string, string]> {
  const shape = SHAPES[type];
  const changed = piecesOf(shape).chain((pieces) =>
    changesOf(shape, pieces).map((others) => [pieces.join(''), others.join('')] as const),
  );
  const published = fc.constantFrom(...shape.published);
  return fc.oneof(
    { weight: 5, arbitrary: changed },
    { weight: 2, arbitrary: fc.tuple(versionsOf(type), versionsOf(type)) },
    { weight: 1, arbitrary: fc.tuple(published, published) },
  );
}

function piecesOf({ starts, pieces, published }: Shape): fc.Arbitrary<string[]> {
  const tail = fc.array(fc.constantFrom(...pieces), { maxLength: 6 });
  return fc.oneof(
    { weight: 6, arbitrary: fc.tuple(fc.constantFrom(...starts), tail).map(([start, rest]) => [start, ...rest]) },
    {
      weight: 3,
      arbitrary: fc.tuple(fc.constantFrom(...published), tail).map(([start, rest]) => [start, ...rest.slice(4)]),
    },
    { weight: 1, arbitrary: fc.array(fc.constantFrom(...pieces), { minLength: 1, maxLength: 8 }) },
  );
}

function changesOf({ starts, pieces }: Shape, version: readonly string[]): fc.Arbitrary<string[]> {
  const place = fc.nat({ max: version.length });
  const piece = fc.constantFrom(...pieces, ...starts);
  return fc.tuple(place, piece, fc.constantFrom('drop', 'insert', 'replace')).map(([at, other, how]) => {
    if (how === 'drop' && version.length > 1) return version.toSpliced(at % version.length, 1);
    return version.toSpliced(at, how === 'replace' ? 1 : 0, other);
  });
}
