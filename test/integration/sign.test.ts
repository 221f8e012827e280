import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Dependencies } from '../../activities/dependencies.js';
import { createAttachSboms } from '../../activities/evidence/attach-sboms.js';
import { createSignEvidence, type SignRequest } from '../../activities/evidence/sign-evidence.js';
import { type Cosign, createCosign } from '../../adapters/cosign.js';
import type { RegistryAccess } from '../../adapters/credentials.js';
import { createRegctl } from '../../adapters/regctl.js';
import { createRegistryReader } from '../../adapters/registry.js';
import { createSyft } from '../../adapters/syft.js';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { programPath } from '../../config/programs.js';
import type { Digest } from '../../domain/digest.js';
import { BUNDLE_MEDIA_TYPE } from '../../domain/evidence/attestation.js';
import { buildStatement } from '../../domain/evidence/statement.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { activityEnvironment, run } from '../support/activity-world.js';
import { digestFor, NOW } from '../support/durable-samples.js';
import { debianFiles, OCI_INDEX, OCI_MANIFEST, type PushedManifest, pushImage, pushIndex } from '../support/images.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import { type CosignKey, type StockCosign, stockCosign } from '../support/upstream-signer.js';

const TRANSFORM = 'https://houba.dev/predicate/transform/v1';
/** What a reader gives to `--type`, and what it stands for. */
const KINDS = {
  [TRANSFORM]: TRANSFORM,
  slsaprovenance1: 'https://slsa.dev/provenance/v1',
  spdxjson: 'https://spdx.dev/Document',
  cyclonedx: 'https://cyclonedx.org/bom',
};

