import { verify } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MARK_ARTIFACT_TYPE } from '../../domain/lifecycle/mark.js';
import type { GcOutcome, GcReport } from '../../domain/report/collect-report.js';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.js';
import { request } from '../support/http.js';
import { OCI_MANIFEST } from '../support/images.js';
import { createPlayingOracle, SEEN, UNSEEN } from '../support/playing-oracle.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import {
  createHoubaWithInstantSyft,
  type Houba,
  type PolicyOptions,
  type RegctlReader,
  regctlReader,
  until,
} from '../support/stack.js';
import {
  orphansOf,
  readDistributionStore,
  readOlaregStore,
  type StoredManifest,
  type StoredRepository,
} from '../support/storage.js';
import { alike, image, index, push, rawManifest, type TestImage } from '../support/upstream-images.js';
import { type CosignKey, type StockCosign, stockCosign } from '../support/upstream-signer.js';

const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const SCAN_REPORT = 'application/vnd.houba.scan.result.v1';
const SCAN = 'https://houba.dev/predicate/scan/v1';
const SIGNED_BY_HOUBA = [
  'https://slsa.dev/provenance/v1',
  'https://spdx.dev/Document',
  'https://houba.dev/predicate/transform/v1',
];
const LOCAL = ['--insecure-ignore-tlog=true', '--allow-http-registry', '--allow-insecure-registry'];
const AT_ONCE = ['--older-than-days', '0'];

const validate = new Ajv2020({ strict: true }).compile(
  JSON.parse(readFileSync('docs/reference/gc-report.schema.json', 'utf8')),
);

interface Kind {
  readonly start: () => Promise<RunningRegistry>;
  readonly read: (registry: RunningRegistry, repository: string) => Promise<StoredRepository>;
}

const OLAREG: Kind = { start: startOlareg, read: readOlaregStore };

interface World {
  readonly upstream: RunningRegistry;
  readonly registry: RunningRegistry;
  /** houba knows the registry by this one's address. */
  readonly proxy: CountingProxy;
  readonly houba: Houba;
  readonly stock: StockCosign;
  readonly ours: CosignKey;
  readonly theirs: CosignKey;
  readonly regctl: RegctlReader;
  /** Below `demo/`, as stock programs are to ask for it. */
  placed(name: string, tag?: string): string;
  policy(name: string, more?: Partial<PolicyOptions>): string;
  /** Reconciles, and demands that nothing failed. */
  reconcile(dir: string, ...args: readonly string[]): Promise<Record<string, number>>;
  /** Publishes an image of two platforms upstream. */
  publish(name: string, text: string, tag: string): Promise<TestImage>;
  /** Publishes an image upstream under these tags. */
  publishOne(name: string, text: string, ...tags: readonly string[]): Promise<TestImage>;
  store(name: string): Promise<StoredRepository>;
  /** Everything of a tag is there, and what is signed about it is valid. */
  isSound(reference: string): Promise<void>;
  stop(): Promise<void>;
}

async function createWorld(kind: Kind, settings: Readonly<Record<string, string>> = {}): Promise<World> {
  const upstream = await startOlareg({ inMemory: true });
  const registry = await kind.start();
  const proxy = await startCountingProxy(registry.host);
  const houba = await createHoubaWithInstantSyft(
    { up: { host: upstream.host, tls_verify: false }, main: { host: proxy.host, tls_verify: false } },
    { HOUBA_ATTEST_SIGNER: 'key', HOUBA_STABILITY: '{"window":"0s"}', ...settings },
  );
  const stock = await stockCosign(join(houba.folder, 'cosign'));
  const [ours, theirs] = [await stock.makeKey('ours'), await stock.makeKey('theirs')];
  houba.env.HOUBA_ATTEST_KEY_REF = ours.privateFile;
  const regctl = regctlReader(houba.folder, [registry.host, upstream.host]);
  let pulls = 0;
  return {
    ...{ upstream, registry, proxy, houba, stock, ours, theirs, regctl },
    placed: (name, tag) => `${registry.host}/demo/${name}${tag === undefined ? '' : `:${tag}`}`,
    policy: (name, more = {}) =>
      houba.policies({
        ...{ name, from: `${upstream.host}/${name}`, to: [`main:demo/${name}`] },
        ...more,
        import: { tags: { semverOnly: false }, ...more.import },
      }),
    reconcile: async (dir, ...args) => {
      const { code, report, stderr } = await houba.reconcile(dir, ...args);
      expect(code, stderr.slice(-3000)).toBe(0);
      return report.totals;
    },
    publish: async (name, text, tag) => {
      const arm64 = { os: 'linux', architecture: 'arm64' };
      const both = index([alike(`${name} ${text}`), alike(`${name} ${text}`, { platform: arm64 })]);
      await push(upstream.host, name, [tag], both);
      return both;
    },
    publishOne: async (name, text, ...tags) => {
      const one = alike(`${name} ${text}`);
      await push(upstream.host, name, tags, one);
      return one;
    },
    store: (name) => kind.read(registry, `demo/${name}`),
    isSound: async (reference) => {
      await regctl('image', 'copy', reference, `ocidir://${houba.folder}/pulled:${++pulls}`);
      expect(await signedAbout(regctl, registry.host, reference, ours)).toEqual(
        expect.arrayContaining(SIGNED_BY_HOUBA),
      );
    },
    stop: async () => {
      await houba.dispose();
      await proxy.stop();
      await registry.stop();
      await upstream.stop();
    },
  };
}

