import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { refuseForeignLayers } from '../../domain/manifest.js';
import { formatPinned, type Repository } from '../../domain/reference.js';
import type { Dependencies } from '../dependencies.js';
import { repositoryAt } from '../repository/repository-at.js';

type CopyingDependencies = Pick<Dependencies, 'reader' | 'regctl' | 'settings'>;

/**
 * Copies a manifest with its children and blobs, by its parts where the source serves manifests under a type that says
 * nothing (docs/rules/registry-access.md#no-double-meaning). @throws HoubaError as `Regctl` and `RegistryReader`
 */
export async function copyImage(
  deps: CopyingDependencies,
  source: Repository,
  digest: Digest,
  destination: Repository,
  signal: AbortSignal,
): Promise<void> {
  try {
    await deps.regctl.copyImage({ repository: source, digest }, destination, {}, signal);
  } catch (error) {
    if (!(error instanceof HoubaError) || error.code !== 'Unsupported') throw error;
    await copyParts(deps, source, digest, destination, signal);
  }
}

/** Writes each manifest after all it names, as registries demand. */
async function copyParts(
  deps: CopyingDependencies,
  source: Repository,
  digest: Digest,
  destination: Repository,
  signal: AbortSignal,
): Promise<void> {
  const { raw, manifest } = await repositoryAt(deps, source, signal).manifest(digest);
  if (manifest.kind === 'index') {
    for (const child of manifest.manifests) await copyParts(deps, source, child.digest, destination, signal);
  } else {
    refuseForeignLayers(formatPinned(source, digest), manifest.layers);
    for (const blob of new Set([manifest.config, ...manifest.layers].map((each) => each.digest)))
      await deps.regctl.copyBlob({ repository: source, digest: blob }, destination, signal);
  }
  await deps.regctl.putManifest(destination, { digest }, raw.mediaType, raw.bytes, signal);
}
