import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type Buildctl, type BuildctlOptions, createBuildctl } from '../../adapters/buildctl.js';
import { createImageLayers } from '../../adapters/image-layers.js';
import { blobPath, createOciLayouts } from '../../adapters/oci-layout.js';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { programPath } from '../../config/programs.js';
import type { Digest } from '../../domain/digest.js';
import type { LayerFile } from '../../domain/transform/step.js';
import { type RunningBuildkit, startBuildkitd, writeClientTls } from '../support/buildkitd.js';
import { makeCertificate } from '../support/certificates.js';
import { directory, file, link, type RootImageOptions, rootImage, tarOf, writeLayout } from '../support/layouts.js';
import { processesWithHome } from '../support/processes.js';

const never = new AbortController().signal;
const layouts = createOciLayouts();

let folder = '';
let daemon: RunningBuildkit;
beforeAll(async () => {
  daemon = await startBuildkitd();
});
afterAll(() => daemon.stop());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-build-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

function buildctlFor(options: Partial<BuildctlOptions> = {}): Buildctl {
  const program = programPath('buildctl');
  if (program === null) throw new Error('buildctl is not there; run make setup');
  const workDir = join(folder, 'work');
  const environment = childEnvironment(readEnvironment());
  return createBuildctl({ program, address: daemon.address, workDir, environment, ...options });
}

const bytes = (text: string) => new TextEncoder().encode(text);
const ADDED: readonly LayerFile[] = [
  { path: '/etc/ssl/certs/corp.pem', content: { bytes: bytes('PEM'), mode: 0o640 } },
  { path: '/etc/localtime', content: { link: '/usr/share/zoneinfo/Europe/Rome' } },
  { path: '/opt/new/file', content: { bytes: bytes('x'), mode: 0o644 } },
];

const CONFIG = {
  User: '1000:1000',
  Env: ['PATH=/app:/bin', 'LANG=C'],
  Entrypoint: ['/app/run'],
  Cmd: ['--serve'],
  WorkingDir: '/srv',
  Labels: { 'org.opencontainers.image.revision': 'abc', maintainer: 'me' },
  ExposedPorts: { '8080/tcp': {} },
  Volumes: { '/data': {} },
  StopSignal: 'SIGINT',
};

const debianLike = async () => [
  await tarOf([
    directory('etc'),
    directory('etc/ssl', 0o700),
    directory('etc/ssl/certs', 0o750),
    { ...file('etc/os-release', 'ID=debian'), mtime: new Date('2023-01-01T00:00:00Z') },
    link('etc/localtime', '/usr/share/zoneinfo/Etc/UTC'),
  ]),
  await tarOf([file('app/run', '#!', 0o755)]),
];

/** Builds upon an image. @returns the layout it was built into */
async function build(
  name: string,
  layers: readonly Buffer[],
  options: RootImageOptions = {},
  more: { noCache?: boolean; dockerfile?: string; platform?: string } = {},
): Promise<string> {
  const base = join(folder, `base-${name}`);
  const output = join(folder, `output-${name}`);
  await mkdir(output);
  const manifest = await writeLayout(base, rootImage(layers, options));
  const request = {
    base: { layout: base, manifest },
    platform: more.platform ?? 'linux/amd64',
    dockerfile: more.dockerfile ?? 'FROM base\nADD 1-files.tar /\nENV TZ="Europe/Rome"\n',
    layers: new Map([['1-files.tar', ADDED]]),
    sourceDateEpoch: 1714979289,
    output,
  };
  await buildctlFor({ noCache: more.noCache ?? false }).build(request, never);
  return output;
}

interface Config {
  readonly config: Record<string, unknown>;
  readonly created: string;
  readonly architecture: string;
}

async function configOf(layout: string): Promise<Config> {
  const { image } = await layouts.readBuild(layout);
  if (image.manifest.kind !== 'image') throw new Error('an index');
  return JSON.parse(await readFile(blobPath(layout, image.manifest.config.digest), 'utf8')) as Config;
}

async function filesOf(layout: string, wanted: readonly string[]) {
  const { image } = await layouts.readBuild(layout);
  return createImageLayers().readImageFiles(layout, image.digest, wanted, never);
}

