import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../../config/programs.js';
import { request } from '../support/http.js';
import { file, rootImage, tarOf } from '../support/layouts.js';
import {
  ARM64,
  BASE_CONFIG,
  BUNDLE_PATH,
  createRebuildWorld,
  debianBase,
  newCertificate,
  pemOf,
  type RebuildWorld,
  TYPES,
  UPSTREAM_CA,
} from '../support/rebuild-world.js';
import { startDistribution, startOlareg } from '../support/registries.js';
import { createHoubaWithInstantSyft, leftIn, operationsOf, processesOf, until } from '../support/stack.js';
import { orphansOf, readDistributionStore, readOlaregStore } from '../support/storage.js';
import { index, push, type TestImage } from '../support/upstream-images.js';

const INJECT = [{ injectCA: { certs: ['corp'] } }];
const PLATFORMS = ['linux/amd64', 'linux/arm64'];
const SIGNED = ['slsaprovenance1', 'spdxjson', TYPES.transform];
const ALL = 'stamp,sbom,signature,provenance';

interface Child {
  readonly mediaType: string;
  readonly digest: string;
  readonly platform: { readonly architecture: string; readonly variant?: string };
}

describe.each([
  { name: 'olareg', start: () => startOlareg(), read: readOlaregStore },
  { name: 'distribution', start: () => startDistribution(), read: readDistributionStore },
])('an index of two platforms, rebuilt into $name', ({ start, read }) => {
  let world: RebuildWorld;
  let base: TestImage;
  let children: readonly Child[] = [];
  let lost: string | undefined;

  const policy = (facts: object = {}) =>
    world.houba.policies({
      name: 'tool',
      from: `${world.upstream.host}/lib/tool`,
      to: ['main:demo/tool'],
      import: { tags: { aliases: ['{major}'] }, platforms: PLATFORMS, transform: INJECT, ...facts },
    });
  const tag = () => world.at('demo/tool:1.0.0');
  const everywhere = () => [
    tag(),
    world.at('demo/tool:1'),
    ...children.map((it) => world.at(`demo/tool@${it.digest}`)),
  ];

  beforeAll(async () => {
    world = await createRebuildWorld(start);
    await world.houba.up();
    base = index([await debianBase('tool'), await debianBase('tool', ARM64)]);
    await push(world.upstream.host, 'lib/tool', ['1.0.0'], base);
    expect((await world.reconcile(policy())).totals).toMatchObject({ imported: 1, aliased: 1, failed: 0 });
    children = ((await world.regctl.manifest(tag())).manifests ?? []) as readonly Child[];
  });
  afterAll(() => world?.stop());

  it('trusts the certificate on both platforms, and keeps everything else', async () => {
    expect(children.map((it) => [it.platform.architecture, it.platform.variant])).toEqual([
      ['amd64', undefined],
      ['arm64', 'v8'],
    ]);
    for (const { digest, platform } of children) {
      const one = world.at(`demo/tool@${digest}`);
      const bundle = await world.fileIn(one, BUNDLE_PATH);
      expect(bundle).toContain(pemOf(world.certificateFile));
      expect(bundle.startsWith(UPSTREAM_CA)).toBe(true);
      expect(await world.fileIn(one, '/usr/bin/tool')).toBe(`tool ${platform.architecture}`);
      const { architecture, config, created } = await world.config(one);
      expect(architecture).toBe(platform.architecture);
      expect(config).toMatchObject(BASE_CONFIG);
      expect(Date.parse(created)).toBe(Date.parse('2024-05-06T07:08:09Z'));
    }
  });

  it('is stamped with its lineage', async () => {
    const { annotations } = await world.regctl.manifest(tag());
    expect(annotations).toMatchObject({
      'io.houba.policy': 'tool',
      'io.houba.transform.steps': 'injectCA',
      'io.houba.transform.version': expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      'io.houba.platforms': 'linux/amd64,linux/arm64',
      'org.opencontainers.image.base.digest': base.digest,
    });
  });

  it('has an inventory of each platform, on the platform and on the index', async () => {
    for (const { digest, platform } of children) {
      const own = await world.artifacts(world.at(`demo/tool@${digest}`), TYPES.spdx);
      expect(own).toHaveLength(1);
      const said = own[0]?.annotations['io.houba.sbom.platform'];
      expect(said).toContain(platform.architecture);
      const onIndex = await world.artifacts(tag(), TYPES.spdx);
      expect(onIndex.map(({ annotations }) => annotations['io.houba.sbom.platform'])).toContain(said);
      const document = await world.regctl('artifact', 'get', world.at(`demo/tool@${own[0]?.digest}`));
      expect(JSON.parse(document).packages.map((it: { name: string }) => it.name)).toContain('tool');
    }
  });

  it('stock cosign verifies every kind of evidence from each tag and each platform', async () => {
    for (const reference of everywhere()) {
      for (const type of SIGNED)
        expect(await world.statements(type, reference), `${type} ${reference}`).not.toEqual([]);
    }
    const [provenance] = await world.statements('slsaprovenance1', tag());
    const digest = await world.regctl.digest(tag());
    expect(provenance?.subject.map((it) => `sha256:${it.digest.sha256}`).sort()).toEqual(
      [digest, ...children.map((it) => it.digest)].sort(),
    );
    expect(JSON.stringify(provenance?.predicate.buildDefinition.resolvedDependencies)).toContain(base.digest.slice(7));
  });

  it('carries what BuildKit said of each platform’s build, about what was published', async () => {
    for (const { digest } of children) {
      const found = await world.artifacts(world.at(`demo/tool@${digest}`), TYPES.inToto);
      expect(found).toHaveLength(1);
      expect(found[0]?.annotations['in-toto.io/predicate-type']).toMatch(/^https:\/\/slsa\.dev\/provenance\//);
      const statement = JSON.parse(await world.regctl('artifact', 'get', world.at(`demo/tool@${found[0]?.digest}`)));
      expect(statement.subject.map((it: { digest: { sha256: string } }) => `sha256:${it.digest.sha256}`)).toEqual([
        digest,
      ]);
      expect(JSON.stringify(statement)).not.toContain(world.houba.folder);
    }
  });

  it('houba verify finds all that it demands, from each reference', async () => {
    for (const reference of everywhere()) {
      // A platform of an index bears no stamp of its own.
      const demanded = reference.includes('@') ? 'sbom,signature,provenance' : ALL;
      const ended = await world.houba.run('verify', reference, '--require', demanded, '--registry', 'direct');
      expect(ended.code, ended.stdout + ended.stderr).toBe(0);
    }
  });

  it('the next run writes nothing, also when it looks at everything again, or has lost its memory', async () => {
    for (const args of [[], ['--recheck']]) {
      const { totals } = await world.reconcile(policy(), ...args);
      expect(totals).toMatchObject({ skipped: 1, imported: 0, updated: 0, attested: 0, sbom: 0, aliased: 0 });
      expect(world.proxy.writes()).toEqual([]);
    }
    await world.houba.down();
    world.houba.loseHome();
    await world.houba.up();
    expect((await world.reconcile(policy())).totals).toMatchObject({ skipped: 1, attested: 0, sbom: 0 });
    expect(world.proxy.writes()).toEqual([]);
  });

  it('a signature that is lost is made again by a run that looks at everything, and nothing else is', async () => {
    const child = world.at(`demo/tool@${children[1]?.digest}`);
    const before = (await world.regctl.artifacts(child)).map(({ digest }) => digest);
    const bundles = await world.artifacts(child, TYPES.bundle);
    lost = bundles.find(
      ({ annotations }) => annotations['dev.sigstore.bundle.predicateType'] === TYPES.transform,
    )?.digest;
    await world.regctl('manifest', 'delete', '--referrers', world.at(`demo/tool@${lost}`));
    await expect(world.statements(TYPES.transform, child)).rejects.toThrow();
    const { totals } = await world.reconcile(policy(), '--recheck');
    expect(totals).toMatchObject({ attested: 1, skipped: 0, sbom: 0, imported: 0 });
    expect(await world.statements(TYPES.transform, child)).toHaveLength(1);
    const after = (await world.regctl.artifacts(child)).map(({ digest }) => digest);
    expect(after.filter((digest) => !before.includes(digest))).toHaveLength(1);
    expect((await world.reconcile(policy(), '--recheck')).totals).toMatchObject({ attested: 0, skipped: 1 });
    expect(world.proxy.writes()).toEqual([]);
  });

  it('another owner is a new stamp on the same platforms, and nothing is built for it', async () => {
    const before = await world.regctl.digest(tag());
    const changed = policy({ owners: ['group:default/new'] });
    world.builder.leave();
    const { totals } = await world.reconcile(changed).finally(world.builder.comeBack);
    expect(totals).toMatchObject({ restamped: 1, updated: 0, failed: 0 });
    const { annotations, manifests } = await world.regctl.manifest(tag());
    expect(manifests?.map(({ digest }) => digest)).toEqual(children.map(({ digest }) => digest));
    expect(annotations).toMatchObject({
      'io.houba.owners': 'group:default/new',
      'io.houba.transform.steps': 'injectCA',
      'io.houba.platforms': 'linux/amd64,linux/arm64',
    });
    expect(await world.regctl.digest(tag())).not.toBe(before);
    expect(await world.regctl.digest(world.at('demo/tool:1'))).toBe(await world.regctl.digest(tag()));
    for (const type of SIGNED) await world.statements(type, tag());
    expect((await world.reconcile(changed, '--recheck')).totals).toMatchObject({
      skipped: 1,
      restamped: 0,
      attested: 0,
    });
    expect(world.proxy.writes()).toEqual([]);
  });

  it('another certificate under the same name is another image, and the old one keeps its evidence', async () => {
    const before = await world.regctl.digest(tag());
    const other = await newCertificate(world.houba.folder, 'other');
    copyFileSync(other, world.certificateFile);
    const { totals } = await world.reconcile(policy({ owners: ['group:default/new'] }));
    expect(totals).toMatchObject({ updated: 1, aliased: 1, failed: 0 });
    const { annotations, manifests = [] } = await world.regctl.manifest(tag());
    expect(annotations).toMatchObject({
      'io.houba.supersedes': before,
      'org.opencontainers.image.base.digest': base.digest,
    });
    for (const { digest } of manifests) {
      expect(await world.fileIn(world.at(`demo/tool@${digest}`), BUNDLE_PATH)).toContain(pemOf(other));
    }
    for (const reference of [tag(), world.at(`demo/tool@${before}`), ...everywhere()]) {
      for (const type of SIGNED) await world.statements(type, reference);
    }
  });

  it('nothing is left over: no manifest, no process, no folder', async () => {
    const store = await read(world.registry, 'demo/tool');
    // Without a referrers API the lists of before name what was deleted.
    const listsLost = (digest: string) => store.manifests.get(digest)?.manifests?.some((it) => it.digest === lost);
    expect(orphansOf(store).filter((digest) => !listsLost(digest))).toEqual([]);
    await world.houba.down();
    expect(processesOf(world.houba.folder)).toEqual([]);
    expect(leftIn(world.houba.workDir)).toEqual([]);
  });
});

describe('in one registry', () => {
  let world: RebuildWorld;
  beforeAll(async () => {
    const mirrors = JSON.stringify({ alpine: { apk: 'https://apk.inside' } });
    const settings = { HOUBA_TRANSFORM_PACKAGE_MIRRORS: mirrors };
    world = await createRebuildWorld(startOlareg, settings, createHoubaWithInstantSyft);
    await world.houba.up();
  });
  afterAll(() => world?.stop());

  const tagsOf = (repository: string) => world.regctl.tags(world.at(repository)).catch((): string[] => []);

  /** One tag of a repository upstream, whose original is gone when another is pushed over it and it is deleted. */
  async function move(repository: string, tag: string, from: TestImage, to: TestImage, forget: boolean): Promise<void> {
    await push(world.upstream.host, repository, [tag], to);
    if (!forget) return;
    const url = `http://${world.upstream.host}/v2/${repository}/manifests/${from.digest}`;
    expect((await request(url, { method: 'DELETE' })).status).toBe(202);
  }

  describe('an image from scratch that holds one static program', () => {
    const program = programPath('olareg') ?? '';
    const reference = () => world.at('demo/one:1.0.0');
    beforeAll(async () => {
      const layer = await tarOf([file('olareg', readFileSync(program), 0o755)]);
      const config = { Entrypoint: ['/olareg'], Cmd: ['version'], User: '1000' };
      await push(world.upstream.host, 'lib/one', ['1.0.0'], rootImage([layer], { config }));
      const dir = world.houba.policies({
        name: 'one',
        from: `${world.upstream.host}/lib/one`,
        to: ['main:demo/one'],
        import: { transform: INJECT },
      });
      expect((await world.reconcile(dir)).totals).toMatchObject({ imported: 1 });
    });

    it('gets the bundle where every program looks, and stays what it was', async () => {
      expect(await world.fileIn(reference(), BUNDLE_PATH)).toBe(pemOf(world.certificateFile));
      const { config } = await world.config(reference());
      expect(config).toMatchObject({ Entrypoint: ['/olareg'], Cmd: ['version'], User: '1000' });
    });

    it('still runs, from the file system that the registry has', async () => {
      const path = join(world.houba.folder, 'olareg');
      await world.regctl('image', 'get-file', reference(), '/olareg', path);
      execFileSync('chmod', ['+x', path]);
      expect(readFileSync(path).equals(readFileSync(program))).toBe(true);
      expect(execFileSync(path, ['version'], { encoding: 'utf8' })).toContain('VCS');
    });

    it('its evidence verifies, though there is no package in it', async () => {
      for (const type of SIGNED) expect(await world.statements(type, reference()), type).not.toEqual([]);
    });
  });

  describe('variants', () => {
    let base: TestImage;
    let moved: TestImage;
    const zones = { eu: 'Europe/Rome', us: 'America/New_York' };
    const policy = (more: Partial<typeof zones> = {}) =>
      world.houba.policies({
        name: 'zones',
        from: `${world.upstream.host}/lib/zones`,
        to: ['main:demo/zones'],
        import: {
          variants: [
            { name: 'plain' },
            ...Object.entries({ ...zones, ...more }).map(([name, zone]) => ({
              ...{ name, suffix: `-${name}` },
              transform: [{ setTimezone: { zone } }],
            })),
          ],
        },
      });
    const kinds = async (dir: string) =>
      operationsOf(await world.reconcile(dir))
        .filter(({ kind }) => kind !== 'skipped')
        .map(({ kind, out_tag, applied }) => ({ kind, out_tag, applied }))
        .sort((a, b) => (a.out_tag < b.out_tag ? -1 : 1));
    const digests = async () =>
      Object.fromEntries(
        await Promise.all(
          ['1.0.0', '1.0.0-eu', '1.0.0-us'].map(async (tag) => [
            tag,
            await world.regctl.digest(world.at(`demo/zones:${tag}`)),
          ]),
        ),
      );

    beforeAll(async () => {
      base = await debianBase('zones');
      moved = await debianBase('zones-moved');
      await push(world.upstream.host, 'lib/zones', ['1.0.0'], base);
      expect((await world.reconcile(policy())).totals).toMatchObject({ imported: 3 });
    });

    it('each has its own zone, and the one without a transform is a copy', async () => {
      for (const [name, zone] of Object.entries(zones)) {
        const reference = world.at(`demo/zones:1.0.0-${name}`);
        expect(await world.fileIn(reference, '/etc/timezone')).toBe(zone);
        expect((await world.config(reference)).config.Env).toContain(`TZ=${zone}`);
      }
      const { layers, annotations } = await world.regctl.manifest(world.at('demo/zones:1.0.0'));
      expect(layers?.map(({ digest }) => digest)).toEqual(
        JSON.parse(base.bytes.toString('utf8')).layers.map(({ digest }: { digest: string }) => digest),
      );
      expect(annotations?.['io.houba.transform.steps']).toBeUndefined();
    });

    it('a parameter of one of them changes: that one is rebuilt at once, and no other', async () => {
      const before = await digests();
      expect(await kinds(policy({ us: 'Asia/Tokyo' }))).toEqual([
        { kind: 'updated', out_tag: '1.0.0-us', applied: true },
      ]);
      const after = await digests();
      expect(after).toEqual({ ...before, '1.0.0-us': expect.not.stringMatching(before['1.0.0-us'] ?? '') });
      expect(await world.fileIn(world.at('demo/zones:1.0.0-us'), '/etc/timezone')).toBe('Asia/Tokyo');
    });

    it('upstream has moved meanwhile: the rebuilt one is of the recorded base, what is new waits', async () => {
      await move('lib/zones', '1.0.0', base, moved, false);
      const before = await digests();
      expect(await kinds(policy({ us: 'Europe/Rome' }))).toEqual([
        { kind: 'held', out_tag: '1.0.0', applied: expect.any(Boolean) },
        { kind: 'held', out_tag: '1.0.0-eu', applied: expect.any(Boolean) },
        { kind: 'updated', out_tag: '1.0.0-us', applied: true },
      ]);
      const { annotations } = await world.regctl.manifest(world.at('demo/zones:1.0.0-us'));
      expect(annotations).toMatchObject({
        'org.opencontainers.image.base.digest': base.digest,
        'io.houba.supersedes': before['1.0.0-us'],
      });
      const { '1.0.0-us': _, ...others } = await digests();
      expect(before).toMatchObject(others);
      for (const type of SIGNED) await world.statements(type, world.at('demo/zones:1.0.0-us'));
      expect((await kinds(policy({ us: 'Europe/Rome' }))).map(({ kind }) => kind)).toEqual(['held', 'held', 'held']);
    });

    it('the same transform on the same base is the same image again', async () => {
      const [eu, us] = await Promise.all(
        ['eu', 'us'].map((name) => world.regctl.manifest(world.at(`demo/zones:1.0.0-${name}`))),
      );
      expect(eu?.layers).toEqual(us?.layers);
      expect(eu?.config).toEqual(us?.config);
    });
  });

  describe('the base is gone upstream, and its original is not here', () => {
    it('the tag is held with a reason, and the rest goes on', async () => {
      const base = await debianBase('gone');
      const policy = (zone: string) =>
        world.houba.policies({
          name: 'gone',
          from: `${world.upstream.host}/lib/gone`,
          to: ['main:demo/gone'],
          import: { transform: [{ setTimezone: { zone } }] },
        });
      await push(world.upstream.host, 'lib/gone', ['1.0.0'], base);
      await world.reconcile(policy('Europe/Rome'));
      const before = await world.regctl.digest(world.at('demo/gone:1.0.0'));
      await move('lib/gone', '1.0.0', base, await debianBase('gone-moved'), true);
      const [operation, ...more] = operationsOf(await world.reconcile(policy('Asia/Tokyo')));
      expect(more).toEqual([]);
      expect(operation).toMatchObject({ kind: 'held', out_tag: '1.0.0', applied: false, error: null });
      expect(operation?.reason).toContain(base.digest);
      expect(await world.regctl.digest(world.at('demo/gone:1.0.0'))).toBe(before);
      expect(world.proxy.writes()).toEqual([]);
    });
  });

  describe('a step that cannot do its work', () => {
    it.each([
      ['a zone that the image does not have', { setTimezone: { zone: 'Europe/Romme' } }, /setTimezone.*Europe\/Rom/],
      ['a mirror of another kind', { rewritePackageSources: { mirror: 'alpine' } }, /rewritePackageSources/],
    ])('%s: a sentence says so, and nothing is built or written', async (_, step, message) => {
      await push(world.upstream.host, 'lib/cannot', ['1.0.0'], await debianBase('cannot'));
      const dir = world.houba.policies({
        name: 'cannot',
        from: `${world.upstream.host}/lib/cannot`,
        to: ['main:demo/cannot'],
        import: { transform: [step] },
      });
      world.proxy.reset();
      const { code, report } = await world.houba.reconcile(dir);
      expect(code).toBe(1);
      const [operation] = operationsOf(report);
      expect(operation?.error).toMatchObject({ type: 'PolicyInvalid', message: expect.stringMatching(message) });
      expect(world.proxy.writes()).toEqual([]);
    });
  });

  it('a daemon that does not answer is waited for, and copies are placed meanwhile', async () => {
    await push(world.upstream.host, 'lib/both', ['1.0.0'], await debianBase('both'));
    const dir = world.houba.policies({
      name: 'both',
      from: `${world.upstream.host}/lib/both`,
      to: ['main:demo/both'],
      import: { variants: [{ name: 'plain' }, { name: 'ca', suffix: '-ca', transform: INJECT }] },
    });
    world.builder.leave();
    const started = world.houba.start('reconcile', dir, '--output', 'json');
    await until(() => tagsOf('demo/both').then((tags) => tags.includes('1.0.0')), 'the copy');
    world.builder.comeBack();
    const { code, stdout, stderr } = await started.ended;
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout).totals).toMatchObject({ imported: 2, failed: 0 });
  });

  it('nothing is left over: no manifest, no process, no folder', async () => {
    for (const repository of ['demo/one', 'demo/zones', 'demo/gone', 'demo/both']) {
      expect(orphansOf(await readOlaregStore(world.registry, repository)), repository).toEqual([]);
    }
    await world.houba.down();
    expect(processesOf(world.houba.folder)).toEqual([]);
    expect(leftIn(world.houba.workDir)).toEqual([]);
  });
});
