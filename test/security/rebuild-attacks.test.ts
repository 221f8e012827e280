import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createBuildctl } from '../../adapters/buildctl.js';
import { createImageLayers, type ImageLayersLimits } from '../../adapters/image-layers.js';
import { createOciLayouts } from '../../adapters/oci-layout.js';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { programPath } from '../../config/programs.js';
import type { Digest } from '../../domain/digest.js';
import { type RunningBuildkit, startBuildkitd } from '../support/buildkitd.js';
import { directory, file, link, type TarEntry, tarOf, writeLayout } from '../support/layouts.js';
import { descriptor, json, OCI, sha256, type TestImage } from '../support/upstream-images.js';

const never = new AbortController().signal;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-attack-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** An image whose configuration and layers are exactly these bytes. */
function rawImage(config: Buffer, layers: readonly Buffer[]): TestImage {
  const bytes = json({
    schemaVersion: 2,
    mediaType: OCI.manifest,
    config: descriptor(OCI.config, config),
    layers: layers.map((layer) => descriptor(OCI.layer, layer)),
  });
  return { mediaType: OCI.manifest, bytes, digest: sha256(bytes), blobs: [config, ...layers], children: [] };
}

/** The configuration as text, with `config` and more written as the attacker likes. */
function configOf(more: string, diffIds: readonly string[]): Buffer {
  const rootfs = JSON.stringify({ type: 'layers', diff_ids: diffIds });
  return Buffer.from(`{"architecture":"amd64","os":"linux","rootfs":${rootfs}${more}}`);
}

describe('an image whose configuration has commands for whoever builds upon it', () => {
  const COMMAND = '["RUN touch /owned"]';
  /** Go programs read names in any case, of equal names they read all, and BuildKit is one. */
  const SPELLINGS: readonly (readonly [string, string])[] = [
    ['as they are meant', `,"config":{"OnBuild":${COMMAND}}`],
    ['in another case', `,"config":{"onbuild":${COMMAND}}`],
    ['in a part that is named in another case', `,"Config":{"OnBuild":${COMMAND}}`],
    ['with escapes in their name', `,"config":{"\\u006fnBuild":${COMMAND}}`],
  ];
  const TWICE = ['in a part that another of its name follows', `,"config":{"OnBuild":${COMMAND}},"config":{}`] as const;
  let daemon: RunningBuildkit;
  let layer: Buffer;
  beforeAll(async () => {
    daemon = await startBuildkitd();
    layer = await tarOf([directory('etc'), file('etc/os-release', 'ID=debian')]);
  });
  afterAll(() => daemon.stop());

  const write = async (more: string): Promise<Digest> =>
    writeLayout(folder, rawImage(configOf(more, [sha256(layer)]), [layer]));

  it.each(SPELLINGS)('is seen to have them, %s', async (_, more) => {
    const manifest = await write(more);
    expect((await createOciLayouts().readConfig(folder, manifest)).hasOnBuild).toBe(true);
  });

  it('is refused with them in a part that another of its name follows', async () => {
    const manifest = await write(TWICE[1]);
    await expect(createOciLayouts().readConfig(folder, manifest)).rejects.toThrow('it has "config" twice');
  });

  it.each([
    ['none', ',"config":{"OnBuild":null,"Cmd":["/onbuild"]}'],
    ['an empty list', ',"config":{"OnBuild":[ ],"Labels":{"a":"\\"OnBuild\\":[1]"}}'],
  ])('is not, where there is %s', async (_, more) => {
    const manifest = await write(more);
    expect((await createOciLayouts().readConfig(folder, manifest)).hasOnBuild).toBe(false);
  });

  it.each([...SPELLINGS, TWICE])('would be obeyed by BuildKit, %s', async (_, more) => {
    const manifest = await write(more);
    const output = join(folder, 'output');
    await mkdir(output);
    const build = createBuildctl({
      program: programPath('buildctl') ?? 'buildctl',
      address: daemon.address,
      workDir: join(folder, 'work'),
      environment: childEnvironment(readEnvironment()),
    }).build(
      {
        base: { layout: folder, manifest },
        ...{ platform: 'linux/amd64', dockerfile: 'FROM base\n', layers: new Map(), sourceDateEpoch: 0, output },
      },
      never,
    );
    // There is no shell in it.
    await expect(build).rejects.toThrow('touch /owned');
  });
});

/** Reads what a transform would of an image with one layer. */
async function look(layer: Buffer, plain: Buffer, limits: Partial<ImageLayersLimits> = {}) {
  const manifest = await writeLayout(folder, rawImage(configOf('', [sha256(plain)]), [layer]));
  return createImageLayers({ unpacked: 256 * 1024 * 1024, ...limits }).readImageFiles(folder, manifest, [], never);
}

