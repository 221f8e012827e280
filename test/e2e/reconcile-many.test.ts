import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { request } from '../support/http.js';
import { startMirror } from '../support/mirror.js';
import { operationsOf } from '../support/stack.js';
import { descriptor, image, OCI, push, rawManifest } from '../support/upstream-images.js';

const { upstream, registry, proxy, houba, regctl, policy, dispose } = await startMirror();
beforeAll(() => houba.up());
afterAll(dispose);

const placed = (name: string) => `${registry.host}/demo/${name}`;

describe('many policies', () => {
  const names = ['one', 'two', 'three', 'seven'];

  it('are shared among shards, each by exactly one', async () => {
    for (const name of names) await push(upstream.host, name, ['1.0.0'], image('shared'));
    const dir = houba.policies(
      ...names.map((name) => ({ name, from: `${upstream.host}/${name}`, to: [`main:shards/${name}`] })),
    );
    const only = await houba.reconcile(dir, '--policy', 'three');
    expect(only.report.policies.map(({ name }) => name)).toEqual(['three']);
    const shards = [];
    for (const shard of ['0', '1']) {
      shards.push(await houba.reconcile(dir, '--shard-index', shard, '--shard-count', '2'));
    }
    expect(shards.map(({ code }) => code)).toEqual([0, 0]);
    const done = shards.flatMap(({ report }) => report.policies.map(({ name }) => name));
    expect(done.sort()).toEqual([...names].sort());
    for (const { report } of shards) expect(report.policies.length).toBeGreaterThan(0);
    for (const name of names) expect(await regctl.tags(`${registry.host}/shards/${name}`)).toEqual(['1.0.0']);
  });

  it('are stopped before anything is asked when two write to one repository, whatever they call it', async () => {
    proxy.reset();
    const dir = houba.policies(
      { name: 'mine', from: `${upstream.host}/one`, to: ['main:clash/same'] },
      { name: 'yours', from: `${upstream.host}/two`, to: ['again:clash/same'] },
    );
    const { code, stderr } = await houba.run('reconcile', dir, '--output', 'json');
    expect(code).toBe(1);
    expect(stderr).toMatch(/clash\/same is written by mine and yours/);
    expect(proxy.requests).toEqual([]);
  });
});

describe('more tags than are placed at once', () => {
  it('all come in, with one inventory a content', async () => {
    const tags = Array.from({ length: 24 }, (_, number) => `1.0.${number}`);
    for (const [number, tag] of tags.entries()) {
      await push(upstream.host, 'crowd', [tag], image(`crowd ${number % 3}`, { annotations: { tag } }));
    }
    const { code, report } = await houba.reconcile(policy('crowd'), '-j', '8');
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ imported: 24, failed: 0 });
    expect((await regctl.tags(placed('crowd'))).length).toBe(24);
    const documents = new Set<string>();
    for (const tag of tags) {
      const [sbom] = await regctl.artifacts(`${placed('crowd')}:${tag}`);
      const manifest = await request(`http://${registry.host}/v2/demo/crowd/manifests/${sbom?.digest}`);
      documents.add(JSON.parse(manifest.body.toString('utf8')).layers[0].digest);
    }
    expect(documents.size).toBe(3);
  });

  it('all come in when they are more than a page of the plan', async () => {
    const config = Buffer.from('{}');
    for (let number = 0; number < 205; number++) {
      const made = {
        schemaVersion: 2,
        mediaType: OCI.manifest,
        config: descriptor('application/vnd.oci.empty.v1+json', config),
        layers: [],
        annotations: { number: String(number) },
      };
      await push(upstream.host, 'pages', [`1.0.${number}`], rawManifest(made, OCI.manifest, [config]));
    }
    const dir = policy('pages', { artifactType: 'generic', import: { tags: { aliases: ['latest'] } } });
    const { code, report } = await houba.reconcile(dir, '-j', '16');
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ imported: 205, aliased: 1, failed: 0 });
    expect(operationsOf(report)).toHaveLength(206);
    expect((await regctl.tags(placed('pages'))).length).toBe(206);
    expect((await houba.reconcile(dir)).report.totals).toMatchObject({ imported: 0, aliased: 0, skipped: 205 });
  });
});
