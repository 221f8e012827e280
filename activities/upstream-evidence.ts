import type { ReferrerDescriptor } from '../adapters/registry.js';
import type { Digest } from '../domain/digest.js';
import type { DestinationRepository } from '../domain/durable/placement.js';
import { formatPinned, type Repository } from '../domain/reference.js';
import { HoubaError } from '../domain/report/errors.js';
import { STAMP_ARTIFACT_TYPE } from '../domain/stamp/keys.js';
import type { Dependencies } from './dependencies.js';
import { readManifest } from './manifests.js';
import { step } from './step.js';

export interface EvidenceRequest {
  readonly source: Repository;
  readonly digest: Digest;
  readonly destination: DestinationRepository;
}

/**
 * Keeps what upstream says of an image: the unmodified original with its referrers and its signature tags, by digest.
 * What is there already is not copied again. Upstream may have dropped an original that is kept here.
 *
 * Throws `NotFound` when neither side has the original, and `PreconditionFailed` when something upstream attached would
 * pass for houba's own evidence, on a platform's manifest for instance, which the original and the stamped index share.
 */
export function createKeepEvidence(deps: Dependencies) {
  return step(async ({ source, digest, destination }: EvidenceRequest, { signal }): Promise<void> => {
    if ((await deps.reader.headManifest(source, digest, signal)) === null) {
      if ((await deps.reader.headManifest(destination, digest, signal)) !== null) return;
      throw new HoubaError('NotFound', `there is no ${formatPinned(source, digest)}`);
    }
    await refuseForged(deps, source, digest, signal);
    const original = { repository: source, digest };
    await deps.regctl.copyImage(original, destination, { referrers: true, digestTags: true }, signal);
  });
}

async function refuseForged(
  deps: Dependencies,
  source: Repository,
  digest: Digest,
  signal: AbortSignal,
): Promise<void> {
  const { manifest } = await readManifest(deps.reader, source, digest, signal);
  const children = manifest.kind === 'index' ? manifest.manifests.map((child) => child.digest) : [];
  for (const subject of new Set([digest, ...children])) {
    const referrers = await deps.reader.listReferrers(source, subject, {}, signal);
    const forged = referrers.find((referrer) => passesForOurs(referrer, deps.settings.prefix));
    if (forged === undefined) continue;
    const name = formatPinned(source, subject);
    throw new HoubaError('PreconditionFailed', `${name} has a referrer that would pass for ours: ${forged.digest}`, {
      hint: 'set keepUpstreamEvidence: false, or use another HOUBA_LABEL_PREFIX than upstream does',
    });
  }
}

function passesForOurs({ artifactType, annotations }: ReferrerDescriptor, prefix: string): boolean {
  if (prefix === '') return false;
  return artifactType === STAMP_ARTIFACT_TYPE || Object.keys(annotations).some((key) => key.startsWith(`${prefix}.`));
}
