import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { refuseForeignLayers } from '../../domain/manifest.js';
import { formatPinned, type Repository } from '../../domain/reference.js';
import type { Dependencies } from '../dependencies.js';
import type { RepositoryAt } from '../repository/repository-at.js';

/**
 * Copies a manifest with its children and blobs, by its parts where the source serves manifests under a type that says
 * nothing (docs/rules/registry-access.md#no-double-meaning). @throws HoubaError as `Regctl` and `RegistryReader`
 */
export async function copyImage(
  { regctl }: Pick<Dependencies, 'regctl'>,
  from: RepositoryAt,
  digest: Digest,
  destination: Repository,
): Promise<void> {
  try {
    await regctl.copyImage({ repository: from.repository, digest }, destination, {}, from.signal);
  } catch (error) {
    if (!(error instanceof HoubaError) || error.code !== 'Unsupported') throw error;
    await copyParts({ regctl }, from, digest, destination);
  }
}

/** Writes each manifest after all it names, as registries demand. */
async function copyParts(
  { regctl }: Pick<Dependencies, 'regctl'>,
  from: RepositoryAt,
  digest: Digest,
  destination: Repository,
): Promise<void> {
  const { repository, signal } = from;
  const { raw, manifest } = await from.manifest(digest);
  if (manifest.kind === 'index') {
    for (const child of new Set(manifest.manifests.map((each) => each.digest)))
      await copyParts({ regctl }, from, child, destination);
  } else {
    refuseForeignLayers(formatPinned(repository, digest), manifest.layers);
    for (const blob of new Set([manifest.config, ...manifest.layers].map((each) => each.digest)))
      await regctl.copyBlob({ repository, digest: blob }, destination, signal);
  }
  await regctl.putManifest(destination, { digest }, raw.mediaType, raw.bytes, signal);
}
