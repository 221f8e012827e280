import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import { createHouba, type Houba, type Reconciled, type RegctlReader, regctlReader } from '../support/stack.js';
import { orphansOf, readDistributionStore, readOlaregStore } from '../support/storage.js';
import { attestation, image, index, packageOf, push, type TestImage } from '../support/upstream-images.js';

const ARM = { os: 'linux', architecture: 'arm64', variant: 'v8' };

const amd = image('multi amd');
const arm = image('multi arm', { platform: ARM });
const provenance = attestation(amd);

/** Every shape of image that upstreams have, by tag; each with the platforms whose inventories it must carry. */
const SHAPES: Readonly<Record<string, { image: TestImage; platforms: Readonly<Record<string, TestImage>> }>> = {
  '1.0.0': {
    image: index([amd, arm, provenance.image], { descriptors: [{}, {}, provenance.descriptor] }),
    platforms: { 'linux/amd64': amd, 'linux/arm64/v8': arm },
  },
  '2.0.0': single(image('docker', { docker: true })),
  '3.0.0': listOf(
    image('docker list amd', { docker: true }),
    image('docker list arm', { docker: true, platform: ARM }),
  ),
  '4.0.0': nested(image('inner amd'), image('outer arm', { platform: ARM })),
  '5.0.0': single(
    image('annotated', {
      annotations: {
        'io.houba.policy': 'forged',
        'io.houba.owners': 'group:default/mallory',
        'io.houba.promoted.by': 'mallory',
        'io.houba.anything': 'at all',
        'org.opencontainers.image.base.digest': `sha256:${'0'.repeat(64)}`,
        'org.opencontainers.image.vendor': 'Upstream',
        'org.opencontainers.image.licenses': 'MIT',
        'com.example.build': '7',
      },
    }),
  ),
  '6.0.0': single(image('empty', { empty: true })),
  '7.0.0': single(image('sha512', { sha512: true })),
};

function single(only: TestImage) {
  return { image: only, platforms: { 'linux/amd64': only } };
}

function listOf(first: TestImage, second: TestImage) {
  return {
    image: index([first, second], { docker: true }),
    platforms: { 'linux/amd64': first, 'linux/arm64/v8': second },
  };
}

function nested(inner: TestImage, outer: TestImage) {
  return { image: index([index([inner]), outer]), platforms: { 'linux/amd64': inner, 'linux/arm64/v8': outer } };
}

describe.each([
  { name: 'olareg', start: () => startOlareg(), read: readOlaregStore },
  { name: 'distribution', start: () => startDistribution(), read: readDistributionStore },
])('images of every shape come into $name', ({ start, read }) => {
  let upstream: RunningRegistry;
  let registry: RunningRegistry;
  let proxy: CountingProxy;
  let houba: Houba;
  let regctl: RegctlReader;
  let first: Reconciled;
  let dir: string;
  let placed: string;

  beforeAll(async () => {
    upstream = await startOlareg({ inMemory: true });
    registry = await start();
    proxy = await startCountingProxy(registry.host);
    houba = await createHouba(
      { up: { host: upstream.host, tls_verify: false }, main: { host: proxy.host, tls_verify: false } },
      { HOUBA_SBOM_FORMATS: '["spdx-json","cyclonedx-json"]' },
    );
    regctl = regctlReader(houba.folder, [registry.host, upstream.host]);
    placed = `${registry.host}/demo/shapes`;
    for (const [tag, shape] of Object.entries(SHAPES)) await push(upstream.host, 'shapes', [tag], shape.image);
    dir = houba.policies({ name: 'shapes', from: `${upstream.host}/shapes`, to: ['main:demo/shapes'] });
    await houba.up();
    first = await houba.reconcile(dir, '-j', '2');
  });

  afterAll(async () => {
    await houba?.dispose();
    await proxy?.stop();
    await registry?.stop();
    await upstream?.stop();
  });

  it('all of them', () => {
    expect(first.report.policies[0]?.error).toBeNull();
    expect(first.report.totals).toMatchObject({ imported: Object.keys(SHAPES).length, failed: 0 });
    expect(first.code).toBe(0);
  });

  it.each(Object.entries(SHAPES))('%s: OCI at the top, and what it names untouched', async (tag, shape) => {
    const top = await regctl.manifest(`${placed}:${tag}`);
    const source = JSON.parse(shape.image.bytes.toString('utf8'));
    expect(top.mediaType).toBe(
      source.manifests === undefined
        ? 'application/vnd.oci.image.manifest.v1+json'
        : 'application/vnd.oci.image.index.v1+json',
    );
    expect(top.config?.digest).toBe(source.config?.digest);
    expect(top.manifests).toEqual(source.manifests);
    expect(top.layers?.map((layer) => layer.digest)).toEqual(
      source.layers?.map((layer: { digest: string }) => layer.digest),
    );
    expect(JSON.stringify([top.config, top.layers])).not.toContain('vnd.docker');
    for (const child of shape.image.children) {
      expect(await regctl('manifest', 'get', `${placed}@${child.digest}`, '--format', 'raw-body')).toBe(
        child.bytes.toString('utf8'),
      );
    }
    expect(top.annotations?.['org.opencontainers.image.base.digest']).toBe(shape.image.digest);
    expect(await regctl.digest(`${placed}@${shape.image.digest}`)).toBe(shape.image.digest);
  });

  it.each(Object.entries(SHAPES))(
    '%s: an inventory of each platform, on the platform and on the tag',
    async (tag, shape) => {
      const onTag = await regctl.artifacts(`${placed}:${tag}`);
      const platforms = Object.entries(shape.platforms);
      expect(onTag).toHaveLength(2 * platforms.length);
      for (const [platform, of] of platforms) {
        const isTop = of === shape.image;
        const here = onTag.filter(({ annotations }) => annotations['io.houba.sbom.platform'] === platform);
        const below = isTop ? here : await regctl.artifacts(`${placed}@${of.digest}`);
        for (const found of [here, below]) {
          expect(found.map(({ artifactType }) => artifactType).sort()).toEqual([
            'application/spdx+json',
            'application/vnd.cyclonedx+json',
          ]);
        }
        if (tag === '6.0.0') continue; // nothing is installed in an image without layers
        const text = await regctl('artifact', 'get', `${placed}@${here[0]?.digest}`);
        expect(text).toContain(packageOf(of.text ?? ''));
      }
    },
  );

  it('takes nothing from upstream that only houba may say', async () => {
    const { annotations = {} } = await regctl.manifest(`${placed}:5.0.0`);
    expect(annotations).toMatchObject({
      'io.houba.policy': 'shapes',
      'org.opencontainers.image.licenses': 'MIT',
      'com.example.build': '7',
    });
    for (const key of ['owners', 'promoted.by', 'anything']) expect(annotations).not.toHaveProperty(`io.houba.${key}`);
    expect(annotations).not.toHaveProperty('org.opencontainers.image.vendor');
  });

  it('leaves no orphan', async () => {
    expect(orphansOf(await read(registry, 'demo/shapes'))).toEqual([]);
  });

  it('has nothing to do the next time, also when it looks at everything again', async () => {
    proxy.reset();
    const { code, report } = await houba.reconcile(dir, '--recheck');
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ imported: 0, sbom: 0, skipped: Object.keys(SHAPES).length, failed: 0 });
    expect(proxy.writes()).toEqual([]);
  });
});
