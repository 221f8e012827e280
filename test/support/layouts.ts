import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';
import type { Digest } from '../../domain/digest.js';
import { descriptor, json, OCI, sha256, type TestImage, type TestPlatform } from './upstream-images.js';

/** One entry of a layer: a file unless it says otherwise. */
export interface TarEntry extends Partial<Omit<Header, 'name'>> {
  readonly name: string;
  readonly text?: string | Uint8Array;
}

/** An archive with exactly these entries, in this order. */
export async function tarOf(entries: readonly TarEntry[]): Promise<Buffer> {
  const archive = pack();
  for (const { text, ...header } of entries) {
    const content = Buffer.from(text ?? '');
    const complete = { mtime: new Date(0), ...header };
    if (header.type === undefined || header.type === 'file') archive.entry(complete, content);
    else archive.entry(complete);
  }
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export function directory(name: string, mode = 0o755): TarEntry {
  return { name: `${name}/`, type: 'directory', mode };
}

export function file(name: string, text: string | Uint8Array = '', mode = 0o644): TarEntry {
  return { name, text, mode };
}

export function link(name: string, linkname: string): TarEntry {
  return { name, type: 'symlink', linkname, mode: 0o777 };
}

export function hardLink(name: string, linkname: string): TarEntry {
  return { name, type: 'link', linkname };
}

export interface RootImageOptions {
  readonly platform?: TestPlatform;
  /** RFC 3339. */
  readonly created?: string | null;
  /** The `config` part of the configuration: user, entrypoint, labels and so on. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** How layers are packed. Default: gzip. */
  readonly compress?: (tar: Buffer) => Buffer;
  /** For each layer's descriptor. */
  readonly layer?: Readonly<Record<string, unknown>>;
}

/** An image of these layers, given as plain archives. */
export function rootImage(layers: readonly Buffer[], options: RootImageOptions = {}): TestImage {
  const platform = options.platform ?? { os: 'linux', architecture: 'amd64' };
  const compress = options.compress ?? ((tar: Buffer) => gzipSync(tar, { level: 1 }));
  const packed = layers.map(compress);
  const { created = '2024-05-06T07:08:09Z' } = options;
  const config = json({
    ...platform,
    ...(created === null ? {} : { created }),
    config: options.config ?? {},
    rootfs: { type: 'layers', diff_ids: layers.map(sha256) },
    history: layers.map(() => ({ created: '2024-05-06T07:08:09Z', created_by: 'a test' })),
  });
  const bytes = json({
    schemaVersion: 2,
    mediaType: OCI.manifest,
    config: descriptor(OCI.config, config),
    layers: packed.map((layer) => ({ ...descriptor(OCI.layer, layer), ...options.layer })),
  });
  const blobs = [config, ...packed];
  return { mediaType: OCI.manifest, bytes, digest: sha256(bytes), blobs, children: [], platform };
}

/** Writes an OCI layout with this image or index. @returns its digest */
export async function writeLayout(folder: string, image: TestImage): Promise<Digest> {
  await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true });
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(
    join(folder, 'index.json'),
    json({ schemaVersion: 2, manifests: [descriptor(image.mediaType, image.bytes)] }),
  );
  await writeBlobs(folder, image);
  return image.digest as Digest;
}

async function writeBlobs(folder: string, image: TestImage): Promise<void> {
  for (const blob of [image.bytes, ...image.blobs]) {
    await writeFile(join(folder, 'blobs', 'sha256', sha256(blob).slice('sha256:'.length)), blob);
  }
  for (const child of image.children) await writeBlobs(folder, child);
}