let folder = '';
let stock: StockCosign;
let key: CosignKey;
let other: CosignKey;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-sign-'));
  stock = await stockCosign(join(folder, 'stock'));
  key = await stock.makeKey('ours');
  other = await stock.makeKey('other');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each([
  ['olareg', () => startOlareg({ inMemory: true })],
  ['distribution, which has no referrers API', () => startDistribution()],
])('evidence in %s', (_, start) => {
  let registry: RunningRegistry;
  let deps: Dependencies;
  let repository: DestinationRepository;
  beforeAll(async () => {
    registry = await start();
    repository = { registry: 'main', host: registry.host, path: 'cache/tool' };
    deps = await dependencies(registry.host);
  });
  afterAll(async () => {
    await deps?.reader.close();
    await registry?.stop();
  });

  it('of a single image is read by stock cosign from the tag and from its digest', async () => {
    const { digest } = await pushImage(registry.host, 'cache/tool', '1.0', debianFiles('tool', '1.0'));
    await place(digest, '1.0');
    for (const [type, predicateType] of Object.entries(KINDS)) {
      for (const reference of [`${registry.host}/cache/tool:1.0`, `${registry.host}/cache/tool@${digest}`]) {
        expect(await verify(type, reference)).toMatchObject([{ predicateType, subject: [{ digest: sha256(digest) }] }]);
      }
    }
  });

  it('of an index is read from the tag and from the digest of each platform', async () => {
    const amd64 = await pushImage(registry.host, 'cache/tool', null, debianFiles('tool', '2.0'));
    const arm64 = await pushImage(registry.host, 'cache/tool', null, debianFiles('tool', '2.0-arm'), 'arm64');
    const provenance = await pushImage(registry.host, 'cache/tool', null, { attestation: '' }, 'unknown');
    const { digest } = await pushIndex(registry.host, 'cache/tool', '2.0', { amd64, arm64 });
    await place(digest, '2.0');
    const tag = `${registry.host}/cache/tool:2.0`;
    const pinned = (image: PushedManifest) => `${registry.host}/cache/tool@${image.digest}`;
    for (const type of ['slsaprovenance1', TRANSFORM]) {
      const subject = [digest, amd64.digest, arm64.digest].map((one) => ({ digest: sha256(one) }));
      for (const reference of [tag, pinned(amd64), pinned(arm64)]) {
        expect(await verify(type, reference)).toMatchObject([{ subject }]);
      }
    }
    for (const type of ['spdxjson', 'cyclonedx']) {
      expect(await verify(type, tag)).toHaveLength(2);
      expect(await verify(type, pinned(arm64))).toMatchObject([
        { subject: [{ digest: sha256(arm64.digest) }, { name: tag, digest: sha256(digest) }] },
      ]);
    }
    await expect(verify('slsaprovenance1', pinned(provenance))).rejects.toThrow();
    const listed = await bundlesListed(registry.host, tag, 'io.houba.sbom.platform=linux/arm64');
    expect(listed.sort()).toEqual(['https://cyclonedx.org/bom', 'https://spdx.dev/Document']);
  });

  it('stands beside what somebody else has signed about the same platform', async () => {
    const amd64 = await pushImage(registry.host, 'cache/tool', null, debianFiles('tool', '4.0'));
    const { digest } = await pushIndex(registry.host, 'cache/tool', '4.0', { amd64 });
    const theirs = buildStatement([{ name: 'theirs', digest: amd64.digest }], KINDS.slsaprovenance1, { by: 'them' });
    await deps.regctl.putArtifact(repository, amd64.digest, {
      artifactType: BUNDLE_MEDIA_TYPE,
      annotations: {
        'dev.sigstore.bundle.content': 'dsse-envelope',
        'dev.sigstore.bundle.predicateType': KINDS.slsaprovenance1,
      },
      file: { bytes: await cosignWith(other).signStatement(theirs), mediaType: BUNDLE_MEDIA_TYPE },
    });
    await place(digest, '4.0');
    const reference = `${registry.host}/cache/tool@${amd64.digest}`;
    expect(await verify('slsaprovenance1', reference)).toMatchObject([
      { subject: [{}, { digest: sha256(amd64.digest) }] },
    ]);
    expect(await verify('slsaprovenance1', reference, other)).toMatchObject([{ subject: [{ name: 'theirs' }] }]);
  });

  it('of an index with attestations of its own leaves these out', async () => {
    const amd64 = await pushImage(registry.host, 'cache/tool', null, debianFiles('tool', '3.0'));
    const attestation = await pushImage(registry.host, 'cache/tool', null, { attestation: '3' }, 'unknown');
    const digest = await pushProvenanceIndex(registry.host, '3.0', amd64, attestation);
    await place(digest, '3.0');
    const [statement] = await verify('slsaprovenance1', `${registry.host}/cache/tool:3.0`);
    expect(statement?.subject.map((one) => one.digest)).toEqual([sha256(digest), sha256(amd64.digest)]);
    expect(await verify('spdxjson', `${registry.host}/cache/tool@${amd64.digest}`)).toHaveLength(1);
  });

  it('is refused for another key', async () => {
    await expect(verify('slsaprovenance1', `${registry.host}/cache/tool:1.0`, other)).rejects.toThrow(/signature/);
  });

  /** What `placeImage` does once the image is there: inventory, signatures; a second time nothing is written. */
  async function place(subject: Digest, tag: string): Promise<void> {
    const sboms = { destination: repository, subject, carryFrom: null, timestamp: NOW, journal: null };
    await run(createAttachSboms(deps), sboms, activityEnvironment());
    const signEvidence = createSignEvidence(deps);
    expect(await run(signEvidence, requestFor(repository, subject, tag), activityEnvironment())).toBeGreaterThan(0);
    expect(await run(signEvidence, requestFor(repository, subject, tag), activityEnvironment())).toBe(0);
  }
});

interface Statement {
  readonly predicateType: string;
  readonly subject: readonly { readonly name: string; readonly digest: object }[];
}

/** The statements that `cosign verify-attestation` prints once it has found them valid. */
async function verify(type: string, reference: string, by = key): Promise<Statement[]> {
  const printed = await stock(
    ...['verify-attestation', `--key=${by.publicFile}`, `--type=${type}`, '--insecure-ignore-tlog=true'],
    ...['--allow-http-registry', '--allow-insecure-registry', reference],
  );
  return printed
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(Buffer.from(JSON.parse(line).payload, 'base64').toString()) as Statement);
}

