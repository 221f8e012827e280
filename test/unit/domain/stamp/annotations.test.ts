import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Digest, digestOf } from '../../../../domain/digest.js';
import { readStamp, type Stamp, stampAnnotations } from '../../../../domain/stamp/annotations.js';
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
  it('writes every key of a copy', () => {
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
    ['upstream’s own base digest', { 'org.opencontainers.image.base.digest': BASE }, 'io.houba'],
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

  it('touches no child of an index, not even a schema-2 one', () => {
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
