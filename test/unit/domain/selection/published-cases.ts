import type { OrderName } from '../../../../domain/selection/tag-version.js';

/**
 * What update bots and mirrors publish as their own test cases: inputs and answers, as facts. `answer` is theirs; where
 * houba's is another one on purpose, `houba` says which, and `because` names the difference
 * (docs/rules/selection.md#where-other-tools-answer-otherwise).
 */
export interface PublishedCase {
  readonly source: string;
  readonly order: OrderName;
  readonly ask: 'reads' | 'newer' | 'final' | 'comparable' | 'ascending' | 'newest';
  readonly tags: readonly string[];
  readonly answer: Answer;
  readonly range?: string;
  readonly pattern?: string;
  readonly houba?: Answer;
  readonly because?: Difference;
}

type Answer = boolean | string | null | readonly string[];

/** The differences, in the words of the rule. */
export type Difference =
  | 'shorter is not newer'
  | 'a flavour is never compared with another'
  | 'text before the numbers is not read'
  | 'a word is no number'
  | 'a number that runs into a word is none'
  | 'only certain builds count'
  | 'a part of a tag is no version'
  | 'a date begins with its year'
  | 'versions come first'
  | 'a year is a number'
  | 'one number is a version'
  | 'a pre-release belongs to its version';

type More = Pick<PublishedCase, 'houba' | 'because' | 'range' | 'pattern'>;

function cases(source: string, order: OrderName, shared: More = {}) {
  return (ask: PublishedCase['ask'], rows: readonly (readonly [string, Answer, Answer?, Difference?, More?])[]) =>
    rows.map(
      ([tags, answer, houba, because, more]): PublishedCase => ({
        source,
        order,
        ask,
        tags: tags.split(' '),
        answer,
        ...shared,
        ...(because !== undefined && { houba, because }),
        ...more,
      }),
    );
}

const RENOVATE = 'renovatebot/renovate lib/modules/versioning';
const renovateDocker = cases(`${RENOVATE}/docker/index.spec.ts`, 'docker');
const renovateLoose = cases(`${RENOVATE}/loose/index.spec.ts`, 'numeric');
const renovateRegex = cases(`${RENOVATE}/regex/index.spec.ts`, 'regex', {
  pattern: '^(?P<major>\\d+)\\.(?P<minor>\\d+)\\.(?P<patch>\\d+)(?P<prerelease>[^.-]+)?(?:-(?P<compatibility>.*))?$',
});
const renovateBuild = cases(`${RENOVATE}/regex/index.spec.ts`, 'regex', {
  pattern: '^(?P<major>\\d+)\\.(?P<minor>\\d+)\\.(?P<patch>\\d+)(?:-(?P<compatibility>.*-r)(?P<build>\\d+))?$',
});
const DEPENDABOT = 'dependabot/dependabot-core docker/spec/dependabot/docker';
const dependabot = cases(`${DEPENDABOT}/update_checker_spec.rb`, 'docker');
const dependabotVersion = cases(`${DEPENDABOT}/version_spec.rb`, 'docker');
const WUD = 'getwud/wud app/tag';
const wudSemver = cases(`${WUD}/index.test.ts`, 'semver');
const wud = cases(`${WUD}/regression.test.ts`, 'docker');
const wudDates = cases(`${WUD}/regression.test.ts`, 'calver');
const wudPrefix = cases(`${WUD}/regression.test.ts`, 'regex', {
  pattern: '^(?P<platform>[a-z0-9-]+)-(?P<major>\\d+)\\.(?P<minor>\\d+)\\.(?P<patch>\\d+)(?:-(?P<base>\\w+))?$',
});
const FLUX = 'fluxcd/image-reflector-controller internal/policy';
const fluxSemver = cases(`${FLUX}/semver_test.go`, 'semver');
const fluxNumeric = cases(`${FLUX}/numerical_test.go`, 'numeric');
const ARGO = 'argoproj-labs/argocd-image-updater registry-scanner/pkg';
const argoSemver = cases(`${ARGO}/image/version_test.go`, 'semver');
const argoTag = cases(`${ARGO}/tag/tag_test.go`, 'semver');
const argoCalver = cases(`${ARGO}/tag/calver_test.go`, 'calver');
const argoDayFirst = cases(`${ARGO}/tag/calver_test.go`, 'regex', {
  pattern: '^v(?P<patch>\\d\\d)-(?P<minor>\\d\\d)-(?P<major>\\d{4})$',
});
const keel = cases('keel-hq/keel internal/policy/semver_test.go', 'docker');
const diun = cases('crazy-max/diun pkg/registry/tags_test.go', 'semver');

