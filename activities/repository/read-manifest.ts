import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { PlatformManifest } from '../../domain/evidence/sbom.js';
import { parseConfig } from '../../domain/image-config.js';
import { type Descriptor, isIndexType } from '../../domain/manifest.js';
import { platformText } from '../../domain/platform.js';
import { formatPinned } from '../../domain/reference.js';
import { asObject } from '../../domain/text/json.js';
import type { RepositoryAt } from './repository-at.js';

/** Largest configuration of an image, in bytes. */
const LARGEST_CONFIG = 8 * 1024 * 1024;

/** How deep an index of indexes is followed (docs/rules/registry-access.md#everything-read-is-bounded). */
export const DEEPEST_INDEX = 3;

/** Reads the first layer of an artifact, at most `largest` bytes; null: none. @throws HoubaError as `RepositoryAt` */
export async function readArtifactFile(
  at: RepositoryAt,
  artifact: Digest,
  largest: number,
): Promise<Uint8Array | null> {
  const { manifest } = await at.manifest(artifact);
  const layer = manifest.kind === 'image' ? manifest.layers[0] : undefined;
  return layer === undefined ? null : at.blob(layer.digest, largest);
}

/** Lists the runnable images behind a digest: itself, or an index's children, attestations left out. */
export async function readPlatforms(at: RepositoryAt, digest: Digest, depth = 0): Promise<PlatformManifest[]> {
  const { manifest } = await at.manifest(digest);
  if (manifest.kind === 'image') {
    const config = await readConfig(at, manifest.config);
    return [{ digest, platform: config.platform }];
  }
  const platforms: PlatformManifest[] = [];
  for (const child of manifest.manifests) {
    if (isAttestation(child)) continue;
    const known = child.platform;
    if (known !== undefined && !isIndexType(child.mediaType)) {
      platforms.push({ digest: child.digest, platform: platformText(known) });
    } else if (depth < DEEPEST_INDEX) {
      platforms.push(...(await readPlatforms(at, child.digest, depth + 1)));
    } else {
      throw new HoubaError('Unsupported', `${formatPinned(at.repository, digest)} nests indexes too deeply`);
    }
  }
  return platforms;
}

interface ImageConfig {
  readonly platform: string;
  readonly labels: Readonly<Record<string, unknown>>;
}

/** Reads an image's configuration; another blob reads as `unknown/unknown`. @throws HoubaError as `parseConfig` */
export async function readConfig(at: RepositoryAt, config: Descriptor): Promise<ImageConfig> {
  const bytes = await at.blob(config.digest, LARGEST_CONFIG);
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

/** Whether a child of an index is a BuildKit attestation, which has no platform. */
export function isAttestation(child: Descriptor): boolean {
  return (
    child.platform?.os === 'unknown' || child.annotations?.['vnd.docker.reference.type'] === 'attestation-manifest'
  );
}
