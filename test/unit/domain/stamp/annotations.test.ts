import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Digest, digestOf } from '../../../../domain/digest.js';
import {
  readStamp,
  readStampBeside,
  type Stamp,
  stampAnnotations,
  stampsBeside,
} from '../../../../domain/stamp/annotations.js';
import { STAMP_ARTIFACT_TYPE } from '../../../../domain/stamp/keys.js';
import { stampManifest } from '../../../../domain/stamp/manifest.js';

const BASE = `sha256:${'a'.repeat(64)}` as Digest;
const stamp: Stamp = {
  source: { host: 'docker.io', path: 'library/redis' },
  sourceTag: '7.2.1',
  baseDigest: BASE,
  revision: '9fceb02',
  created: '2026-06-11T12:00:00+00:00',
  artifactType: 'image',
  policy: 'redis',
  import: 'v7',
  variant: 'standard',
  owners: ['group:default/payments', 'group:default/data'],
  vendor: 'ACME Platform',
  transformSteps: [],
  transformVersion: null,
  platforms: null,
  supersedes: null,
  upstreamVerified: null,
};
const copied = {
  'org.opencontainers.image.title': 'redis',
  'org.opencontainers.image.source': 'docker.io/library/redis',
  'org.opencontainers.image.base.name': 'docker.io/library/redis:7.2.1',
  'org.opencontainers.image.base.digest': BASE,
  'org.opencontainers.image.created': '2026-06-11T12:00:00+00:00',
  'org.opencontainers.image.vendor': 'ACME Platform',
};
const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const decode = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));

describe('stampAnnotations', () => {
  it('writes every key of a copy (section 6)', () => {
    expect(stampAnnotations(stamp, 'io.houba')).toEqual({
      ...copied,
      'org.opencontainers.image.revision': '9fceb02',
      'io.houba.artifact.type': 'image',
      'io.houba.policy': 'redis',
      'io.houba.import': 'v7',
      'io.houba.variant': 'standard',
      'io.houba.owners': 'group:default/payments,group:default/data',
    });
  });

  it('leaves the OCI keys alone with an empty prefix', () => {
    expect(stampAnnotations({ ...stamp, revision: null }, '')).toEqual(copied);
  });

  it('names the steps and version of a rebuild, its platforms, what it supersedes and who promoted it', () => {
    const rebuilt = {
      ...stamp,
      transformSteps: ['injectCA', 'setTimezone'],
      transformVersion: 'sha256:tv',
      platforms: ['linux/amd64', 'linux/arm64'],
      supersedes: BASE,
      upstreamVerified: 'sha256:key',
      promoted: { by: 'bob', reason: 'fixes a leak' },
    };
    expect(stampAnnotations(rebuilt, 'x')).toMatchObject({
      'x.transform.steps': 'injectCA,setTimezone',
      'x.transform.version': 'sha256:tv',
      'x.platforms': 'linux/amd64,linux/arm64',
      'x.supersedes': BASE,
      'x.upstream.verified': 'sha256:key',
      'x.promoted.by': 'bob',
      'x.promoted.reason': 'fixes a leak',
    });
    expect(readStamp(stampAnnotations(rebuilt, 'x'), 'x')).toMatchObject({
      transformSteps: 'injectCA,setTimezone',
      transformVersion: 'sha256:tv',
      platforms: 'linux/amd64,linux/arm64',
      supersedes: BASE,
      upstreamVerified: 'sha256:key',
      promoted: { by: 'bob', reason: 'fixes a leak' },
      stampTo: 'annotations',
    });
  });

  it('omits what nobody declared', () => {
    const keys = Object.keys(stampAnnotations({ ...stamp, revision: null, vendor: null, owners: [] }, 'io.houba'));
    expect(keys.filter((key) => /revision|vendor|owners|supersedes|transform/.test(key))).toEqual([]);
  });
});

describe('readStamp', () => {
  it('reads back what was written', () => {
    expect(readStamp(stampAnnotations(stamp, 'io.houba'), 'io.houba')).toMatchObject({
      baseDigest: BASE,
      policy: 'redis',
      import: 'v7',
      variant: 'standard',
      owners: 'group:default/payments,group:default/data',
      vendor: 'ACME Platform',
      revision: '9fceb02',
    });
  });

  it.each([
    ['nothing at all', {}, 'io.houba'],
    ['upstream’s own base digest (L5)', { 'org.opencontainers.image.base.digest': BASE }, 'io.houba'],
    ['a policy without a base digest', { 'io.houba.policy': 'redis' }, 'io.houba'],
    [
      'a malformed base digest',
      { 'io.houba.policy': 'r', 'org.opencontainers.image.base.digest': 'sha256:x' },
      'io.houba',
    ],
  ])('does not take %s for a stamp', (_what, annotations, prefix) => {
    expect(readStamp(annotations as Record<string, string>, prefix)).toBeNull();
  });

  it('knows its own by the base digest when the prefix is empty', () => {
    expect(readStamp({ 'org.opencontainers.image.base.digest': BASE }, '')).toMatchObject({
      policy: null,
      baseDigest: BASE,
    });
  });
});

