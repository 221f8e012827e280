import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RegistryAccess } from '../../adapters/credentials.js';
import { createOciLayouts } from '../../adapters/oci-layout.js';
import { createRegctl, type Regctl } from '../../adapters/regctl.js';
import { createRegistryReader, type RegistryReader } from '../../adapters/registry.js';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { programPath } from '../../config/programs.js';
import { type Digest, digestOf } from '../../domain/digest.js';
import type { Repository } from '../../domain/reference.js';
import { debianFiles, OCI_INDEX, OCI_MANIFEST, type PushedManifest, pushImage, pushIndex } from '../support/images.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';

let workDir = '';
let upstream: RunningRegistry;
let index: PushedManifest;
let child: PushedManifest;
let single: PushedManifest;

beforeAll(async () => {
  workDir = await mkdtemp(join(tmpdir(), 'houba-regctl-'));
  upstream = await startOlareg({ inMemory: true });
  child = await pushImage(upstream.host, 'lib/tool', null, debianFiles('tool', '1.0'));
  single = await pushImage(upstream.host, 'lib/tool', null, debianFiles('single', '1.0'));
  const arm = await pushImage(upstream.host, 'lib/tool', null, debianFiles('tool', '1.0'), 'arm64');
  index = await pushIndex(upstream.host, 'lib/tool', '1.0', { amd64: child, arm64: arm });
});
afterAll(async () => {
  await upstream.stop();
  await rm(workDir, { recursive: true, force: true });
});

function regctlFor(host: string, login: Pick<RegistryAccess, 'username' | 'password'> | null = null): Regctl {
  const program = programPath('regctl');
  if (program === null) throw new Error('regctl is not there; run make setup');
  const plain = { namespace: null, tlsVerify: false, deletionMode: null, sourceOnly: false, caCert: null };
  const { username, password } = login ?? { username: null, password: null };
  return createRegctl({
    program,
    access: new Map<string, RegistryAccess>([
      ['up', { name: 'up', host: upstream.host, username: null, password: null, ...plain }],
      ['main', { name: 'main', host, username, password, ...plain }],
    ]),
    credentials: {
      credentialsFor: async (asked) =>
        asked === host && username !== null && password !== null ? { username, password } : null,
    },
    workDir,
    environment: childEnvironment(readEnvironment()),
  });
}

function readerFor(host: string): RegistryReader {
  const entry = {
    name: 'main',
    host,
    namespace: null,
    tlsVerify: false,
    deletionMode: null,
    sourceOnly: false,
    caCert: null,
  };
  const access = new Map<string, RegistryAccess>([['main', { ...entry, username: null, password: null }]]);
  return createRegistryReader({
    ...{ access, environment: {}, userAgent: 'houba/0', concurrency: 4 },
    ...{ dockerConfigDir: '', findProgram: () => null },
  });
}

async function get(host: string, reference: string): Promise<{ status: number; digest: Digest; bytes: Uint8Array }> {
  const accept = { Accept: `${OCI_INDEX}, ${OCI_MANIFEST}` };
  const answer = await fetch(`http://${host}/v2/cache/tool/manifests/${reference}`, { headers: accept });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  return { status: answer.status, digest: digestOf(bytes), bytes };
}

function stamped(): Uint8Array {
  const manifest = JSON.parse(Buffer.from(index.bytes).toString());
  return new TextEncoder().encode(JSON.stringify({ ...manifest, annotations: { 'io.houba.policy': 'tool' } }));
}

