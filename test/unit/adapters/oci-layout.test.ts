import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { blobPath, createOciLayouts } from '../../../adapters/oci-layout.js';
import { type Digest, digestOf } from '../../../domain/digest.js';
import { rootImage, writeLayout } from '../../support/layouts.js';
import { attestation, descriptor, index, json, OCI, rawManifest, sha256 } from '../../support/upstream-images.js';

const layouts = createOciLayouts();
let layout = '';
beforeEach(async () => {
  layout = await mkdtemp(join(tmpdir(), 'houba-layout-'));
});
afterEach(() => rm(layout, { recursive: true, force: true }));

describe('reading', () => {
  it('a manifest gives its type, its bytes and what is in it', async () => {
    const image = rootImage([]);
    const digest = await writeLayout(layout, image);
    expect(await layouts.readManifest(layout, digest)).toMatchObject({
      digest,
      mediaType: OCI.manifest,
      manifest: { kind: 'image', layers: [] },
    });
  });

  it.each([
    [OCI.index, { schemaVersion: 2, manifests: [] }],
    [OCI.manifest, { schemaVersion: 2, config: descriptor(OCI.config, json({})), layers: [] }],
  ])('a document without a type of its own is an %s by its shape', async (mediaType, document) => {
    const digest = await writeLayout(layout, rawManifest(document, mediaType));
    expect(await layouts.readManifest(layout, digest)).toMatchObject({ mediaType });
  });

  it('bytes that are not those of their digest are refused, and what is not there is NotFound', async () => {
    const digest = await writeLayout(layout, rootImage([]));
    await writeFile(blobPath(layout, digest), '{}');
    await expect(layouts.readManifest(layout, digest)).rejects.toMatchObject({ code: 'DigestMismatch' });
    const nothing = digestOf(new Uint8Array([1]));
    await expect(layouts.readManifest(layout, nothing)).rejects.toMatchObject({ code: 'NotFound' });
  });

  it('more than a manifest may have is not read', async () => {
    const large = Buffer.alloc(4 * 1024 * 1024 + 1, 32);
    const digest = await writeLayout(layout, { ...rootImage([]), bytes: large, digest: sha256(large) });
    await expect(layouts.readManifest(layout, digest)).rejects.toMatchObject({ code: 'Unsupported' });
  });

  it.each([
    [{ created: '2024-01-01T00:00:00Z', config: { OnBuild: ['RUN x'] } }, '2024-01-01T00:00:00Z', true],
    [{ created: 5, config: null }, null, false],
    [{}, null, false],
    [{ config: { OnBuild: null } }, null, false],
  ])('of a configuration %j: when it was made, and whether it has ONBUILD', async (...row) => {
    const [config, created, hasOnBuild] = row;
    const manifest = {
      schemaVersion: 2,
      mediaType: OCI.manifest,
      config: descriptor(OCI.config, json(config)),
      layers: [],
    };
    const digest = await writeLayout(layout, rawManifest(manifest, OCI.manifest, [json(config)]));
    expect(await layouts.readConfig(layout, digest)).toEqual({ created, hasOnBuild, diffIds: [] });
  });

  it('of a configuration: what its layers unpack to', async () => {
    const digest = await writeLayout(layout, rootImage([Buffer.from('a layer')]));
    expect((await layouts.readConfig(layout, digest)).diffIds).toEqual([sha256(Buffer.from('a layer'))]);
  });

  it('a configuration that is none, and that of an index, are refused', async () => {
    const manifest = { schemaVersion: 2, config: descriptor(OCI.config, json('text')), layers: [] };
    const text = await writeLayout(layout, rawManifest(manifest, OCI.manifest, [json('text')]));
    await expect(layouts.readConfig(layout, text)).rejects.toMatchObject({ code: 'Unsupported' });
    const list = await writeLayout(layout, index([]));
    await expect(layouts.readConfig(layout, list)).rejects.toMatchObject({ code: 'Unsupported' });
  });
});

/** What buildctl writes: an index with the image and the manifest of its attestations. */
async function buildkitWrote(predicateType = 'https://slsa.dev/provenance/v1') {
  const image = rootImage([]);
  const attached = attestation(image);
  const [, statement = Buffer.alloc(0)] = attached.image.blobs;
  const layer = {
    ...descriptor('application/vnd.in-toto+json', statement),
    annotations: { 'in-toto.io/predicate-type': predicateType },
  };
  const manifest = { ...JSON.parse(attached.image.bytes.toString()), layers: [layer] };
  const annotated = { ...attached.image, ...rawManifest(manifest, OCI.manifest, attached.image.blobs) };
  const wrapped = index([image, annotated], { descriptors: [{}, attached.descriptor] });
  return { image, statement, wrapped };
}

describe('what BuildKit wrote', () => {
  it('is one image, and the provenance beside it', async () => {
    const { image, statement, wrapped } = await buildkitWrote();
    await writeLayout(layout, wrapped);
    const output = await layouts.readBuild(layout);
    expect(output.image.digest).toBe(image.digest);
    expect(output.provenance.predicateType).toBe('https://slsa.dev/provenance/v1');
    expect(Buffer.from(output.provenance.statement)).toEqual(statement);
  });

  it('is refused when it is anything else', async () => {
    const failed = { code: 'ToolFailed', message: expect.stringContaining('not what it was asked for') };
    await writeLayout(layout, rootImage([]));
    await expect(layouts.readBuild(layout)).rejects.toMatchObject(failed);
    await writeLayout(layout, index([rootImage([]), rootImage([], { created: null })]));
    await expect(layouts.readBuild(layout)).rejects.toMatchObject(failed);
    await writeLayout(layout, index([rootImage([])]));
    await expect(layouts.readBuild(layout)).rejects.toMatchObject(failed);
    await writeLayout(layout, (await buildkitWrote('https://spdx.dev/Document')).wrapped);
    await expect(layouts.readBuild(layout)).rejects.toMatchObject(failed);
    await writeFile(join(layout, 'index.json'), '{"manifests":[{"digest":"../../etc/passwd"}]}');
    await expect(layouts.readBuild(layout)).rejects.toMatchObject(failed);
  });
});

describe('writing a manifest', () => {
  it('puts it where its digest says, and nothing beside it', async () => {
    await writeLayout(layout, rootImage([]));
    const before = await readdir(join(layout, 'blobs', 'sha256'));
    const bytes = Buffer.from('{"schemaVersion":2}');
    const written = await Promise.all([layouts.writeManifest(layout, bytes), layouts.writeManifest(layout, bytes)]);
    expect(written).toEqual([digestOf(bytes), digestOf(bytes)]);
    expect(await readFile(blobPath(layout, digestOf(bytes)))).toEqual(bytes);
    expect(await readdir(join(layout, 'blobs', 'sha256'))).toHaveLength(before.length + 1);
  });

  it('leads to no path but one made of the digest', () => {
    expect(blobPath('/l', `sha256:${'a'.repeat(64)}` as Digest)).toBe(`/l/blobs/sha256/${'a'.repeat(64)}`);
  });
});
