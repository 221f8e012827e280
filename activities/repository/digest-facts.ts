import type { DigestFacts, StampBeside } from '../../adapters/digest-memory.js';
import type { ReferrerDescriptor } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import type { Repository } from '../../domain/reference.js';
import { stampsBeside } from '../../domain/stamp/annotations.js';
import type { Dependencies } from '../dependencies.js';

/**
 * Notes evidence that has just been made. Nothing is noted of a digest that nobody has looked at: the next survey does.
 *
 * @param made the formats that are complete now, or signed now
 */
export function rememberEvidence(
  deps: Dependencies,
  repository: Repository,
  digest: Digest,
  made: Partial<Pick<DigestFacts, 'sbomFormats' | 'signedFormats'>>,
): void {
  const known = deps.memory.facts(repository, digest);
  if (known !== undefined) deps.memory.rememberFacts(repository, digest, { ...known, ...made });
}

/** Of several stamps of one tag, left by a placement that was cut short, the youngest; not yet known to be signed. */
export function youngestStamps(referrers: readonly ReferrerDescriptor[], prefix: string): StampBeside[] {
  const byTag = new Map(stampsBeside(referrers, prefix).map(({ tag, stamp }) => [tag, stamp]));
  return Array.from(byTag, ([tag, stamp]) => ({ tag, stamp, signed: false }));
}
