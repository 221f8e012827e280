import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startMirror } from '../support/mirror.js';
import { createHoubaWithInstantSyft, operationsOf } from '../support/stack.js';
import { orphansOf, readOlaregStore } from '../support/storage.js';
import { descriptor, image, OCI, push, rawManifest } from '../support/upstream-images.js';

const SPDX = 'application/spdx+json';

const { upstream, registry, proxy, houba, regctl, policy, dispose } = await startMirror(createHoubaWithInstantSyft);
beforeAll(() => houba.up());
afterAll(dispose);

const placed = (name: string) => `${registry.host}/demo/${name}`;

async function documentOn(reference: string): Promise<string> {
  const [sbom] = await regctl.artifacts(reference);
  const repository = reference.slice(0, reference.search(/[:@][^/]*$/));
  return regctl('artifact', 'get', `${repository}@${sbom?.digest}`);
}

describe('a policy’s owners change', () => {
  it('the same image is stamped anew, with its inventory carried over and its aliases moved', async () => {
    for (const tag of ['1.0.0', '1.1.0']) await push(upstream.host, 'owned', [tag], image(`owned ${tag}`));
    const tags = { aliases: ['latest'] };
    const before = policy('owned', { import: { tags, owners: ['group:default/a'] } });
    expect((await houba.reconcile(before)).report.totals).toMatchObject({ imported: 2, aliased: 1 });
    const old = await regctl.manifest(`${placed('owned')}:1.1.0`);
    const oldDigest = await regctl.digest(`${placed('owned')}:1.1.0`);
    const inventory = await documentOn(`${placed('owned')}:1.1.0`);

    const after = policy('owned', { import: { tags, owners: ['group:default/b', 'user:default/eve'], vendor: 'V' } });
    const { code, report } = await houba.reconcile(after);
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ restamped: 2, aliased: 1, imported: 0, updated: 0, failed: 0 });
    const now = await regctl.manifest(`${placed('owned')}:1.1.0`);
    expect(now.config).toEqual(old.config);
    expect(now.layers).toEqual(old.layers);
    expect(now.annotations).toEqual({
      ...old.annotations,
      'io.houba.owners': 'group:default/b,user:default/eve',
      'io.houba.supersedes': oldDigest,
      'org.opencontainers.image.vendor': 'V',
    });
    // Scanned again, it would bear another time and id.
    expect(await documentOn(`${placed('owned')}:1.1.0`)).toBe(inventory);
    expect(await regctl.digest(`${placed('owned')}:latest`)).toBe(await regctl.digest(`${placed('owned')}:1.1.0`));
    expect(orphansOf(await readOlaregStore(registry, 'demo/owned'))).toEqual([]);
    expect((await houba.reconcile(after)).report.totals).toMatchObject({ restamped: 0, aliased: 0, skipped: 2 });
  });
});

describe('an inventory that is gone', () => {
  it('is put back by a run that looks again, and by it alone', async () => {
    await push(upstream.host, 'lost', ['1.0.0'], image('lost'));
    const dir = policy('lost');
    await houba.reconcile(dir);
    const digest = await regctl.digest(`${placed('lost')}:1.0.0`);
    const [sbom] = await regctl.artifacts(`${placed('lost')}:1.0.0`);
    await regctl('manifest', 'delete', '--referrers', `${placed('lost')}@${sbom?.digest}`);
    expect(await regctl.artifacts(`${placed('lost')}:1.0.0`)).toEqual([]);
    expect((await houba.reconcile(dir)).report.totals).toMatchObject({ sbom: 0, skipped: 1 });

    const { code, report } = await houba.reconcile(dir, '--recheck');
    expect(code).toBe(0);
    expect(operationsOf(report)).toMatchObject([{ kind: 'sbom', out_tag: '1.0.0', applied: true, out_digest: digest }]);
    expect(await regctl.digest(`${placed('lost')}:1.0.0`)).toBe(digest);
    expect(await regctl.artifacts(`${placed('lost')}:1.0.0`)).toMatchObject([{ artifactType: SPDX }]);
  });
});

