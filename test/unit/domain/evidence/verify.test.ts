import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import { TRANSFORM_PREDICATE_TYPE } from '../../../../domain/evidence/predicates.js';
import { BUILD_TYPE } from '../../../../domain/evidence/provenance.js';
import {
  attestationTypes,
  type CheckedAttestation,
  type Expectations,
  type FoundEvidence,
  judgeEvidence,
  REQUIREMENTS,
  type Requirement,
} from '../../../../domain/evidence/verify.js';

const REFERRER = `sha256:${'a'.repeat(64)}` as Digest;
const SCAN = 'https://houba.dev/predicate/scan/v1';
const SLSA = 'https://slsa.dev/provenance/v1';
const SPDX = 'https://spdx.dev/Document';
const CYCLONEDX = 'https://cyclonedx.org/bom';
const DAY = 86_400_000;

const NOTHING: FoundEvidence = { manifest: { annotations: {} }, referrers: [], attestations: [] };
const EXPECTED: Expectations = {
  prefix: 'io.houba',
  tag: '7',
  builderId: '',
  maxSeverity: null,
  maxAgeMs: null,
  now: Date.parse('2026-03-09T00:00:00Z'),
};

function judge(requirement: Requirement, found: Partial<FoundEvidence>, expected: Partial<Expectations> = {}) {
  const [outcome, ...others] = judgeEvidence([requirement], { ...NOTHING, ...found }, { ...EXPECTED, ...expected });
  expect(others).toEqual([]);
  expect(outcome?.requirement).toBe(requirement);
  return { passed: outcome?.passed, detail: outcome?.detail ?? '' };
}

function checked(predicateType: string, predicate?: unknown, reason: string | null = null): CheckedAttestation {
  const annotations = { 'io.houba.sbom.format': 'spdx-json' };
  return { predicateType, referrer: REFERRER, annotations, reason, predicate };
}

describe('outcomes', () => {
  it('come in one order, once for each requirement, however they are asked for', () => {
    const asked = [...REQUIREMENTS].reverse();
    const outcomes = judgeEvidence([...asked, 'stamp'], NOTHING, EXPECTED);
    expect(outcomes.map(({ requirement }) => requirement)).toEqual(REQUIREMENTS);
  });

  it('are all failed for an image with nothing', () => {
    expect(judgeEvidence(REQUIREMENTS, NOTHING, EXPECTED).filter(({ passed }) => passed)).toEqual([]);
  });

  it('of stamp and SBOM need no signature', () => {
    expect(REQUIREMENTS.filter((requirement) => attestationTypes(requirement).length === 0)).toEqual(['stamp', 'sbom']);
  });
});

describe('the stamp', () => {
  const STAMP = {
    'org.opencontainers.image.base.digest': REFERRER,
    'io.houba.artifact.type': 'image',
    'io.houba.policy': 'redis',
    'io.houba.import': 'all',
  };
  const beside = (tag: string, annotations: Record<string, string> = STAMP) => ({
    digest: REFERRER,
    artifactType: 'application/vnd.houba.stamp.v1+json',
    annotations: { ...annotations, 'io.houba.tag': tag },
  });

  it('on the manifest passes and says whose it is', () => {
    expect(judge('stamp', { manifest: { annotations: STAMP } })).toEqual({
      passed: true,
      detail: 'policy redis, import all, variant -',
    });
  });

  it.each<[string, string[], string | null, string]>([
    ['for its tag', ['8', '7', '6'], '7', '(beside the image)'],
    ['for an alias, which shows what another tag shows', ['7.1'], '7', '(beside the image, of the tag 7.1)'],
    ['for the image named by its digest', ['8'], null, '(beside the image, of the tag 8)'],
  ])('beside the image passes %s', (_, tags, tag, detail) => {
    const outcome = judge('stamp', { referrers: tags.map((one) => beside(one)) }, { tag });
    expect(outcome).toEqual({ passed: true, detail: `policy redis, import all, variant - ${detail}` });
  });

  const { 'io.houba.policy': _, ...NO_POLICY } = STAMP;
  const { 'org.opencontainers.image.base.digest': __, ...NO_BASE } = STAMP;
  it.each<[string, Partial<FoundEvidence>, Partial<Expectations>, RegExp]>([
    ['another artifact type', { referrers: [{ ...beside('7'), artifactType: 'text/plain' }] }, {}, /no stamp of io/],
    ['an artifact without a stamp', { referrers: [beside('7', {})] }, {}, /no stamp of io\.houba/],
    ['no policy', { manifest: { annotations: NO_POLICY } }, {}, /no stamp of io\.houba/],
    ['no base digest', { manifest: { annotations: NO_BASE } }, {}, /no stamp of io\.houba/],
    ['another prefix', { manifest: { annotations: STAMP } }, { prefix: 'org.acme' }, /no stamp of org\.acme/],
    ['no prefix at all', { manifest: { annotations: STAMP } }, { prefix: '' }, /HOUBA_LABEL_PREFIX/],
    ['a manifest that cannot be read', { manifest: { unusable: 'unusable manifest' } }, {}, /unusable manifest/],
  ])('of %s does not', (_, found, expected, reason) => {
    const { passed, detail } = judge('stamp', found, expected);
    expect(passed).toBe(false);
    expect(detail).toMatch(reason);
  });
});