describe('a build upon an image', () => {
  it('adds the files and links, and leaves all else as it was', async () => {
    const files = await filesOf(await build('debian', await debianLike()), ['/etc/ssl/certs/corp.pem']);
    expect(Buffer.from(files.read('/etc/ssl/certs/corp.pem') ?? []).toString()).toBe('PEM');
    expect(files.resolve('/etc/ssl/certs/corp.pem').mode).toBe(0o640);
    expect(files.resolve('/etc/localtime').path).toBe('/usr/share/zoneinfo/Europe/Rome');
    expect(files.resolve('/etc/ssl').mode).toBe(0o700);
    expect(files.resolve('/etc/ssl/certs').mode).toBe(0o750);
    expect(files.resolve('/opt/new')).toMatchObject({ kind: 'directory', mode: 0o755 });
    expect(files.resolve('/app/run').mode).toBe(0o755);
  });

  it('keeps user, entrypoint, labels and the rest of the configuration', async () => {
    const { config, created } = await configOf(await build('config', await debianLike(), { config: CONFIG }));
    expect(config).toEqual({ ...CONFIG, Env: [...CONFIG.Env, 'TZ=Europe/Rome'] });
    expect(created).toBe('2024-05-06T07:08:09Z');
  });

  it('may know neither configuration nor time, and have plain layers', async () => {
    const layout = await build('bare', await debianLike(), { created: null, compress: (tar) => tar });
    const { config, created } = await configOf(layout);
    // BuildKit writes down the path that a runtime would use anyway.
    const Env = ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', 'TZ=Europe/Rome'];
    expect({ config, created }).toEqual({ config: { Env }, created: '2024-05-06T07:08:09Z' });
  });

  it('keeps the layers of the base as they are', async () => {
    const layers = await debianLike();
    const base = rootImage(layers);
    const { image } = await layouts.readBuild(await build('layers', layers));
    if (image.manifest.kind !== 'image') throw new Error('an index');
    const before = (JSON.parse(base.bytes.toString()) as { layers: { digest: Digest }[] }).layers;
    expect(image.mediaType).toBe('application/vnd.oci.image.manifest.v1+json');
    expect(image.manifest.layers.map((layer) => layer.digest).slice(0, 2)).toEqual(before.map((layer) => layer.digest));
    expect(image.manifest.layers).toHaveLength(3);
  });

  it('of another architecture needs no emulation', async () => {
    const platform = { os: 'linux', architecture: 'arm64', variant: 'v8' };
    const layout = await build('arm', await debianLike(), { platform }, { platform: 'linux/arm64' });
    expect((await configOf(layout)).architecture).toBe('arm64');
  });

  it('of nothing but one file, or of nothing at all, is an image too', async () => {
    const files = await filesOf(await build('static', [await tarOf([file('hello', 'binary', 0o755)])]), []);
    expect(files.list('/')).toEqual(['etc', 'hello', 'opt']);
    expect((await filesOf(await build('empty', []), [])).list('/')).toEqual(['etc', 'opt']);
  });

  it('says how it was made, without a word of this machine', async () => {
    const { provenance } = await layouts.readBuild(await build('provenance', await debianLike()));
    expect(provenance.predicateType).toMatch(/^https:\/\/slsa\.dev\/provenance\/v/);
    const text = Buffer.from(provenance.statement).toString();
    expect(JSON.parse(text)).toMatchObject({ predicateType: provenance.predicateType, predicate: expect.anything() });
    expect(text).not.toContain(folder);
  });
});

describe('the same build again', () => {
  it('gives the same image, from the cache and without it, on this daemon and on another one', async () => {
    const first = (await layouts.readBuild(await build('one', await debianLike(), { config: CONFIG }))).image.digest;
    const cached = (await layouts.readBuild(await build('two', await debianLike(), { config: CONFIG }))).image.digest;
    const anew = await build('three', await debianLike(), { config: CONFIG }, { noCache: true });
    expect([cached, (await layouts.readBuild(anew)).image.digest]).toEqual([first, first]);
    const here = daemon;
    daemon = await startBuildkitd();
    try {
      const elsewhere = await build('four', await debianLike(), { config: CONFIG });
      expect((await layouts.readBuild(elsewhere)).image.digest).toBe(first);
    } finally {
      await daemon.stop();
      daemon = here;
    }
  });
});

