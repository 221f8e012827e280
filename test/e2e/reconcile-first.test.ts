import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import {
  createHouba,
  type Houba,
  leftIn,
  operationsOf,
  processesOf,
  type RegctlReader,
  regctlReader,
} from '../support/stack.js';
import { orphansOf, readDistributionStore, readOlaregStore } from '../support/storage.js';
import { image, packageOf, push } from '../support/upstream-images.js';

const SPDX = 'application/spdx+json';

describe.each([
  { name: 'olareg', start: () => startOlareg(), read: readOlaregStore },
  { name: 'distribution, which has no referrers API', start: () => startDistribution(), read: readDistributionStore },
])('a first import into $name', ({ start, read }) => {
  let upstream: RunningRegistry;
  let registry: RunningRegistry;
  let proxy: CountingProxy;
  let houba: Houba;
  let regctl: RegctlReader;
  let dir: string;
  let placed: string;

  beforeAll(async () => {
    upstream = await startOlareg({ inMemory: true });
    registry = await start();
    proxy = await startCountingProxy(registry.host);
    houba = await createHouba({
      up: { host: upstream.host, tls_verify: false },
      main: { host: proxy.host, tls_verify: false },
    });
    regctl = regctlReader(houba.folder, [registry.host, upstream.host]);
    placed = `${registry.host}/demo/box`;
    for (const tag of ['1.36.0', '1.37.0', '1.37.1']) {
      const labels = { 'org.opencontainers.image.revision': `r-${tag}` };
      await push(upstream.host, 'library/box', [tag], image(`box ${tag}`, { labels }));
    }
    await push(upstream.host, 'library/box', ['nightly'], image('box nightly'));
    dir = houba.policies({
      name: 'box',
      from: `${upstream.host}/library/box`,
      import: {
        owners: ['group:default/platform'],
        vendor: 'Example',
        tags: { includeRegex: '^1\\.3\\d\\.\\d+$', aliases: ['{major}', '{major}.{minor}', 'latest'] },
      },
      to: ['main:demo/box'],
    });
  });

  afterAll(async () => {
    await houba?.dispose();
    await proxy?.stop();
    await registry?.stop();
    await upstream?.stop();
  });

  it('brings the selected tags and their aliases', async () => {
    const { code, report, stderr } = await houba.reconcile(dir);
    expect(stderr).not.toMatch(/"level":"(warn|error)"/);
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ imported: 3, aliased: 4, failed: 0 });
    expect((await regctl.tags(placed)).filter((tag) => !tag.startsWith('sha256-'))).toEqual([
      '1',
      '1.36',
      '1.36.0',
      '1.37',
      '1.37.0',
      '1.37.1',
      'latest',
    ]);
    const newest = await regctl.digest(`${placed}:1.37.1`);
    for (const alias of ['1', '1.37', 'latest']) expect(await regctl.digest(`${placed}:${alias}`)).toBe(newest);
    for (const operation of operationsOf(report)) {
      expect(operation).toMatchObject({ applied: true, error: null });
      expect(operation.out_digest).toBe(await regctl.digest(`${placed}:${operation.out_tag}`));
    }
  });

  it('stamps each of them with where it came from and whose it is', async () => {
    for (const tag of ['1.36.0', '1.37.0', '1.37.1']) {
      const { annotations } = await regctl.manifest(`${placed}:${tag}`);
      expect(annotations).toEqual({
        'org.opencontainers.image.title': 'box',
        'org.opencontainers.image.source': `${upstream.host}/library/box`,
        'org.opencontainers.image.base.name': `${upstream.host}/library/box:${tag}`,
        'org.opencontainers.image.base.digest': await regctl.digest(`${upstream.host}/library/box:${tag}`),
        'org.opencontainers.image.created': expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+\+00:00$/),
        'org.opencontainers.image.revision': `r-${tag}`,
        'org.opencontainers.image.vendor': 'Example',
        'io.houba.artifact.type': 'image',
        'io.houba.policy': 'box',
        'io.houba.import': 'all',
        'io.houba.variant': 'default',
        'io.houba.owners': 'group:default/platform',
      });
    }
  });

  it('attaches an inventory that is found from the tag, and names what is installed', async () => {
    for (const tag of ['1.36.0', '1.37.0', '1.37.1']) {
      const [sbom, ...others] = await regctl.artifacts(`${placed}:${tag}`);
      expect(others).toEqual([]);
      expect(sbom).toMatchObject({
        artifactType: SPDX,
        annotations: {
          'io.houba.sbom.format': 'spdx-json',
          'io.houba.sbom.tool': 'syft',
          'io.houba.sbom.subject': await regctl.digest(`${placed}:${tag}`),
          'io.houba.sbom.platform': 'linux/amd64',
        },
      });
      const document = JSON.parse(await regctl('artifact', 'get', `${placed}@${sbom?.digest}`));
      expect(document.packages.map((it: { name: string }) => it.name)).toContain(packageOf(`box ${tag}`));
    }
  });

  it('keeps the original beside it, and nothing else', async () => {
    const store = await read(registry, 'demo/box');
    expect(orphansOf(store)).toEqual([]);
    const original = await regctl.digest(`${upstream.host}/library/box:1.37.1`);
    expect(await regctl.digest(`${placed}@${original}`)).toBe(original);
  });

  it('does nothing on the second run, with one list and one HEAD a tag', async () => {
    proxy.reset();
    const { code, report } = await houba.reconcile(dir);
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ imported: 0, updated: 0, restamped: 0, aliased: 0, sbom: 0, skipped: 3 });
    const tags = ['1', '1.36', '1.36.0', '1.37', '1.37.0', '1.37.1', 'latest'];
    const heads = tags.map((tag) => `HEAD /v2/demo/box/manifests/${tag}`);
    const asked = proxy.requests.map(({ method, path }) => `${method} ${path}`).sort();
    // A round number of tags is asked on after: a page of such a size may have been cut.
    const whole = asked.filter((each) => !each.includes('&last='));
    expect(whole).toEqual(['GET /v2/demo/box/tags/list?n=1000', ...heads]);
    expect(asked.length - whole.length).toBeLessThanOrEqual(1);
  });

  it('writes nothing either when all that it remembers is lost', async () => {
    houba.loseHome();
    proxy.reset();
    const { code, report } = await houba.reconcile(dir);
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ imported: 0, updated: 0, restamped: 0, aliased: 0, sbom: 0, skipped: 3 });
    expect(proxy.writes()).toEqual([]);
  });

  it('leaves no process and no scratch files', () => {
    expect(processesOf(houba.folder)).toEqual([]);
    expect(leftIn(houba.workDir)).toEqual([]);
  });
});
