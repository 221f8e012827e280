import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createImageLayers, type ImageLayersLimits } from '../../../adapters/image-layers.js';
import type { Digest } from '../../../domain/digest.js';
import type { ImageFiles } from '../../../domain/transform/image-files.js';
import {
  directory,
  file,
  hardLink,
  link,
  type RootImageOptions,
  rootImage,
  type TarEntry,
  tarOf,
  writeLayout,
} from '../../support/layouts.js';
import { index, OCI, rawManifest } from '../../support/upstream-images.js';

let layout = '';
beforeEach(async () => {
  layout = await mkdtemp(join(tmpdir(), 'houba-layers-'));
});
afterEach(() => rm(layout, { recursive: true, force: true }));

interface Looked {
  readonly wanted?: readonly string[];
  readonly options?: RootImageOptions;
  readonly limits?: Partial<ImageLayersLimits>;
  readonly signal?: AbortSignal;
}

/** Reads an image of these layers. */
async function look(layers: readonly (readonly TarEntry[])[], looked: Looked = {}): Promise<ImageFiles> {
  const image = rootImage(await Promise.all(layers.map(tarOf)), looked.options);
  const digest = await writeLayout(layout, image);
  const signal = looked.signal ?? new AbortController().signal;
  return createImageLayers(looked.limits).readImageFiles(layout, digest, looked.wanted ?? [], signal);
}

function read(image: ImageFiles, path: string): string | null {
  const bytes = image.read(path);
  return bytes && Buffer.from(bytes).toString('utf8');
}

const kind = (image: ImageFiles, path: string) => image.resolve(path).kind;

describe('layers, one upon the other', () => {
  it('give what the last one to name a path made of it', async () => {
    const image = await look(
      [[directory('etc'), file('etc/a', 'old', 0o600), file('etc/b', 'kept')], [file('etc/a', 'new', 0o640)]],
      { wanted: ['/etc/a', '/etc/b', '/etc/none'] },
    );
    expect(read(image, '/etc/a')).toBe('new');
    expect(image.resolve('/etc/a')).toEqual({ path: '/etc/a', kind: 'file', mode: 0o640 });
    expect(read(image, '/etc/b')).toBe('kept');
    expect(kind(image, '/etc/none')).toBe('absent');
    expect(image.list('/etc')).toEqual(['a', 'b']);
  });

  it('a whiteout hides what is below, a file or a whole directory', async () => {
    const image = await look([
      [file('a'), directory('d'), file('d/x'), file('d/deep/y'), file('keep')],
      [file('.wh.a'), file('.wh.d')],
    ]);
    expect(image.list('/')).toEqual(['keep']);
    expect(kind(image, '/d/deep/y')).toBe('absent');
  });

  it('a whiteout hides nothing of its own layer, wherever it stands in it', async () => {
    const image = await look([[file('d/old')], [file('d/new'), file('.wh.d'), file('a'), file('.wh.a')]]);
    expect(image.list('/d')).toEqual(['new']);
    expect(kind(image, '/a')).toBe('file');
  });

  it('an opaque directory starts empty', async () => {
    const image = await look([
      [directory('d'), file('d/old'), file('d/sub/old'), file('other')],
      [directory('d'), file('d/new'), file('d/.wh..wh..opq'), file('d/sub/new')],
    ]);
    expect(image.list('/d')).toEqual(['new', 'sub']);
    expect(image.list('/d/sub')).toEqual(['new']);
    expect(kind(image, '/other')).toBe('file');
  });

  it('a directory that is named again keeps what it holds, with its new mode', async () => {
    const image = await look([[directory('d', 0o700), file('d/x')], [directory('d', 0o755)]]);
    expect(image.resolve('/d').mode).toBe(0o755);
    expect(kind(image, '/d/x')).toBe('file');
  });

  it('a file in the place of a directory takes away all it held', async () => {
    const image = await look([[file('d/x')], [file('d', 'now a file')]], { wanted: ['/d'] });
    expect(read(image, '/d')).toBe('now a file');
    expect(kind(image, '/d/x')).toBe('absent');
  });

  it('a device hides a file, and is nothing to look at', async () => {
    const image = await look([[file('dev/null', 'a file')], [{ name: 'dev/null', type: 'character-device' }]]);
    expect(kind(image, '/dev/null')).toBe('absent');
  });

  it('there may be none', async () => {
    expect((await look([])).list('/')).toEqual([]);
  });
});

