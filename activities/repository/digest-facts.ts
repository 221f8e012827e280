import type { DigestFacts, StampBeside } from '../../adapters/digest-memory.js';
import type { ReferrerDescriptor } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import type { Repository } from '../../domain/reference.js';
import { stampBeside, stampsBeside } from '../../domain/stamp/stamp-of.js';
import type { Dependencies } from '../dependencies.js';

/** Remembers evidence just made. @param made the formats that are complete or signed now */
export function rememberEvidence(
  deps: Dependencies,
  repository: Repository,
  digest: Digest,
  made: Partial<Pick<DigestFacts, 'sbomFormats' | 'signedFormats'>>,
): void {
  const known = deps.memory.facts(repository, digest);
  if (known !== undefined) deps.memory.rememberFacts(repository, digest, { ...known, ...made });
}

/** Lists the stamps beside an image that count, one a tag (docs/rules/stamp.md#the-stamp-of-a-tag). */
export function youngestStamps(referrers: readonly ReferrerDescriptor[], prefix: string): StampBeside[] {
  const tags = new Set(stampsBeside(referrers, prefix).map(({ tag }) => tag));
  const youngest = [...tags].flatMap((tag) => stampBeside(referrers, tag, prefix) ?? []);
  return youngest.map(({ tag, stamp }) => ({ tag, stamp, signed: false }));
}
