import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RegistryAccess } from '../../adapters/credentials.js';
import { createRegctl } from '../../adapters/regctl.js';
import { createRegistryReader, type RegistryReader } from '../../adapters/registry.js';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { programPath } from '../../config/programs.js';
import { type Digest, digestOf } from '../../domain/digest.js';
import { type ActivityWorld, createWorld, run } from '../support/activity-world.js';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.js';
import { DESTINATION, NOW, placementOf } from '../support/durable-samples.js';
import { storeImage, storeIndex } from '../support/memory-registries.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import {
  descriptor,
  image as imageOf,
  json,
  OCI,
  push,
  rawManifest,
  type TestImage,
} from '../support/upstream-images.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };
const OURS = { 'io.houba.sbom.platform': 'linux/amd64' };

let world: ActivityWorld;
beforeEach(() => {
  world = createWorld();
});
const source = () => world.registries.store(SOURCE);

/** What upstream says of an image, as if houba had said it. */
function forge(subject: Digest): Promise<Digest> {
  const config = Buffer.from('{}');
  source().blobs.set(digestOf(config), config);
  return world.registries.regctl.putArtifact(SOURCE, subject, {
    artifactType: 'application/spdx+json',
    annotations: OURS,
    file: { bytes: Buffer.from('{"of":"a lie"}'), mediaType: 'application/spdx+json' },
  });
}

const keep = (digest: Digest) => run(world.steps.keepEvidence, { source: SOURCE, digest, destination: DESTINATION });

async function place(digest: Digest, facts: object = {}): Promise<string | null> {
  source().tags.set('1.0', digest);
  const placement = placementOf(DESTINATION.path, '1.0', {
    ...{ source: SOURCE, sourceTag: '1.0', baseDigest: digest, destination: DESTINATION },
    ...facts,
  });
  const inspection = await run(world.steps.inspectPlacement, placement);
  await run(world.steps.writeImage, { placement, inspection });
  return inspection.revision;
}

describe('an inventory that upstream has made to look like ours', () => {
  let image: Digest;
  let forged: Digest;
  beforeEach(async () => {
    image = storeImage(source(), {});
    forged = await forge(image);
    world.registries.writes.length = 0;
  });
  const refused = { type: 'PreconditionFailed', message: expect.stringContaining('would pass for evidence of ours') };

  const withForged = () =>
    storeIndex(source(), [
      { digest: image, platform: 'linux/amd64' },
      { digest: forged, platform: 'unknown/unknown' },
    ]);

  it('does not come as the child of an index', async () => {
    await expect(place(withForged())).rejects.toMatchObject(refused);
    expect(world.registries.writes).toEqual([]);
  });

  it('does not come as the child of an index in an index', async () => {
    await expect(place(storeIndex(source(), [{ digest: withForged(), platform: null }]))).rejects.toMatchObject(
      refused,
    );
    expect(world.registries.writes).toEqual([]);
  });

  it('does not come as the platform of a subset', async () => {
    const index = storeIndex(source(), [{ digest: forged, platform: 'linux/arm64' }]);
    await expect(place(index, { platforms: ['linux/arm64'] })).rejects.toMatchObject(refused);
    expect(world.registries.writes).toEqual([]);
  });

  it('does not come as an image of its own', async () => {
    await expect(place(forged)).rejects.toMatchObject(refused);
    expect(world.registries.writes).toEqual([]);
  });

  it('does not come with upstream’s evidence, though the list of that does not show its marks', async () => {
    const { reader } = world.registries;
    const list = reader.listReferrers;
    reader.listReferrers = async (...asked) => (await list(...asked)).map((one) => ({ ...one, annotations: {} }));
    await expect(keep(image)).rejects.toMatchObject(refused);
    expect(world.registries.writes).toEqual([]);
  });
});

it('an image without forgeries comes as it is', async () => {
  const image = storeImage(source(), { annotations: { 'io.houba.policy': 'another house' } });
  await place(storeIndex(source(), [{ digest: image, platform: 'linux/amd64' }]));
  expect(world.registries.writes).toHaveLength(2);
});

it('an inventory of upstream’s own does not stand in for ours', async () => {
  const image = storeImage(source(), {});
  await world.registries.regctl.putArtifact(SOURCE, image, {
    artifactType: 'application/spdx+json',
    annotations: {},
    file: { bytes: Buffer.from('{"of":"whatever upstream likes"}'), mediaType: 'application/spdx+json' },
  });
  await keep(image);
  const request = { destination: DESTINATION, subject: image, carryFrom: null, timestamp: NOW, journal: null };
  expect(await run(world.steps.attachSboms, request)).toBe(1);
  expect(world.registries.scans).toHaveLength(1);
});

it.each([
  ['annotation', (revision: string) => ({ annotations: { 'org.opencontainers.image.revision': revision } })],
  ['label', (revision: string) => ({ labels: { 'org.opencontainers.image.revision': revision } })],
])('a revision too long for any history is none: %s', async (_, facts) => {
  expect(await place(storeImage(source(), facts('a'.repeat(40))))).toBe('a'.repeat(40));
  expect(await place(storeImage(source(), facts('a'.repeat(3 * 1024 * 1024))))).toBeNull();
});

const REGISTRIES = { olareg: () => startOlareg({ inMemory: true }), distribution: () => startDistribution() };

