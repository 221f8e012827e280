import { utf8ToBytes } from '@noble/hashes/utils.js';
import { type Digest, digestOf } from '../digest.js';
import { HoubaError } from '../errors.js';
import { OCI_KEYS } from './keys.js';

export interface StampedManifest {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly digest: Digest;
}

/** OCI's names of Docker schema 2 media types; no blob is rewritten. */
const OCI_MEDIA_TYPES: Readonly<Record<string, string>> = {
  'application/vnd.docker.distribution.manifest.v2+json': 'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json': 'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.container.image.v1+json': 'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.image.rootfs.diff.tar': 'application/vnd.oci.image.layer.v1.tar',
  'application/vnd.docker.image.rootfs.diff.tar.gzip': 'application/vnd.oci.image.layer.v1.tar+gzip',
  'application/vnd.docker.image.rootfs.diff.tar.zstd': 'application/vnd.oci.image.layer.v1.tar+zstd',
  'application/vnd.docker.image.rootfs.foreign.diff.tar': 'application/vnd.oci.image.layer.nondistributable.v1.tar',
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip':
    'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
};

type Json = Record<string, unknown>;

/**
 * Puts a stamp on a manifest or index (docs/rules/stamp.md#equal-input-gives-equal-bytes). Other annotations stay,
 * keys that houba manages are replaced or removed (docs/rules/stamp.md#upstream-cannot-forge-a-stamp).
 * @param bytes a manifest that `parseManifest` has checked
 * @throws HoubaError `Unsupported` when the bytes are no JSON object
 */
export function stampManifest(
  bytes: Uint8Array,
  mediaType: string,
  annotations: Readonly<Record<string, string>>,
  prefix: string,
): StampedManifest {
  const source = readObject(bytes);
  const kept = Object.entries(isObject(source.annotations) ? source.annotations : {}).filter(
    ([key, value]) => value !== null && !isManaged(key, prefix),
  );
  const ociType = OCI_MEDIA_TYPES[mediaType] ?? mediaType;
  const stamped: Json = { schemaVersion: 2, ...source, mediaType: ociType };
  if (ociType !== mediaType && !Array.isArray(source.manifests)) {
    stamped.config = withOciType(source.config);
    stamped.layers = Array.isArray(source.layers) ? source.layers.map(withOciType) : source.layers;
  }
  stamped.annotations = Object.fromEntries([...kept, ...Object.entries(annotations)]);
  const written = utf8ToBytes(JSON.stringify(stamped));
  return { bytes: written, mediaType: ociType, digest: digestOf(written) };
}

function isManaged(key: string, prefix: string): boolean {
  return MANAGED.has(key) || (prefix !== '' && key.startsWith(`${prefix}.`));
}

const MANAGED: ReadonlySet<string> = new Set(Object.values(OCI_KEYS));

function withOciType(descriptor: unknown): unknown {
  if (!isObject(descriptor) || typeof descriptor.mediaType !== 'string') return descriptor;
  return { ...descriptor, mediaType: OCI_MEDIA_TYPES[descriptor.mediaType] ?? descriptor.mediaType };
}

function readObject(bytes: Uint8Array): Json {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (isObject(parsed)) return parsed;
  } catch (cause) {
    throw new HoubaError('Unsupported', 'the source manifest is not JSON', { cause });
  }
  throw new HoubaError('Unsupported', 'the source manifest is not a JSON object');
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
