import type { Manifest, RegistryReader } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { PlatformManifest } from '../../domain/evidence/sbom.js';
import { parseConfig } from '../../domain/image-config.js';
import { type Descriptor, type ParsedManifest, parseManifest } from '../../domain/manifest.js';
import { platformText } from '../../domain/platform.js';
import { formatPinned, type Repository } from '../../domain/reference.js';
import { asObject } from '../../domain/text/json.js';

/** An image's configuration may be this large, in bytes. */
const LARGEST_CONFIG = 8 * 1024 * 1024;

/** An index of indexes is followed this deep (docs/rules/registry-access.md#everything-read-is-bounded). */
export const DEEPEST_INDEX = 3;

/** @throws HoubaError `NotFound` when the registry does not have it, and what `parseManifest` throws */
export async function readManifest(
  reader: RegistryReader,
  repository: Repository,
  digest: Digest,
  signal: AbortSignal,
): Promise<{ raw: Manifest; manifest: ParsedManifest }> {
  const raw = await reader.getManifest(repository, digest, signal);
  if (raw === null) throw new HoubaError('NotFound', `there is no ${formatPinned(repository, digest)}`);
  return { raw, manifest: parseManifest(raw.bytes, raw.mediaType) };
}

/**
 * The one file of an artifact, by its first layer; null when it has none.
 *
 * @param largest bytes
 * @throws HoubaError as `readManifest` does, and what reading a blob throws
 */
export async function readArtifactFile(
  reader: RegistryReader,
  repository: Repository,
  artifact: Digest,
  largest: number,
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  const { manifest } = await readManifest(reader, repository, artifact, signal);
  const layer = manifest.kind === 'image' ? manifest.layers[0] : undefined;
  return layer === undefined ? null : reader.getBlob(repository, layer.digest, largest, signal);
}

/** The runnable images behind a digest: itself, or an index's children, attestations left out. */
export async function readPlatforms(
  reader: RegistryReader,
  repository: Repository,
  digest: Digest,
  signal: AbortSignal,
  depth = 0,
): Promise<PlatformManifest[]> {
  const { manifest } = await readManifest(reader, repository, digest, signal);
  if (manifest.kind === 'image') {
    const config = await readConfig(reader, repository, manifest.config, signal);
    return [{ digest, platform: config.platform }];
  }
  const platforms: PlatformManifest[] = [];
  for (const child of manifest.manifests) {
    if (isAttestation(child)) continue;
    const known = child.platform;
    if (known !== undefined && !isIndex(child)) {
      platforms.push({ digest: child.digest, platform: platformText(known) });
    } else if (depth < DEEPEST_INDEX) {
      platforms.push(...(await readPlatforms(reader, repository, child.digest, signal, depth + 1)));
    } else {
      throw new HoubaError('Unsupported', `${formatPinned(repository, digest)} nests indexes too deeply`);
    }
  }
  return platforms;
}

interface ImageConfig {
  readonly platform: string;
  readonly labels: Readonly<Record<string, unknown>>;
}

/**
 * What houba needs of an image's configuration; anything that is not one reads as `unknown/unknown` without labels.
 * @throws HoubaError what `parseConfig` throws
 */
export async function readConfig(
  reader: RegistryReader,
  repository: Repository,
  config: Descriptor,
  signal: AbortSignal,
): Promise<ImageConfig> {
  const bytes = await reader.getBlob(repository, config.digest, LARGEST_CONFIG, signal);
  const parsed = parseConfig(bytes) ?? {};
  const text = (key: string) => (typeof parsed[key] === 'string' ? parsed[key] : undefined);
  const variant = text('variant');
  return {
    platform: platformText({
      os: text('os') ?? 'unknown',
      architecture: text('architecture') ?? 'unknown',
      ...(variant === undefined ? {} : { variant }),
    }),
    labels: asObject(asObject(parsed.config).Labels),
  };
}

/** BuildKit puts its attestations into the index as manifests of no platform. */
function isAttestation(child: Descriptor): boolean {
  return (
    child.platform?.os === 'unknown' || child.annotations?.['vnd.docker.reference.type'] === 'attestation-manifest'
  );
}

function isIndex(child: Descriptor): boolean {
  return (
    child.mediaType === 'application/vnd.oci.image.index.v1+json' ||
    child.mediaType === 'application/vnd.docker.distribution.manifest.list.v2+json'
  );
}
