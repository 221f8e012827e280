import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRebuildWorld, debianBase, type RebuildWorld, TYPES } from '../support/rebuild-world.js';
import { startOlareg } from '../support/registries.js';
import { startSigstore } from '../support/sigstore.js';
import { createHoubaWithInstantSyft, type Ended, leftIn, operationsOf, processesOf } from '../support/stack.js';
import { orphansOf, readOlaregStore } from '../support/storage.js';
import { json, push, rawManifest, type TestImage } from '../support/upstream-images.js';

const INJECT = [{ injectCA: { certs: ['corp'] } }];
const PREDICATE_TYPE = 'dev.sigstore.bundle.predicateType';

let world: RebuildWorld;
beforeAll(async () => {
  world = await createRebuildWorld(startOlareg, {}, createHoubaWithInstantSyft);
  await world.houba.up();
});
afterAll(() => world?.stop());

function policy(name: string, facts: Readonly<Record<string, unknown>> = {}, artifactType = 'image'): string {
  return world.houba.policies({
    ...{ name, artifactType, from: `${world.upstream.host}/lib/${name}`, to: [`main:demo/${name}`], import: facts },
  });
}

/** What kinds of statement are signed about it, in order. */
async function signedAbout(reference: string): Promise<(string | undefined)[]> {
  const bundles = await world.artifacts(reference, TYPES.bundle);
  return bundles.map(({ annotations }) => annotations[PREDICATE_TYPE]).sort();
}

/** With a stack that has these settings. */
async function withStack<Result>(settings: Record<string, string>, work: () => Promise<Result>): Promise<Result> {
  const { houba } = world;
  const before = Object.fromEntries(Object.keys(settings).map((name) => [name, houba.env[name]]));
  await houba.upWith(settings);
  return work().finally(() => houba.upWith(before));
}

/** `houba verify`, which needs no stack, with these settings. */
async function verifyWith(settings: Record<string, string>, ...args: readonly string[]): Promise<Ended> {
  const { env, run } = world.houba;
  const before = { ...env };
  Object.assign(env, settings);
  const ended = run('verify', ...args);
  for (const name of Object.keys(settings)) delete env[name];
  Object.assign(env, before);
  return ended;
}

describe.each([
  { artifactType: 'helmChart', mediaType: 'application/vnd.cncf.helm.config.v1+json' },
  { artifactType: 'generic', mediaType: 'application/vnd.example.thing.v1+json' },
])('a copied $artifactType', ({ artifactType, mediaType }) => {
  it('is signed without an inventory, and is found so', async () => {
    const name = artifactType.toLowerCase();
    const [config, content] = [json({ name, version: '1.0.0' }), Buffer.from(`the ${name}`)];
    await push(world.upstream.host, `lib/${name}`, ['1.0.0'], artifact(mediaType, config, content));
    const dir = policy(name, {}, artifactType);
    expect((await world.reconcile(dir)).totals).toMatchObject({ imported: 1, sbom: 0 });
    const reference = world.at(`demo/${name}:1.0.0`);
    expect(await signedAbout(reference)).toEqual([TYPES.transform, 'https://slsa.dev/provenance/v1']);
    for (const type of ['slsaprovenance1', TYPES.transform]) await world.statements(type, reference);
    expect(await world.artifacts(reference, TYPES.spdx)).toEqual([]);
    const { code, stdout } = await world.houba.run('verify', reference, '--require', 'stamp,signature,provenance');
    expect(code, stdout).toBe(0);
    expect((await world.reconcile(dir, '--recheck')).totals).toMatchObject({ skipped: 1, attested: 0 });
    expect(world.proxy.writes()).toEqual([]);
  });
});

function artifact(mediaType: string, config: Buffer, content: Buffer): TestImage {
  const describe = (type: string, bytes: Buffer) => ({
    mediaType: type,
    digest: rawManifest(bytes, type).digest,
    size: bytes.length,
  });
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = {
    schemaVersion: 2,
    mediaType: type,
    config: describe(mediaType, config),
    layers: [describe('application/octet-stream', content)],
  };
  return rawManifest(manifest, type, [config, content]);
}

