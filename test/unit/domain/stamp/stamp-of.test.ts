import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import { type Stamp, stampAnnotations } from '../../../../domain/stamp/annotations.js';
import { STAMP_ARTIFACT_TYPE } from '../../../../domain/stamp/keys.js';
import { type StampReferrer, stampBeside, stampOf, stampsBeside } from '../../../../domain/stamp/stamp-of.js';

const BASE = `sha256:${'a'.repeat(64)}` as Digest;
const OLD = '2026-06-11T12:00:00+00:00';
const NEW = '2026-06-12T12:00:00+00:00';
const PREFIX = 'io.houba';

const stamp: Stamp = {
  source: { host: 'docker.io', path: 'library/redis' },
  sourceTag: '7.2.1',
  baseDigest: BASE,
  revision: null,
  created: OLD,
  artifactType: 'image',
  policy: 'redis',
  import: 'v7',
  variant: 'standard',
  owners: [],
  vendor: null,
  transformSteps: [],
  transformVersion: null,
  platforms: null,
  supersedes: null,
  upstreamVerified: null,
};

/** A manifest with a stamp of this vendor; null: without one. */
const manifest = (vendor: string | null) => ({
  annotations: vendor === null ? {} : stampAnnotations({ ...stamp, vendor }, PREFIX),
});

/** A stamp beside it. @param hex of its own digest, by which ties are broken. @param created null: it does not say */
function beside(tag: string, vendor: string, created: string | null = OLD, hex = '1'): StampReferrer {
  const written = stampAnnotations({ ...stamp, vendor, created: created ?? '' }, PREFIX);
  const { 'org.opencontainers.image.created': time, ...timeless } = written;
  return {
    digest: `sha256:${hex.repeat(64)}` as Digest,
    artifactType: STAMP_ARTIFACT_TYPE,
    annotations: { ...(created === null ? timeless : written), 'io.houba.tag': tag },
  };
}

interface Case {
  readonly on?: string;
  readonly beside?: readonly StampReferrer[];
  readonly tag?: string | null;
  readonly prefix?: string;
  /** The vendor of the stamp that counts. */
  readonly counts: string | null;
}

describe('the stamp of a tag', () => {
  it.each<[string, Case]>([
    ['is the one on the manifest', { on: 'manifest', counts: 'manifest' }],
    [
      'is the one on the manifest, whatever is beside it',
      { on: 'manifest', beside: [beside('7', 'own', NEW)], counts: 'manifest' },
    ],
    ['is the one beside the image that names it', { beside: [beside('7', 'own')], counts: 'own' }],
    ['is none of another tag: an alias has none', { beside: [beside('7.2', 'other')], counts: null }],
    ['is its own, though that of another tag is younger', mixed('7', 'own')],
    ['is the youngest of several', { beside: [beside('7', 'new', NEW), beside('7', 'old')], counts: 'new' }],
    [
      'is that of the higher digest of two equally old ones',
      { beside: [beside('7', 'high', OLD, 'f'), beside('7', 'low', OLD, '0')], counts: 'high' },
    ],
    [
      'is the one that does not say when it was made',
      { beside: [beside('7', 'timeless', null, '0'), beside('7', 'new', NEW, 'f')], counts: 'timeless' },
    ],
    ['is none where there is nothing', { counts: null }],
    ['is on the manifest alone with an empty prefix', { on: 'manifest', prefix: '', counts: 'manifest' }],
    ['is never beside the image with an empty prefix', { beside: [beside('7', 'own')], prefix: '', counts: null }],
    [
      'is none under another prefix',
      { on: 'manifest', beside: [beside('7', 'own')], prefix: 'io.other', counts: null },
    ],
    [
      'of a digest alone is the one on the manifest',
      { on: 'manifest', beside: [beside('7', 'own')], tag: null, counts: 'manifest' },
    ],
    ['of a digest alone is the youngest of any tag', mixed(null, 'other')],
    [
      'of a digest alone is that of the higher digest of two equally old ones',
      { beside: [beside('8', 'high', OLD, 'f'), beside('7', 'low', OLD, '0')], tag: null, counts: 'high' },
    ],
    ['of a digest alone is none where there is nothing', { tag: null, counts: null }],
  ])('%s', (_rule, { on, beside: referrers = [], tag = '7', prefix = PREFIX, counts }) => {
    const found = stampOf(manifest(on ?? null), referrers, tag, prefix);
    expect(found?.vendor ?? null).toBe(counts);
    expect(found?.stampTo).toBe(counts === null ? undefined : counts === on ? 'annotations' : 'referrer');
  });

  function mixed(tag: string | null, counts: string): Case {
    return { beside: [beside('7', 'own', OLD), beside('7.2', 'other', NEW)], tag, counts };
  }

  it('does not depend on the order in which a registry lists the referrers', () => {
    const all = ['0', '5', 'a', 'f'].map((hex, at) => beside('7', hex, at % 2 === 0 ? OLD : NEW, hex));
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), (shuffled) => {
        expect(stampOf(manifest(null), shuffled, '7', PREFIX)?.vendor).toBe('f');
      }),
    );
  });
});

describe('a stamp beside an image', () => {
  const YOUNG = beside('7.2.1-eu', 'two', OLD, '2');

  it('is that of the tag it names: an alias of the same image has none', () => {
    const referrers = [beside('7.2.1', 'one'), YOUNG];
    expect(stampBeside(referrers, '7.2.1-eu', PREFIX)).toMatchObject({
      ...{ tag: '7.2.1-eu', referrer: { digest: YOUNG.digest } },
      stamp: { vendor: 'two', stampTo: 'referrer' },
    });
    expect(stampBeside(referrers, '7.2', PREFIX)).toBeNull();
    expect(stampsBeside(referrers, PREFIX).map(({ tag }) => tag)).toEqual(['7.2.1', '7.2.1-eu']);
  });

  it('is the youngest of several', () => {
    const referrers = [beside('7', 'young', NEW), beside('7', 'old', OLD, '2')];
    expect(stampBeside(referrers, '7', PREFIX)).toMatchObject({ stamp: { vendor: 'young' } });
  });

  it.each([
    ['of another type', { artifactType: 'application/spdx+json' }, PREFIX],
    ['that names no tag', { annotations: stampAnnotations(stamp, PREFIX) }, PREFIX],
    ['without a policy', { annotations: { 'io.houba.tag': '7' } }, PREFIX],
    ['under another prefix', {}, 'io.other'],
    ['without a prefix, where none is ever written', {}, ''],
  ])('is not a referrer %s', (_, facts, prefix) => {
    expect(stampBeside([{ ...beside('7', 'own'), ...facts }], '7', prefix)).toBeNull();
  });
});
