import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { request } from './http.js';

/** A manifest with everything it names, in memory: what a test puts into an upstream registry. */
export interface TestImage {
  readonly mediaType: string;
  readonly bytes: Buffer;
  readonly digest: string;
  /** Configuration and layers. */
  readonly blobs: readonly Buffer[];
  /** Of an index. */
  readonly children: readonly TestImage[];
  readonly platform?: TestPlatform;
  /** What its one package is named after. */
  readonly text?: string;
}

export interface TestPlatform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
}

export const OCI = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

export const DOCKER = {
  index: 'application/vnd.docker.distribution.manifest.list.v2+json',
  manifest: 'application/vnd.docker.distribution.manifest.v2+json',
  config: 'application/vnd.docker.container.image.v1+json',
  layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
} as const;

export interface ImageOptions {
  readonly platform?: TestPlatform;
  /** Schema 2 media types. */
  readonly docker?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
  /** No layer at all. */
  readonly empty?: boolean;
  /** Takes the place of the configuration that fits the layers. */
  readonly config?: Buffer;
  /** Names configuration and layers by sha512. */
  readonly sha512?: boolean;
}

/** A small real image: a Debian with one package, named after the text, so that every text gives other layers. */
export function image(text: string, options: ImageOptions = {}): TestImage {
  const types = options.docker ? DOCKER : OCI;
  const platform = options.platform ?? { os: 'linux', architecture: 'amd64' };
  const tar = makeTar([
    ['etc/os-release', 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'],
    ['var/lib/dpkg/status', dpkgStatus(packageOf(text))],
    ['etc/text', `${text} ${platform.architecture}\n`],
  ]);
  const layers = options.empty ? [] : [gzipSync(tar, { level: 1 })];
  const config =
    options.config ??
    json({
      ...platform,
      created: '2026-01-01T00:00:00Z',
      config: { Cmd: ['/bin/true'], ...(options.labels === undefined ? {} : { Labels: options.labels }) },
      rootfs: { type: 'layers', diff_ids: options.empty ? [] : [sha256(tar)] },
      history: [],
    });
  const describe = options.sha512 ? descriptor512 : descriptor;
  const bytes = json({
    schemaVersion: 2,
    mediaType: types.manifest,
    config: describe(types.config, config),
    layers: layers.map((layer) => describe(types.layer, layer)),
    ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
  });
  return {
    mediaType: types.manifest,
    bytes,
    digest: sha256(bytes),
    blobs: [config, ...layers],
    children: [],
    platform,
    text,
  };
}

/** An image whose manifest is its own, and whose contents are those of all of these: one inventory serves them all. */
export function alike(text: string, options: ImageOptions = {}): TestImage {
  return image('alike', { ...options, annotations: { 'com.example.text': text, ...options.annotations } });
}

/** The package that `image(text)` has installed: what an SBOM of it must name. */
export function packageOf(text: string): string {
  return `tiny-${text.toLowerCase().replaceAll(/[^a-z0-9]+/g, '-')}`;
}

export interface IndexOptions {
  readonly docker?: boolean;
  readonly annotations?: Readonly<Record<string, string>>;
  /** For each child, beside its digest. */
  readonly descriptors?: readonly Readonly<Record<string, unknown>>[];
}

export function index(children: readonly TestImage[], options: IndexOptions = {}): TestImage {
  const mediaType = options.docker ? DOCKER.index : OCI.index;
  const bytes = json({
    schemaVersion: 2,
    mediaType,
    manifests: children.map((child, position) => ({
      ...descriptor(child.mediaType, child.bytes),
      ...(child.platform === undefined ? {} : { platform: child.platform }),
      ...options.descriptors?.[position],
    })),
    ...(options.annotations === undefined ? {} : { annotations: options.annotations }),
  });
  return { mediaType, bytes, digest: sha256(bytes), blobs: [], children };
}

/** What BuildKit puts into an index beside an image: a manifest of no platform with an in-toto statement. */
export function attestation(of: TestImage): {
  readonly image: TestImage;
  readonly descriptor: Record<string, unknown>;
} {
  const statement = json({
    _type: 'https://in-toto.io/Statement/v0.1',
    predicateType: 'https://slsa.dev/provenance/v1',
  });
  const config = json({ architecture: 'unknown', os: 'unknown', config: {}, rootfs: { type: 'layers', diff_ids: [] } });
  const bytes = json({
    schemaVersion: 2,
    mediaType: OCI.manifest,
    config: descriptor(OCI.config, config),
    layers: [descriptor('application/vnd.in-toto+json', statement)],
  });
  const platform = { os: 'unknown', architecture: 'unknown' };
  const annotations = {
    'vnd.docker.reference.type': 'attestation-manifest',
    'vnd.docker.reference.digest': of.digest,
  };
  return {
    image: {
      mediaType: OCI.manifest,
      bytes,
      digest: sha256(bytes),
      blobs: [config, statement],
      children: [],
      platform,
    },
    descriptor: { annotations },
  };
}

/** Any manifest at all, sound or not, with the blobs it names. */
export function rawManifest(value: unknown, mediaType: string, blobs: readonly Buffer[] = []): TestImage {
  const bytes = Buffer.isBuffer(value) ? value : json(value);
  return { mediaType, bytes, digest: sha256(bytes), blobs, children: [] };
}

export interface PushOptions {
  /** `Authorization`. */
  readonly authorization?: string;
  /** PEM of a CA; https then. */
  readonly ca?: string;
}

/** Puts an image into a registry under each tag, or by its digest where there is none. */
export async function push(
  host: string,
  repository: string,
  tags: readonly string[],
  pushed: TestImage,
  options: PushOptions = {},
): Promise<void> {
  for (const child of pushed.children) await push(host, repository, [], child, options);
  for (const blob of pushed.blobs) {
    const digest = pushed.bytes.includes(sha512(blob)) ? sha512(blob) : sha256(blob);
    await pushBlob(host, repository, blob, digest, options);
  }
  for (const reference of tags.length === 0 ? [pushed.digest] : tags) {
    await expectStatus(201, host, `/v2/${repository}/manifests/${reference}`, options, {
      method: 'PUT',
      headers: { 'content-type': pushed.mediaType },
      body: pushed.bytes,
    });
  }
}

async function pushBlob(
  host: string,
  repository: string,
  blob: Buffer,
  digest: string,
  options: PushOptions,
): Promise<void> {
  const query = digest.startsWith('sha512') ? '?digest-algorithm=sha512' : '';
  const started = await expectStatus(202, host, `/v2/${repository}/blobs/uploads/${query}`, options, {
    method: 'POST',
  });
  const at = new URL(started.headers.location ?? '', origin(host, options));
  at.searchParams.set('digest', digest);
  const headers = { 'content-type': 'application/octet-stream' };
  await expectStatus(201, host, at.pathname + at.search, options, { method: 'PUT', headers, body: blob });
}

async function expectStatus(
  wanted: number,
  host: string,
  path: string,
  options: PushOptions,
  sent: { method: string; headers?: Record<string, string>; body?: Uint8Array },
) {
  const answer = await request(`${origin(host, options)}${path}`, {
    ...sent,
    headers: { ...sent.headers, ...(options.authorization && { authorization: options.authorization }) },
    ...(options.ca === undefined ? {} : { ca: options.ca }),
  });
  if (answer.status === wanted) return answer;
  throw new Error(`${sent.method} ${path} at ${host}: ${answer.status} ${answer.body.toString('utf8')}`);
}

function origin(host: string, { ca }: PushOptions): string {
  return `${ca === undefined ? 'http' : 'https'}://${host}`;
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

function sha512(bytes: Uint8Array): string {
  return `sha512:${createHash('sha512').update(bytes).digest('hex')}`;
}

function descriptor512(mediaType: string, bytes: Uint8Array) {
  return { ...descriptor(mediaType, bytes), digest: sha512(bytes) };
}

export function descriptor(mediaType: string, bytes: Uint8Array) {
  return { mediaType, digest: sha256(bytes), size: bytes.length };
}

export function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value));
}

function dpkgStatus(name: string): string {
  const fields = [
    `Package: ${name}`,
    'Status: install ok installed',
    'Maintainer: Nobody <nobody@example.org>',
    'Architecture: amd64',
    'Version: 1.0-1',
    'Description: a package of a test',
  ];
  return `${fields.join('\n')}\n\n`;
}

/** A ustar archive of regular files: a header block each, contents padded to 512 bytes, two empty blocks at the end. */
function makeTar(files: readonly (readonly [string, string])[]): Buffer {
  const blocks: Buffer[] = [];
  for (const [name, text] of files) {
    const content = Buffer.from(text);
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000644\0', 100);
    header.write('0000000\0', 108);
    header.write('0000000\0', 116);
    header.write(`${content.length.toString(8).padStart(11, '0')}\0`, 124);
    header.write('00000000000\0', 136);
    header.write('        ', 148);
    header.write('0', 156);
    header.write('ustar\u000000', 257);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
    blocks.push(header, content, Buffer.alloc((512 - (content.length % 512)) % 512));
  }
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}
