import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Digest, digestOf } from '../../../../domain/digest.js';
import {
  BUNDLE_MEDIA_TYPE,
  bundleAnnotations,
  bundleArtifact,
  type MissingAttestation,
  missingAttestations,
} from '../../../../domain/evidence/attestation.js';
import type { PlatformManifest, SbomFormat, SbomReferrer } from '../../../../domain/evidence/sbom.js';
import { digestFor } from '../../../support/durable-samples.js';

const TRANSFORM = 'https://houba.dev/predicate/transform/v1';
const PROVENANCE = 'https://slsa.dev/provenance/v1';
const SPDX = 'https://spdx.dev/Document';
const CYCLONEDX = 'https://cyclonedx.org/bom';
const PREFIX = 'io.houba';
const IDENTITY = { tag: '7', policy: 'redis', import: 'all', variant: 'default' };

const index = digestFor('index');
const amd64: PlatformManifest = { digest: digestFor('amd64'), platform: 'linux/amd64' };
const arm64: PlatformManifest = { digest: digestFor('arm64'), platform: 'linux/arm64' };
const single: PlatformManifest = { digest: index, platform: 'linux/amd64' };

type Referrers = Map<Digest, SbomReferrer[]>;

function attach(referrers: Referrers, target: Digest, referrer: SbomReferrer): void {
  referrers.set(target, [...(referrers.get(target) ?? []), referrer]);
}

function sign(
  referrers: Referrers,
  attestation: MissingAttestation,
  target: Digest,
  prefix = PREFIX,
  identity = IDENTITY,
): void {
  const annotations = bundleAnnotations(attestation, target, prefix, identity);
  attach(referrers, target, { artifactType: BUNDLE_MEDIA_TYPE, annotations });
}

const missing = (
  platforms: readonly PlatformManifest[],
  formats: readonly SbomFormat[],
  referrers: Referrers = new Map(),
  prefix = PREFIX,
) => missingAttestations(index, platforms, formats, referrers, prefix);

/** Type, platform and the manifests that lack it. */
const brief = (found: readonly MissingAttestation[]) =>
  found.map(({ predicateType, platform, lacking }) => [predicateType, platform?.platform ?? null, lacking]);

describe('what has to be signed', () => {
  it('of a single image is one statement of each kind, all on the image', () => {
    expect(brief(missing([single], ['spdx-json']))).toEqual([
      [TRANSFORM, null, [index]],
      [PROVENANCE, null, [index]],
      [SPDX, 'linux/amd64', [index]],
    ]);
  });

  it('of an index is about the index and every platform; an SBOM about its platform and the index', () => {
    expect(missing([amd64, arm64], ['spdx-json', 'cyclonedx-json'])).toMatchObject([
      { predicateType: TRANSFORM, subjects: [index, amd64.digest, arm64.digest], platform: null, format: null },
      { predicateType: PROVENANCE, subjects: [index, amd64.digest, arm64.digest], platform: null, format: null },
      { predicateType: SPDX, subjects: [amd64.digest, index], platform: amd64, format: 'spdx-json' },
      { predicateType: CYCLONEDX, subjects: [amd64.digest, index], platform: amd64, format: 'cyclonedx-json' },
      { predicateType: SPDX, subjects: [arm64.digest, index], platform: arm64, format: 'spdx-json' },
      { predicateType: CYCLONEDX, subjects: [arm64.digest, index], platform: arm64, format: 'cyclonedx-json' },
    ]);
  });

  it('of another artifact is where it comes from, and no inventory', () => {
    expect(brief(missing([], []))).toEqual([
      [TRANSFORM, null, [index]],
      [PROVENANCE, null, [index]],
    ]);
  });
});

describe('whatever failed half-way', () => {
  const platformLists = fc.constantFrom([single], [amd64], [amd64, arm64], []);
  const formatLists = fc.constantFrom<SbomFormat[]>([], ['spdx-json'], ['spdx-json', 'cyclonedx-json']);
  const prefixes = fc.constantFrom(PREFIX, 'com.example.images');
  const choices = fc.infiniteStream(fc.boolean());

  it('is what is missing, and nothing else', () => {
    fc.assert(
      fc.property(platformLists, formatLists, prefixes, choices, (platforms, formats, prefix, chosen) => {
        const referrers: Referrers = new Map();
        const left: [string, string | null, SbomFormat | null, Digest][] = [];
        for (const attestation of missing(platforms, formats, referrers, prefix)) {
          for (const target of attestation.lacking) {
            if (chosen.next().value) sign(referrers, attestation, target, prefix);
            else
              left.push([attestation.predicateType, attestation.platform?.digest ?? null, attestation.format, target]);
          }
        }
        const found = missing(platforms, formats, referrers, prefix).flatMap((attestation) =>
          attestation.lacking.map((target) => [
            attestation.predicateType,
            attestation.platform?.digest ?? null,
            attestation.format,
            target,
          ]),
        );
        expect(found).toEqual(left);
      }),
    );
  });

  it('is made good by one more run', () => {
    fc.assert(
      fc.property(
        platformLists,
        formatLists,
        fc.constantFrom(PREFIX, ''),
        choices,
        (platforms, formats, prefix, done) => {
          const referrers: Referrers = new Map();
          for (const attestation of missing(platforms, formats, referrers, prefix)) {
            for (const target of attestation.lacking)
              if (done.next().value) sign(referrers, attestation, target, prefix);
          }
          for (const attestation of missing(platforms, formats, referrers, prefix)) {
            for (const target of attestation.lacking) sign(referrers, attestation, target, prefix);
          }
          expect(missing(platforms, formats, referrers, prefix)).toEqual([]);
        },
      ),
    );
  });
});

