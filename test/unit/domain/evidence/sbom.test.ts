import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import {
  missingSboms,
  SBOM_MEDIA_TYPES,
  SBOM_PREDICATE_TYPES,
  sbomAnnotations,
} from '../../../../domain/evidence/sbom.js';

const digest = (fill: string) => `sha256:${fill.repeat(64)}` as Digest;
const INDEX = digest('1');
const AMD = { digest: digest('a'), platform: 'linux/amd64' };
const ARM = { digest: digest('b'), platform: 'linux/arm64/v8' };
const spdx = (platform: string) => ({
  artifactType: 'application/spdx+json',
  annotations: { 'io.houba.sbom.platform': platform },
});

describe('missingSboms', () => {
  it('wants one document a platform, on the platform’s manifest and on the index', () => {
    const missing = missingSboms(INDEX, [AMD, ARM], ['spdx-json'], new Map(), 'io.houba');
    expect(missing.map(({ of, subject }) => [of.platform, subject])).toEqual([
      ['linux/amd64', AMD.digest],
      ['linux/amd64', INDEX],
      ['linux/arm64/v8', ARM.digest],
      ['linux/arm64/v8', INDEX],
    ]);
  });

  it('wants one on a single image', () => {
    expect(missingSboms(AMD.digest, [AMD], ['spdx-json', 'cyclonedx-json'], new Map(), 'io.houba')).toHaveLength(2);
  });

  it('is content when each is there, and sees the platform that lacks one on the index', () => {
    const all = new Map([
      [INDEX, [spdx('linux/amd64'), spdx('linux/arm64/v8')]],
      [AMD.digest, [spdx('linux/amd64')]],
      [ARM.digest, [spdx('linux/arm64/v8')]],
    ]);
    expect(missingSboms(INDEX, [AMD, ARM], ['spdx-json'], all, 'io.houba')).toEqual([]);
    all.set(INDEX, [spdx('linux/amd64')]);
    expect(missingSboms(INDEX, [AMD, ARM], ['spdx-json'], all, 'io.houba')).toEqual([
      { of: ARM, subject: INDEX, format: 'spdx-json' },
    ]);
  });

  it('does not take another format for the one asked for', () => {
    const other = new Map([[AMD.digest, [{ artifactType: 'application/vnd.cyclonedx+json', annotations: {} }]]]);
    expect(missingSboms(AMD.digest, [AMD], ['spdx-json'], other, 'io.houba')).toHaveLength(1);
  });

  it('cannot tell platforms apart with an empty prefix, so one of the format counts', () => {
    const bare = new Map([INDEX, AMD.digest, ARM.digest].map((at) => [at, [{ ...spdx('x'), annotations: {} }]]));
    expect(missingSboms(INDEX, [AMD, ARM], ['spdx-json'], bare, '')).toEqual([]);
  });
});

describe('the words around an SBOM', () => {
  it('names media and predicate types', () => {
    expect(SBOM_MEDIA_TYPES).toEqual({
      'spdx-json': 'application/spdx+json',
      'cyclonedx-json': 'application/vnd.cyclonedx+json',
    });
    expect(SBOM_PREDICATE_TYPES).toEqual({
      'spdx-json': 'https://spdx.dev/Document',
      'cyclonedx-json': 'https://cyclonedx.org/bom',
    });
  });

  it('annotates tool, format, time, subject and platform, and nothing with an empty prefix', () => {
    const document = {
      format: 'spdx-json',
      platform: 'linux/amd64',
      subject: INDEX,
      toolVersion: '1.54.0',
      timestamp: '2026-06-11T12:00:00+00:00',
    } as const;
    expect(sbomAnnotations(document, '')).toEqual({});
    const written = sbomAnnotations(document, 'io.houba');
    expect(written).toMatchObject({
      'io.houba.sbom.tool': 'syft',
      'io.houba.sbom.tool.version': '1.54.0',
      'io.houba.sbom.format': 'spdx-json',
      'io.houba.sbom.timestamp': '2026-06-11T12:00:00+00:00',
      'io.houba.sbom.subject': INDEX,
      'io.houba.sbom.platform': 'linux/amd64',
    });
    expect(sbomAnnotations(document, 'io.houba')).toEqual(written);
    expect(sbomAnnotations({ ...document, toolVersion: null }, 'io.houba')).not.toHaveProperty(
      'io.houba.sbom.tool.version',
    );
  });
});