describe('a stamp beside an image', () => {
  const OLD = `sha256:${'1'.repeat(64)}` as Digest;
  const NEW = `sha256:${'2'.repeat(64)}` as Digest;
  const beside = (digest: Digest, tag: string, facts: Partial<Stamp> = {}) => ({
    digest,
    artifactType: STAMP_ARTIFACT_TYPE,
    annotations: { ...stampAnnotations({ ...stamp, ...facts }, 'io.houba'), 'io.houba.tag': tag },
  });

  it('is that of the tag it names: an alias of the same image has none', () => {
    const referrers = [beside(OLD, '7.2.1', { vendor: 'one' }), beside(NEW, '7.2.1-eu', { vendor: 'two' })];
    expect(readStampBeside(referrers, '7.2.1-eu', 'io.houba')).toMatchObject({ vendor: 'two', stampTo: 'referrer' });
    expect(readStampBeside(referrers, '7.2', 'io.houba')).toBeNull();
    expect(stampsBeside(referrers, 'io.houba').map(({ tag }) => tag)).toEqual(['7.2.1', '7.2.1-eu']);
  });

  it('is the youngest of several', () => {
    const young = beside(OLD, '7', { vendor: 'young', created: '2026-06-12T12:00:00+00:00' });
    const referrers = [young, beside(NEW, '7', { vendor: 'old' })];
    expect(readStampBeside(referrers, '7', 'io.houba')).toMatchObject({ vendor: 'young' });
  });

  it.each([
    ['of another type', { artifactType: 'application/spdx+json' }, 'io.houba'],
    ['that names no tag', { annotations: stampAnnotations(stamp, 'io.houba') }, 'io.houba'],
    ['without a policy', { annotations: { 'io.houba.tag': '7' } }, 'io.houba'],
    ['under another prefix', {}, 'io.other'],
    ['without a prefix, where none is ever written', {}, ''],
  ])('is not a referrer %s', (_, facts, prefix) => {
    expect(readStampBeside([{ ...beside(NEW, '7'), ...facts }], '7', prefix)).toBeNull();
  });
});

describe('stampManifest', () => {
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
    config: { mediaType: 'application/vnd.docker.container.image.v1+json', digest: BASE, size: 2 },
    layers: [{ mediaType: 'application/vnd.docker.image.rootfs.diff.tar.gzip', digest: BASE, size: 3 }],
  };

  it('turns a schema-2 manifest into an OCI one by media type only', () => {
    const stamped = stampManifest(encode(manifest), manifest.mediaType, { k: 'v' }, 'io.houba');
    expect(stamped.mediaType).toBe('application/vnd.oci.image.manifest.v1+json');
    expect(decode(stamped.bytes)).toEqual({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: BASE, size: 2 },
      layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: BASE, size: 3 }],
      annotations: { k: 'v' },
    });
    expect(stamped.digest).toBe(digestOf(stamped.bytes));
  });

  it('touches no child of an index, not even a schema-2 one (L23)', () => {
    const child = { mediaType: 'application/vnd.docker.distribution.manifest.v2+json', digest: BASE, size: 5 };
    const index = { schemaVersion: 2, manifests: [child] };
    const type = 'application/vnd.docker.distribution.manifest.list.v2+json';
    const stamped = stampManifest(encode(index), type, { k: 'v' }, 'io.houba');
    expect(decode(stamped.bytes)).toEqual({
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.index.v1+json',
      manifests: [child],
      annotations: { k: 'v' },
    });
  });

  it('keeps upstream’s annotations, and lets nobody forge a stamp', () => {
    const annotations = {
      'org.opencontainers.image.version': '7.2.1',
      'org.opencontainers.image.vendor': 'Upstream',
      'io.houba.policy': 'forged',
      'io.houba.promoted.by': 'mallory',
    };
    const stamped = stampManifest(
      encode({ ...manifest, annotations }),
      manifest.mediaType,
      { 'io.houba.policy': 'redis' },
      'io.houba',
    );
    expect(decode(stamped.bytes).annotations).toEqual({
      'org.opencontainers.image.version': '7.2.1',
      'io.houba.policy': 'redis',
    });
  });

  it('gives the same digest for the same input, and another for another', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.string()), fc.string(), (upstream, value) => {
        const bytes = encode({ ...manifest, annotations: upstream });
        const once = stampManifest(bytes, manifest.mediaType, { value }, 'io.houba');
        expect(stampManifest(bytes, manifest.mediaType, { value }, 'io.houba').digest).toBe(once.digest);
        expect(stampManifest(bytes, manifest.mediaType, { value: `${value}!` }, 'io.houba').digest).not.toBe(
          once.digest,
        );
      }),
    );
  });

  it.each([
    ['text', 'not json'],
    ['a list', '[]'],
    ['null', 'null'],
  ])('refuses %s', (_what, text) => {
    expect(() => stampManifest(new TextEncoder().encode(text), manifest.mediaType, {}, 'x')).toThrow(/JSON/);
  });
});
