import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CancelledFailure } from '@temporalio/common';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Dependencies } from '../../activities/dependencies.js';
import { type BuildInspection, createInspectBuild, createWriteBuild } from '../../activities/place/rebuild.js';
import { createBuildctl } from '../../adapters/buildctl.js';
import type { RegistryAccess } from '../../adapters/credentials.js';
import { createFolderCache } from '../../adapters/folder-cache.js';
import { createImageLayers } from '../../adapters/image-layers.js';
import { createOciLayouts } from '../../adapters/oci-layout.js';
import { createRegctl } from '../../adapters/regctl.js';
import { createRegistryReader } from '../../adapters/registry.js';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { programPath } from '../../config/programs.js';
import type { Digest } from '../../domain/digest.js';
import { parseManifest } from '../../domain/manifest.js';
import type { Placement } from '../../domain/plan/work.js';
import type { ImageFiles } from '../../domain/transform/image-files.js';
import { planTransform } from '../../domain/transform/resolve.js';
import type { TransformResources, TransformStep } from '../../domain/transform/step.js';
import { activityEnvironment, run } from '../support/activity-world.js';
import { type RunningBuildkit, startBuildkitd } from '../support/buildkitd.js';
import { makeCertificate } from '../support/certificates.js';
import { placementOf } from '../support/durable-samples.js';
import { directory, file, type RootImageOptions, rootImage, tarOf } from '../support/layouts.js';
import { processesWithHome } from '../support/processes.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import { descriptor, image, index, json, OCI, push, rawManifest, type TestImage } from '../support/upstream-images.js';

const never = new AbortController().signal;
const IN_TOTO = 'application/vnd.in-toto+json';

let daemon: RunningBuildkit;
let upstream: RunningRegistry;
let registry: RunningRegistry;
let certificates = '';
let pem = '';
beforeAll(async () => {
  certificates = await mkdtemp(join(tmpdir(), 'houba-ca-'));
  pem = await readFile((await makeCertificate(certificates)).caFile, 'utf8');
  [daemon, upstream] = await Promise.all([startBuildkitd(), startOlareg()]);
});
afterAll(async () => {
  await Promise.all([daemon.stop(), upstream.stop(), rm(certificates, { recursive: true })]);
});

let workDir = '';
let lines: string[] = [];
let exports: string[] = [];
let onLine: (line: string) => void = () => undefined;
beforeEach(async () => {
  workDir = await mkdtemp(join(tmpdir(), 'houba-build-'));
  registry = await startOlareg();
  lines = [];
  exports = [];
  onLine = () => undefined;
});
afterEach(async () => {
  await registry.stop();
  await rm(workDir, { recursive: true, force: true });
});

const STEPS: readonly TransformStep[] = [
  { name: 'injectCA', params: { certs: ['corp'] } },
  { name: 'rewritePackageSources', params: { mirror: 'inside' } },
  { name: 'setTimezone', params: { zone: 'Europe/Rome' } },
];
const INJECT = STEPS.slice(0, 1);

const RESOURCES: TransformResources = {
  caCert: () => pem,
  packageMirror: () => ({ apt: 'http://apt.inside', apk: null }),
};

