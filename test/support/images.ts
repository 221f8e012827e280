import { gzipSync } from 'node:zlib';
import { type Digest, digestOf } from '../../domain/digest.js';

export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json';

export interface PushedManifest {
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** Pushes an image of one layer with these files to a plain-HTTP registry, over the API alone; untagged when tag is null. */
export async function pushImage(
  host: string,
  repository: string,
  tag: string | null,
  files: Readonly<Record<string, string | Uint8Array>>,
  architecture = 'amd64',
): Promise<PushedManifest> {
  const tar = tarOf(files);
  const layer = gzipSync(tar);
  const config = encode({
    created: '2024-01-01T00:00:00Z',
    os: 'linux',
    architecture,
    config: {},
    rootfs: { type: 'layers', diff_ids: [digestOf(tar)] },
  });
  await pushBlob(host, repository, layer);
  await pushBlob(host, repository, config);
  return pushManifest(host, repository, tag, OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptor('application/vnd.oci.image.config.v1+json', config),
    layers: [descriptor('application/vnd.oci.image.layer.v1.tar+gzip', layer)],
  });
}

/** Pushes an index over images that are there, by architecture. */
export async function pushIndex(
  host: string,
  repository: string,
  tag: string | null,
  images: Readonly<Record<string, PushedManifest>>,
): Promise<PushedManifest> {
  return pushManifest(host, repository, tag, OCI_INDEX, {
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: Object.entries(images).map(([architecture, { bytes }]) => ({
      ...descriptor(OCI_MANIFEST, bytes),
      platform: { os: 'linux', architecture },
    })),
  });
}

export function debianFiles(name: string, version: string): Record<string, string> {
  return {
    'etc/os-release': 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nNAME="Debian"\n',
    'var/lib/dpkg/status': [
      `Package: ${name}`,
      'Status: install ok installed',
      'Architecture: amd64',
      `Version: ${version}`,
      'Maintainer: Nobody <nobody@example.com>',
      'Description: a package\n\n',
    ].join('\n'),
  };
}

async function pushManifest(
  host: string,
  repository: string,
  tag: string | null,
  mediaType: string,
  manifest: unknown,
): Promise<PushedManifest> {
  const bytes = encode(manifest);
  const digest = digestOf(bytes);
  const url = `http://${host}/v2/${repository}/manifests/${tag ?? digest}`;
  await must(fetch(url, { method: 'PUT', body: bytes, headers: { 'Content-Type': mediaType } }));
  return { digest, bytes };
}

async function pushBlob(host: string, repository: string, bytes: Uint8Array): Promise<void> {
  const base = `http://${host}/v2/${repository}/blobs/uploads/`;
  const opened = await must(fetch(base, { method: 'POST' }));
  const url = new URL(opened.headers.get('location') ?? '', base);
  url.searchParams.set('digest', digestOf(bytes));
  const headers = { 'Content-Type': 'application/octet-stream' };
  await must(fetch(url, { method: 'PUT', body: new Uint8Array(bytes), headers }));
}

async function must(answer: Promise<Response>): Promise<Response> {
  const response = await answer;
  if (!response.ok) throw new Error(`${response.url}: ${response.status} ${await response.text()}`);
  return response;
}

function descriptor(mediaType: string, bytes: Uint8Array) {
  return { mediaType, digest: digestOf(bytes), size: bytes.length };
}

function encode(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}

/** A ustar archive: a header of 512 bytes for each file, its content padded, two empty blocks at the end. */
function tarOf(files: Readonly<Record<string, string | Uint8Array>>): Buffer {
  const blocks: Uint8Array[] = [];
  for (const [name, bytes] of Object.entries(files)) {
    const content = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000644\0', 100);
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        0', 148);
    header.write('ustar\u000000', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    blocks.push(header, content, Buffer.alloc((512 - (content.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
