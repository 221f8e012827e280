import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { type Digest, digestOf, isDigest } from '../domain/digest.js';
import { HoubaError } from '../domain/errors.js';
import { IN_TOTO, IN_TOTO_PREDICATE_TYPE, MAX_STATEMENT_BYTES } from '../domain/evidence/statement.js';
import { parseConfig } from '../domain/image-config.js';
import {
  type Descriptor,
  MAX_MANIFEST_BYTES,
  mediaTypeOf,
  type ParsedManifest,
  parseManifest,
} from '../domain/manifest.js';
import { jsonOrNull } from '../domain/text/json.js';
import { settleHistory } from './oci-layout/history.js';
import { hasOnBuild } from './oci-layout/on-build.js';

export interface LayoutManifest {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  readonly manifest: ParsedManifest;
}

/** What a rebuild needs of an image's configuration. */
interface LayoutConfig {
  /** As written; null: absent. */
  readonly created: string | null;
  readonly hasOnBuild: boolean;
  /** The digests of the unpacked layers, as written and not yet checked. */
  readonly diffIds: readonly string[];
}

/** BuildKit's output: the image of one platform, and its provenance. */
export interface BuildOutput {
  readonly image: LayoutManifest;
  readonly provenance: {
    readonly predicateType: string;
    /** An in-toto statement without a subject. */
    readonly statement: Uint8Array;
  };
}

/** Reads and writes OCI layouts; paths are made of digests alone (docs/rules/security.md#paths-come-from-digests). */
export interface OciLayouts {
  /** @throws HoubaError `NotFound`, `DigestMismatch`, `Unsupported` */
  readManifest(layout: string, digest: Digest): Promise<LayoutManifest>;
  /** @param image the manifest of an image. @throws as `readManifest` does */
  readConfig(layout: string, image: Digest): Promise<LayoutConfig>;
  /** @throws HoubaError `ToolFailed` when it is not one image with its provenance */
  readBuild(layout: string): Promise<BuildOutput>;
  /** Makes the image independent of BuildKit's cache (`settleHistory`). Idempotent. */
  settleBuild(layout: string, base: { readonly layout: string; readonly manifest: Digest }): Promise<void>;
  writeManifest(layout: string, bytes: Uint8Array): Promise<Digest>;
}

/** Largest configuration of an image, in bytes. */
const LARGEST_CONFIG = 8 * 1024 * 1024;

const SLSA_PROVENANCE = 'https://slsa.dev/provenance/';

export function createOciLayouts(): OciLayouts {
  return { readManifest, readConfig, readBuild, settleBuild, writeManifest };
}

export function blobPath(layout: string, digest: Digest): string {
  const [algorithm = '', hex = ''] = digest.split(':');
  return join(layout, 'blobs', algorithm, hex);
}

export async function readManifest(layout: string, digest: Digest): Promise<LayoutManifest> {
  const bytes = await readBlob(layout, digest, MAX_MANIFEST_BYTES);
  // A layout has no `Content-Type`.
  const mediaType = mediaTypeOf(bytes, '');
  return { digest, mediaType, bytes, manifest: parseManifest(bytes, mediaType) };
}

const Config = z.object({
  created: z.string().nullish().catch(null),
  rootfs: z
    .object({ diff_ids: z.array(z.string()) })
    .nullish()
    .catch(null),
});

export async function readConfig(layout: string, image: Digest): Promise<LayoutConfig> {
  const { manifest } = await readManifest(layout, image);
  if (manifest.kind !== 'image') throw new HoubaError('Unsupported', `${image} is an index, not an image`);
  const bytes = await readBlob(layout, manifest.config.digest, LARGEST_CONFIG);
  const config = Config.safeParse(parseConfig(bytes));
  if (!config.success) throw new HoubaError('Unsupported', `the configuration of ${image} is not that of an image`);
  const { created, rootfs } = config.data;
  return { created: created ?? null, hasOnBuild: hasOnBuild(bytes), diffIds: rootfs?.diff_ids ?? [] };
}

const LayoutIndex = z.object({
  manifests: z.array(z.object({ digest: z.custom<Digest>((text) => typeof text === 'string' && isDigest(text)) })),
});