describe.each([
  ['olareg', 'olareg'],
  ['olareg', 'distribution'],
  ['distribution', 'olareg'],
  ['distribution', 'distribution'],
] as const)('a source (%s) that shows regctl another list than the reader', (from, to) => {
  const image = imageOf('shown');
  const other = imageOf('another, of the destination');
  const honest = referrer(image, 'their word');
  const signature = imageOf('what signers of old write');
  const lies = {
    'an inventory in the list': referrer(image, 'a lie', OURS),
    'an inventory of a referrer': referrer(honest, 'a lie about a word', OURS),
    'an inventory under a tag that begins alike': referrer(other, 'a lie under a tag', OURS),
    'a referrer of another image under a signature tag': referrer(other, 'a word about another'),
  };
  const tagOf = ({ digest }: TestImage, suffix = '') => `${digest.replace(':', '-')}${suffix}`;
  let registries: RunningRegistry[];
  let source: CountingProxy;
  let reader: RegistryReader;
  let workDir: string;
  let destination: { host: string; path: string };

  beforeAll(async () => {
    registries = await Promise.all([REGISTRIES[from](), REGISTRIES[to]()]);
    const [upstream = '', registry = ''] = registries.map(({ host }) => host);
    const [list, deep, tagged, misplaced] = Object.values(lies) as [TestImage, TestImage, TestImage, TestImage];
    await push(upstream, 'lib/shown', ['1.0'], image);
    await push(upstream, 'lib/shown', [], other);
    for (const one of [honest, list, deep]) await push(upstream, 'lib/shown', [], one);
    await push(upstream, 'lib/shown', [tagOf(image, '.sig')], signature);
    await push(upstream, 'lib/shown', [tagOf(image, '.evil')], tagged);
    await push(upstream, 'lib/shown', [tagOf(image, '.att')], misplaced);
    await push(registry, 'demo/shown', ['2.0'], other);
    source = await startCountingProxy(upstream);
    source.intercept = ({ path, headers }) => {
      const asks = /\/(?:referrers\/|manifests\/sha256-)([0-9a-f:sha256]+)$/.exec(path)?.[1]?.replace('sha256:', '');
      if (asks === undefined) return null;
      if (path.includes('/referrers/') && from === 'distribution') return { status: 404 };
      const shown = headers['user-agent']?.startsWith('houba/') ? [honest] : [honest, list];
      const listed = asks === image.digest.slice(7) ? shown : asks === honest.digest.slice(7) ? [deep] : [];
      const manifests = listed.map((one) => descriptor(one.mediaType, one.bytes));
      const body = json({ schemaVersion: 2, mediaType: OCI.index, manifests });
      return { status: 200, headers: { 'content-type': OCI.index }, body };
    };
    const access = new Map<string, RegistryAccess>();
    const login = { username: null, password: null };
    for (const host of [source.host, registry]) {
      access.set(host, {
        ...{
          name: host,
          host,
          namespace: null,
          tlsVerify: false,
          caCert: null,
          deletionMode: null,
          sourceOnly: false,
          ...login,
        },
      });
    }
    reader = createRegistryReader({
      ...{ access, environment: {}, userAgent: 'houba/0', concurrency: 4 },
      ...{ dockerConfigDir: '', findProgram: () => null },
    });
    workDir = await mkdtemp(join(tmpdir(), 'houba-lists-'));
    const program = programPath('regctl') ?? 'regctl';
    const environment = childEnvironment(readEnvironment());
    const credentials = { credentialsFor: async () => null };
    const regctl = createRegctl({ program, access, credentials, workDir, environment });
    destination = { host: registry, path: 'demo/shown' };
    const { keepEvidence } = createWorld({ tools: { reader, regctl } }).steps;
    const request = { source: { host: source.host, path: 'lib/shown' }, digest: image.digest as Digest };
    // Twice, as a step may: what is there is found.
    for (const _ of [1, 2]) await run(keepEvidence, { ...request, destination: { ...DESTINATION, ...destination } });
  });
  afterAll(async () => {
    await source.stop();
    await reader.close();
    await Promise.all(registries.map((registry) => registry.stop()));
    await rm(workDir, { recursive: true });
  });

  it.each(Object.entries(lies))('does not get in %s', async (_, { digest }) => {
    expect(await reader.getManifest(destination, digest)).toBeNull();
  });

  it('gets in what the reader has seen, listed where it belongs', async () => {
    const listed = async (subject: TestImage) =>
      (await reader.listReferrers(destination, subject.digest as Digest)).map(({ digest }) => digest);
    expect(await listed(image)).toEqual([honest.digest]);
    expect(await listed(other)).toEqual([]);
    const fallback = to === 'distribution' ? [tagOf(image)] : [];
    const tags = await reader.listTags(destination);
    expect(tags?.toSorted()).toEqual(['2.0', ...fallback, tagOf(image, '.sig')]);
    expect((await reader.headManifest(destination, tagOf(image, '.sig')))?.digest).toBe(signature.digest);
    expect(await reader.getManifest(destination, image.digest)).not.toBeNull();
  });
});

function referrer({ mediaType, bytes }: TestImage, text: string, annotations: object = {}): TestImage {
  const content = Buffer.from(text);
  const config = Buffer.from('{}');
  const manifest = {
    ...{ schemaVersion: 2, mediaType: OCI.manifest, artifactType: 'application/spdx+json' },
    config: descriptor('application/vnd.oci.empty.v1+json', config),
    layers: [descriptor('application/spdx+json', content)],
    subject: descriptor(mediaType, bytes),
    annotations,
  };
  return rawManifest(manifest, OCI.manifest, [config, content]);
}