describe('upstream moves a tag', () => {
  it('it is held, and everything else goes on', async () => {
    await push(upstream.host, 'rolling', ['1.0.0'], image('rolling 1'));
    const dir = policy('rolling', { import: { tags: { aliases: ['{major}'] } } });
    await houba.reconcile(dir);
    const before = await regctl.digest(`${placed('rolling')}:1.0.0`);
    await push(upstream.host, 'rolling', ['1.0.0'], image('rolling 2'));
    await push(upstream.host, 'rolling', ['1.1.0'], image('rolling new'));
    const { code, report } = await houba.reconcile(dir);
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ held: 1, imported: 1, aliased: 1, updated: 0, failed: 0 });
    expect(operationsOf(report).find(({ kind }) => kind === 'held')).toMatchObject({
      out_tag: '1.0.0',
      applied: false,
      out_digest: before,
    });
    expect(await regctl.digest(`${placed('rolling')}:1.0.0`)).toBe(before);
  });
});

describe('houba plan', () => {
  it('says what a run would do, by exit code too, and writes nothing', async () => {
    await push(upstream.host, 'planned', ['1.0.0'], image('planned'));
    const dir = policy('planned', { import: { tags: { aliases: ['latest'] } } });
    proxy.reset();
    const before = await houba.run('plan', dir, '--output', 'json', '--detailed-exitcode');
    expect(before.code).toBe(10);
    const report = JSON.parse(before.stdout);
    expect(report).toMatchObject({ mode: 'dry-run', status: 'ok', totals: { imported: 1, aliased: 1 } });
    expect(operationsOf(report).every(({ applied }) => !applied)).toBe(true);
    expect((await houba.run('plan', dir)).code).toBe(0);
    expect(proxy.writes()).toEqual([]);
    await houba.reconcile(dir);
    const after = await houba.run('plan', dir, '--output', 'json', '--detailed-exitcode');
    expect(after.code).toBe(0);
    expect(JSON.parse(after.stdout).totals).toMatchObject({ imported: 0, aliased: 0, skipped: 1 });
  });
});

describe('what is not a container image', () => {
  it.each(['helmChart', 'generic'])('%s: is copied and stamped, without an inventory', async (artifactType) => {
    const name = artifactType.toLowerCase();
    const config = Buffer.from(`{"name":"${name}"}`);
    const chart = Buffer.from(`a chart, or whatever ${name} is`);
    const made = rawManifest(
      {
        schemaVersion: 2,
        mediaType: OCI.manifest,
        config: descriptor('application/vnd.cncf.helm.config.v1+json', config),
        layers: [descriptor('application/vnd.cncf.helm.chart.content.v1.tar+gzip', chart)],
      },
      OCI.manifest,
      [config, chart],
    );
    await push(upstream.host, name, ['1.0.0'], made);
    const dir = policy(name, { artifactType });
    const { code, report } = await houba.reconcile(dir);
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ imported: 1, failed: 0 });
    const { annotations, layers } = await regctl.manifest(`${placed(name)}:1.0.0`);
    expect(annotations?.['io.houba.artifact.type']).toBe(artifactType);
    expect(layers?.[0]?.digest).toBe(descriptor('', chart).digest);
    expect(await regctl.artifacts(`${placed(name)}:1.0.0`)).toEqual([]);
    expect((await houba.reconcile(dir, '--recheck')).report.totals).toMatchObject({ skipped: 1, sbom: 0 });
  });
});

describe('variants', () => {
  it('put their suffix on tags and aliases, and their name into the stamp', async () => {
    await push(upstream.host, 'varied', ['1.0.0'], image('varied'));
    const variants = [{ name: 'plain' }, { name: 'eu', suffix: '-eu' }];
    const dir = policy('varied', { import: { tags: { aliases: ['{major}'] }, variants } });
    const { code, report } = await houba.reconcile(dir);
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ imported: 2, aliased: 2, failed: 0 });
    expect(await regctl.tags(placed('varied'))).toEqual(['1', '1-eu', '1.0.0', '1.0.0-eu']);
    for (const [tag, variant] of [
      ['1', 'plain'],
      ['1-eu', 'eu'],
      ['1.0.0', 'plain'],
      ['1.0.0-eu', 'eu'],
    ]) {
      const { annotations } = await regctl.manifest(`${placed('varied')}:${tag}`);
      expect(annotations?.['io.houba.variant']).toBe(variant);
    }
    expect((await houba.reconcile(dir)).report.totals).toMatchObject({ skipped: 2, imported: 0, aliased: 0 });
  });
});