/** The predicate types of the statements about an image whose signatures this key has made, each checked. */
async function signedAbout(regctl: RegctlReader, host: string, reference: string, key: CosignKey): Promise<string[]> {
  const subject = await regctl.digest(reference);
  const repository = reference.slice(host.length + 1).replace(/[:@].*$/, '');
  const headers = { accept: OCI_MANIFEST };
  const read = async (path: string) =>
    JSON.parse((await request(`http://${host}/v2/${repository}/${path}`, { headers })).body.toString('utf8'));
  const types: string[] = [];
  for (const { digest, artifactType } of await regctl.artifacts(reference)) {
    if (artifactType !== BUNDLE) continue;
    const { layers } = (await read(`manifests/${digest}`)) as StoredManifest;
    const { dsseEnvelope } = await read(`blobs/${layers?.[0]?.digest}`);
    const payload = Buffer.from(dsseEnvelope.payload, 'base64');
    const { payloadType } = dsseEnvelope;
    const signed = `DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `;
    const signature = Buffer.from(dsseEnvelope.signatures[0].sig, 'base64');
    if (!verify('sha256', Buffer.concat([Buffer.from(signed), payload]), key.publicPem, signature)) continue;
    const statement = JSON.parse(payload.toString('utf8'));
    const names = statement.subject.map((one: { digest: { sha256: string } }) => `sha256:${one.digest.sha256}`);
    if (names.includes(subject)) types.push(statement.predicateType);
  }
  return types;
}

interface Collected {
  readonly code: number | null;
  readonly stderr: string;
  readonly report: GcReport;
  /** The digests of one outcome's kind, in no order. */
  readonly of: (kind: GcOutcome['kind'], suffix?: string) => string[];
}

/** `houba gc` on one repository, which every registry can be asked for. */
async function gc({ houba, proxy }: World, name: string, ...args: readonly string[]): Promise<Collected> {
  const here = ['--repository', `${proxy.host}/demo/${name}`];
  const { code, stdout, stderr } = await houba.run('gc', '--output', 'json', ...here, ...args);
  let report: GcReport;
  try {
    report = JSON.parse(stdout) as GcReport;
  } catch {
    throw new Error(`no report (exit ${code}): ${stderr.slice(-3000)}`);
  }
  expect(validate(report), JSON.stringify(validate.errors)).toBe(true);
  const of = (kind: GcOutcome['kind'], suffix = '') =>
    report.outcomes
      .filter((outcome) => outcome.kind === kind && outcome.image_ref.endsWith(suffix))
      .flatMap(({ collected }) => collected)
      .sort();
  return { code, stderr, report, of };
}

const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString().replace('Z', '+00:00');

/** A scan report as a CI attaches it, and its signed statement. @returns digest of the report, of the twin */
async function attachScan(
  world: World,
  subject: string,
  facts: { readonly days: number | null; readonly tool?: string; readonly by?: CosignKey | null },
): Promise<{ report: string; twin: string }> {
  const { days, tool = 'grype', by = null } = facts;
  const sarif = { version: '2.1.0', runs: [{ tool: { driver: { name: tool } }, results: [], properties: { days } }] };
  const annotations: Record<string, string> = {
    ...{ 'io.houba.scan.tool': tool, 'io.houba.scan.format': 'sarif' },
    ...(days === null ? {} : { 'io.houba.scan.timestamp': daysAgo(days) }),
  };
  const report = await attach(world, subject, SCAN_REPORT, annotations, sarif);
  return { report, twin: by === null ? '' : await sign(world, subject, by, report, days ?? 0) };
}