describe('a small layer that wants all time', () => {
  const header = (type: 'pax-header' | 'pax-global-header', records: Readonly<Record<string, string>>) => {
    const text = Object.entries(records).map(([name, value]) => {
      const rest = ` ${name}=${value}\n`;
      const length = rest.length + String(rest.length).length;
      return `${length + (String(length).length > String(rest.length).length ? 1 : 0)}${rest}`;
    });
    return rawEntry(type === 'pax-header' ? 'x' : 'g', Buffer.from(text.join('')));
  };
  const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, key) => [key.toString(36), '']));
  const end = Buffer.alloc(1024);

  it('does not get it with a header for all of its files, which has no meaning', async () => {
    const one = Buffer.concat([header('pax-header', { mtime: '1' }), rawEntry('0', Buffer.from('x'))]);
    const first = header('pax-global-header', { ...keys(250_000), path: 'etc/shadow' });
    // Each of them took a second.
    const tar = Buffer.concat([first, ...Array<Buffer>(500).fill(one), end]);
    const files = await look(gzipSync(tar), tar);
    expect(files.list('/')).toEqual(['entry']);
  });

  it.each([
    ['nothing but headers', header('pax-header', keys(100_000))],
    ['directories that say they are large', rawEntry('5', Buffer.alloc(0), 2 ** 32)],
    ['names', rawEntry('L', Buffer.alloc(2 ** 20, 'a'))],
  ])('is refused with %s', async (_, part) => {
    const headers = 4 * 1024 * 1024;
    const count = Math.ceil((headers + 1024 * 1024) / part.length);
    const tar = Buffer.concat([...Array<Buffer>(count).fill(part), rawEntry('0', Buffer.from('x')), end]);
    await expect(look(gzipSync(tar), tar, { headers })).rejects.toThrow(
      'more headers in its layers than files would need',
    );
  });
});

/** An entry of an archive as nobody should write it. */
function rawEntry(type: string, content: Buffer, size = content.length): Buffer {
  const header = Buffer.alloc(512);
  header.write('entry', 0);
  header.write('0000644\0', 100);
  header.write('0000000\0', 108);
  header.write('0000000\0', 116);
  header.write(size.toString(8).padStart(12, '0'), 124);
  header.write('00000000000\0', 136);
  header.write('        ', 148);
  header.write(type, 156);
  header.write('ustar\u000000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

describe('a small layer that wants all memory is refused', () => {
  it('with paths that links make longer and longer', async () => {
    const long = Array.from({ length: 13 }, () => 'd'.repeat(250)).join('/');
    const entries: TarEntry[] = [directory(long), link('l0', `/${long}`)];
    for (let depth = 1; depth < 38; depth++) {
      entries.push(directory(`l${depth - 1}/${long}`), link(`l${depth}`, `l${depth - 1}/${long}`));
    }
    // A hundred thousand of these would hold the worker up for ever.
    for (let count = 0; count < 1000; count++) entries.push(file(`l37/${count}`));
    const tar = await tarOf(entries);
    await expect(look(tar, tar)).rejects.toThrow('paths that are too long');
  });

  it('with blocks of Zstandard that repeat one byte', async () => {
    const size = 128 * 1024;
    const packed = zstdOfZeros(size, 16_384);
    expect(packed.length).toBeLessThan(size);
    const before = process.memoryUsage().rss;
    await expect(look(packed, Buffer.alloc(0))).rejects.toThrow('more than 268435456 bytes');
    // Two gigabytes, had they been unpacked at once.
    expect(process.memoryUsage().rss - before).toBeLessThan(512 * 1024 * 1024);
  });

  it('with larger blocks of Zstandard than there are', async () => {
    await expect(look(zstdOfZeros(2 ** 21 - 1, 1), Buffer.alloc(0))).rejects.toThrow('block is too large');
  });
});

/** A frame of blocks that repeat a zero (RFC 8878, 3.1.1.2). */
function zstdOfZeros(size: number, count: number): Buffer {
  const packed = Buffer.alloc(6 + 4 * count);
  packed.set([0x28, 0xb5, 0x2f, 0xfd, 0x00, (17 - 10) << 3]);
  for (let block = 0; block < count; block++) {
    const isLast = block === count - 1 ? 1 : 0;
    packed.writeUIntLE((size << 3) | (1 << 1) | isLast, 6 + 4 * block, 3);
  }
  return packed;
}
