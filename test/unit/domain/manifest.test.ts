import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { HoubaError } from '../../../domain/errors.js';
import { MAX_MANIFEST_BYTES, mediaTypeOf, parseManifest } from '../../../domain/manifest.js';
import { descriptor, INDEX_TYPE, imageManifest, MANIFEST_TYPE, sha256 } from '../adapters/registry/support.js';

const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';

const parse = (text: string, type = MANIFEST_TYPE) => parseManifest(Buffer.from(text), type);
const child = {
  ...descriptor(imageManifest(), MANIFEST_TYPE),
  platform: { os: 'linux', architecture: 'arm', variant: 'v7' },
};
const indexOf = (more: object = {}) =>
  JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests: [child], ...more });

describe('parseManifest', () => {
  it('reads an image: config, layers, annotations, subject and artifact type', () => {
    const subject = descriptor('subject', MANIFEST_TYPE);
    const parsed = parse(imageManifest({ annotations: { a: 'b' }, subject, artifactType: 'application/spdx+json' }));
    expect(parsed).toMatchObject({
      kind: 'image',
      mediaType: MANIFEST_TYPE,
      config: { digest: sha256('{}'), size: 2 },
      layers: [{ digest: sha256('layer') }],
      annotations: { a: 'b' },
      subject,
      artifactType: 'application/spdx+json',
    });
  });

  it('reads an index with the platforms of its children', () => {
    const parsed = parse(indexOf({ annotations: null }), INDEX_TYPE);
    expect(parsed).toEqual({
      kind: 'index',
      mediaType: INDEX_TYPE,
      artifactType: null,
      manifests: [child],
      annotations: {},
      subject: null,
    });
  });

  it.each([
    ['a Docker manifest', imageManifest({ mediaType: DOCKER_MANIFEST }), DOCKER_MANIFEST, 'image'],
    ['a Docker manifest list', indexOf({ mediaType: DOCKER_LIST }), DOCKER_LIST, 'index'],
    ['a manifest without a mediaType of its own', imageManifest({ mediaType: undefined }), MANIFEST_TYPE, 'image'],
    ['a Content-Type with parameters', imageManifest(), `${MANIFEST_TYPE}; charset=utf-8`, 'image'],
    ['lists that are null, as Go writes empty ones', imageManifest({ layers: null }), MANIFEST_TYPE, 'image'],
    ['an index of nothing', indexOf({ manifests: null }), INDEX_TYPE, 'index'],
    ['fields nobody knows', imageManifest({ more: { 'x-y': [1] } }), MANIFEST_TYPE, 'image'],
  ])('reads %s', (_, text, type, kind) => {
    expect(parse(text, type).kind).toBe(kind);
  });

  const nothing = { artifactType: null, annotations: null, subject: null };
  const bare = { ...descriptor(imageManifest(), MANIFEST_TYPE) };
  const nulls = { platform: null, annotations: null, artifactType: null, urls: null, data: null };

  it.each([
    ['an image', imageManifest({ ...nothing, manifests: null, fsLayers: null }), imageManifest(), MANIFEST_TYPE],
    ['an image without layers', imageManifest({ layers: null }), imageManifest({ layers: [] }), MANIFEST_TYPE],
    ['an index', indexOf({ ...nothing, config: null, layers: null, fsLayers: null }), indexOf(), INDEX_TYPE],
    ['a descriptor', indexOf({ manifests: [{ ...bare, ...nulls }] }), indexOf({ manifests: [bare] }), INDEX_TYPE],
    [
      'a platform',
      indexOf({
        manifests: [{ ...bare, platform: { os: 'linux', architecture: 'arm', variant: null, features: null } }],
      }),
      indexOf({ manifests: [{ ...bare, platform: { os: 'linux', architecture: 'arm' } }] }),
      INDEX_TYPE,
    ],
    [
      'an annotation',
      imageManifest({ annotations: { a: 'b', c: null } }),
      imageManifest({ annotations: { a: 'b' } }),
      MANIFEST_TYPE,
    ],
    ['its own mediaType', imageManifest({ mediaType: null }), imageManifest(), MANIFEST_TYPE],
  ])('takes null in %s as left out', (_, text, without, type) => {
    expect(parse(text, type)).toEqual(parse(without, type));
  });

  it.each([
    ['an index', { mediaType: null, manifests: null }, INDEX_TYPE],
    ['an image', { mediaType: null, manifests: null, config: {} }, MANIFEST_TYPE],
    ['something else', { mediaType: null, config: null }, ''],
  ])('takes null in what is to tell its type as left out: %s', (_, document, type) => {
    expect(mediaTypeOf(Buffer.from(JSON.stringify(document)), 'text/plain')).toBe(type);
  });

  it('takes __proto__ in annotations as a key like any other', () => {
    const { annotations } = parse(imageManifest().replace('}]}', '}],"annotations":{"__proto__":"x"}}'));
    expect(Object.entries(annotations)).toEqual([['__proto__', 'x']]);
  });

  it.each([
    ['an index and an image at once', imageManifest({ manifests: [] }), MANIFEST_TYPE, 'an index and an image at once'],
    ['an index with a config', indexOf({ config: child }), INDEX_TYPE, 'an index and an image at once'],
    ['a type that differs from the one it was served with', imageManifest(), INDEX_TYPE, 'was served as'],
    ['a mediaType that is no text', imageManifest({ mediaType: 7 }), MANIFEST_TYPE, 'calls itself "7"'],
    [
      'a key in another spelling, which Go reads',
      imageManifest({ Layers: [] }),
      MANIFEST_TYPE,
      'writes layers as "Layers"',
    ],
    ['schema 1', JSON.stringify({ schemaVersion: 1, fsLayers: [] }), MANIFEST_TYPE, 'schema 1'],
    ['schema 1 under another version', imageManifest({ fsLayers: [] }), MANIFEST_TYPE, 'schema 1'],
    ['another schema version', imageManifest({ schemaVersion: 3 }), MANIFEST_TYPE, 'schemaVersion is not 2'],
    ['another kind of document', imageManifest({ mediaType: 'text/html' }), 'text/html', 'its type is "text/html"'],
    ['no Content-Type', imageManifest({ mediaType: undefined }), '', 'its type is ""'],
    [
      'a digest that is none',
      imageManifest({ config: { ...child, digest: 'sha256:../../x' } }),
      MANIFEST_TYPE,
      'config.digest',
    ],
    ['a size below zero', imageManifest({ layers: [{ ...child, size: -1 }] }), MANIFEST_TYPE, 'layers.0.size'],
    ['a fraction of a byte', imageManifest({ layers: [{ ...child, size: 0.5 }] }), MANIFEST_TYPE, 'layers.0.size'],
    ['annotations that are no texts', imageManifest({ annotations: { a: 1 } }), MANIFEST_TYPE, 'annotations'],
    ['annotations that are a list', imageManifest({ annotations: ['a'] }), MANIFEST_TYPE, 'annotations'],
    ['a missing config', imageManifest({ config: undefined }), MANIFEST_TYPE, 'config'],
    ['more than 1000 children', indexOf({ manifests: Array(1001).fill(child) }), INDEX_TYPE, 'manifests'],
    ['what is no JSON', '{', MANIFEST_TYPE, 'not JSON'],
    ['a byte order mark', `\uFEFF${imageManifest()}`, MANIFEST_TYPE, 'not JSON'],
    ['a list', '[]', MANIFEST_TYPE, 'not a JSON object'],
    ['null', 'null', MANIFEST_TYPE, 'not a JSON object'],
    ['more than 4 MiB', ' '.repeat(MAX_MANIFEST_BYTES + 1), MANIFEST_TYPE, 'larger than'],
  ])('refuses %s', (_, text, type, message) => {
    expect(() => parse(text, type)).toThrow(
      expect.objectContaining({ code: 'Unsupported', message: expect.stringContaining(message) }),
    );
  });

  it('fails with nothing but HoubaError, whatever the document', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(MANIFEST_TYPE, INDEX_TYPE, DOCKER_LIST), (text, type) => {
        try {
          parse(text, type);
        } catch (error) {
          expect(error).toBeInstanceOf(HoubaError);
        }
      }),
    );
  });
});