async function attach(
  { houba, regctl }: World,
  subject: string,
  artifactType: string,
  annotations: Readonly<Record<string, string>>,
  content: unknown = {},
): Promise<string> {
  const file = join(houba.folder, 'artifact.json');
  writeFileSync(file, JSON.stringify(content));
  const flags = Object.entries(annotations).flatMap(([key, value]) => ['--annotation', `${key}=${value}`]);
  const how = ['--artifact-type', artifactType, '--file', file, '--file-media-type', 'application/sarif+json'];
  const print = ['--format', '{{ .Manifest.GetDescriptor.Digest }}'];
  return regctl('artifact', 'put', '--subject', subject, ...how, ...flags, ...print);
}

/** @returns the digest of the statement's referrer */
async function sign(world: World, subject: string, by: CosignKey, report: string, days: number): Promise<string> {
  const { stock, regctl } = world;
  const before = new Set((await regctl.artifacts(subject)).map(({ digest }) => digest));
  const attested = { report_digest: report, attested_at: daysAgo(days), builder_id: 'ci' };
  const scanner = { scanner: { name: 'grype', version: '1' }, format: 'sarif', summary: { 'vuln.high': '0' } };
  await stock.attest(by, subject, SCAN, { ...scanner, ...attested });
  const added = (await regctl.artifacts(subject)).filter(({ digest }) => !before.has(digest));
  expect(added).toHaveLength(1);
  return added[0]?.digest ?? '';
}

async function statementsAbout({ stock, ours }: World, reference: string) {
  const said = await stock('verify-attestation', `--key=${ours.publicFile}`, `--type=${SCAN}`, ...LOCAL, reference);
  return said
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(Buffer.from(JSON.parse(line).payload, 'base64').toString('utf8')).predicate);
}

/** A list of referrers, which a registry keeps as an index, and forgets when there is a newer one. */
function isListing(stored: StoredManifest | undefined): boolean {
  return stored?.manifests?.every(({ artifactType }) => artifactType !== undefined) === true;
}

const KINDS: readonly (readonly [string, Kind])[] = [
  ['olareg', OLAREG],
  ['distribution, which has no referrers API', { start: startDistribution, read: readDistributionStore }],
];