/** A worker's own: its caches are empty. */
function worker(more: { noCache?: boolean; resources?: TransformResources; address?: string } = {}) {
  const environment = childEnvironment(readEnvironment());
  const entry = (name: string, host: string): RegistryAccess => ({
    ...{ name, host, namespace: null, tlsVerify: false, deletionMode: null, sourceOnly: false },
    ...{ caCert: null, username: null, password: null },
  });
  const access = new Map([
    ['up', entry('up', upstream.host)],
    ['main', entry('main', registry.host)],
  ]);
  const credentials = { credentialsFor: async () => null };
  const regctl = createRegctl({ program: program('regctl'), access, credentials, workDir, environment });
  const deps = {
    settings: { prefix: 'io.houba', buildPlatform: 'linux/amd64' } as Dependencies['settings'],
    roster: access,
    reader: createRegistryReader({
      ...{ access, userAgent: 'houba/test', concurrency: 4, dockerConfigDir: null, environment: {} },
      findProgram: () => null,
    }),
    regctl: {
      ...regctl,
      exportImage: (source, layout, signal) => {
        exports.push(source.digest);
        return regctl.exportImage(source, layout, signal);
      },
    },
    buildctl: createBuildctl({
      ...{ program: program('buildctl'), address: more.address ?? daemon.address, workDir, environment },
      noCache: more.noCache ?? false,
      onLine: (line) => {
        lines.push(line);
        onLine(line);
      },
    }),
    layouts: createOciLayouts(),
    layers: createImageLayers(),
    scratch: createFolderCache(workDir),
    resources: more.resources ?? RESOURCES,
  } satisfies Partial<Dependencies>;
  const all = deps as unknown as Dependencies;
  return { deps, inspectBuild: createInspectBuild(all), writeBuild: createWriteBuild(all) };
}

function program(name: string): string {
  const path = programPath(name);
  if (path === null) throw new Error(`${name} is not there; run make setup`);
  return path;
}

const CONFIG = { User: '65532', Entrypoint: ['/bin/run'], Env: ['PATH=/bin'], Labels: { team: 'x' } };

async function debianLike(options: RootImageOptions = {}): Promise<TestImage> {
  const layer = await tarOf([
    directory('etc'),
    file('etc/os-release', 'ID=debian\n'),
    file('etc/apt/sources.list', 'deb http://deb.debian.org/debian bookworm main\n'),
    file('usr/share/zoneinfo/Europe/Rome', 'TZif'),
    file('bin/run', options.platform?.architecture ?? 'amd64', 0o755),
  ]);
  return rootImage([layer], { config: CONFIG, ...options });
}

/** Puts an image upstream under a tag, and says how to place it. */
async function placing(
  image: TestImage,
  steps: readonly TransformStep[] = STEPS,
  facts: Partial<Placement> = {},
): Promise<Placement> {
  await push(upstream.host, 'lib/tool', ['1.0'], image);
  return placementOf('cache/tool', '1.0', {
    source: { host: upstream.host, path: 'lib/tool' },
    baseDigest: image.digest as Digest,
    destination: { registry: 'main', host: registry.host, path: 'cache/tool' },
    transform: planTransform(steps, RESOURCES),
    platforms: ['linux/amd64'],
    ...facts,
  });
}

const ARM = { os: 'linux', architecture: 'arm64', variant: 'v8' };
const twoPlatforms = async () => index([await debianLike(), await debianLike({ platform: ARM })]);

async function manifestAt(reference: string) {
  const accept = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json';
  const answer = await fetch(`http://${registry.host}/v2/cache/tool/manifests/${reference}`, { headers: { accept } });
  if (!answer.ok) return null;
  const bytes = new Uint8Array(await answer.arrayBuffer());
  return parseManifest(bytes, answer.headers.get('content-type') ?? '');
}

async function blobAt(digest: string): Promise<string> {
  return (await fetch(`http://${registry.host}/v2/cache/tool/blobs/${digest}`)).text();
}

async function configAt(digest: Digest): Promise<Record<string, unknown>> {
  const manifest = await manifestAt(digest);
  return manifest?.kind === 'image' ? JSON.parse(await blobAt(manifest.config.digest)) : {};
}

/** The root file system of an image in the registry. */
async function filesAt(digest: Digest, wanted: readonly string[]): Promise<ImageFiles> {
  const layout = await mkdtemp(join(workDir, 'look-'));
  const repository = { host: registry.host, path: 'cache/tool' };
  await worker().deps.regctl.exportImage({ repository, digest }, layout, never);
  const files = await createImageLayers().readImageFiles(layout, digest, wanted, never);
  await rm(layout, { recursive: true });
  return files;
}

interface Referrer {
  readonly digest: Digest;
  readonly artifactType: string;
  readonly annotations: Record<string, string>;
}

async function referrersOf(digest: Digest): Promise<Referrer[]> {
  const answer = await fetch(`http://${registry.host}/v2/cache/tool/referrers/${digest}`);
  return ((await answer.json()) as { manifests: Referrer[] }).manifests;
}