describe('the SBOM', () => {
  it.each([
    ['application/spdx+json', 'spdx-json'],
    ['application/vnd.cyclonedx+json', 'cyclonedx-json'],
  ])('of type %s passes', (artifactType, detail) => {
    expect(judge('sbom', { referrers: [{ digest: REFERRER, artifactType, annotations: {} }] })).toEqual({
      passed: true,
      detail,
    });
  });

  it('is not just any referrer', () => {
    expect(
      judge('sbom', { referrers: [{ digest: REFERRER, artifactType: 'application/json', annotations: {} }] }).passed,
    ).toBe(false);
  });
});

describe('the signature', () => {
  it('passes when the transform and every SBOM attestation verify', () => {
    const attestations = [checked(TRANSFORM_PREDICATE_TYPE), checked(SPDX), checked(CYCLONEDX)];
    expect(judge('signature', { attestations })).toMatchObject({
      passed: true,
      detail: expect.stringContaining('2 of 2 SBOM'),
    });
  });

  it('passes with an older one beside it that does not verify', () => {
    const attestations = [checked(TRANSFORM_PREDICATE_TYPE, null, 'by another key'), checked(TRANSFORM_PREDICATE_TYPE)];
    expect(judge('signature', { attestations }).passed).toBe(true);
  });

  it("passes beside upstream's own SBOM attestation, of an image that keeps its digest", () => {
    const upstream = { ...checked(SPDX, null, 'by another key'), annotations: {} };
    const attestations = [checked(TRANSFORM_PREDICATE_TYPE), upstream];
    expect(judge('signature', { attestations })).toMatchObject({
      passed: true,
      detail: expect.stringContaining('0 of 0 SBOM'),
    });
    expect(judge('signature', { attestations }, { prefix: '' }).passed).toBe(false);
  });

  it.each<[string, CheckedAttestation[], RegExp]>([
    ['there is only an SBOM attestation', [checked(SPDX)], /no transform attestation/],
    ['it is by another key', [checked(TRANSFORM_PREDICATE_TYPE, null, 'by another key')], /verifies: .*by another key/],
    [
      'one SBOM attestation does not verify',
      [checked(TRANSFORM_PREDICATE_TYPE), checked(SPDX), checked(CYCLONEDX, null, 'by another key')],
      /1 of 2 SBOM attestations: https:\/\/cyclonedx\.org\/bom \(sha256:a+\): by another key/,
    ],
  ])('fails when %s', (_, attestations, reason) => {
    const { passed, detail } = judge('signature', { attestations });
    expect(passed).toBe(false);
    expect(detail).toMatch(reason);
  });
});