describe('links', () => {
  it('lead a layer to the directory it means, as in a merged /usr', async () => {
    const image = await look(
      [
        [directory('usr/lib'), link('lib', 'usr/lib'), link('abs', '/usr/lib')],
        [file('lib/a', 'through'), file('abs/b', 'absolute')],
      ],
      { wanted: ['/usr/lib/a', '/lib/b'] },
    );
    expect(read(image, '/usr/lib/a')).toBe('through');
    expect(read(image, '/lib/b')).toBe('absolute');
    expect(image.list('/usr/lib')).toEqual(['a', 'b']);
  });

  it('are followed to a wanted file, over several of them', async () => {
    const image = await look(
      [
        [
          file('usr/share/certs/bundle.pem', 'PEM'),
          link('etc/ssl/cert.pem', '../pki/bundle.pem'),
          link('etc/pki', '/usr/share/certs'),
        ],
      ],
      { wanted: ['/etc/ssl/cert.pem'] },
    );
    expect(image.resolve('/etc/ssl/cert.pem').path).toBe('/usr/share/certs/bundle.pem');
    expect(read(image, '/etc/ssl/cert.pem')).toBe('PEM');
  });

  it('that lead nowhere, up beyond the root or in circles do no harm', async () => {
    const image = await look(
      [[link('none', 'nothing'), link('up', '../../../etc/shadow'), link('a', 'b'), link('b', 'a'), file('a/x')]],
      { wanted: ['/none', '/up', '/a', '/b/'] },
    );
    expect(kind(image, '/none')).toBe('absent');
    expect(image.resolve('/up')).toMatchObject({ path: '/etc/shadow', kind: 'absent' });
    expect(kind(image, '/a')).toBe('absent');
  });

  it('that are hard are another name of the same file, also of one in a lower layer', async () => {
    const image = await look(
      [
        [file('a', 'text', 0o755), hardLink('b', 'a')],
        [hardLink('c', './b'), hardLink('/d', '/a'), hardLink('e', 'nothing')],
      ],
      { wanted: ['/b', '/c', '/d'] },
    );
    expect(['/b', '/c', '/d'].map((path) => read(image, path))).toEqual(['text', 'text', 'text']);
    expect(image.resolve('/c').mode).toBe(0o755);
    expect(kind(image, '/e')).toBe('absent');
  });

  it('that are hard keep their content when the first name is taken away', async () => {
    const image = await look([[file('a', 'text'), hardLink('b', 'a')], [file('.wh.a')]], { wanted: ['/b'] });
    expect(read(image, '/b')).toBe('text');
  });
});

describe('what is wanted', () => {
  it('of a directory are the files directly in it, those that links lead to as well', async () => {
    const image = await look(
      [
        [
          file('etc/apt/sources.list.d/a.list', 'A'),
          link('etc/apt/sources.list.d/b.list', '/opt/b.list'),
          file('opt/b.list', 'B'),
          file('etc/apt/sources.list.d/deeper/c.list', 'C'),
        ],
      ],
      { wanted: ['/etc/apt/sources.list.d/', '/nowhere/'] },
    );
    expect(read(image, '/etc/apt/sources.list.d/a.list')).toBe('A');
    expect(read(image, '/etc/apt/sources.list.d/b.list')).toBe('B');
    expect(() => read(image, '/etc/apt/sources.list.d/deeper/c.list')).toThrow(/not taken out/);
  });

  it('is not read beyond a size', async () => {
    const large = file('etc/large', new Uint8Array(2000));
    const looking = look([[large]], { wanted: ['/etc/large'], limits: { file: 1999 } });
    await expect(looking).rejects.toMatchObject({
      code: 'Unsupported',
      message: expect.stringContaining('/etc/large'),
    });
    const together = look([[large, file('etc/b', 'x')]], { wanted: ['/etc/'], limits: { files: 2000 } });
    await expect(together).rejects.toMatchObject({ code: 'Unsupported' });
    expect(kind(await look([[large]], { limits: { file: 1999 } }), '/etc/large')).toBe('file');
  });
});

