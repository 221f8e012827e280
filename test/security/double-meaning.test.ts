import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../../config/programs.js';
import { parseConfig } from '../../domain/image-config.js';
import { parseManifest } from '../../domain/manifest.js';
import { writeLayout } from '../support/layouts.js';
import { image, index, sha256, type TestImage } from '../support/upstream-images.js';

const run = promisify(execFile);
const clean = image('clean');
const evil = image('evil');

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-double-'));
});
afterAll(() => rm(folder, { recursive: true }));

const partsOf = ({ bytes }: TestImage) => JSON.parse(bytes.toString()) as { config: object; layers: object[] };

/** The clean image with some of the evil one's parts under other spellings of their names. */
function disguised(change: (text: string) => string): TestImage {
  const bytes = Buffer.from(change(clean.bytes.toString()));
  const { mediaType } = clean;
  return { mediaType, bytes, digest: sha256(bytes), blobs: [...clean.blobs, ...evil.blobs], children: [] };
}

const evilLayers = JSON.stringify(partsOf(evil).layers);
const evilLayer = (partsOf(evil).layers[0] as { digest: string }).digest;
const cleanLayer = (partsOf(clean).layers[0] as { digest: string }).digest;

/** Go programs, such as regctl, syft and containerd, read each of these as another image than JavaScript does. */
const DISGUISES: readonly (readonly [string, TestImage])[] = [
  ['layers in another case', disguised((text) => text.replace(/}$/, `,"Layers":${evilLayers}}`))],
  ['layers with a long s', disguised((text) => text.replace(/}$/, `,"layer\u017f":${evilLayers}}`))],
  [
    'a digest in another case',
    disguised((text) => text.replace(`"${cleanLayer}"`, `"${cleanLayer}","Digest":"${evilLayer}"`)),
  ],
  [
    'a digest with a long s',
    disguised((text) => text.replace(`"${cleanLayer}"`, `"${cleanLayer}","dige\u017ft":"${evilLayer}"`)),
  ],
];

describe('an image that Go programs read differently', () => {
  it.each(DISGUISES)('is refused: %s', (_, { bytes, mediaType }) => {
    expect(() => parseManifest(bytes, mediaType)).toThrow('which programs read differently');
  });

  it.each(DISGUISES)('is read differently by regctl: %s', async (_, disguise) => {
    const layout = await mkdtemp(join(folder, 'layout-'));
    await writeLayout(layout, disguise);
    const args = [
      'manifest',
      'get',
      `ocidir://.@${disguise.digest}`,
      '--format',
      '{{range .Layers}}{{.Digest}}{{end}}',
    ];
    const env = { PATH: process.env.PATH ?? '', HOME: folder };
    const { stdout } = await run(programPath('regctl') ?? 'regctl', args, { cwd: layout, env });
    expect(stdout.trim()).toBe(evilLayer);
  });
});

describe('an image that has a name twice', () => {
  const [layer] = partsOf(clean).layers;
  const layers = (facts: object) => `"layers":${JSON.stringify([{ ...layer, ...facts }])}`;
  const twice = disguised((text) =>
    text.replace(layers({}), `${layers({ urls: ['http://169.254.169.254/'] })},${layers({})}`),
  );

  it('is refused, though all that JavaScript reads of it is harmless', () => {
    expect(JSON.parse(twice.bytes.toString())).toEqual(partsOf(clean));
    expect(() => parseManifest(twice.bytes, twice.mediaType)).toThrow('it has "layers" twice');
  });

  it('is put together of both by regctl', async () => {
    const layout = await mkdtemp(join(folder, 'twice-'));
    await writeLayout(layout, twice);
    const format = '{{range .Layers}}{{.URLs}}{{end}}';
    const args = ['manifest', 'get', `ocidir://.@${twice.digest}`, '--format', format];
    const env = { PATH: process.env.PATH ?? '', HOME: folder };
    const { stdout } = await run(programPath('regctl') ?? 'regctl', args, { cwd: layout, env });
    expect(stdout).toContain('http://169.254.169.254/');
  });

  it.each([
    ['in a descriptor', (text: string) => text.replace('"size"', '"digest":"sha256:0","size"')],
    ['written in another way', (text: string) => text.replace('"layers"', '"l\\u0061yers":[],"layers"')],
    ['in a map that nobody looks at', (text: string) => text.replace(/}$/, ',"note":{"a":[{"b":1,"b":2}]}}')],
  ])('is refused: %s', (_, change) => {
    const { bytes, mediaType } = disguised(change);
    expect(() => parseManifest(bytes, mediaType)).toThrow('twice, which programs read differently');
  });

  it('is not one that has it in two objects, as a value, or inside of a text', () => {
    const { bytes, mediaType } = disguised((text) =>
      text.replace(/}$/, ',"annotations":{"a":"layers","layers":"{\\"a\\":1,\\"a\\":2}","b\\\\":"}"}}'),
    );
    expect(parseManifest(bytes, mediaType).annotations).toEqual({
      ...{ a: 'layers', layers: '{"a":1,"a":2}', 'b\\': '}' },
    });
  });
});

describe('a configuration that Go programs read differently', () => {
  const config = JSON.stringify({
    ...{ os: 'linux', rootfs: { diff_ids: [] }, history: [{ created_by: 'a' }] },
    config: { Labels: { name: 'x', Name: 'y', 'org.opencontainers.image.title': 'z' } },
  });
  const parse = (text: string) => parseConfig(Buffer.from(text));

  it.each([
    ['a system twice', config.replace('"os"', '"os":"windows","os"')],
    ['labels twice', config.replace('"Labels"', '"Labels":{"more":"x"},"Labels"')],
    ['a label twice', config.replace('"name"', '"name":"w","name"')],
    ['a system in another case', config.replace('"os"', '"OS":"windows","os"')],
    ['labels with a long s', config.replace('"Labels"', '"Label\u017f":{},"Labels"')],
    ['layers in another case', config.replace('"diff_ids"', '"Diff_IDs":[],"diff_ids"')],
    ['a line of the history', config.replace('"created_by"', '"CREATED_BY":"b","created_by"')],
  ])('is refused: %s', (_, text) => {
    expect(text).not.toBe(config);
    expect(() => parse(text)).toThrow('twice, which programs read differently');
  });

  it('is not one with labels that differ in case, for these are no names that a program knows', () => {
    expect(parse(config)).toEqual(JSON.parse(config));
  });

  it('is none when it is no object', () => {
    expect(['[]', 'null', '"x"', '{', ''].map(parse)).toEqual([null, null, null, null, null]);
  });
});

describe('an index that Go programs read differently', () => {
  const text = index([clean]).bytes.toString();
  it.each([
    ['children with a long s', text.replace(/}$/, ',"manife\u017fts":[]}')],
    ['the digest of a child', text.replace('"digest"', '"DIGEST":"sha256:0","digest"')],
    ['the system of a platform', text.replace('"os"', '"O\u017f":"windows","os"')],
    ['addresses of a child', text.replace('"digest"', '"URLs":["http://inside/"],"digest"')],
  ])('is refused: %s', (_, bytes) => {
    expect(bytes).not.toBe(text);
    expect(() => parseManifest(Buffer.from(bytes), index([clean]).mediaType)).toThrow(
      'which programs read differently',
    );
  });

  it('is not, for names that mean nothing', () => {
    const harmless = text.replace('"os"', '"OS.version":"1","os"').replace('"digest"', '"note":"x","digest"');
    expect(parseManifest(Buffer.from(harmless), index([clean]).mediaType).kind).toBe('index');
  });
});
