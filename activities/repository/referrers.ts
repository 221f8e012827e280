import type { ReferrerDescriptor } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import type { PlatformManifest } from '../../domain/evidence/sbom.js';
import type { RepositoryAt } from './repository-at.js';

/** Lists the referrers of a subject and of its platforms. @param known those of the subject, listed already */
export async function referrersOf(
  at: RepositoryAt,
  subject: Digest,
  platforms: readonly PlatformManifest[],
  known?: ReferrerDescriptor[],
): Promise<Map<Digest, ReferrerDescriptor[]>> {
  const found = new Map<Digest, ReferrerDescriptor[]>(known === undefined ? [] : [[subject, known]]);
  for (const digest of [subject, ...platforms.map((platform) => platform.digest)]) {
    if (!found.has(digest)) found.set(digest, await at.referrers(digest));
  }
  return found;
}