describe.each(KINDS)('on %s', (_, kind) => {
  /** What decides, and not how it is found and deleted, is shown with one kind. */
  const once = kind === OLAREG;
  let world: World;
  beforeAll(async () => {
    world = await createWorld(kind);
    await world.houba.up();
  });
  afterAll(() => world?.stop());

  describe('of the scan reports of an image', () => {
    const tag = () => world.placed('scanned', '1.0.0');
    let image = '';
    let platform = '';
    let going: string[] = [];
    let goingOnPlatform: string[] = [];
    let newest = '';
    beforeAll(async () => {
      const pushed = await world.publish('scanned', 'one', '1.0.0');
      expect(await world.reconcile(world.policy('scanned'))).toMatchObject({ imported: 1 });
      image = await world.regctl.digest(tag());
      platform = pushed.children[0]?.digest ?? '';
      const subject = `${world.placed('scanned')}@${image}`;
      const { ours: by, theirs } = world;
      const unsigned = await attachScan(world, subject, { days: 120 });
      const old = await attachScan(world, subject, { days: 90, by });
      const older = await attachScan(world, subject, { days: 60, by });
      await attachScan(world, subject, { days: 20, by });
      newest = (await attachScan(world, subject, { days: 10, by })).twin;
      // A statement of somebody else about one that goes, and one that would be the newest about another tool's.
      await sign(world, subject, theirs, older.report, 99);
      await attachScan(world, subject, { tool: 'trivy', days: 80, by });
      const claimed = await attachScan(world, subject, { tool: 'trivy', days: 50 });
      await sign(world, subject, theirs, claimed.report, 0);
      const surplus = await attachScan(world, subject, { tool: 'trivy', days: 45 });
      for (const days of [41, 40]) await attachScan(world, subject, { tool: 'trivy', days });
      await attachScan(world, subject, { days: null });
      await attach(world, subject, 'application/vnd.example.note', { 'io.houba.scan.timestamp': daysAgo(400) });
      going = [unsigned.report, old.report, old.twin, older.report, older.twin, surplus.report].sort();
      const child = `${world.placed('scanned')}@${platform}`;
      const first = await attachScan(world, child, { days: 70, by });
      for (const days of [35, 3]) await attachScan(world, child, { days, by });
      goingOnPlatform = [first.report, first.twin].sort();
    });

    it('a dry run says which have been superseded, and changes nothing', async () => {
      const before = await world.store('scanned');
      world.proxy.reset();
      const { code, report, of } = await gc(world, 'scanned');
      expect(code).toBe(0);
      expect(report).toMatchObject({ mode: 'dry-run', counts: { repositories: 1, collected: 8, failed: 0 } });
      expect(of('scans', image)).toEqual(going);
      expect(of('scans', platform)).toEqual(goingOnPlatform);
      expect(of('superseded')).toEqual([]);
      expect(report.outcomes.every(({ applied }) => !applied)).toBe(true);
      expect(world.proxy.writes()).toEqual([]);
      expect(await world.store('scanned')).toEqual(before);
    });

    it('as many are kept, and for as long, as asked for', async () => {
      const counts = async (...args: readonly string[]) =>
        (await gc(world, 'scanned', ...args)).report.counts.collected;
      expect(await counts('--keep', '100')).toBe(0);
      expect(await counts('--older-than-days', '365')).toBe(0);
      // grype: the one of 20 days with its twin; trivy: one more; the platform: two of each
      expect(await counts('--keep', '1', '--older-than-days', '15')).toBe(8 + 2 + 1 + 2);
    });

    it('the superseded go with their signed twins, and nothing else does', async () => {
      const before = (await world.store('scanned')).manifests;
      const { code, report, of } = await gc(world, 'scanned', '--apply');
      expect(code).toBe(0);
      expect(report).toMatchObject({ mode: 'apply', counts: { collected: 8, failed: 0 } });
      expect(report.outcomes.every(({ applied, error }) => applied && error === null)).toBe(true);
      expect(of('scans', image)).toEqual(going);
      const store = await world.store('scanned');
      const gone = [...before.keys()].filter((digest) => !store.manifests.has(digest));
      expect(gone.filter((digest) => !isListing(before.get(digest))).sort()).toEqual(
        [...going, ...goingOnPlatform].sort(),
      );
      expect(orphansOf(store)).toEqual([]);
    });

    it('the newest signed one is believed from the tag, by cosign and by houba', async () => {
      await world.isSound(tag());
      for (const type of SIGNED_BY_HOUBA) {
        await world.stock('verify-attestation', `--key=${world.ours.publicFile}`, `--type=${type}`, ...LOCAL, tag());
      }
      const said = await statementsAbout(world, tag());
      expect(said).toHaveLength(3);
      const artifacts = (await world.regctl.artifacts(tag())).map(({ digest }) => digest);
      expect(artifacts).toContain(newest);
      for (const { report_digest: report } of said) expect(artifacts).toContain(report);
      const required = ['--require', 'stamp,sbom,signature,provenance,scan-pass', '--max-age', '30d'];
      const name = `${world.proxy.host}/demo/scanned:1.0.0`;
      const { code, stdout, stderr } = await world.houba.run('verify', name, ...required);
      expect(code, stdout + stderr).toBe(0);
    });

    it('a second collection finds nothing, and reconcile nothing to repair', async () => {
      world.proxy.reset();
      const { code, report } = await gc(world, 'scanned', '--apply');
      expect(code).toBe(0);
      expect(report).toMatchObject({ counts: { collected: 0, failed: 0 }, outcomes: [] });
      expect(await world.reconcile(world.policy('scanned'), '--recheck')).toMatchObject({ skipped: 1, attested: 0 });
      expect(world.proxy.writes()).toEqual([]);
    });
  });

  describe('what a tag showed before', () => {
    const tag = (name = '1.0.0') => world.placed('moved', name);
    const policy = (facts: object = {}) =>
      world.policy('moved', { import: { tags: { aliases: ['latest'] }, keepUpstreamEvidence: true, ...facts } });
    const shown: string[] = [];
    const originals: string[] = [];
    beforeAll(async () => {
      const { stock, theirs, houba, upstream } = world;
      for (const round of [0, 1, 2]) {
        originals.push((await world.publish('moved', `round ${round}`, '1.0.0')).digest);
        if (round === 0) await stock.sign(theirs, `${upstream.host}/moved@${originals[0]}`, 'tag');
        if (round < 2) await world.reconcile(policy());
        else {
          const waiting = policy({ stability: { window: '7d' } });
          expect(await world.reconcile(waiting)).toMatchObject({ held: 1, updated: 0 });
          const name = `${world.proxy.host}/demo/moved:1.0.0`;
          const { code, stderr } = await houba.run('promote', name, '--reason', 'looked at it');
          expect(code, stderr).toBe(0);
          await until(async () => (await world.regctl.digest(tag())) !== shown.at(-1), 'the promoted digest');
          await world.reconcile(policy());
        }
        shown.push(await world.regctl.digest(tag()));
        await attachScan(world, `${world.placed('moved')}@${shown.at(-1)}`, { days: 50, by: world.ours });
      }
      expect(new Set(shown).size).toBe(3);
      await world.regctl('image', 'copy', `${world.placed('moved')}@${shown[1]}`, tag('pinned'));
    });

    it('stays within the grace time', async () => {
      const { code, report } = await gc(world, 'moved', '--apply');
      expect(code).toBe(0);
      expect(report.outcomes).toEqual([]);
    });

    it('and what it would take along is told by a dry run, which HOUBA_DRY_RUN_DELETIONS makes of any other', async () => {
      world.proxy.reset();
      const { of, report } = await gc(world, 'moved', ...AT_ONCE);
      expect(of('superseded')).toEqual(expect.arrayContaining([shown[0], originals[0]]));
      expect(of('superseded')).not.toContain(shown[1]);
      // Its child manifests, SBOMs, statements, the scan.
      expect(report.counts.collected).toBeGreaterThan(10);
      const { env } = world.houba;
      const home = env.HOUBA_HOME ?? '';
      Object.assign(env, { HOUBA_HOME: `${home}-dry`, HOUBA_DRY_RUN_DELETIONS: 'true' });
      const careful = await gc(world, 'moved', '--apply', ...AT_ONCE);
      env.HOUBA_HOME = home;
      delete env.HOUBA_DRY_RUN_DELETIONS;
      expect(careful.code).toBe(0);
      expect(careful.report).toMatchObject({ mode: 'dry-run', counts: report.counts });
      expect(world.proxy.writes()).toEqual([]);
    });

    it('goes with its evidence and its original, but for what another tag shows', async () => {
      const before = await world.store('moved');
      const dry = await gc(world, 'moved', ...AT_ONCE);
      const { code, of } = await gc(world, 'moved', '--apply', ...AT_ONCE);
      expect(code).toBe(0);
      expect(of('superseded')).toEqual(dry.of('superseded'));
      const store = await world.store('moved');
      const gone = [...before.manifests.keys()].filter((digest) => !store.manifests.has(digest));
      expect(gone).toEqual(expect.arrayContaining([shown[0], originals[0], ...of('superseded')]));
      for (const digest of [shown[1], shown[2], originals[1], originals[2]]) {
        expect(store.manifests.has(digest ?? '')).toBe(true);
      }
      const evidence = [shown[0], originals[0]].map((digest) => digest?.replace(':', '-') ?? '');
      expect([...store.tags.keys()].filter((name) => evidence.some((hex) => name.startsWith(hex)))).toEqual([]);
      expect(orphansOf(store)).toEqual([]);
      for (const name of ['1.0.0', 'latest', 'pinned']) await world.isSound(tag(name));
    });

    it('goes once no tag shows it any more', async () => {
      await world.regctl('tag', 'delete', tag('pinned'));
      const { of } = await gc(world, 'moved', '--apply', ...AT_ONCE);
      expect(of('superseded')).toEqual(expect.arrayContaining([shown[1], originals[1]]));
      const store = await world.store('moved');
      expect([...store.manifests].filter(([digest]) => shown.includes(digest)).map(([digest]) => digest)).toEqual([
        shown[2],
      ]);
      expect(orphansOf(store)).toEqual([]);
      for (const name of ['1.0.0', 'latest']) await world.isSound(tag(name));
    });

    it('is not found again, and nothing has to be repaired', async () => {
      world.proxy.reset();
      expect((await gc(world, 'moved', '--apply', ...AT_ONCE)).report).toMatchObject({ outcomes: [] });
      expect(await world.reconcile(policy(), '--recheck')).toMatchObject({
        skipped: 1,
        updated: 0,
        attested: 0,
        sbom: 0,
      });
      expect(world.proxy.writes()).toEqual([]);
    });

    it('may be shown again: what was collected is placed anew', async () => {
      await world.publish('moved', 'round 0', '1.0.0');
      expect(await world.reconcile(policy())).toMatchObject({ updated: 1, failed: 0 });
      for (const name of ['1.0.0', 'latest']) await world.isSound(tag(name));
      expect(orphansOf(await world.store('moved'))).toEqual([]);
    });
  });

  if (once) {
    describe('what something else needs', () => {
      const TAGS = ['1.0.0', '1.1.0', '2.0.0', '2.1.0', '2.2.0'];
      const two = () => {
        const imports = {
          import: { name: 'one', tags: { includeRegex: '^1\\.' } },
          also: [{ name: 'two', tags: { includeRegex: '^2\\.' } }],
        };
        return world.policy('needed', imports);
      };
      const old = new Map<string, string>();
      const at = (digest: string | undefined) => `${world.placed('needed')}@${digest}`;
      let untagged = '';
      let before: StoredRepository;
      beforeAll(async () => {
        const { regctl, registry } = world;
        for (const tag of TAGS) await world.publishOne('needed', `${tag} old`, tag);
        await world.reconcile(two());
        for (const tag of TAGS) {
          old.set(tag, await regctl.digest(world.placed('needed', tag)));
          if (tag !== '2.1.0') await world.publishOne('needed', `${tag} new`, tag);
        }
        const platforms = await world.publish('needed', '2.1.0 new', '2.1.0');
        await world.reconcile(two());
        // An index of somebody's has the old 1.0.0 as a child, a signature of somebody's the old 1.1.0 as its subject.
        const raw = async (digest = '') =>
          Buffer.from(await regctl('manifest', 'get', at(digest), '--format', 'raw-body'));
        const [child, subject] = [await raw(old.get('1.0.0')), await raw(old.get('1.1.0'))];
        const OCI = 'application/vnd.oci.image.manifest.v1+json';
        const described = (bytes: Buffer) => ({ mediaType: OCI, digest: '', size: bytes.length });
        const indexType = 'application/vnd.oci.image.index.v1+json';
        const nested = { schemaVersion: 2, mediaType: indexType };
        const manifests = [{ ...described(child), digest: old.get('1.0.0') }];
        await push(registry.host, 'demo/needed', ['nested'], rawManifest({ ...nested, manifests }, indexType));
        const empty = Buffer.from('{}');
        const config = {
          mediaType: 'application/vnd.oci.empty.v1+json',
          size: 2,
          digest: rawManifest(empty, OCI).digest,
        };
        const artifact = { schemaVersion: 2, mediaType: OCI, artifactType: 'text/note', config, layers: [config] };
        const about = { ...artifact, subject: { ...described(subject), digest: old.get('1.1.0') } };
        await push(registry.host, 'demo/needed', ['note'], rawManifest(about, OCI, [empty]));
        // Somebody wanted the old 2.0.0 kept.
        await attach(world, at(old.get('2.0.0')), MARK_ARTIFACT_TYPE, {
          ...{ 'io.houba.lifecycle.state': 'restored', 'io.houba.lifecycle.tag': '2.0.0' },
          'io.houba.lifecycle.restored.by': 'eve',
        });
        // Stamps that houba never wrote, old enough, claim to have superseded what is in use, and what is not houba's.
        const theirs = image('needed theirs');
        await push(registry.host, 'demo/needed', [], theirs);
        untagged = theirs.digest;
        const live = await regctl.digest(world.placed('needed', '2.1.0'));
        const [platform] = platforms.children;
        const [evidence] = await regctl.artifacts(at(live));
        for (const [number, victim] of [live, platform?.digest, evidence?.digest, untagged].entries()) {
          const annotations = {
            'io.houba.policy': 'needed',
            'io.houba.supersedes': victim ?? '',
            'org.opencontainers.image.base.digest': victim ?? '',
            'org.opencontainers.image.created': '2020-01-01T00:00:00+00:00',
          };
          await push(registry.host, 'demo/needed', [`forged-${number}`], image(`forged ${number}`, { annotations }));
        }
        before = await world.store('needed');
      });

      it('stays, as the rest goes', async () => {
        const { code, of, report } = await gc(world, 'needed', '--apply', ...AT_ONCE);
        expect(code, JSON.stringify(report)).toBe(0);
        const store = await world.store('needed');
        const gone = [...before.manifests.keys()].filter((digest) => !store.manifests.has(digest));
        expect([...old].filter(([, digest]) => gone.includes(digest)).map(([tag]) => tag)).toEqual(['2.1.0', '2.2.0']);
        expect(of('superseded')).not.toContain(untagged);
        expect(store.manifests.has(untagged)).toBe(true);
        for (const tag of TAGS) await world.isSound(world.placed('needed', tag));
        for (const tag of ['1.0.0', '1.1.0', '2.0.0']) await world.isSound(at(old.get(tag)));
        for (const tag of ['nested', 'note', 'forged-0', 'forged-1', 'forged-2', 'forged-3']) {
          await world.regctl('manifest', 'get', world.placed('needed', tag));
        }
        expect(await world.reconcile(two(), '--recheck')).toMatchObject({
          skipped: 5,
          updated: 0,
          attested: 0,
          sbom: 0,
        });
        expect((await gc(world, 'needed', '--apply', ...AT_ONCE)).report.counts).toMatchObject({
          collected: 0,
          failed: 0,
        });
      });
    });

    it('stamps beside images that move together are followed once, and go with what they are about', async () => {
      const dir = world.policy('beside', { import: { stamp: 'referrer', tags: {} } });
      const tags = ['3', '3.1'];
      const shown: string[] = [];
      for (const round of [1, 2, 3]) {
        await world.publishOne('beside', `round ${round}`, ...tags);
        await world.reconcile(dir);
        shown.push(await world.regctl.digest(world.placed('beside', '3')));
      }
      const { of } = await gc(world, 'beside', '--apply', ...AT_ONCE);
      expect(of('superseded')).toEqual(expect.arrayContaining(shown.slice(0, 2)));
      expect(of('superseded')).not.toContain(shown[2]);
      expect(orphansOf(await world.store('beside'))).toEqual([]);
      for (const tag of tags) await world.isSound(world.placed('beside', tag));
      expect(await world.reconcile(dir, '--recheck')).toMatchObject({ skipped: 2, updated: 0, restamped: 0 });
    });
  }
});

