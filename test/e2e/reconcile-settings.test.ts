import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import { createHoubaWithInstantSyft, type Houba, regctlReader } from '../support/stack.js';
import { image, push } from '../support/upstream-images.js';

describe('with an empty prefix', () => {
  let upstream: RunningRegistry;
  let registry: RunningRegistry;
  let proxy: CountingProxy;
  let houba: Houba;

  beforeAll(async () => {
    upstream = await startOlareg({ inMemory: true });
    registry = await startOlareg();
    proxy = await startCountingProxy(registry.host);
    const roster = { up: { host: upstream.host, tls_verify: false }, main: { host: proxy.host, tls_verify: false } };
    houba = await createHoubaWithInstantSyft(roster, { HOUBA_LABEL_PREFIX: '' });
    await houba.up();
    await push(upstream.host, 'plain', ['1.0.0'], image('plain'));
  });
  afterAll(async () => {
    await houba?.dispose();
    await proxy?.stop();
    await registry?.stop();
    await upstream?.stop();
  });

  it('only keys of the standard are written, and the second run has nothing to do', async () => {
    const regctl = regctlReader(houba.folder, [registry.host]);
    const dir = houba.policies({
      name: 'plain',
      from: `${upstream.host}/plain`,
      import: { owners: ['group:default/a'] },
      to: ['main:demo/plain'],
    });
    const first = await houba.reconcile(dir);
    expect(first.code).toBe(0);
    expect(first.report.totals).toMatchObject({ imported: 1, failed: 0 });
    const { annotations = {} } = await regctl.manifest(`${registry.host}/demo/plain:1.0.0`);
    expect(Object.keys(annotations).every((key) => key.startsWith('org.opencontainers.image.'))).toBe(true);
    expect(annotations['org.opencontainers.image.base.digest']).toBe(image('plain').digest);
    const [sbom] = await regctl.artifacts(`${registry.host}/demo/plain:1.0.0`);
    expect(sbom?.artifactType).toBe('application/spdx+json');
    expect(Object.keys(sbom?.annotations ?? {}).filter((key) => !key.startsWith('org.opencontainers.'))).toEqual([]);
    proxy.reset();
    const second = await houba.reconcile(dir, '--recheck');
    expect(second.report.totals).toMatchObject({ skipped: 1, imported: 0, restamped: 0, sbom: 0 });
    expect(proxy.writes()).toEqual([]);
  });
});