/** Every manifest that the destination stores, by digest; not the lists in which olareg keeps referrers. */
async function stored(): Promise<string[]> {
  const folder = join(registry.storeDir, 'cache/tool/blobs/sha256');
  const found: string[] = [];
  for (const name of await readdir(folder).catch(() => [])) {
    const text = await readFile(join(folder, name), 'utf8');
    if (!/^\{\s*"schemaVersion":/.test(text)) continue;
    const { manifests = [] } = JSON.parse(text) as { manifests?: { artifactType?: string }[] };
    if (!manifests.some(({ artifactType }) => artifactType === IN_TOTO)) found.push(`sha256:${name}`);
  }
  return found.sort();
}

const text = (bytes: Uint8Array | null) => Buffer.from(bytes ?? []).toString('utf8');

describe('a rebuild of one platform', () => {
  it('is decided before anything is written, and published by digest with what was asked for in it', async () => {
    const placement = await placing(await debianLike());
    const { inspectBuild, writeBuild } = worker();
    const inspection = await run(inspectBuild, placement);
    expect(inspection).toMatchObject({ stampedPresent: false, originalPresent: false, revision: null });
    expect(await stored()).toEqual([]);

    await run(writeBuild, { placement, inspection });
    const manifest = await manifestAt(inspection.stamped);
    expect(manifest?.annotations).toMatchObject({
      'io.houba.policy': 'redis',
      'io.houba.transform.steps': 'injectCA,rewritePackageSources,setTimezone',
      'io.houba.transform.version': placement.transform?.version,
      'org.opencontainers.image.base.digest': placement.baseDigest,
    });
    const bundle = '/etc/ssl/certs/ca-certificates.crt';
    const files = await filesAt(inspection.stamped, [bundle, '/etc/apt/sources.list', '/etc/timezone']);
    expect(text(files.read(bundle))).toContain('BEGIN CERTIFICATE');
    expect(text(files.read('/etc/apt/sources.list'))).toBe('deb http://apt.inside/debian bookworm main\n');
    expect(text(files.read('/etc/timezone'))).toBe('Europe/Rome\n');
    expect(files.resolve('/etc/localtime').path).toBe('/usr/share/zoneinfo/Europe/Rome');
    expect((await configAt(inspection.stamped)).config).toEqual({ ...CONFIG, Env: ['PATH=/bin', 'TZ=Europe/Rome'] });
    expect(lines.join('\n')).toContain('ADD 1-injectCA.tar /');
  });

  it('leaves at the destination what is published, what BuildKit says of it, and nothing else', async () => {
    const placement = await placing(await debianLike());
    const { inspectBuild, writeBuild } = worker();
    const inspection = await run(inspectBuild, placement);
    await run(writeBuild, { placement, inspection });
    const [provenance, ...others] = await referrersOf(inspection.stamped);
    expect(others).toEqual([]);
    expect(provenance).toMatchObject({ artifactType: IN_TOTO });
    expect(provenance?.annotations['in-toto.io/predicate-type']).toMatch(/^https:\/\/slsa\.dev\/provenance\//);
    const referrer = await manifestAt(provenance?.digest ?? '');
    const statement = JSON.parse(await blobAt(referrer?.kind === 'image' ? (referrer.layers[0]?.digest ?? '') : ''));
    expect(statement.subject).toEqual([
      { name: `${registry.host}/cache/tool`, digest: { sha256: inspection.stamped.slice('sha256:'.length) } },
    ]);
    expect(JSON.stringify(statement)).not.toContain(workDir);
    expect(await stored()).toEqual([inspection.stamped, provenance?.digest].sort());
    expect(await manifestAt(inspection.built[0]?.digest ?? '')).toBeNull();
  });

  it('done again writes nothing, and finds it by itself', async () => {
    const placement = await placing(await debianLike());
    const first = worker();
    const inspection = await run(first.inspectBuild, placement);
    await run(first.writeBuild, { placement, inspection });
    const before = await stored();
    await run(first.writeBuild, { placement, inspection });
    const again = await run(worker().inspectBuild, placement);
    expect(again).toEqual({ ...inspection, stampedPresent: true });
    await run(worker().writeBuild, { placement, inspection: again });
    expect(await stored()).toEqual(before);
  });

  it('gives the same digest from the cache and without it, whoever builds', async () => {
    const placement = await placing(await debianLike({ created: null }));
    const digests = [];
    for (const noCache of [false, false, true]) {
      digests.push((await run(worker({ noCache }).inspectBuild, placement)).stamped);
    }
    expect(new Set(digests).size).toBe(1);
  });

  it('gives the same digest whatever was built before, also upon a base that does not tell of its layers', async () => {
    const whole = await debianLike();
    const config = JSON.parse(whole.blobs[0]?.toString('utf8') ?? '');
    const silent = json({ ...config, history: [] });
    const manifest = { ...JSON.parse(whole.bytes.toString('utf8')), config: descriptor(OCI.config, silent) };
    const base = rawManifest(manifest, OCI.manifest, [silent, ...whole.blobs.slice(1)]);
    const [one, all] = [await placing(base, INJECT), await placing(base)];
    const fresh = await startBuildkitd();
    try {
      await run(worker({ address: fresh.address }).inspectBuild, all);
      const after = await run(worker({ address: fresh.address }).inspectBuild, one);
      const alone = await run(worker().inspectBuild, one);
      expect(after.stamped).toBe(alone.stamped);
      const { writeBuild } = worker();
      await run(writeBuild, { placement: one, inspection: alone });
      const { history } = await configAt(alone.stamped);
      expect(history).toMatchObject([{ created_by: 'a layer of the base' }, { comment: 'buildkit.dockerfile.v0' }]);
    } finally {
      await fresh.stop();
    }
  });

  it('is built once for both steps, and variants share their base', async () => {
    const placement = await placing(await debianLike());
    const { inspectBuild, writeBuild } = worker();
    const inspection = await run(inspectBuild, placement);
    const told = lines.length;
    await run(writeBuild, { placement, inspection });
    expect(lines).toHaveLength(told);
    const variant = await placing(await debianLike(), INJECT);
    expect((await run(inspectBuild, variant)).stamped).not.toBe(inspection.stamped);
    expect(exports).toEqual([placement.baseDigest]);
  });

  it('is finished by another worker, which builds it again', async () => {
    const placement = await placing(await debianLike());
    const inspection = await run(worker().inspectBuild, placement);
    await run(worker({ noCache: true }).writeBuild, { placement, inspection });
    expect(await manifestAt(inspection.stamped)).not.toBeNull();
  });

  it('with its stamp beside it is what was built, byte for byte', async () => {
    const placement = await placing(await debianLike(), INJECT, { stampTo: 'referrer' });
    const { inspectBuild, writeBuild } = worker();
    const inspection = await run(inspectBuild, placement);
    expect(inspection.stamped).toBe(inspection.built[0]?.digest);
    await run(writeBuild, { placement, inspection });
    expect(await referrersOf(inspection.stamped)).toHaveLength(1);
  });

  it('of a scratch image with one static file brings the bundle along', async () => {
    const scratch = rootImage([await tarOf([file('hello', 'static', 0o755)])], { config: { Entrypoint: ['/hello'] } });
    const placement = await placing(scratch, INJECT);
    const { inspectBuild, writeBuild } = worker();
    const inspection = await run(inspectBuild, placement);
    await run(writeBuild, { placement, inspection });
    const bundle = '/etc/ssl/certs/ca-certificates.crt';
    expect(text((await filesAt(inspection.stamped, [bundle])).read(bundle))).toContain('BEGIN CERTIFICATE');
    expect((await configAt(inspection.stamped)).config).toMatchObject({ Entrypoint: ['/hello'] });
  });

  it('of a Docker schema 2 image is an OCI image', async () => {
    const placement = await placing(image('tool', { docker: true }), INJECT);
    const { inspectBuild, writeBuild } = worker();
    const inspection = await run(inspectBuild, placement);
    await run(writeBuild, { placement, inspection });
    const manifest = await manifestAt(inspection.stamped);
    const types = manifest?.kind === 'image' ? manifest.layers.map((layer) => layer.mediaType) : [];
    expect(types).toEqual([OCI.layer, OCI.layer]);
  });

  it('uses the original at the destination once upstream has dropped it', async () => {
    const placement = await placing(await debianLike());
    await push(registry.host, 'cache/tool', [], await debianLike());
    const gone = { ...placement, kind: 'updated', source: { host: upstream.host, path: 'lib/gone' } } as const;
    const { inspectBuild, writeBuild } = worker();
    const inspection = await run(inspectBuild, gone);
    expect(inspection.originalPresent).toBe(true);
    await run(writeBuild, { placement: gone, inspection });
    expect(await manifestAt(inspection.stamped)).not.toBeNull();
  });
});

describe('a rebuild of several platforms', () => {
  it('is an index of our own, over what was built for each', async () => {
    const platforms = ['linux/amd64', 'linux/arm64'];
    const placement = await placing(await twoPlatforms(), INJECT, { platforms });
    const { inspectBuild, writeBuild } = worker();
    const inspection = await run(inspectBuild, placement);
    await run(writeBuild, { placement, inspection });
    const manifest = await manifestAt(inspection.stamped);
    if (manifest?.kind !== 'index') throw new Error('no index');
    expect(manifest.annotations['io.houba.transform.steps']).toBe('injectCA');
    expect(manifest.manifests.map(({ digest, platform }) => ({ digest, platform }))).toEqual([
      { digest: inspection.built[0]?.digest, platform: { os: 'linux', architecture: 'amd64' } },
      { digest: inspection.built[1]?.digest, platform: ARM },
    ]);
    for (const { digest, platform } of manifest.manifests) {
      const files = await filesAt(digest, ['/etc/ssl/certs/ca-certificates.crt', '/bin/run']);
      expect(text(files.read('/etc/ssl/certs/ca-certificates.crt'))).toContain('BEGIN CERTIFICATE');
      expect(text(files.read('/bin/run'))).toBe(platform?.architecture);
      expect(await configAt(digest)).toMatchObject({ architecture: platform?.architecture, config: CONFIG });
      expect(await referrersOf(digest)).toHaveLength(1);
    }
    expect(await referrersOf(inspection.stamped)).toEqual([]);
    expect(await stored()).toHaveLength(5);
    expect(exports).toHaveLength(2 + 2);
  });

  it('of one of them takes that one alone', async () => {
    const placement = await placing(await twoPlatforms(), INJECT, { platforms: ['linux/arm64'] });
    const inspection = await run(worker().inspectBuild, placement);
    expect(inspection.built.map(({ platform }) => platform)).toEqual(['linux/arm64/v8']);
    expect(exports).toHaveLength(1);
  });

  it('that a write cut off is completed by the next', async () => {
    const placement = await placing(await twoPlatforms(), INJECT, { platforms: ['linux/amd64', 'linux/arm64'] });
    const inspection = await run(worker().inspectBuild, placement);
    const half: BuildInspection = { ...inspection, built: [...inspection.built].reverse() };
    await expect(run(worker().writeBuild, { placement, inspection: half })).rejects.toMatchObject({
      type: 'DigestMismatch',
    });
    expect(await manifestAt(inspection.stamped)).toBeNull();
    await run(worker().writeBuild, { placement, inspection });
    expect(await manifestAt(inspection.stamped)).not.toBeNull();
    for (const { digest } of inspection.built) expect(await referrersOf(digest)).toHaveLength(1);
  });
});

describe('a rebuild is refused', () => {
  it('for a platform that the source lacks, and says which it has', async () => {
    const placement = await placing(await twoPlatforms(), INJECT, { platforms: ['linux/s390x'] });
    await expect(run(worker().inspectBuild, placement)).rejects.toMatchObject({
      type: 'PolicyInvalid',
      message: expect.stringMatching(/linux\/s390x.*linux\/amd64, linux\/arm64/s),
    });
  });

  it('by a worker that has another certificate than the planner', async () => {
    const other = { ...RESOURCES, packageMirror: () => ({ apt: 'http://elsewhere', apk: null }) };
    const placement = await placing(await debianLike());
    const { inspectBuild } = worker({ resources: other });
    await expect(run(inspectBuild, placement)).rejects.toMatchObject({ type: 'PreconditionFailed' });
  });

  it('when a step cannot do its work, before anything is built', async () => {
    const zone: TransformStep[] = [{ name: 'setTimezone', params: { zone: 'Europe/Rome' } }];
    const placement = await placing(rootImage([await tarOf([file('hello')])]), zone);
    await expect(run(worker().inspectBuild, placement)).rejects.toMatchObject({ type: 'PolicyInvalid' });
    expect(lines).toEqual([]);
  });

  it('of an image that would have commands carried out by it', async () => {
    const placement = await placing(await debianLike({ config: { OnBuild: ['RUN touch /owned'] } }));
    await expect(run(worker().inspectBuild, placement)).rejects.toMatchObject({ type: 'Unsupported' });
    expect(lines).toEqual([]);
  });

  it('of an image with digests that BuildKit does not know', async () => {
    const placement = await placing(image('tool', { sha512: true }), INJECT);
    await expect(run(worker().inspectBuild, placement)).rejects.toMatchObject({ type: 'Unsupported' });
    expect(lines).toEqual([]);
  });

  it('when the source tag has moved meanwhile', async () => {
    const placement = await placing(await debianLike());
    const inspection = await run(worker().inspectBuild, placement);
    await placing(await debianLike({ config: { User: 'another' } }));
    await expect(run(worker().writeBuild, { placement, inspection })).rejects.toMatchObject({
      type: 'PreconditionFailed',
    });
    expect(await stored()).toEqual([]);
  });

  it('when nobody serves the digest any more', async () => {
    const placement = await placing(await debianLike());
    const gone = { ...placement, source: { host: upstream.host, path: 'lib/gone' } };
    await expect(run(worker().inspectBuild, gone)).rejects.toMatchObject({ type: 'NotFound' });
  });

  it('for want of a daemon, to be tried again', async () => {
    const { inspectBuild } = worker({ address: `unix://${workDir}/none.sock` });
    await expect(run(inspectBuild, await placing(await debianLike()))).rejects.toMatchObject({
      type: 'BuilderUnavailable',
      nonRetryable: false,
    });
    expect(await readdir(join(workDir, 'scratch'))).toHaveLength(1);
  });
});

describe('a rebuild that is cancelled', () => {
  it('leaves no process, no private folder and nothing at the destination', async () => {
    const environment = activityEnvironment();
    // A base that takes a while to load.
    const large = await tarOf([file('large', randomBytes(64 * 1024 * 1024))]);
    const placement = await placing(rootImage([large], { compress: (tar) => tar }), INJECT);
    let atWork = 0;
    onLine = () => {
      atWork ||= processesWithHome(workDir).length;
      environment.cancel();
    };
    const cancelled = run(worker({ noCache: true }).inspectBuild, placement, environment);
    await expect(cancelled).rejects.toBeInstanceOf(CancelledFailure);
    expect(atWork).toBeGreaterThan(0);
    expect(processesWithHome(workDir)).toEqual([]);
    expect(await readdir(workDir)).toEqual(['scratch']);
    expect(await stored()).toEqual([]);
  });

  it('is built by the next attempt, although the daemon has half a base', async () => {
    const environment = activityEnvironment();
    const large = await tarOf([file('large', randomBytes(64 * 1024 * 1024))]);
    const placement = await placing(rootImage([large], { compress: (tar) => tar }), INJECT);
    onLine = () => environment.cancel();
    await expect(run(worker().inspectBuild, placement, environment)).rejects.toBeInstanceOf(CancelledFailure);
    onLine = () => undefined;
    expect((await run(worker().inspectBuild, placement)).built).toHaveLength(1);
  });
});