describe.each([
  ['olareg', () => startOlareg({ inMemory: true })],
  ['distribution', () => startDistribution()],
])('with %s', (_, start) => {
  let registry: RunningRegistry;
  let regctl: Regctl;
  let tool: Repository;
  beforeAll(async () => {
    registry = await start();
    regctl = regctlFor(registry.host);
    tool = { host: registry.host, path: 'cache/tool' };
  });
  afterAll(() => registry.stop());

  const source = () => ({ repository: { host: upstream.host, path: 'lib/tool' }, digest: index.digest });

  it('an image is complete before its tag is there, and keeps its evidence when the tag comes', async () => {
    await regctl.copyImage(source(), tool);
    expect((await get(registry.host, index.digest)).bytes).toEqual(index.bytes);
    expect((await get(registry.host, child.digest)).status).toBe(200);

    const bytes = stamped();
    const digest = await regctl.putManifest(tool, { digest: digestOf(bytes) }, OCI_INDEX, bytes);
    const referrer = await regctl.putArtifact(tool, digest, {
      artifactType: 'application/spdx+json',
      annotations: { 'io.houba.sbom.tool': 'syft' },
      file: { bytes: new TextEncoder().encode('{"spdxVersion":"SPDX-2.3"}'), mediaType: 'application/spdx+json' },
    });
    const attached = JSON.parse(Buffer.from((await get(registry.host, referrer)).bytes).toString());
    expect(attached).toMatchObject({
      artifactType: 'application/spdx+json',
      subject: { digest },
      layers: [{ mediaType: 'application/spdx+json' }],
      annotations: { 'io.houba.sbom.tool': 'syft' },
    });
    expect((await get(registry.host, '1.0')).status).toBe(404);

    expect(await regctl.putManifest(tool, { tag: '1.0' }, OCI_INDEX, bytes)).toBe(digest);
    expect((await get(registry.host, '1.0')).digest).toBe(digest);
  });

  it('the same again gives the same', async () => {
    await regctl.copyImage(source(), tool);
    const bytes = stamped();
    expect(await regctl.putManifest(tool, { tag: '1.0' }, OCI_INDEX, bytes)).toBe(digestOf(bytes));
    const mark = { artifactType: 'application/vnd.houba.lifecycle.pending+json', annotations: { state: 'x' } };
    const first = await regctl.putArtifact(tool, digestOf(bytes), mark);
    expect(await regctl.putArtifact(tool, digestOf(bytes), mark)).toBe(first);
    expect(await regctl.deleteManifest(tool, first)).toBe('deleted');
    expect(await regctl.deleteManifest(tool, first)).toBe('absent');
  });

  it('a tag goes without its manifest, a manifest goes by digest', async () => {
    const digest = digestOf(stamped());
    const reader = readerFor(registry.host);
    expect(await reader.deleteTag(tool, '1.0')).toBe(true);
    expect((await get(registry.host, '1.0')).status).toBe(404);
    expect(await reader.deleteTag(tool, '1.0')).toBe(false);
    expect((await get(registry.host, digest)).status).toBe(200);
    expect(await regctl.deleteManifest(tool, digest)).toBe('deleted');
    expect((await get(registry.host, digest)).status).toBe(404);
  });

  it('an image goes to a layout and from there to a registry, by digest, with what was put beside it there', async () => {
    const layout = await mkdtemp(join(workDir, 'layout-'));
    const other = { host: registry.host, path: 'cache/tool' };
    const from = { repository: { host: upstream.host, path: 'lib/tool' }, digest: single.digest };
    await regctl.exportImage(from, layout);
    const layouts = createOciLayouts();
    const { manifest } = await layouts.readManifest(layout, single.digest);
    expect(manifest.kind).toBe('image');
    const bytes = new TextEncoder().encode(
      JSON.stringify({ ...JSON.parse(Buffer.from(single.bytes).toString()), annotations: { stamped: 'yes' } }),
    );
    const stampedDigest = await layouts.writeManifest(layout, bytes);
    await regctl.importImage(layout, stampedDigest, other);
    expect((await get(registry.host, stampedDigest)).bytes).toEqual(bytes);
    expect((await get(registry.host, single.digest)).status).toBe(404);
    await regctl.importImage(layout, stampedDigest, other);
    await rm(layout, { recursive: true });
  });

  it('a copied referrer is listed, also when only the list lacked it', async () => {
    const up = { host: upstream.host, path: 'lib/tool' };
    const signed = await pushImage(upstream.host, 'lib/tool', null, debianFiles('signed', '1.0'));
    const referrer = await regctl.putArtifact(up, signed.digest, { artifactType: 'a/b', annotations: {} });
    const listed = async () =>
      (await readerFor(registry.host).listReferrers(tool, signed.digest)).map((one) => one.digest);
    await regctl.copyImage({ repository: up, digest: signed.digest }, tool);
    expect((await get(registry.host, referrer)).status).toBe(404);
    const copy = () => regctl.copyImage({ repository: up, digest: referrer }, tool, { subject: signed.digest });
    await copy();
    expect(await listed()).toEqual([referrer]);
    await readerFor(registry.host).deleteTag(tool, signed.digest.replace(':', '-'));
    await copy();
    expect(await listed()).toEqual([referrer]);
  });

  it('a source that is not there is NotFound', async () => {
    const nothing = digestOf(new Uint8Array([1]));
    await expect(regctl.copyImage({ ...source(), digest: nothing }, tool)).rejects.toMatchObject({ code: 'NotFound' });
  });
});

