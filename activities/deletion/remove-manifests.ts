import type { Digest } from '../../domain/digest.js';
import { formatRepository, type Repository } from '../../domain/reference.js';
import type { Dependencies } from '../dependencies.js';
import { repositoryAt } from '../repository/repository-at.js';
import { isGone } from './remove-tag.js';

/** Digests that stay because the registry does not delete them. */
export interface Removal {
  readonly leftBehind: readonly Digest[];
}

export interface Victim {
  readonly digest: Digest;
  readonly subject?: Digest;
}

/** Deletes manifests and journals those that the registry keeps. @param before runs before each one; may throw */
export async function removeManifests(
  deps: Dependencies,
  repository: Repository,
  victims: readonly Victim[],
  signal: AbortSignal,
  before?: () => Promise<void>,
): Promise<Removal> {
  const leftBehind: Digest[] = [];
  const deleted: Digest[] = [];
  for (const { digest, subject } of victims) {
    await before?.();
    const outcome = await deps.regctl.deleteManifest(repository, digest, signal, subject);
    (outcome === 'unsupported' ? leftBehind : deleted).push(digest);
  }
  const at = repositoryAt(deps, repository, signal);
  // One deadline for all: a registry that keeps one keeps the others.
  const until = performance.now() + deps.readBackMs;
  for (const digest of deleted) {
    if (!(await isGone(deps, at, digest, until - performance.now()))) leftBehind.push(digest);
  }
  if (leftBehind.length > 0) {
    deps.journal.event('left.behind', { dest: formatRepository(repository), digests: leftBehind });
  }
  return { leftBehind };
}
