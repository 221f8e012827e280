import type { Digest } from '../domain/digest.js';
import { formatRepository, type Repository } from '../domain/reference.js';
import type { Dependencies } from './dependencies.js';

/** What a compensation leaves behind because the registry cannot delete. */
export interface Removal {
  readonly leftBehind: readonly Digest[];
}

/** Deletes manifests; those that a registry keeps are told to the journal. */
export async function removeManifests(
  deps: Dependencies,
  repository: Repository,
  victims: readonly Digest[],
  signal: AbortSignal,
): Promise<Removal> {
  const leftBehind: Digest[] = [];
  for (const victim of victims) {
    const outcome = await deps.regctl.deleteManifest(repository, victim, signal);
    if (outcome === 'unsupported') leftBehind.push(victim);
  }
  if (leftBehind.length > 0) {
    deps.journal.event('left.behind', { dest: formatRepository(repository), digests: leftBehind });
  }
  return { leftBehind };
}
