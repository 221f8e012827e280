import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RegistryAccess } from '../../adapters/credentials.js';
import { createSyft, type Syft } from '../../adapters/syft.js';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { programPath } from '../../config/programs.js';
import { type Digest, digestOf } from '../../domain/digest.js';
import { parseQuery, queryTest } from '../../domain/packages/query.js';
import { packagesIn } from '../../domain/packages/sbom-packages.js';
import { debianFiles, pushImage } from '../support/images.js';
import { jarOf, pomProperties } from '../support/jars.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import { descriptor, json, OCI, push, rawManifest, sha256, type TestImage } from '../support/upstream-images.js';

/** Bytes. */
const MOST_DISK = 256 * 1024 * 1024;
const LOGIN = { username: 'alice', password: 'wonderland' };

let workDir = '';
let registry: RunningRegistry;
beforeAll(async () => {
  workDir = await mkdtemp(join(tmpdir(), 'houba-syft-'));
  registry = await startOlareg({ inMemory: true });
});
afterAll(async () => {
  await registry.stop();
  await rm(workDir, { recursive: true, force: true });
});

function syftFor(host: string, login: typeof LOGIN | null = null): Syft {
  const program = programPath('syft');
  if (program === null) throw new Error('syft is not there; run make setup');
  const entry: RegistryAccess = {
    ...{ name: 'main', host, namespace: null, tlsVerify: false, deletionMode: null, sourceOnly: false, caCert: null },
    username: login?.username ?? null,
    password: login?.password ?? null,
  };
  return createSyft({
    program,
    access: new Map([['main', entry]]),
    credentials: { credentialsFor: async () => login },
    workDir,
    environment: childEnvironment(readEnvironment()),
    mostDisk: MOST_DISK,
  });
}

function text(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? new Uint8Array()).toString('utf8');
}

describe('an inventory', () => {
  it.each(['amd64', 'arm64'])('of a %s image names its packages, in both formats', async (architecture) => {
    const files = debianFiles('busybox-static', '1:1.35.0-4');
    const { digest } = await pushImage(registry.host, 'lib/tool', null, files, architecture);
    const repository = { host: registry.host, path: 'lib/tool' };
    const documents = await syftFor(registry.host).scan(repository, digest, ['spdx-json', 'cyclonedx-json']);
    const spdx = JSON.parse(text(documents.get('spdx-json')));
    expect(spdx.spdxVersion).toMatch(/^SPDX-2/);
    expect(spdx.packages).toContainEqual(
      expect.objectContaining({ name: 'busybox-static', versionInfo: '1:1.35.0-4' }),
    );
    const cyclonedx = JSON.parse(text(documents.get('cyclonedx-json')));
    expect(cyclonedx.bomFormat).toBe('CycloneDX');
    expect(cyclonedx.components).toContainEqual(expect.objectContaining({ name: 'busybox-static' }));
    expect(await readdir(workDir)).toEqual([]);
  });

  it('names what is in a jar of a jar, and the source of a package, as houba reads it', async () => {
    const log4j = jarOf(pomProperties('org.apache.logging.log4j', 'log4j-core', '2.14.1'));
    const middle = jarOf({ ...pomProperties('com.example', 'middle', '1.0'), 'BOOT-INF/lib/log4j-core.jar': log4j });
    const top = jarOf({ ...pomProperties('com.example', 'top', '1.0'), 'lib/middle.jar': middle });
    const debian = debianFiles('liblzma5', '5.6.1+really5.4.5-1');
    const status = debian['var/lib/dpkg/status']?.replace('Architecture', 'Source: xz-utils (5.6.1+really5.4.5-1)\n$&');
    const files = { ...debian, 'var/lib/dpkg/status': status ?? '', 'app/top.jar': top };
    const { digest } = await pushImage(registry.host, 'lib/jars', null, files);
    const repository = { host: registry.host, path: 'lib/jars' };
    const documents = await syftFor(registry.host).scan(repository, digest, ['spdx-json', 'cyclonedx-json']);
    const inside = ['log4j-core@<2.15', 'xz-utils@5.4.5', 'liblzma5', 'org.apache.logging.log4j:log4j-core@2.14.1'];
    for (const [format, document] of documents) {
      const { packages, skipped } = packagesIn(JSON.parse(text(document)));
      expect(skipped).toBe(0);
      const found = (query: string) => packages.filter((one) => queryTest(parseQuery(query))(one).kind === 'asked');
      for (const query of inside) expect(found(query), query).toHaveLength(1);
      expect(found('xz-utils@>=5.6.0 <5.6.2')).toEqual([]);
      const nested =
        format === 'cyclonedx-json' ? '/app/top.jar:lib/middle.jar:BOOT-INF/lib/log4j-core.jar' : '/app/top.jar';
      expect(found('log4j-core')[0]?.location).toBe(nested);
    }
  });

  it('of a bomb is given up before it has filled the disk', async () => {
    await push(registry.host, 'lib/bomb', [], bomb());
    const repository = { host: registry.host, path: 'lib/bomb' };
    const scan = syftFor(registry.host).scan(repository, bomb().digest as Digest, ['spdx-json']);
    await expect(scan).rejects.toMatchObject({
      code: 'Unsupported',
      message: expect.stringContaining('unpacks to more than 0.25 GiB'),
    });
    expect(await readdir(workDir)).toEqual([]);
  });

  it('of an image behind a password', async () => {
    const guarded = await startOlareg({ basicAuth: LOGIN });
    try {
      const repository = { host: guarded.host, path: 'lib/tool' };
      const nothing = digestOf(new Uint8Array([1]));
      const refused = syftFor(guarded.host, { ...LOGIN, password: 'looking-glass' });
      await expect(refused.scan(repository, nothing, ['spdx-json'])).rejects.toMatchObject({ code: 'Unauthorized' });
      const missing = syftFor(guarded.host, LOGIN).scan(repository, nothing, ['spdx-json']);
      await expect(missing).rejects.toMatchObject({ code: 'NotFound' });
    } finally {
      await guarded.stop();
    }
  });

  it('has the version of the tool', async () => {
    expect(await syftFor(registry.host).version()).toMatch(/^\d+\.\d+\.\d+$/);
  });
});

/** An image of one layer of 16 megabytes, which unpacks to one file of 16 gigabytes of nothing. */
function bomb(): TestImage {
  const pieces = 256;
  const piece = Buffer.alloc(64 * 1024 * 1024);
  const header = Buffer.alloc(512);
  header.write('bomb', 0);
  header.write('0000644\0', 100);
  header.writeBigUInt64BE(BigInt(pieces * piece.length), 128);
  header[124] = 0x80;
  header.write('        ', 148);
  header.write('0', 156);
  header.write('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  // Members of a gzip file follow one another.
  const zeros = gzipSync(piece, { level: 1 });
  const layer = Buffer.concat([gzipSync(header), ...Array<Buffer>(pieces).fill(zeros), gzipSync(Buffer.alloc(1024))]);
  const config = json({ os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [sha256(layer)] } });
  const layers = [descriptor(OCI.layer, layer)];
  const manifest = { schemaVersion: 2, mediaType: OCI.manifest, config: descriptor(OCI.config, config), layers };
  return rawManifest(manifest, OCI.manifest, [config, layer]);
}
