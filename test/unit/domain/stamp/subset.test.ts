import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import { type ParsedIndex, parseManifest } from '../../../../domain/manifest.js';
import { isPlatform, platformText } from '../../../../domain/platform.js';
import { requirePlatforms, subsetIndex } from '../../../../domain/stamp/subset.js';

const TYPE = 'application/vnd.oci.image.index.v1+json';
const NAME = 'docker.io/library/redis@sha256:1';

const child = (fill: string, platform?: object) => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest: `sha256:${fill.repeat(64)}` as Digest,
  size: 5,
  ...(platform && { platform }),
});
const amd64 = child('a', { os: 'linux', architecture: 'amd64', 'os.features': ['x'] });
const arm64 = { ...child('b', { os: 'linux', architecture: 'arm64', variant: 'v8' }), annotations: { of: 'upstream' } };
const attestation = child('c', { os: 'unknown', architecture: 'unknown' });
const nested = child('d');
const document = {
  schemaVersion: 2,
  mediaType: TYPE,
  manifests: [amd64, arm64, attestation, nested],
  annotations: { k: 'v' },
};

function subset(...platforms: string[]) {
  const bytes = new TextEncoder().encode(JSON.stringify(document, null, 2));
  const { bytes: made, children } = subsetIndex(bytes, parseManifest(bytes, TYPE) as ParsedIndex, platforms, NAME);
  return { index: JSON.parse(new TextDecoder().decode(made)), children: children.map(({ digest }) => digest) };
}

describe('a subset of an index', () => {
  it('has exactly the children asked for, as upstream wrote them, and upstream’s annotations', () => {
    expect(subset('linux/arm64')).toEqual({ index: { ...document, manifests: [arm64] }, children: [arm64.digest] });
  });

  it('keeps upstream’s order', () => {
    expect(subset('linux/arm64', 'linux/amd64').children).toEqual([amd64.digest, arm64.digest]);
  });

  it('is refused, with what there is, when a platform is missing', () => {
    expect(() => subset('linux/amd64', 'linux/s390x')).toThrow(
      expect.objectContaining({
        code: 'PolicyInvalid',
        message: `${NAME} has no platform linux/s390x`,
        hint: 'it has: linux/amd64, linux/arm64/v8',
      }),
    );
    expect(() => requirePlatforms([], ['linux/amd64'], NAME)).toThrow(
      expect.objectContaining({ hint: 'it names no platform at all' }),
    );
  });
});

describe('a platform', () => {
  it.each([
    ['linux/amd64', 'linux/amd64', true],
    ['linux/arm64/v8', 'linux/arm64', true],
    ['linux/arm64', 'linux/arm64/v8', true],
    ['linux/arm/v7', 'linux/arm', true],
    ['linux/arm/v6', 'linux/arm', false],
    ['linux/amd64/v3', 'linux/amd64', false],
    ['windows/amd64', 'linux/amd64', false],
  ])('%s asked for as %s: %s', (has, asked, same) => {
    expect(isPlatform(has, asked)).toBe(same);
  });

  it('is written without an empty variant', () => {
    expect(platformText({ os: 'linux', architecture: 'arm', variant: 'v6' })).toBe('linux/arm/v6');
    expect(platformText({ os: 'linux', architecture: 'amd64', variant: '' })).toBe('linux/amd64');
  });
});