async function settleBuild(
  layout: string,
  base: { readonly layout: string; readonly manifest: Digest },
): Promise<void> {
  const { image } = await readBuild(layout);
  const [config, ofBase] = [await readRawConfig(layout, image), await readRawConfig(base.layout, base.manifest)];
  const settled = settleHistory(config, Array.isArray(ofBase.history) ? ofBase.history.length : 0);
  if (settled === config) return;
  const written = await writeJson(layout, settled);
  const manifest = jsonOrNull(image.bytes) as { config: object };
  const next = await writeJson(layout, { ...manifest, config: { ...manifest.config, ...written } });
  const top = await readTop(layout);
  const index = JSON.parse(new TextDecoder().decode(top.bytes).replaceAll(image.digest, next.digest));
  for (const child of index.manifests) if (child.digest === next.digest) child.size = next.size;
  const file = join(layout, 'index.json');
  const list = JSON.parse(await readFile(file, 'utf8'));
  Object.assign(list.manifests[0], await writeJson(layout, index));
  await writeFile(file, JSON.stringify(list));
}

async function readRawConfig(layout: string, image: LayoutManifest | Digest): Promise<Record<string, unknown>> {
  const { manifest } = typeof image === 'string' ? await readManifest(layout, image) : image;
  if (manifest.kind !== 'image') throw unexpected('an index where an image was expected');
  const config = jsonOrNull(await readBlob(layout, manifest.config.digest, LARGEST_CONFIG));
  return typeof config === 'object' && config !== null ? (config as Record<string, unknown>) : {};
}

async function writeJson(layout: string, value: unknown): Promise<{ digest: Digest; size: number }> {
  const bytes = new TextEncoder().encode(JSON.stringify(value));
  return { digest: await writeManifest(layout, bytes), size: bytes.length };
}

async function readTop(layout: string): Promise<LayoutManifest> {
  const index = LayoutIndex.safeParse(jsonOrNull(await readBounded(join(layout, 'index.json'), MAX_MANIFEST_BYTES)));
  const [top, ...others] = index.success ? index.data.manifests : [];
  if (top === undefined || others.length > 0) throw unexpected('it does not name one image');
  return readManifest(layout, top.digest);
}

/** Reads BuildKit's output: an index of its own around the image and the manifest of its attestations. */
async function readBuild(layout: string): Promise<BuildOutput> {
  const { manifest } = await readTop(layout);
  if (manifest.kind !== 'index') throw unexpected('it has no attestations');
  const images = manifest.manifests.filter((child) => !isAttestation(child));
  const [image] = images;
  if (image === undefined || images.length > 1) throw unexpected(`it has ${images.length} platforms`);
  const attestation = manifest.manifests.find(
    (child) => isAttestation(child) && child.annotations?.['vnd.docker.reference.digest'] === image.digest,
  );
  const found = attestation && (await readManifest(layout, attestation.digest)).manifest;
  const layers = found?.kind === 'image' ? found.layers : [];
  const layer = layers.find((candidate) => candidate.mediaType === IN_TOTO && isProvenance(candidate));
  if (layer === undefined) throw unexpected('it has no provenance');
  return {
    image: await readManifest(layout, image.digest),
    provenance: {
      predicateType: layer.annotations?.[IN_TOTO_PREDICATE_TYPE] ?? '',
      statement: await readBlob(layout, layer.digest, MAX_STATEMENT_BYTES),
    },
  };
}

async function writeManifest(layout: string, bytes: Uint8Array): Promise<Digest> {
  const digest = digestOf(bytes);
  const path = blobPath(layout, digest);
  await mkdir(join(path, '..'), { recursive: true });
  // Two builds may write the same manifest at once.
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, bytes);
  await rename(temporary, path);
  return digest;
}

async function readBlob(layout: string, digest: Digest, maxBytes: number): Promise<Uint8Array> {
  const bytes = await readBounded(blobPath(layout, digest), maxBytes);
  const actual = digestOf(bytes, digest);
  if (actual === digest) return bytes;
  throw new HoubaError('DigestMismatch', `a blob in ${layout} is ${actual} and not ${digest}`);
}

async function readBounded(path: string, maxBytes: number): Promise<Uint8Array> {
  let file: FileHandle;
  try {
    file = await open(path, 'r');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new HoubaError('NotFound', `the layout lacks ${path}`, { cause });
  }
  try {
    const { size } = await file.stat();
    if (size <= maxBytes) return await file.readFile();
    throw new HoubaError('Unsupported', `${path} has ${size} bytes, more than the ${maxBytes} that are read`);
  } finally {
    await file.close();
  }
}

function isAttestation(child: Descriptor): boolean {
  return child.annotations?.['vnd.docker.reference.type'] === 'attestation-manifest';
}

function isProvenance(layer: Descriptor): boolean {
  return layer.annotations?.[IN_TOTO_PREDICATE_TYPE]?.startsWith(SLSA_PROVENANCE) === true;
}

function unexpected(why: string): HoubaError {
  return new HoubaError('ToolFailed', `what BuildKit wrote is not what it was asked for: ${why}`, {
    hint: 'houba doctor shows the versions of buildctl and the daemon',
  });
}