const ARGO_TAGS = '0.1 0.5.1 0.9 1.0 1.0.1 1.1.2 2.0.3';

export const PUBLISHED: readonly PublishedCase[] = [
  ...renovateDocker('reads', [
    ['1.2.3', true],
    ['18.04', true],
    ['10.1', true],
    ['3', true],
    ['foo', false],
    ['0a1b2c3', false],
    ['0a1b2c3d', false],
    ['0a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d', false],
    ['0a1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d0', true, false, 'a number that runs into a word is none'],
    ['0a1b2C3', true, false, 'a number that runs into a word is none'],
    ['0z1b2c3', true, false, 'a number that runs into a word is none'],
    ['0A1b2c3d4e5f6a7b8c9d0a1b2c3d4e5f6a7b8c9d', true, false, 'a number that runs into a word is none'],
    ['123098140293', true],
  ]),
  ...renovateDocker('newer', [
    ['1.2.3 1.2', false, true, 'shorter is not newer'],
    ['18.04 18.1', true],
    ['10.1 10.1.2', true, false, 'shorter is not newer'],
    ['3 2', true],
    ['1.2.3 1.2.3', false],
    ['2.0 1.2.3', true],
    ['18.1 18.04', false],
    ['10.0.4 10.1', false],
    ['4.0 3', true],
    ['1.3.4 1.2', true],
  ]),
  ...renovateDocker('final', [
    ['3.7.0', true],
    ['3.7.0b1', false],
    ['3.7-alpine', true],
    ['3.8.0-alpine', true],
    ['3.8.0b1-alpine', false],
    ['3.8.2', true],
    ['3.8.3-SNAPSHOT', false],
    ['3.8.3-1-SNAPSHOT', false],
  ]),
  ...renovateDocker('comparable', [
    ['3.7.0b1 3.7.0', true],
    ['3.7-alpine 3.7.0', false],
    ['3.8.0-alpine 3.7.0', false],
    ['3.8.0b1-alpine 3.7.0', false],
    ['3.8.2 3.7.0', true],
    ['3.7.0 3.7.0-alpine', false],
    ['3.7.0b1 3.7.0-alpine', false],
    ['3.7-alpine 3.7.0-alpine', false, true, 'shorter is not newer'],
    ['3.8.0-alpine 3.7.0-alpine', true],
    ['3.8.0b1-alpine 3.7.0-alpine', true],
    ['3.8.2 3.7.0-alpine', false],
  ]),
  ...renovateDocker('ascending', [
    ['1.1.1 1.2.3 1.3.4 2.0.1', ['1.1.1', '1.2.3', '1.3.4', '2.0.1']],
    ['2.0.1 1.2.3', ['1.2.3', '2.0.1']],
    ['1.2.3 0.9.5', ['0.9.5', '1.2.3']],
    [
      '3.7.0 3.7-alpine 3.7.0b1 3.7.0b5 3.8.0b1-alpine 3.8.0-alpine 3.8.2 3.8.0',
      ['3.7.0b1', '3.7.0b5', '3.7.0', '3.7-alpine', '3.8.0b1-alpine', '3.8.0-alpine', '3.8.0', '3.8.2'],
      ['3.7.0b1', '3.7.0b5', '3.7.0', '3.8.0', '3.8.2', '3.7-alpine', '3.8.0b1-alpine', '3.8.0-alpine'],
      'a flavour is never compared with another',
    ],
  ]),
  ...renovateLoose('newer', [
    ['2.4.0 2.4', true],
    ['2.4.2 2.4.1', true],
    ['2.4.100 2.4.99', true],
    ['2.4.beta 2.4.alpha', true],
    ['1.9 2', false],
    ['1.9 1.9.1', false],
    ['2.4 2.4.beta', true],
    ['2.4.0 2.4.beta', true],
    ['2.4.beta 2.4', false],
    ['2.4.beta 2.4.0', false],
    ['2024-07-21T11-33-05.abc123 2023-06-21T11-33-05.abc123', true],
    ['2023-07-21T11-33-05.abc123 2023-07-21T11-33-04.abc123', true],
    ['2023-07-21-113305-abc123 2023-07-21-113304-abc123', true],
    ['1.1.5-100 1.1.5-99', true],
    ['2026051723231779060208 2026051723231779060202', true],
    ['2026051723231779060202 2026051723231779060208', false],
  ]),
  ...renovateLoose('reads', [
    ['v1.4', true],
    ['3.5.0', true],
    ['4.2.21.Final', true],
    ['0.6.5.1', true],
    ['20100527', true],
    ['2.1.0-M3', true],
    ['4.3.20.RELEASE', true],
    ['1.1-groovy-2.4', true],
    ['0.8a', true],
    ['3.1.0.GA', true],
    ['3.0.0-beta.3', true],
    ['foo', false],
    ['0a1b2c3', false],
    ['123098140293', true],
  ]),
  ...renovateRegex('reads', [
    ['1', false],
    ['aardvark', false],
    ['1.2a1-foo', false],
    ['1.2.3', true],
    ['1.2.3a1', true],
    ['1.2.3b2', true],
    ['1.2.3-foo', true],
    ['1.2.3b2-foo', true],
    ['1.2.3b2-foo-bar', true],
    ['1-foo', false],
    ['1.2', false],
    ['1.2.3.4.5.6.7', false],
    ['1.2.aardvark', false],
    ['1.2a2.3', false],
  ]),
  ...renovateRegex('comparable', [
    ['1.2.3 2.3.4', true],
    ['1.2.3a1 2.3.4', true],
    ['1.2.3-foobar 2.3.4-foobar', true],
    ['1.2.3a1-foobar 2.3.4-foobar', true],
    ['1.2.3 2.3.4-foobar', false],
    ['1.2.3-foobar 2.3.4', false],
    ['1.2.3-foo 2.3.4-bar', false],
    ['1.2.3a1-foo 2.3.4-bar', false],
  ]),
  ...renovateRegex('final', [
    ['1.2.3', true],
    ['1.2.3-foo', true],
    ['1.2.3alpha', false],
    ['1.2.3b3-foo', false],
  ]),
  ...renovateRegex('newer', [
    ['2.0.0 1.0.0', true],
    ['2.2.0 2.1.0', true],
    ['2.2.1 2.2.0', true],
    ['3.0.0a2 3.0.0a1', true],
    ['3.0.0b1 3.0.0a2', true],
    ['3.0.0 3.0.0b2', true],
    ['2.0.0 1.0.0-foo', true, false, 'a flavour is never compared with another'],
    ['3.0.0b1 3.0.0a2-foo', true, false, 'a flavour is never compared with another'],
    ['1.0.0 2.0.0', false],
    ['2.2.1 2.2.2', false],
    ['3.0.0a2 3.0.0b1', false],
    ['3.0.0b2 3.0.0', false],
    ['3.0.0b2 3.0.0b2', false],
  ]),
  ...renovateRegex('ascending', [['1.2.3a1 2.0.1 1.3.4 1.2.3', ['1.2.3a1', '1.2.3', '1.3.4', '2.0.1']]]),
  ...renovateBuild('newer', [
    ['12.7.0-debian-10-r69 12.7.0-debian-10-r100', false],
    ['12.7.0-debian-10-r169 12.7.0-debian-10-r100', true],
  ]),
  ...dependabot('newer', [
    ['17.10 17.04', true],
    ['2.5.0-slim 2.4.0-slim', true],
    ['10.0.18362.175 10.0.16299.1087', true],
    ['1903-KB4505057 1803-KB4487017', true, false, 'a flavour is never compared with another'],
    ['artful-20170916 artful-20170826', true, false, 'text before the numbers is not read'],
    ['v1.6.0 v1.5.0', true],
    ['7.2-0.3 7.2-0.1', true],
    ['7.2-0.3 7.1-0.1', true],
    ['v3.10.0-169-gfe040d3 v3.9.0-177-ged5bcde', true],
    ['2.4.2-slim 2.4.0-slim', true],
    ['jdk-11.0.2.9-alpine-slim jdk-11.0.2.7-alpine-slim', true, false, 'text before the numbers is not read'],
    ['3.10-master-999 3.10-master-777', true, false, 'only certain builds count'],
    ['11-jdk-master-222 11-jdk-master-111', true, false, 'only certain builds count'],
    ['22-ea-7 21-ea-32', true],
    ['22-ea-9-windowsservercore-1809 22-ea-7-windowsservercore-1809', true],
    ['17.0.2_8-jre-alpine 17.0.1_12-jre-alpine', true],
    ['11.0.16.1_1-jdk 11.0.16_8-jdk', true],
    ['2.10.0 2.1.3', true],
    ['3.6 3.5', true],
    ['3.7.0a2 3.7.0a1', true],
    ['8.7-1049 8.7-923.1669829893', true],
    ['8.7 8.5', true],
    ['2.1-sdk 2.0-sdk', true],
    ['2.1-runtime 2.0-runtime', true],
    ['3.6.3-alpine3.6 3.6.2-alpine3.6', true],
  ]),
  ...dependabot('reads', [
    ['artful', false],
    ['309403913c7f0848e6616446edec909b55d53571', false],
  ]),
  ...cases(`${DEPENDABOT}/update_checker_spec.rb`, 'calver')('newer', [['artful-20170916 artful-20170826', true]]),
  ...dependabotVersion('reads', [
    ['3.7.7-slim-buster', true],
    ['not_a_version', false],
    ['11.0.16_8', true],
    ['v11.0.16_8', true],
    ['11.0.16.1', true],
  ]),
  ...dependabotVersion('newer', [
    ['2.4.2 2.1.0', true],
    ['2.4.2 2.4.3', false],
    ['11.0.16_8 11.0.16.1', false],
    ['17.0.2_8 17.0.1_12', true],
  ]),
  ...wudSemver('reads', [
    ['1.2.3', true],
    ['v1.2.3', true],
    ['v1.2.3-alpha1', true],
    ['0.6.12-ls132', true],
    ['fix__50', true, false, 'a part of a tag is no version'],
    ['version-zobi-1.2.3-alpha1', true, false, 'a part of a tag is no version'],
    ['v2.0.6.3-2.0.6.3_beta_2021-06-17-ls112', true, false, 'a part of a tag is no version'],
    ['latest', false],
    ['stable', false],
    ['main', false],
    ['invalid', false],
  ]),
  ...wudSemver('newer', [
    ['2.0.0 1.9.9', true],
    ['1.0.0 2.0.0', false],
    ['1.3.0 1.2.9', true],
    ['1.2.0 1.3.0', false],
    ['1.2.4 1.2.3', true],
    ['1.2.3 1.2.4', false],
    ['1.2.3 1.2.3-alpha1', true],
    ['1.2.3-alpha1 1.2.3', false],
    ['1.2.3-beta1 1.2.3-alpha1', true],
    ['latest 1.2.3', false],
    ['1.2.3 latest', false],
    ['latest stable', false],
  ]),
  ...wud('newer', [
    ['32bit-stretch 8', false],
    ['8-libreoffice-cloudrun 8', false],
    ['19beta3-trixie 18', false],
    ['9 8', true],
    ['2-slim-rootless 2', false],
    ['8.8-trixie 8.8-alpine', false],
    ['17.2-bookworm 8.8-alpine', false],
    ['8.9-alpine 8.8-alpine', true],
    ['17.2-bullseye 16.3', false],
    ['17.2 16.3', true],
    ['17.2-bookworm 17-alpine', false],
    ['18-alpine 17-alpine', true],
    ['2.5.0p9 2.5.0p13', false],
    ['2.5.0p14 2.5.0p13', true],
    ['4.0.9.1000-ls50 4.0.13.2932-ls274', false],
    ['4.0.13.2933-ls275 4.0.13.2932-ls274', true],
    ['4.0.14.3000-ls280 4.0.13.2932-ls274', true],
    ['4.9.0.9 4.9.0.12', false],
    ['4.9.0.13 4.9.0.12', true],
    ['2025.12-rc2 2025.10', false, true, 'a pre-release belongs to its version'],
    ['2025.12.0 2025.10', true],
    ['18rc1-trixie 18.0-trixie', false],
    ['18.1-trixie 18.0-trixie', true],
    ['2021.9.1-rc3 2021.9.1', false],
    ['1.2.3-beta1 1.2.3', false],
    ['13696b1 2021.9.1', false],
    ['fix__69 5.7.0', false],
    ['feature__502_specific_triggers 7.2.0', false],
    ['2021.12.16 10.11.4', false, true, 'a year is a number'],
    ['10.11.5 10.11.4', true],
    ['20.04.1 4.6.2', false, true, 'a year is a number'],
    ['4.6.3 4.6.2', true],
    ['windowsltsc2022-amd64-2.9.3 2.27.1', false],
    ['2025-06-03 2025-08-05', false],
    ['2025-09-01 2025-08-05', true],
    ['18-vectorchord0.5.3 18-vectorchord1.1.1', false],
    ['18-vectorchord1.1.2 18-vectorchord1.1.1', true, false, 'a flavour is never compared with another'],
    ['1.43.3.10861-07dfddaeb 1.43.3.10896-cb3ebc72d', false],
    ['1.43.3.10897-abcdef123 1.43.3.10896-cb3ebc72d', true],
  ]),
  ...wudDates('newer', [
    ['2025-06-03 2025-08-05', false],
    ['2025-09-01 2025-08-05', true],
    ['2025.12.0 2025.10', true],
  ]),
  ...wudPrefix('newer', [
    ['linux-amd64-2.9.3-alpine linux-amd64-2.11.1-alpine', false],
    ['linux-amd64-2.13.1-alpine linux-amd64-2.11.1-alpine', true],
  ]),
  ...fluxSemver('newest', [
    ['1.0.0 1.0.0.1 1.0.0p 1.0.1 1.2.0 0.1.0', '1.0.1', undefined, undefined, { range: '1.0.x' }],
    ['v1.2.3 v1.0.0 v0.1.0', 'v1.0.0', undefined, undefined, { range: '1.0.x' }],
    ['b1.2.3 b1.0.0 b0.1.0', null, undefined, undefined, { range: '1.0.x' }],
    ['1.2.0', null, undefined, undefined, { range: '1.0.x' }],
  ]),
  ...fluxNumeric('newest', [
    ['1606234201 1606364286 1606334092 1606334284 1606334201', '1606364286'],
    ['73 72 15 16 29', '73'],
    ['47.40896403322944 24.71884721436865 53.47333823144817 3.2008658570411086', '53.47333823144817'],
    ['1', '1'],
    ['0 1a b', null, '1a', 'a word is no number'],
  ]),
  ...argoSemver('newest', [
    [ARGO_TAGS, '2.0.3'],
    [ARGO_TAGS, '1.1.2', undefined, undefined, { range: '^1.0' }],
    [ARGO_TAGS, '1.0.1', undefined, undefined, { range: '~1.0' }],
    ['0.1 0.5.1 0.9 2.0.3', null, undefined, undefined, { range: '~1.0' }],
    ['zz bb yy cc aa ll', null],
  ]),
  ...argoTag('ascending', [
    ['v2.0.2 v1.0 v2.0.0 v1.0.1 v2.0.3 v2.0', ['v1.0', 'v1.0.1', 'v2.0', 'v2.0.0', 'v2.0.2', 'v2.0.3']],
    ['wohoo bazar alpha jesus zebra', ['alpha', 'bazar', 'jesus', 'wohoo', 'zebra']],
  ]),
  ...argoCalver('ascending', [
    ['v2026-10-03 v2026-1-30 v2026-09-01', ['v2026-1-30', 'v2026-09-01', 'v2026-10-03']],
    ['v2026-01-30-10 v2026-01-30-2 v2026-01-30', ['v2026-01-30', 'v2026-01-30-2', 'v2026-01-30-10']],
    ['v2026-01-30-1 v2026-01-30-01', ['v2026-01-30-01', 'v2026-01-30-1']],
    ['v26.4.11 v26.10.1 v26.4.2', ['v26.4.2', 'v26.4.11', 'v26.10.1']],
    ['v2026-10 v2026-02 v2027-01', ['v2026-02', 'v2026-10', 'v2027-01']],
    ['26.03.1 25.01.2 26.11.1', ['25.01.2', '26.03.1', '26.11.1']],
    ['v2026-01-30-rc10 v2026-01-30-rc2 v2026-01-30-rc1', ['v2026-01-30-rc1', 'v2026-01-30-rc2', 'v2026-01-30-rc10']],
    ['v2026-01-30 v2026-01-30-rc1 v2026-01-30-alpha', ['v2026-01-30-alpha', 'v2026-01-30-rc1', 'v2026-01-30']],
  ]),
  ...argoCalver('ascending', [
    [
      'v03-10-2026 v30-01-2026 v01-09-2026',
      ['v30-01-2026', 'v01-09-2026', 'v03-10-2026'],
      ['v01-09-2026', 'v03-10-2026', 'v30-01-2026'],
      'a date begins with its year',
    ],
  ]),
  ...argoCalver('reads', [
    ['v2026-01-30', true],
    ['v2026-1-3', true],
    ['v2026-10-03', true],
    ['v26.4.11', true],
    ['v26.01.30', true],
    ['20260130', true],
    ['2026-01-30', true],
    ['release-2026-01-30', true],
    ['v2026-10', true],
    ['v2026', true],
    ['latest', false],
    ['v1.2.3', false],
    ['v206-01-30', false],
  ]),
  ...argoCalver('newest', [
    ['v2026.01.30 v2026.09.01 v2026.10.03', 'v2026.10.03'],
    ['v2026-1-30 v2026-09-01', 'v2026-09-01'],
    ['v2026-9-01 v2026-10-03 v2026-11-04 v2026-12-25', 'v2026-12-25'],
    ['v2026-01-30 v2026-01-30-2 v2026-01-30-10', 'v2026-01-30-10'],
    ['latest v2026-01-30 v1.2.3 v2026-02-01 v2026-02-01-rc1', 'v2026-02-01'],
    ['v2026-02-01-rc1 v2026-02-01-rc2 v2026-02-01', 'v2026-02-01'],
    ['v2026-02-01-rc2 v2026-02-01-rc10', 'v2026-02-01-rc10'],
    ['latest stable', null],
  ]),
  ...argoDayFirst('newest', [['v30-01-2026 v01-09-2026 v03-10-2026', 'v03-10-2026']]),
  ...keel('newer', [
    ['1.4.3 1.4.5', false],
    ['1.4.6 1.4.5', true],
    ['1.4.5 1.4.5', false],
    ['1.5.5 1.4.5', true],
    ['2.4.5 1.4.5', true],
    ['1.4.5-xx 1.4.5', false],
    ['v1.0.1-metadata v1.0.0', false],
    ['v1.0.1-metadata v1.0.0-metadata', true],
    ['1.4.6-xx 1.4.5-xx', true],
    ['1.4.6-yy 1.4.5-xx', false],
    ['3050 1.4.5', false, true, 'one number is a version'],
  ]),
  ...diun('ascending', [
    [
      'alpine-5.0 4.21.0 4.21 4.20.1 4.9.0 4.0.0 4 4.0.0-beta.1 3.0.0-beta.4 0.1.0 edge latest',
      [
        'latest',
        'edge',
        '0.1.0',
        '3.0.0-beta.4',
        '4.0.0-beta.1',
        '4',
        '4.0.0',
        '4.9.0',
        '4.20.1',
        '4.21',
        '4.21.0',
        'alpine-5.0',
      ],
      [
        '0.1.0',
        '3.0.0-beta.4',
        '4.0.0-beta.1',
        '4',
        '4.0.0',
        '4.9.0',
        '4.20.1',
        '4.21',
        '4.21.0',
        'alpine-5.0',
        'edge',
        'latest',
      ],
      'versions come first',
    ],
  ]),
];