describe('a collection', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld(OLAREG);
  });
  afterAll(() => world?.stop());

  /** A tag that has moved this often. */
  async function moved(name: string, times: number): Promise<string> {
    const dir = world.policy(name);
    for (let round = 0; round <= times; round++) {
      await world.publishOne(name, `round ${round}`, '1.0.0');
      await world.reconcile(dir);
    }
    return dir;
  }

  it('that is killed in the middle goes on', async () => {
    await world.houba.up();
    await moved('killed', 2);
    await world.houba.down();
    const names = ['--repository', `${world.proxy.host}/demo/killed`, ...AT_ONCE, '--apply', '--output', 'json'];
    let deleted = 0;
    world.proxy.intercept = async ({ method, path }) => {
      if (method === 'DELETE' && path.includes('/manifests/sha256:')) deleted++;
      return null;
    };
    for (const seen of [3, 8]) {
      const killed = world.houba.start('gc', ...names);
      await until(() => deleted >= seen, `${seen} deletions`);
      killed.process.kill('SIGKILL');
      await killed.ended;
    }
    world.proxy.intercept = null;
    const { code, report, stderr } = await gc(world, 'killed', '--apply', ...AT_ONCE);
    expect(stderr).toContain('following gc');
    expect(code).toBe(0);
    expect(report.counts.failed).toBe(0);
    const store = await world.store('killed');
    const images = [...store.manifests].filter(([, it]) => it.subject === undefined && !isListing(it));
    const { annotations = {} } = await world.regctl.manifest(world.placed('killed', '1.0.0'));
    const shown = await world.regctl.digest(world.placed('killed', '1.0.0'));
    const original = annotations['org.opencontainers.image.base.digest'];
    expect(images.map(([digest]) => digest).sort()).toEqual([shown, original].sort());
    expect(orphansOf(store)).toEqual([]);
    await world.isSound(world.placed('killed', '1.0.0'));
    expect((await gc(world, 'killed', '--apply', ...AT_ONCE)).report.outcomes).toEqual([]);
  });

  it('waits while somebody places an image in the repository', async () => {
    await world.houba.up();
    const dir = await moved('busy', 1);
    const before = await world.regctl.digest(world.placed('busy', '1.0.0'));
    await world.publishOne('busy', 'again', '1.0.0');
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let isHeld = false;
    world.proxy.intercept = async ({ method, path }) => {
      if (method === 'PUT' && path.endsWith('/manifests/1.0.0')) {
        isHeld = true;
        await released;
      }
      return null;
    };
    const placing = world.houba.reconcile(dir);
    await until(() => isHeld, 'the placement at its end');
    world.proxy.reset();
    const collecting = gc(world, 'busy', '--apply', ...AT_ONCE);
    await until(() => world.houba.journal().includes('is at work in'), 'a collection that waits');
    expect(world.proxy.writes().filter((call) => call.startsWith('DELETE'))).toEqual([]);
    release();
    expect((await placing).code).toBe(0);
    const { code, report } = await collecting;
    expect([code, report.counts.failed]).toEqual([0, 0]);
    world.proxy.intercept = null;
    // What the tag showed when it was planned is superseded only since.
    expect((await world.store('busy')).manifests.has(before)).toBe(true);
    await world.isSound(world.placed('busy', '1.0.0'));
    expect(orphansOf(await world.store('busy'))).toEqual([]);
  });

  it('of a registry that does not delete says so, and loses nothing', async () => {
    const dir = world.policy('readonly');
    for (const text of ['one', 'two']) {
      await world.publishOne('readonly', text, '1.0.0');
      await world.reconcile(dir);
    }
    const before = await world.store('readonly');
    world.proxy.intercept = ({ method }) => (method === 'DELETE' ? { status: 405 } : null);
    const { code, report } = await gc(world, 'readonly', '--apply', ...AT_ONCE);
    world.proxy.intercept = null;
    expect(code).toBe(1);
    expect(report.counts).toMatchObject({ collected: 0, failed: 1 });
    expect(report.outcomes).toMatchObject([
      { applied: false, collected: [], error: { type: 'Unsupported', message: expect.stringContaining('not delete') } },
    ]);
    expect(await world.store('readonly')).toEqual(before);
    expect((await gc(world, 'readonly', '--apply', ...AT_ONCE)).report.outcomes).toMatchObject([{ applied: true }]);
    expect(orphansOf(await world.store('readonly'))).toEqual([]);
    await world.isSound(world.placed('readonly', '1.0.0'));
  });

  it('of registries and repositories that are not in the roster is refused', async () => {
    for (const args of [
      ['--registry', 'nobody'],
      ['--repository', 'elsewhere.example/demo/x'],
      ['--registry', 'up', '--repository', `${world.proxy.host}/demo/busy`],
    ]) {
      const { code, stderr } = await world.houba.run('gc', ...args);
      expect(code, stderr).toBe(3);
    }
    for (const args of [['--keep', 'all'], ['--older-than-days', '-1'], ['--nothing']]) {
      expect([3, 64]).toContain((await world.houba.run('gc', ...args)).code);
    }
  });

  it('of one registry looks at nothing else', async () => {
    world.proxy.reset();
    const { code, stdout } = await world.houba.run('gc', '--registry', 'up', ...AT_ONCE, '--output', 'text');
    expect(world.proxy.requests).toEqual([]);
    expect([0, 1]).toContain(code);
    expect(stdout).toMatch(/gc \[dry-run\] repositories=\d+ collected=0/);
    const main = await world.houba.run('gc', '--registry', 'main', ...AT_ONCE, '--output', 'text');
    expect(main.code, main.stderr).toBe(0);
    expect(main.stdout).toMatch(/COLLECT \S+\/demo\/busy {2}superseded: \d+ to go/);
  });
});