describe('packed layers', () => {
  const layers = [[file('a', 'text'.repeat(100_000))], [file('b', 'more')]];

  it.each([
    ['gzip', (tar: Buffer) => gzipSync(tar)],
    [
      'gzip in several members',
      (tar: Buffer) => Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))]),
    ],
    ['nothing', (tar: Buffer) => tar],
    ['zstd', (tar: Buffer) => zstd(tar)],
    [
      'zstd in several frames, one to be skipped',
      (tar: Buffer) => Buffer.concat([zstd(tar.subarray(0, 700)), skippable(30), zstd(tar.subarray(700), true)]),
    ],
  ])('are unpacked from %s, whatever the manifest calls them', async (_, compress) => {
    const image = await look(layers, { wanted: ['/a', '/b'], options: { compress } });
    expect(read(image, '/a')).toHaveLength(400_000);
    expect(read(image, '/b')).toBe('more');
  });

  it.each([
    ['gzip that is cut off', (tar: Buffer) => gzipSync(tar).subarray(0, 60)],
    ['zstd that is cut off', (tar: Buffer) => zstd(tar).subarray(0, 600)],
    ['zstd that wants gigabytes', (tar: Buffer) => zstd(tar, false, 0xa8)],
    [
      'zstd that wants gigabytes in its second frame',
      (tar: Buffer) => Buffer.concat([zstd(tar.subarray(0, 700)), zstd(tar.subarray(700), false, 0xa8)]),
    ],
    ['what is no archive', () => Buffer.from('something else '.repeat(100))],
  ])('that are %s fail with a sentence', async (_, compress) => {
    const looking = look(layers, { options: { compress } });
    await expect(looking).rejects.toMatchObject({
      code: 'Unsupported',
      message: expect.stringMatching(/^the layer sha256:\w+ cannot be read/),
    });
  });

  it('that grow without end are given up', async () => {
    const bomb = [file('zeros', new Uint8Array(3_000_000))];
    const looking = look([bomb], { limits: { unpacked: 2_000_000 } });
    await expect(looking).rejects.toMatchObject({
      code: 'Unsupported',
      message: expect.stringContaining('2000000 bytes'),
    });
  });

  it('that unpack to something else than the configuration says are refused', async () => {
    const other = await tarOf([file('a', 'else')]);
    const looking = look(layers.slice(0, 1), { options: { compress: () => gzipSync(other) } });
    await expect(looking).rejects.toMatchObject({ message: expect.stringContaining('something else than it should') });
  });

  it('of more entries than are looked at are given up', async () => {
    const many = Array.from({ length: 11 }, (_, number) => file(`f${number}`));
    await expect(look([many], { limits: { entries: 10 } })).rejects.toMatchObject({ code: 'Unsupported' });
  });
});

