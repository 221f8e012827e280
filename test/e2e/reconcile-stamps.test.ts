import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import {
  createHoubaWithInstantSyft,
  type Houba,
  operationsOf,
  type RegctlReader,
  regctlReader,
} from '../support/stack.js';
import { orphansOf, readDistributionStore, readOlaregStore } from '../support/storage.js';
import { image, index, push } from '../support/upstream-images.js';
import { type CosignKey, type StockCosign, stockCosign } from '../support/upstream-signer.js';

const STAMP = 'application/vnd.houba.stamp.v1+json';
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

const amd = image('multi amd');
const arm = image('multi arm', { platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } });
const MULTI = index([amd, arm]);
const SINGLE = image('single');

/** What one run after another does to the same images, with a signer, on registries with and without a referrers API. */
describe.each([
  { name: 'olareg', start: () => startOlareg(), read: readOlaregStore },
  { name: 'distribution', start: () => startDistribution(), read: readDistributionStore },
])('with every image signed in $name', ({ name, start, read }) => {
  /** What does not depend on the kind of registry is shown with one of them. */
  const once = name === 'olareg';
  let upstream: RunningRegistry;
  let registry: RunningRegistry;
  let proxy: CountingProxy;
  let houba: Houba;
  let regctl: RegctlReader;
  let stock: StockCosign;
  let key: CosignKey;

  beforeAll(async () => {
    upstream = await startOlareg({ inMemory: true });
    registry = await start();
    proxy = await startCountingProxy(registry.host);
    houba = await createHoubaWithInstantSyft({
      up: { host: upstream.host, tls_verify: false },
      main: { host: proxy.host, tls_verify: false },
    });
    stock = await stockCosign(join(houba.folder, 'stock'));
    key = await stock.makeKey('ours');
    Object.assign(houba.env, {
      HOUBA_ATTEST_SIGNER: 'key',
      HOUBA_ATTEST_KEY_REF: key.privateFile,
      COSIGN_PASSWORD: '',
    });
    await houba.up();
    regctl = regctlReader(houba.folder, [registry.host, upstream.host]);
    await push(upstream.host, 'beside', ['1.0', '1.0.0'], MULTI);
    await push(upstream.host, 'beside', ['2.0'], SINGLE);
    await push(upstream.host, 'subset', ['1.0'], MULTI);
    await stock.sign(await stock.makeKey('theirs'), `${upstream.host}/beside@${MULTI.digest}`, 'bundle');
    await stock.sign(await stock.makeKey('older'), `${upstream.host}/beside@${SINGLE.digest}`, 'tag');
  });

  afterAll(async () => {
    await houba?.dispose();
    await proxy?.stop();
    await registry?.stop();
    await upstream?.stop();
  });

  const artifactsOf = async (reference: string, type: string) =>
    (await regctl.artifacts(reference)).filter(({ artifactType }) => artifactType === type);

  async function verifies(type: string, reference: string): Promise<void> {
    const trust = [`--key=${key.publicFile}`, '--insecure-ignore-tlog=true'];
    const plain = ['--allow-http-registry', '--allow-insecure-registry'];
    await stock('verify-attestation', ...trust, `--type=${type}`, ...plain, reference);
  }

  const policyOf = (name: string, entry: Readonly<Record<string, unknown>>) =>
    houba.policies({ name, from: `${upstream.host}/${name}`, to: [`main:demo/${name}`], import: entry });

  async function reconcile(dir: string, ...args: readonly string[]) {
    proxy.reset();
    const { code, report } = await houba.reconcile(dir, '-j', '2', ...args);
    expect(report.policies.map(({ error }) => error)).toEqual([null]);
    expect(operationsOf(report).flatMap(({ error }) => (error === null ? [] : [error.message]))).toEqual([]);
    expect(code).toBe(0);
    return report;
  }

  describe('a stamp beside the image', () => {
    const policy = (facts: object) =>
      policyOf('beside', { tags: { aliases: ['latest'] }, stamp: 'referrer', keepUpstreamEvidence: true, ...facts });
    const placed = () => `${registry.host}/demo/beside`;

    it('leaves upstream’s digest and its signatures as they are', async () => {
      const report = await reconcile(policy({}));
      expect(report.totals).toMatchObject({ imported: 3, aliased: 1, failed: 0 });
      for (const tag of ['1.0', '1.0.0']) expect(await regctl.digest(`${placed()}:${tag}`)).toBe(MULTI.digest);
      for (const tag of ['2.0', 'latest']) expect(await regctl.digest(`${placed()}:${tag}`)).toBe(SINGLE.digest);
      const theirs = (await artifactsOf(`${placed()}:1.0`, BUNDLE)).filter(
        ({ annotations }) => annotations['io.houba.operation'] === undefined,
      );
      expect(theirs).toHaveLength(1);
      expect(await regctl.tags(placed())).toContain(`${SINGLE.digest.replace(':', '-')}.sig`);
    });

    it('is one for each tag, and stock cosign verifies what it says', async () => {
      const stamps = await artifactsOf(`${placed()}:1.0`, STAMP);
      expect(stamps.map(({ annotations }) => annotations['io.houba.tag']).sort()).toEqual(['1.0', '1.0.0']);
      expect(stamps[0]?.annotations).toMatchObject({
        'io.houba.policy': 'beside',
        'org.opencontainers.image.base.digest': MULTI.digest,
      });
      for (const type of ['slsaprovenance1', 'https://houba.dev/predicate/transform/v1', 'spdxjson']) {
        for (const reference of ['1.0.0', 'latest']) await verifies(type, `${placed()}:${reference}`);
        await verifies(type, `${placed()}@${arm.digest}`);
      }
    });

    it('is found again: the next run writes nothing, also when it looks at everything again', async () => {
      for (const args of [[], ['--recheck']]) {
        const report = await reconcile(policy({}), ...args);
        expect(report.totals).toMatchObject({ imported: 0, restamped: 0, attested: 0, sbom: 0, skipped: 3, failed: 0 });
        expect(proxy.writes()).toEqual([]);
      }
    });

    it('is renewed alone when another owner answers for the image', async () => {
      const changed = policy({ owners: ['group:default/new'] });
      expect((await reconcile(changed)).totals).toMatchObject({ restamped: 3, aliased: 0, failed: 0 });
      for (const tag of ['1.0', '1.0.0']) expect(await regctl.digest(`${placed()}:${tag}`)).toBe(MULTI.digest);
      const stamps = await artifactsOf(`${placed()}:1.0`, STAMP);
      expect(stamps.map(({ annotations }) => annotations['io.houba.owners'])).toEqual([
        'group:default/new',
        'group:default/new',
      ]);
      expect((await reconcile(changed, '--recheck')).totals).toMatchObject({ restamped: 0, skipped: 3 });
    });

    it('goes onto the image when the policy says so', async () => {
      const onto = policy({ owners: ['group:default/new'], stamp: 'annotations' });
      expect((await reconcile(onto)).totals).toMatchObject({ restamped: 3, failed: 0 });
      const { annotations } = await regctl.manifest(`${placed()}:1.0.0`);
      expect(annotations).toMatchObject({
        'io.houba.policy': 'beside',
        'io.houba.supersedes': MULTI.digest,
        'org.opencontainers.image.base.digest': MULTI.digest,
      });
      expect(await artifactsOf(`${placed()}@${MULTI.digest}`, STAMP)).toEqual([]);
      await verifies('slsaprovenance1', `${placed()}:1.0.0`);
      expect((await reconcile(onto, '--recheck')).totals).toMatchObject({ restamped: 0, attested: 0, skipped: 3 });
    });
  });

  if (once) {
    describe('a subset of platforms', () => {
      const policy = (facts: object) => policyOf('subset', { platforms: ['linux/arm64'], ...facts });
      const placed = () => `${registry.host}/demo/subset:1.0`;

      it('is an index of its own, with the children that upstream made', async () => {
        expect((await reconcile(policy({}))).totals).toMatchObject({ imported: 1, failed: 0 });
        const { manifests, annotations } = await regctl.manifest(placed());
        expect(manifests?.map(({ digest }) => digest)).toEqual([arm.digest]);
        expect(annotations).toMatchObject({ 'io.houba.platforms': 'linux/arm64' });
        await verifies('spdxjson', `${registry.host}/demo/subset@${arm.digest}`);
        expect((await reconcile(policy({}), '--recheck')).totals).toMatchObject({
          skipped: 1,
          imported: 0,
          attested: 0,
        });
        expect(proxy.writes()).toEqual([]);
      });

      it('is stamped again in place, and cut anew from the recorded digest when the policy names others', async () => {
        expect((await reconcile(policy({ vendor: 'New' }))).totals).toMatchObject({ restamped: 1, failed: 0 });
        const before = await regctl.digest(placed());
        const both = policy({ vendor: 'New', platforms: ['linux/amd64', 'linux/arm64'] });
        expect((await reconcile(both)).totals).toMatchObject({ updated: 1, failed: 0 });
        const { manifests, annotations } = await regctl.manifest(placed());
        expect(manifests?.map(({ digest }) => digest)).toEqual([amd.digest, arm.digest]);
        expect(annotations).toMatchObject({
          'io.houba.supersedes': before,
          'org.opencontainers.image.vendor': 'New',
          'org.opencontainers.image.base.digest': MULTI.digest,
        });
        await verifies('slsaprovenance1', placed());
        expect(orphansOf(await read(registry, 'demo/subset'))).toEqual([]);
      });
    });
  }
});