describe('the provenance', () => {
  const slsa = (buildType: string, id: string) => ({ buildDefinition: { buildType }, runDetails: { builder: { id } } });

  it.each([
    ['any builder', '', 'https://a.example'],
    ['the builder that is named', 'https://a.example', 'https://a.example'],
  ])('passes for %s', (_, builderId, id) => {
    const attestations = [checked(SLSA, slsa('https://other.example', id)), checked(SLSA, slsa(BUILD_TYPE, id))];
    expect(judge('provenance', { attestations }, { builderId })).toEqual({ passed: true, detail: `built by ${id}` });
  });

  it.each<[string, CheckedAttestation[], RegExp]>([
    ['there is none', [], /no provenance attestation/],
    ['it does not verify', [checked(SLSA, null, 'by another key')], /verifies: .*by another key/],
    ['its buildType is not ours', [checked(SLSA, slsa('https://other.example', 'b'))], /buildType is "https:\/\/other/],
    ['its builder is another', [checked(SLSA, slsa(BUILD_TYPE, 'b'))], /builder is "b", not "https:\/\/a\.example"/],
    ['it is something else', [checked(SLSA, { buildType: BUILD_TYPE })], /no SLSA v1 provenance/],
  ])('fails when %s', (_, attestations, reason) => {
    const { passed, detail } = judge('provenance', { attestations }, { builderId: 'https://a.example' });
    expect(passed).toBe(false);
    expect(detail).toMatch(reason);
  });
});

describe('the scan', () => {
  const CLEAN = { 'vuln.critical': '0', 'vuln.high': '0', 'vuln.medium': '0', 'vuln.low': '0', 'vuln.unknown': '0' };
  const scan = (at: string, summary: Record<string, unknown> = {}) => ({
    scanner: { name: 'grype', version: '1' },
    format: 'sarif',
    attested_at: at,
    summary: { ...CLEAN, ...summary },
  });
  const of = (...predicates: unknown[]) => ({ attestations: predicates.map((predicate) => checked(SCAN, predicate)) });

  it.each([
    ['2026-03-08T00:00:00Z', '2026-03-08T00:00:00.000Z'],
    ['2026-03-08T01:00:00+01:00', '2026-03-08T00:00:00.000Z'],
    ['2026-03-08T00:00:00.204518+00:00', '2026-03-08T00:00:00.204Z'],
    ['2026-03-08T00:00:00', '2026-03-08T00:00:00.000Z'],
  ])('of %s passes; without a zone it is UTC', (at, shown) => {
    expect(judge('scan-pass', of(scan(at)))).toEqual({ passed: true, detail: `grype, ${shown}` });
  });

  it.each<[string, unknown, string]>([
    ['an empty time', scan(''), 'no time'],
    ['a date alone', scan('2026-03-08'), 'no time'],
    ['words', scan('yesterday'), 'no time'],
    ['a month that does not exist', scan('2026-13-08T00:00:00Z'), 'no time'],
    ['no time at all', { summary: {} }, 'documented shape'],
    ['no counts', { attested_at: '2026-03-08T00:00:00Z' }, 'documented shape'],
    ['counts that are no texts', scan('2026-03-08T00:00:00Z', { 'vuln.high': 3 }), 'documented shape'],
    ['nothing', null, 'documented shape'],
  ])('with %s fails, also beside a good one', (_, predicate, reason) => {
    const { passed, detail } = judge('scan-pass', of(scan('2026-03-08T00:00:00Z'), predicate));
    expect(passed).toBe(false);
    expect(detail).toContain(reason);
  });

  it('that nobody signed is never believed', () => {
    const attestations = [checked(SCAN, scan('2026-03-08T00:00:00Z'), 'by another key')];
    expect(judge('scan-pass', { attestations }).detail).toContain('by another key');
    const annotated = {
      digest: REFERRER,
      artifactType: 'application/vnd.houba.scan.result.v1',
      annotations: { 'io.houba.scan.vuln.high': '0' },
    };
    expect(judge('scan-pass', { referrers: [annotated] }).detail).toBe('there is no scan attestation');
  });

  // Breached when any bucket at or above the limit counts; `unknown` only for low and unknown.
  it.each<[Expectations['maxSeverity'], string, boolean]>([
    [null, 'vuln.critical', true],
    ['critical', 'vuln.critical', false],
    ['critical', 'vuln.high', true],
    ['high', 'vuln.critical', false],
    ['high', 'vuln.high', false],
    ['high', 'vuln.medium', true],
    ['high', 'vuln.unknown', true],
    ['medium', 'vuln.medium', false],
    ['medium', 'vuln.low', true],
    ['medium', 'vuln.unknown', true],
    ['low', 'vuln.low', false],
    ['low', 'vuln.unknown', false],
    ['unknown', 'vuln.unknown', false],
    ['unknown', 'vuln.critical', false],
    ['unknown', 'policy.critical', true],
  ])('with the limit %s and one %s passes: %s', (maxSeverity, bucket, passes) => {
    const found = of(scan('2026-03-08T00:00:00Z', { [bucket]: '1' }));
    expect(judge('scan-pass', found, { maxSeverity }).passed).toBe(passes);
  });

  it.each([
    ['missing', { attested_at: '2026-03-08T00:00:00Z', summary: { 'vuln.critical': '0' } }],
    ['no number', scan('2026-03-08T00:00:00Z', { 'vuln.high': 'few' })],
    ['negative', scan('2026-03-08T00:00:00Z', { 'vuln.high': '-1' })],
  ])('with a count that is %s cannot pass a limit', (_, predicate) => {
    const { passed, detail } = judge('scan-pass', of(predicate), { maxSeverity: 'high' });
    expect(passed).toBe(false);
    expect(detail).toContain('how many are high');
  });

  it('that is freshest decides, wherever it stands', () => {
    const found = of(scan('2026-03-01T00:00:00Z', { 'vuln.critical': '5' }), scan('2026-03-08T00:00:00Z'));
    expect(judge('scan-pass', found, { maxSeverity: 'low' }).passed).toBe(true);
    const reversed = { attestations: [...found.attestations].reverse() };
    expect(judge('scan-pass', reversed, { maxSeverity: 'low' }).passed).toBe(true);
  });

  it('may be exactly as old as allowed, and no older', () => {
    const found = of(scan('2026-03-08T00:00:00Z'));
    expect(judge('scan-pass', found, { maxAgeMs: DAY }).passed).toBe(true);
    const { passed, detail } = judge('scan-pass', found, { maxAgeMs: DAY - 1000 });
    expect(passed).toBe(false);
    expect(detail).toContain('1d old');
  });

  it('fails by its findings first, then by its age', () => {
    const found = of(scan('2026-03-01T00:00:00Z', { 'vuln.critical': '2', 'vuln.high': '1' }));
    const { detail } = judge('scan-pass', found, { maxSeverity: 'high', maxAgeMs: DAY });
    expect(detail).toBe('grype, 2026-03-01T00:00:00.000Z: critical=2 high=1, at or above high');
  });
});
