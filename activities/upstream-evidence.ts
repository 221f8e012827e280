import type { Digest } from '../domain/digest.js';
import type { DestinationRepository } from '../domain/durable/placement.js';
import { formatPinned, type Repository } from '../domain/reference.js';
import { HoubaError } from '../domain/report/errors.js';
import type { Dependencies } from './dependencies.js';
import { refuseForged } from './forgery.js';
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
    await refuseReferrers(deps, source, digest, signal);
    const original = { repository: source, digest };
    await deps.regctl.copyImage(original, destination, { referrers: true, digestTags: true }, signal);
  });
}

async function refuseReferrers(
  deps: Dependencies,
  source: Repository,
  digest: Digest,
  signal: AbortSignal,
): Promise<void> {
  const { manifest } = await readManifest(deps.reader, source, digest, signal);
  await refuseForged(deps, source, digest, manifest, signal);
  const children = manifest.kind === 'index' ? manifest.manifests.map((child) => child.digest) : [];
  for (const subject of new Set([digest, ...children])) {
    const referrers = await deps.reader.listReferrers(source, subject, {}, signal);
    // What the list says of them is upstream's word alone.
    for (const referrer of referrers) {
      const { manifest } = await readManifest(deps.reader, source, referrer.digest, signal);
      await refuseForged(deps, source, referrer.digest, manifest, signal);
    }
  }
}