describe('a registry that cannot delete', () => {
  let registry: RunningRegistry;
  let proxy: Server;
  beforeAll(async () => {
    registry = await startDistribution();
    const [hostname, port] = registry.host.split(':');
    proxy = createServer((asked, answer) => {
      if (asked.method === 'DELETE') {
        answer.writeHead(405).end('{"errors":[{"code":"UNSUPPORTED"}]}');
        return;
      }
      const { url: path, method, headers } = asked;
      const onward = request({ hostname, port, path, method, headers }, (reply) => {
        answer.writeHead(reply.statusCode ?? 500, reply.headers);
        reply.pipe(answer);
      });
      asked.pipe(onward);
    }).listen(0, '127.0.0.1');
    await once(proxy, 'listening');
  });
  afterAll(async () => {
    proxy.close();
    proxy.closeAllConnections();
    await registry.stop();
  });

  it('says so, and keeps its tag, its manifest and its referrer as they are', async () => {
    const host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const regctl = regctlFor(host);
    const tool = { host, path: 'cache/tool' };
    const image = await pushImage(registry.host, 'cache/tool', '1.0', debianFiles('tool', '1.0'));
    const referrer = await regctl.putArtifact(tool, image.digest, { artifactType: 'a/b', annotations: {} });
    const fallback = (await get(registry.host, image.digest.replace(':', '-'))).digest;
    expect(await readerFor(host).deleteTag(tool, '1.0')).toBe(false);
    expect(await regctl.deleteManifest(tool, referrer)).toBe('unsupported');
    expect((await get(registry.host, '1.0')).digest).toBe(image.digest);
    expect((await get(registry.host, image.digest.replace(':', '-'))).digest).toBe(fallback);
  });
});

describe('failures', () => {
  it('a wrong password is Unauthorized, a right one is let in', async () => {
    const registry = await startOlareg({ inMemory: true, basicAuth: { username: 'alice', password: 'wonderland' } });
    try {
      const tool = { host: registry.host, path: 'cache/tool' };
      const source = { repository: { host: upstream.host, path: 'lib/tool' }, digest: index.digest };
      const wrong = regctlFor(registry.host, { username: 'alice', password: 'looking-glass' });
      const error = await wrong.copyImage(source, tool).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'Unauthorized' });
      expect(String(error)).not.toContain('looking-glass');
      await regctlFor(registry.host, { username: 'alice', password: 'wonderland' }).copyImage(source, tool);
    } finally {
      await registry.stop();
    }
  });

  it('a registry that is down is RegistryUnavailable', async () => {
    const tool = { host: '127.0.0.1:1', path: 'cache/tool' };
    const put = regctlFor('127.0.0.1:1').putManifest(tool, { tag: '1' }, OCI_MANIFEST, child.bytes);
    await expect(put).rejects.toMatchObject({ code: 'RegistryUnavailable' });
  });

  it('and no configuration is left behind', async () => {
    expect(await readdir(workDir)).toEqual([]);
    expect(await regctlFor('127.0.0.1:1').version()).toMatch(/^v\d+\.\d+\.\d+/);
  });
});