describe('a bundle', () => {
  const signAll = (referrers: Referrers, platforms: readonly PlatformManifest[], formats: readonly SbomFormat[]) => {
    for (const attestation of missing(platforms, formats)) {
      for (const target of attestation.lacking) sign(referrers, attestation, target);
    }
  };

  it('of upstream does not count as ours, though it is of the same kind and on the same manifest', () => {
    const referrers: Referrers = new Map();
    attach(referrers, index, {
      artifactType: BUNDLE_MEDIA_TYPE,
      annotations: { 'dev.sigstore.bundle.content': 'dsse-envelope', 'dev.sigstore.bundle.predicateType': PROVENANCE },
    });
    expect(brief(missing([single], [], referrers))).toContainEqual([PROVENANCE, null, [index]]);
    expect(brief(missing([single], [], referrers, ''))).not.toContainEqual([PROVENANCE, null, [index]]);
  });

  it('counts only as the artifact it says to be', () => {
    const referrers: Referrers = new Map();
    for (const attestation of missing([single], [])) {
      const annotations = bundleAnnotations(attestation, index, PREFIX, IDENTITY);
      attach(referrers, index, { artifactType: 'application/spdx+json', annotations });
    }
    expect(missing([single], [], referrers)).toHaveLength(2);
  });

  it('on a platform that another index shares says nothing about this one, but for the inventory', () => {
    const referrers: Referrers = new Map();
    signAll(referrers, [amd64, arm64], ['spdx-json']);
    const other = digestFor('another index');
    expect(brief(missingAttestations(other, [amd64], ['spdx-json'], referrers, PREFIX))).toEqual([
      [TRANSFORM, null, [other, amd64.digest]],
      [PROVENANCE, null, [other, amd64.digest]],
      [SPDX, 'linux/amd64', [other]],
    ]);
  });

  it('of one of two platforms of the same name does not stand for the other', () => {
    const twin = { digest: digestFor('twin'), platform: amd64.platform };
    const referrers: Referrers = new Map();
    signAll(referrers, [amd64], ['spdx-json']);
    expect(brief(missing([amd64, twin], ['spdx-json'], referrers)).at(-1)).toEqual([
      SPDX,
      'linux/amd64',
      [twin.digest, index],
    ]);
  });

  it('made for another tag or policy counts for a survey, but not for whoever asks for his own', () => {
    const referrers: Referrers = new Map();
    signAll(referrers, [single], ['spdx-json']);
    const asking = (identity: typeof IDENTITY) =>
      brief(missingAttestations(index, [single], ['spdx-json'], referrers, PREFIX, identity));
    expect(missing([single], ['spdx-json'], referrers)).toEqual([]);
    expect(asking(IDENTITY)).toEqual([]);
    for (const other of [{ tag: '7.2' }, { policy: 'cache' }, { import: 'lts' }, { variant: 'eu' }]) {
      expect(asking({ ...IDENTITY, ...other })).toEqual([
        [TRANSFORM, null, [index]],
        [PROVENANCE, null, [index]],
      ]);
    }
  });

  it('says what it is to cosign, and under our prefix to us', () => {
    const [transform, , sbom] = missing([amd64], ['spdx-json']) as [MissingAttestation, unknown, MissingAttestation];
    expect(bundleAnnotations(transform, index, PREFIX, IDENTITY)).toEqual({
      'dev.sigstore.bundle.content': 'dsse-envelope',
      'dev.sigstore.bundle.predicateType': TRANSFORM,
      'io.houba.operation': expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      'io.houba.tag': '7',
      'io.houba.policy': 'redis',
      'io.houba.import': 'all',
      'io.houba.variant': 'default',
    });
    expect(bundleAnnotations(sbom, index, PREFIX, IDENTITY)).toEqual({
      'dev.sigstore.bundle.content': 'dsse-envelope',
      'dev.sigstore.bundle.predicateType': SPDX,
      'io.houba.operation': expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      'io.houba.sbom.platform': 'linux/amd64',
      'io.houba.sbom.format': 'spdx-json',
    });
    expect(Object.keys(bundleAnnotations(sbom, index, '', IDENTITY))).toEqual([
      'dev.sigstore.bundle.content',
      'dev.sigstore.bundle.predicateType',
    ]);
  });
});

describe('the artifact of a bundle', () => {
  const bytes = new TextEncoder().encode('{}');

  it('names its blob beside what it was given, and nothing without a prefix', () => {
    const { annotations, artifactType, file } = bundleArtifact(bytes, { a: 'b' }, PREFIX);
    expect(annotations).toEqual({ a: 'b', 'io.houba.bundle': digestOf(bytes) });
    expect(file).toEqual({ bytes, mediaType: artifactType });
    expect(bundleArtifact(bytes, { a: 'b' }, '').annotations).toEqual({ a: 'b' });
  });

  it('is not looked for by its blob: what an earlier version has signed stays signed', () => {
    const [attestation] = missingAttestations(index, [], [], new Map(), PREFIX, IDENTITY);
    expect(Object.keys(bundleAnnotations(attestation as never, index, PREFIX, IDENTITY))).not.toContain(
      'io.houba.bundle',
    );
  });
});
