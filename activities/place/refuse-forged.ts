import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { ParsedManifest } from '../../domain/manifest.js';
import { formatPinned, type Repository } from '../../domain/reference.js';
import { STAMP_ARTIFACT_TYPE } from '../../domain/stamp/keys.js';
import type { Dependencies } from '../dependencies.js';
import { DEEPEST_INDEX, readManifest } from '../repository/read-manifest.js';

/**
 * Looks at a manifest that a copy will bring, and at all that comes with it. One that names a subject becomes a referrer at the
 * destination, also when it came as the child of an index; with our marks it would count as evidence that houba made, and be
 * signed.
 *
 * @param manifest what the digest stands for
 * @throws HoubaError `PreconditionFailed`, and what `readManifest` throws
 */
export async function refuseForged(
  deps: Pick<Dependencies, 'reader' | 'settings'>,
  repository: Repository,
  digest: Digest,
  manifest: ParsedManifest,
  signal: AbortSignal,
  depth = 0,
): Promise<void> {
  if (passesForOurs(manifest, deps.settings.prefix)) {
    throw new HoubaError('PreconditionFailed', `${formatPinned(repository, digest)} would pass for evidence of ours`, {
      hint: 'it refers to another manifest and bears our marks: use another HOUBA_LABEL_PREFIX than upstream does',
    });
  }
  if (manifest.kind !== 'index') return;
  if (depth === DEEPEST_INDEX) {
    throw new HoubaError('Unsupported', `${formatPinned(repository, digest)} nests indexes too deeply`);
  }
  for (const child of new Set(manifest.manifests.map((one) => one.digest))) {
    const { manifest: read } = await readManifest(deps.reader, repository, child, signal);
    await refuseForged(deps, repository, child, read, signal, depth + 1);
  }
}

function passesForOurs(manifest: ParsedManifest, prefix: string): boolean {
  if (manifest.subject === null || prefix === '') return false;
  const type = manifest.artifactType ?? (manifest.kind === 'image' ? manifest.config.mediaType : '');
  return type === STAMP_ARTIFACT_TYPE || Object.keys(manifest.annotations).some((key) => key.startsWith(`${prefix}.`));
}