describe('hostile names', () => {
  it.each(['../../etc/passwd', 'etc/../../shadow', '/../x'])('%s is refused', async (name) => {
    await expect(look([[file(name, 'root')]])).rejects.toMatchObject({
      code: 'Unsupported',
      message: expect.stringContaining('leads out of the image'),
    });
  });

  it('that are absolute stay in the image', async () => {
    const image = await look([[file('/etc/passwd', 'root'), file('//etc//./group', 'g')]], { wanted: ['/etc/passwd'] });
    expect(read(image, '/etc/passwd')).toBe('root');
    expect(image.list('/etc')).toEqual(['group', 'passwd']);
  });

  it('that hold control characters, or are called like a property of everything, do no harm', async () => {
    const image = await look([[file('etc/a\n.list'), file('etc/__proto__', 'x'), link('etc/l', 'a\u001b[2J')]], {
      wanted: ['/etc/__proto__', '/etc/'],
    });
    expect(image.list('/etc')).toEqual(['__proto__']);
    expect(read(image, '/etc/__proto__')).toBe('x');
  });

  it('that nest too deeply are refused', async () => {
    const deep = 'd/'.repeat(600);
    await expect(look([[file(`${deep}x`)]])).rejects.toMatchObject({ code: 'Unsupported' });
  });

  it('and nothing is unpacked to disk', async () => {
    await look([[file('a'), file('b')]], { wanted: ['/a'] });
    expect((await readdir(layout)).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
  });
});

describe('refusals', () => {
  it('a layer that is to be fetched from elsewhere', async () => {
    const looking = look([[file('a')]], { options: { layer: { urls: ['https://elsewhere.example/layer'] } } });
    await expect(looking).rejects.toMatchObject({ code: 'Unsupported', message: expect.stringContaining('elsewhere') });
  });

  it('an index, for it has no layers', async () => {
    const digest = await writeLayout(layout, index([rootImage([])]));
    const reading = createImageLayers().readImageFiles(layout, digest, [], new AbortController().signal);
    await expect(reading).rejects.toMatchObject({ code: 'Unsupported' });
  });

  it('a configuration that speaks of other layers', async () => {
    const image = rootImage([await tarOf([file('a')])]);
    const manifest = JSON.parse(image.bytes.toString()) as { layers: unknown[] };
    const twice = rawManifest(
      { ...manifest, layers: [...manifest.layers, ...manifest.layers] },
      OCI.manifest,
      image.blobs,
    );
    const digest = await writeLayout(layout, twice);
    const reading = createImageLayers().readImageFiles(layout, digest, [], new AbortController().signal);
    await expect(reading).rejects.toMatchObject({ code: 'Unsupported' });
  });

  it('a layer that is not there', async () => {
    const image = rootImage([await tarOf([file('a')])]);
    const digest = await writeLayout(layout, image);
    const [layer] = (JSON.parse(image.bytes.toString()) as { layers: { digest: Digest }[] }).layers;
    await rm(join(layout, 'blobs', 'sha256', layer?.digest.slice(7) ?? ''));
    const reading = createImageLayers().readImageFiles(layout, digest, [], new AbortController().signal);
    await expect(reading).rejects.toMatchObject({ code: 'Unsupported' });
  });

  it('a manifest whose bytes are not those of its digest', async () => {
    const digest = await writeLayout(layout, rootImage([]));
    await writeFile(join(layout, 'blobs', 'sha256', digest.slice(7)), '{}');
    const reading = createImageLayers().readImageFiles(layout, digest, [], new AbortController().signal);
    await expect(reading).rejects.toMatchObject({ code: 'DigestMismatch' });
  });

  it('whoever cancels gets their reason', async () => {
    const abort = new AbortController();
    const reason = new Error('cancelled');
    const looking = look([[file('a', new Uint8Array(4_000_000))]], { signal: abort.signal });
    abort.abort(reason);
    await expect(looking).rejects.toBe(reason);
  });
});

/** A Zstandard frame of raw blocks (RFC 8878). */
function zstd(bytes: Buffer, checksum = false, window = 0x38): Buffer {
  const blocks: Buffer[] = [];
  const size = 1 << 16;
  for (let at = 0; at < bytes.length; at += size) {
    const content = bytes.subarray(at, at + size);
    const header = Buffer.alloc(3);
    header.writeUIntLE((content.length << 3) | (at + size >= bytes.length ? 1 : 0), 0, 3);
    blocks.push(header, content);
  }
  const head = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, checksum ? 4 : 0, window]);
  return Buffer.concat([head, ...blocks, Buffer.alloc(checksum ? 4 : 0)]);
}

function skippable(length: number): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x184d2a53, 0);
  head.writeUInt32LE(length, 4);
  return Buffer.concat([head, Buffer.alloc(length, 0x28)]);
}