describe('a rebuild with its stamp beside it', () => {
  const tag = () => world.at('demo/beside:1.0.0');
  let built = '';
  const stamps = async () => (await world.artifacts(tag(), TYPES.stamp)).map(({ annotations }) => annotations);
  const beside = (facts: object = {}) => policy('beside', { stamp: 'referrer', transform: INJECT, ...facts });
  beforeAll(async () => {
    await push(world.upstream.host, 'lib/beside', ['1.0.0'], await debianBase('beside'));
    expect((await world.reconcile(beside())).totals).toMatchObject({ imported: 1 });
    built = await world.regctl.digest(tag());
  });

  it('is what BuildKit made, with nothing on it', async () => {
    const { annotations = {} } = await world.regctl.manifest(tag());
    expect(Object.keys(annotations).filter((key) => key.startsWith('io.houba.'))).toEqual([]);
    expect(await stamps()).toEqual([
      expect.objectContaining({ 'io.houba.tag': '1.0.0', 'io.houba.transform.steps': 'injectCA' }),
    ]);
    const { code, stdout } = await world.houba.run('verify', tag(), '--require', 'stamp,sbom,signature,provenance');
    expect(code, stdout).toBe(0);
  });

  it('another owner renews the stamp alone', async () => {
    const changed = beside({ owners: ['group:default/new'] });
    expect((await world.reconcile(changed)).totals).toMatchObject({ restamped: 1, updated: 0 });
    expect(await world.regctl.digest(tag())).toBe(built);
    expect(await stamps()).toEqual([expect.objectContaining({ 'io.houba.owners': 'group:default/new' })]);
    expect((await world.reconcile(changed, '--recheck')).totals).toMatchObject({ skipped: 1, attested: 0 });
    expect(world.proxy.writes()).toEqual([]);
  });

  it('the stamp goes onto the image and back, and nothing is built for it', async () => {
    world.builder.leave();
    expect((await world.reconcile(beside({ stamp: 'annotations' }))).totals).toMatchObject({ restamped: 1 });
    const { annotations } = await world.regctl.manifest(tag());
    expect(annotations).toMatchObject({ 'io.houba.policy': 'beside', 'io.houba.transform.steps': 'injectCA' });
    expect(await stamps()).toEqual([]);
    expect((await world.reconcile(beside())).totals).toMatchObject({ restamped: 1 });
    world.builder.comeBack();
    const { annotations: bare = {} } = await world.regctl.manifest(tag());
    expect(Object.keys(bare).filter((key) => key.startsWith('io.houba.'))).toEqual([]);
    expect(await stamps()).toEqual([expect.objectContaining({ 'io.houba.transform.steps': 'injectCA' })]);
    for (const type of ['slsaprovenance1', 'spdxjson', TYPES.transform]) await world.statements(type, tag());
    expect((await world.reconcile(beside(), '--recheck')).totals).toMatchObject({ skipped: 1, attested: 0 });
    expect(world.proxy.writes()).toEqual([]);
  });
});