function requestFor(destination: DestinationRepository, subject: Digest, tag: string): SignRequest {
  return {
    ...{ destination, tag, subject, artifactType: 'image', journal: null },
    facts: {
      ...{ policy: 'tool', import: 'all', variant: 'default', created: NOW, platforms: null },
      source: { host: 'docker.io', path: 'library/tool' },
      sourceTag: tag,
      baseDigest: digestFor('source'),
      transform: null,
      stampTo: 'annotations',
      upstreamVerified: null,
    },
  };
}

async function dependencies(host: string): Promise<Dependencies> {
  const entry = { name: 'main', host, namespace: null, tlsVerify: false, deletionMode: null, sourceOnly: false };
  const access = new Map<string, RegistryAccess>([
    ['main', { ...entry, username: null, password: null, caCert: null }],
  ]);
  const environment = childEnvironment(readEnvironment());
  const tool = (name: string) => ({
    ...{ program: programPath(name) ?? name, access, workDir: join(folder, 'work'), environment },
    credentials: { credentialsFor: async () => null },
  });
  const memory = { facts: () => undefined, document: () => undefined, rememberDocument: () => undefined };
  return {
    settings: {
      ...{ prefix: 'io.houba', sbomFormats: ['spdx-json', 'cyclonedx-json'] },
      attest: { signer: 'key', builderId: 'https://houba.example/builders/main' },
    } satisfies Partial<Dependencies['settings']>,
    version: '1.2.3',
    reader: createRegistryReader({
      ...{ access, userAgent: 'houba/test', concurrency: 4, dockerConfigDir: null, environment: {} },
      findProgram: () => null,
    }),
    regctl: createRegctl(tool('regctl')),
    syft: createSyft({ ...tool('syft'), mostDisk: 1024 ** 3 }),
    cosign: cosignWith(key),
    memory,
    journal: { event: () => undefined },
  } as unknown as Dependencies;
}

function cosignWith({ privateFile }: CosignKey): Cosign {
  return createCosign({
    program: programPath('cosign') ?? 'cosign',
    attest: {
      ...{ signer: 'key', keyRef: privateFile, fulcioUrl: '', rekorUrl: '', tsaUrl: '' },
      ...{ trustedRoot: '', builderId: '' },
    },
    workDir: join(folder, 'work'),
    environment: childEnvironment(readEnvironment()),
    secrets: [],
    cacheDir: join(folder, 'cache'),
  });
}

/** The predicate types of the bundles that stock regctl finds from a tag, by an annotation. */
async function bundlesListed(host: string, reference: string, annotation: string): Promise<string[]> {
  const config = join(folder, 'regctl.json');
  await writeFile(config, JSON.stringify({ hosts: { [host]: { tls: 'disabled' } } }));
  const { stdout } = await promisify(execFile)(
    programPath('regctl') ?? 'regctl',
    [
      ...['artifact', 'list', reference, '--format', '{{json .Descriptors}}'],
      ...['--filter-artifact-type', BUNDLE_MEDIA_TYPE, '--filter-annotation', annotation],
    ],
    { env: { HOME: folder, REGCTL_CONFIG: config } },
  );
  const found = JSON.parse(stdout) as { annotations: Record<string, string> }[];
  return found.map(({ annotations }) => annotations['dev.sigstore.bundle.predicateType'] ?? '');
}

/** An index as BuildKit makes it: one platform, and what it attests about it, as a manifest of no platform. */
async function pushProvenanceIndex(
  host: string,
  tag: string,
  image: PushedManifest,
  attestation: PushedManifest,
): Promise<Digest> {
  const describe = ({ digest, bytes }: PushedManifest) => ({ mediaType: OCI_MANIFEST, digest, size: bytes.length });
  const nothing = { os: 'unknown', architecture: 'unknown' };
  const manifests = [
    { ...describe(image), platform: { os: 'linux', architecture: 'amd64' } },
    {
      ...describe(attestation),
      platform: nothing,
      annotations: { 'vnd.docker.reference.type': 'attestation-manifest' },
    },
  ];
  const answer = await fetch(`http://${host}/v2/cache/tool/manifests/${tag}`, {
    method: 'PUT',
    body: JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }),
    headers: { 'Content-Type': OCI_INDEX },
  });
  return answer.headers.get('docker-content-digest') as Digest;
}

function sha256(digest: Digest): { sha256: string } {
  return { sha256: digest.slice('sha256:'.length) };
}
