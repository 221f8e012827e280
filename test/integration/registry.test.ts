import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RegistryAccess } from '../../adapters/credentials.js';
import { createRegistryReader, type RegistryReader } from '../../adapters/registry.js';
import { programPath } from '../../config/programs.js';
import type { Digest } from '../../domain/digest.js';
import { parseManifest } from '../../domain/manifest.js';
import { makeCertificate, type TestCertificate } from '../support/certificates.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';

const run = promisify(execFile);
const USER = { username: 'alice', password: 'wonderland' };

let folder: string;
let certificate: TestCertificate;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-registry-'));
  certificate = await makeCertificate(folder);
});

afterAll(async () => {
  await rm(folder, { recursive: true });
});

function readerFor(registry: RunningRegistry, more: Partial<RegistryAccess> = {}): RegistryReader {
  const plain = {
    name: 'here',
    host: registry.host,
    namespace: null,
    tlsVerify: false,
    deletionMode: null,
    sourceOnly: false,
  };
  const entry = { ...plain, username: null, password: null, caCert: null, ...more };
  return createRegistryReader({
    access: new Map([['here', entry]]),
    userAgent: 'houba/test',
    concurrency: 8,
    dockerConfigDir: null,
    environment: {},
    findProgram: () => null,
  });
}

/** Writes with regctl, an independent client. */
async function regctl(registry: RunningRegistry, input: string | null, ...args: string[]): Promise<string> {
  const host = JSON.stringify({ hosts: { [registry.host]: { tls: 'disabled' } } });
  await writeFile(join(folder, 'regctl.json'), host, { mode: 0o600 });
  const file = programPath('regctl');
  if (file === null) throw new Error('regctl is not there; run make setup');
  const work = run(file, args, { env: { REGCTL_CONFIG: join(folder, 'regctl.json'), HOME: folder } });
  work.child.stdin?.end(input ?? '');
  return (await work).stdout.trim();
}

describe.each([
  ['olareg, with the referrers API', false, () => startOlareg()],
  ['olareg, with the referrers API turned off', false, () => startOlareg({ referrersApi: false })],
  ['distribution, without the referrers API', true, () => startDistribution()],
])('%s', (_, hasCatalogue, start) => {
  let registry: RunningRegistry;
  let reader: RegistryReader;
  let image: Digest;
  let config: Digest;
  const repository = () => ({ host: registry.host, path: 'team/app' });

  beforeAll(async () => {
    registry = await start();
    reader = readerFor(registry);
    const name = `${registry.host}/team/app`;
    for (const tag of ['1.0', '1.1', 'latest']) {
      await regctl(
        registry,
        `content of ${tag}`,
        'artifact',
        'put',
        '--artifact-type',
        'application/x-test',
        `${name}:${tag}`,
      );
    }
    const head = await reader.headManifest(repository(), '1.0');
    if (head === null) throw new Error('the image was not written');
    image = head.digest;
    config = `sha256:${createHash('sha256').update('{}').digest('hex')}` as Digest;
  });

  afterAll(async () => {
    await reader.close();
    await registry.stop();
  });

  it('answers a ping, and lists its repositories if it has a catalogue', async () => {
    await reader.ping(registry.host);
    const listed = reader.listRepositories(registry.host);
    if (hasCatalogue) expect(await listed).toEqual(['team/app']);
    else await expect(listed).rejects.toMatchObject({ code: 'Unsupported' });
  });

  it('lists tags, and none of an unknown repository', async () => {
    expect((await reader.listTags(repository()))?.filter((tag) => !tag.startsWith('sha256-')).sort()).toEqual([
      '1.0',
      '1.1',
      'latest',
    ]);
    // olareg answers as if it were there and empty.
    expect((await reader.listTags({ host: registry.host, path: 'no/such' })) ?? []).toEqual([]);
  });

  it('reads one manifest by tag and by digest, and its config', async () => {
    const byTag = await reader.getManifest(repository(), '1.0');
    const byDigest = await reader.getManifest(repository(), image);
    expect(byTag).toEqual(byDigest);
    expect(byTag?.digest).toBe(image);
    const parsed = parseManifest(byTag?.bytes ?? new Uint8Array(), byTag?.mediaType ?? '');
    expect(parsed).toMatchObject({ kind: 'image', artifactType: 'application/x-test', config: { digest: config } });
    expect(Buffer.from(await reader.getBlob(repository(), config, 100)).toString()).toBe('{}');
    expect(await reader.headManifest(repository(), image)).toMatchObject({ digest: image, size: byTag?.bytes.length });
  });

  it('answers null for an absent tag and an absent digest', async () => {
    const absent = `sha256:${'0'.repeat(64)}` as Digest;
    expect(await reader.headManifest(repository(), 'no-such')).toBeNull();
    expect(await reader.getManifest(repository(), absent)).toBeNull();
    await expect(reader.getBlob(repository(), absent, 10)).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('finds referrers that another client wrote', async () => {
    const subject = `${registry.host}/team/app@${image}`;
    expect(await reader.listReferrers(repository(), image)).toEqual([]);
    for (const type of ['application/spdx+json', 'application/vnd.cyclonedx+json']) {
      const about = ['--subject', subject, '--annotation', `for=${type}`];
      await regctl(registry, type, 'artifact', 'put', ...about, '--artifact-type', type);
    }
    const all = await reader.listReferrers(repository(), image);
    expect(all.map((each) => each.artifactType).sort()).toEqual([
      'application/spdx+json',
      'application/vnd.cyclonedx+json',
    ]);
    const [spdx, ...others] = await reader.listReferrers(repository(), image, {
      artifactType: 'application/spdx+json',
    });
    expect(others).toEqual([]);
    expect(spdx?.annotations).toEqual({ for: 'application/spdx+json' });
    expect(await reader.getManifest(repository(), spdx?.digest ?? '')).toMatchObject({ digest: spdx?.digest });
  });
});

describe('olareg', () => {
  it('is read over TLS of a private CA, with Basic credentials', async () => {
    const registry = await startOlareg({ tls: certificate, basicAuth: USER, inMemory: true });
    const good = readerFor(registry, { tlsVerify: true, caCert: certificate.caFile, ...USER });
    await good.ping(registry.host);
    const wrong = readerFor(registry, { tlsVerify: true, caCert: certificate.caFile, ...USER, password: 'wrong' });
    await expect(wrong.ping(registry.host)).rejects.toMatchObject({ code: 'Unauthorized' });
    await Promise.all([good.close(), wrong.close(), registry.stop()]);
  });

  it('is waited for when it limits requests', async () => {
    const registry = await startOlareg({ rateLimit: 20, inMemory: true });
    const reader = readerFor(registry);
    const asked = Array.from({ length: 50 }, (_, each) =>
      reader.headManifest({ host: registry.host, path: 'a' }, `t${each}`),
    );
    expect(await Promise.all(asked)).toEqual(Array(50).fill(null));
    expect(reader.requestCounts().get(`HEAD ${registry.host}`)).toBeGreaterThan(50);
    await Promise.all([reader.close(), registry.stop()]);
  });
});