describe('where a usage oracle is set', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld(OLAREG);
  });
  afterAll(() => world?.stop());

  it('what a tag showed before goes only when it is not in use', async () => {
    const oracle = createPlayingOracle(world.houba.folder);
    world.houba.env.HOUBA_USAGE_ORACLE_CMD = oracle.command;
    await world.houba.up();
    const dir = world.policy('used');
    const first = await world.publish('used', 'one', '1.0.0');
    await world.reconcile(dir);
    const old = await world.regctl.digest(world.placed('used', '1.0.0'));
    await world.publish('used', 'two', '1.0.0');
    await world.reconcile(dir);
    for (const play of [() => oracle.says(SEEN), () => oracle.fails(), () => oracle.says('{}')]) {
      play();
      const { code, report } = await gc(world, 'used', '--apply', ...AT_ONCE);
      expect(code).toBe(0);
      expect(report.outcomes).toEqual([]);
      await world.isSound(`${world.placed('used')}@${old}`);
    }
    const asked = oracle.questions().filter(({ identity }) => identity.policy === 'used');
    const digests = [old, first.digest, ...first.children.map(({ digest }) => digest)];
    expect(new Set(asked.map(({ digest }) => digest))).toEqual(new Set(digests));
    expect(asked[0]?.image_ref).toBe(`${world.proxy.host}/demo/used@${old}`);
    oracle.says(UNSEEN);
    expect((await gc(world, 'used', ...AT_ONCE)).of('superseded')).toContain(old);
    expect((await gc(world, 'used', '--apply', ...AT_ONCE)).of('superseded')).toContain(old);
    expect(orphansOf(await world.store('used'))).toEqual([]);
    await world.isSound(world.placed('used', '1.0.0'));
  });
});
