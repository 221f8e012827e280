import pLimit from 'p-limit';
import { recordedSource } from '../../domain/plan/placements.js';
import { missingBaseKey, type PolicyPlan, type TagDecision, type Target } from '../../domain/plan/plan.js';
import type { Repository } from '../../domain/reference.js';
import type { Dependencies } from '../dependencies.js';
import { repositoryAt } from '../repository/repository-at.js';

interface Planned {
  readonly source: Repository;
  readonly targets: readonly Target[];
  readonly plan: PolicyPlan;
}

/** Finds the recorded base digests that an update needs and nobody serves. No answer does not make one missing. */
export async function findMissingBases(
  deps: Dependencies,
  { source, targets, plan }: Planned,
  width: number,
  signal: AbortSignal,
): Promise<Set<string>> {
  const suspects = new Map<string, TagDecision>();
  for (const tag of plan.tags) {
    if (tag.kind !== 'update' || tag.baseDigest === null || tag.baseDigest === tag.sourceDigest) continue;
    suspects.set(missingBaseKey((targets[tag.target] as Target).repository, tag.baseDigest), tag);
  }
  const missing = new Set<string>();
  const limit = pLimit(width);
  const look = async (key: string, tag: TagDecision): Promise<void> => {
    const digest = tag.baseDigest as string;
    try {
      const { repository } = targets[tag.target] as Target;
      if ((await deps.reader.headManifest(repository, digest, signal)) !== null) return;
      if ((await repositoryAt(deps, recordedSource(tag) ?? source, signal).find(digest)) !== null) return;
    } catch {
      signal.throwIfAborted();
      return;
    }
    missing.add(key);
  };
  await Promise.all([...suspects].map(([key, tag]) => limit(() => look(key, tag))));
  return missing;
}
