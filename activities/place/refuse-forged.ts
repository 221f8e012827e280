import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { ParsedManifest } from '../../domain/manifest.js';
import { formatPinned } from '../../domain/reference.js';
import { STAMP_ARTIFACT_TYPE } from '../../domain/stamp/keys.js';
import { DEEPEST_INDEX } from '../repository/read-manifest.js';
import type { RepositoryAt } from '../repository/repository-at.js';

/**
 * Refuses a manifest with a subject and houba's keys, or such a child: its copy would be a referrer
 * (docs/rules/stamp.md#upstream-cannot-forge-a-stamp). @throws HoubaError `PreconditionFailed`, and what `RepositoryAt`
 * throws
 */
export async function refuseForged(
  at: RepositoryAt,
  digest: Digest,
  manifest: ParsedManifest,
  depth = 0,
): Promise<void> {
  if (passesForOurs(manifest, at.prefix)) {
    throw new HoubaError(
      'PreconditionFailed',
      `${formatPinned(at.repository, digest)} would pass for evidence of ours`,
      {
        hint: 'it refers to another manifest and bears our marks: use another HOUBA_LABEL_PREFIX than upstream does',
      },
    );
  }
  if (manifest.kind !== 'index') return;
  if (depth === DEEPEST_INDEX) {
    throw new HoubaError('Unsupported', `${formatPinned(at.repository, digest)} nests indexes too deeply`);
  }
  for (const child of new Set(manifest.manifests.map((one) => one.digest))) {
    await refuseForged(at, child, (await at.manifest(child)).manifest, depth + 1);
  }
}

function passesForOurs(manifest: ParsedManifest, prefix: string): boolean {
  if (manifest.subject === null || prefix === '') return false;
  const type = manifest.artifactType ?? (manifest.kind === 'image' ? manifest.config.mediaType : '');
  return type === STAMP_ARTIFACT_TYPE || Object.keys(manifest.annotations).some((key) => key.startsWith(`${prefix}.`));
}
