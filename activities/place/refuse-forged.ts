import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { Descriptor, ParsedManifest } from '../../domain/manifest.js';
import { platformText } from '../../domain/platform.js';
import { formatPinned } from '../../domain/reference.js';
import { STAMP_ARTIFACT_TYPE } from '../../domain/stamp/keys.js';
import { DEEPEST_INDEX, isAttestation } from '../repository/read-manifest.js';
import { confirmAbsent, type RepositoryAt } from '../repository/repository-at.js';

/**
 * Refuses a manifest with a subject and houba's keys, or such a child: its copy would be a referrer
 * (docs/rules/stamp.md#upstream-cannot-forge-a-stamp). @param mayLack which children of an index matter no more once they
 * are gone (docs/rules/stamp.md#a-lost-attestation-is-left-out). @returns those that are. @throws HoubaError
 * `PreconditionFailed`; `NotFound` for another child that is gone
 */
export async function refuseForged(
  at: RepositoryAt,
  digest: Digest,
  manifest: ParsedManifest,
  mayLack: (child: Descriptor) => boolean = isAttestation,
  depth = 0,
): Promise<readonly Digest[]> {
  const name = formatPinned(at.repository, digest);
  if (passesForOurs(manifest, at.prefix)) {
    throw new HoubaError('PreconditionFailed', `${name} would pass for evidence of ours`, {
      hint: 'it refers to another manifest and bears our marks: use another HOUBA_LABEL_PREFIX than upstream does',
    });
  }
  if (manifest.kind !== 'index') return [];
  if (depth === DEEPEST_INDEX) throw new HoubaError('Unsupported', `${name} nests indexes too deeply`);
  const lost: Digest[] = [];
  for (const child of new Map(manifest.manifests.map((one) => [one.digest, one])).values()) {
    const found = await at.findManifest(child.digest);
    if (found !== null) await refuseForged(at, child.digest, found.manifest, nothing, depth + 1);
    else if (mayLack(child)) {
      await confirmAbsent(at, child.digest);
      lost.push(child.digest);
    } else {
      const what = child.platform === undefined ? 'a part' : `the ${platformText(child.platform)}`;
      throw new HoubaError('NotFound', `there is no ${formatPinned(at.repository, child.digest)}, ${what} of ${name}`, {
        hint: 'its publisher has lost it; with `platforms` the others are taken',
      });
    }
  }
  return lost;
}

/** An index within an index stays as it is. */
function nothing(): boolean {
  return false;
}

function passesForOurs(manifest: ParsedManifest, prefix: string): boolean {
  if (manifest.subject === null || prefix === '') return false;
  const type = manifest.artifactType ?? (manifest.kind === 'image' ? manifest.config.mediaType : '');
  return type === STAMP_ARTIFACT_TYPE || Object.keys(manifest.annotations).some((key) => key.startsWith(`${prefix}.`));
}