describe('a signer that fails', () => {
  it('shows no tag and leaves nothing behind; the next run completes it', async () => {
    await push(world.upstream.host, 'lib/fails', ['1.0.0'], await debianBase('fails'));
    const broken = join(world.houba.folder, 'broken.key');
    writeFileSync(broken, 'not a key');
    const dir = policy('fails', { variants: [{ name: 'plain' }, { name: 'ca', suffix: '-ca', transform: INJECT }] });
    const { code, report } = await withStack({ HOUBA_ATTEST_KEY_REF: broken }, () => world.houba.reconcile(dir));
    expect(code).not.toBe(0);
    expect(operationsOf(report).map(({ applied, error }) => [applied, error === null])).toEqual([
      [false, false],
      [false, false],
    ]);
    expect(await world.regctl.tags(world.at('demo/fails')).catch(() => [])).toEqual([]);
    const { manifests } = await readOlaregStore(world.registry, 'demo/fails');
    const stamped = [...manifests.values()].filter(({ annotations }) => annotations?.['io.houba.policy'] !== undefined);
    expect(stamped).toEqual([]);

    expect((await world.reconcile(dir)).totals).toMatchObject({ imported: 2, failed: 0 });
    for (const tag of ['1.0.0', '1.0.0-ca']) await world.statements('spdxjson', world.at(`demo/fails:${tag}`));
    expect(orphansOf(await readOlaregStore(world.registry, 'demo/fails'))).toEqual([]);
  });

  it('what was placed without one is signed when there is one, each kind by itself', async () => {
    await push(world.upstream.host, 'lib/later', ['1.0.0'], await debianBase('later'));
    const dir = policy('later', { transform: INJECT });
    const reference = world.at('demo/later:1.0.0');
    await withStack({ HOUBA_ATTEST_SIGNER: '' }, () => world.reconcile(dir));
    expect(await signedAbout(reference)).toEqual([]);
    const digest = await world.regctl.digest(reference);
    expect((await world.reconcile(dir)).totals).toMatchObject({ attested: 1, updated: 0, imported: 0 });
    const all = [TYPES.transform, 'https://slsa.dev/provenance/v1', 'https://spdx.dev/Document'];
    expect(await signedAbout(reference)).toEqual(all);
    expect(await world.regctl.digest(reference)).toBe(digest);
    for (const lost of all) {
      const bundle = (await world.artifacts(reference, TYPES.bundle)).find(
        ({ annotations }) => annotations[PREDICATE_TYPE] === lost,
      );
      await world.regctl('manifest', 'delete', '--referrers', world.at(`demo/later@${bundle?.digest}`));
      expect((await world.reconcile(dir, '--recheck')).totals).toMatchObject({ attested: 1, failed: 0 });
      expect(await signedAbout(reference)).toEqual(all);
    }
  });
});

describe('an identity instead of a key', () => {
  it('signs a rebuild, and houba verify finds whose it is', async () => {
    const sigstore = await startSigstore(join(world.houba.folder, 'sigstore'));
    try {
      await push(world.upstream.host, 'lib/keyless', ['1.0.0'], await debianBase('keyless'));
      const settings = {
        HOUBA_ATTEST_SIGNER: 'keyless',
        HOUBA_ATTEST_KEY_REF: '',
        HOUBA_ATTEST_FULCIO_URL: sigstore.fulcioUrl,
        HOUBA_ATTEST_TSA_URL: sigstore.tsaUrl,
        HOUBA_ATTEST_TRUSTED_ROOT: sigstore.trustedRoot,
        SIGSTORE_ID_TOKEN: sigstore.identityToken('houba@example.org'),
      };
      await withStack(settings, () => world.reconcile(policy('keyless', { transform: INJECT })));
      const { SIGSTORE_ID_TOKEN: _, ...trust } = settings;
      const judge = (identity: string) =>
        verifyWith(
          { ...trust, HOUBA_ATTEST_VERIFY_IDENTITY: identity, HOUBA_ATTEST_VERIFY_OIDC_ISSUER: sigstore.issuer },
          world.at('demo/keyless:1.0.0'),
          '--require',
          'sbom,signature,provenance',
        );
      const right = await judge('houba@example.org');
      expect(right.code, right.stdout + right.stderr).toBe(0);
      expect((await judge('somebody@example.org')).code).toBe(1);
    } finally {
      await sigstore.stop();
    }
  });
});

it('no process and no folder is left', async () => {
  await world.houba.down();
  expect(processesOf(world.houba.folder)).toEqual([]);
  expect(leftIn(world.houba.workDir)).toEqual([]);
});