describe('a daemon behind TLS that wants a certificate of its clients', () => {
  it('builds for one that has it, and for no other', async () => {
    const here = daemon;
    const certificate = await makeCertificate(folder);
    daemon = await startBuildkitd(certificate);
    try {
      const tlsDir = join(folder, 'client');
      await writeClientTls(tlsDir, certificate);
      const buildctl = buildctlFor({ tlsDir });
      await buildctl.ping();
      await expect(buildctlFor().ping()).rejects.toMatchObject({ code: 'BuilderUnavailable' });
      await rm(join(tlsDir, 'tls.key'));
      await expect(buildctl.ping()).rejects.toThrow(/tls\.key/);
    } finally {
      await daemon.stop();
      daemon = here;
    }
  });
});

describe('a build that runs something, as none of ours does', () => {
  it('has no network, not even that of the daemon', async () => {
    let connections = 0;
    const server = createServer((socket) => {
      connections++;
      socket.destroy();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const program = file('buildctl', await readFile(programPath('buildctl') ?? 'buildctl'), 0o755);
      const asking = JSON.stringify(['/buildctl', `--addr=tcp://127.0.0.1:${port}`, 'debug', 'workers']);
      const dockerfile = `FROM base\nADD 1-files.tar /\nRUN ${asking}\n`;
      const error = await build('asks', [await tarOf([program])], {}, { dockerfile }).catch((reason) => reason);
      expect(error.message).toContain('did not complete successfully');
      expect(error.cause.message).toMatch(/dial tcp 127\.0\.0\.1:\d+: connect:/);
      expect(connections).toBe(0);
    } finally {
      server.close();
    }
  });
});

describe('a build that fails', () => {
  it('for a line of the Dockerfile is BuildFailed', async () => {
    const failing = build('failing', [], {}, { dockerfile: 'FROM base\nADD none.tar /\n' });
    await expect(failing).rejects.toMatchObject({ code: 'BuildFailed', message: expect.stringContaining('none.tar') });
    expect(await readdir(join(folder, 'work'))).toEqual([]);
  });

  it('for want of a daemon is BuilderUnavailable, and may be tried again', async () => {
    const here = daemon;
    try {
      for (const address of [`unix://${folder}/none.sock`, 'tcp://127.0.0.1:1']) {
        daemon = { ...here, address };
        await expect(buildctlFor().ping()).rejects.toMatchObject({ code: 'BuilderUnavailable' });
        await expect(build(`none-${address.length}`, [])).rejects.toMatchObject({ code: 'BuilderUnavailable' });
      }
    } finally {
      daemon = here;
    }
  });

  it('because it was cancelled leaves no process and no folder', async () => {
    const base = join(folder, 'base');
    // A base that takes a while to load.
    const large = await tarOf([file('large', randomBytes(64 * 1024 * 1024))]);
    const manifest = await writeLayout(base, rootImage([large], { compress: (tar) => tar }));
    const output = join(folder, 'output');
    await mkdir(output);
    const abort = new AbortController();
    const reason = new Error('cancelled');
    const seen: number[] = [];
    const buildctl = buildctlFor({
      noCache: true,
      onLine: () => {
        seen.push(processesWithHome(folder).length);
        abort.abort(reason);
      },
    });
    const request = {
      base: { layout: base, manifest },
      platform: 'linux/amd64',
      dockerfile: 'FROM base\nADD 1-files.tar /\n',
      layers: new Map([['1-files.tar', ADDED]]),
      sourceDateEpoch: 0,
      output,
    };
    await expect(buildctl.build(request, abort.signal)).rejects.toBe(reason);
    expect(seen[0]).toBeGreaterThan(0);
    expect(processesWithHome(folder)).toEqual([]);
    expect(await readdir(join(folder, 'work'))).toEqual([]);
  });
});
