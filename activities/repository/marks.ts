import type { Digest } from '../../domain/digest.js';
import { MARK_ARTIFACT_TYPE, type Mark, markAnnotations, type PlacedMark } from '../../domain/lifecycle/mark.js';
import type { Repository } from '../../domain/reference.js';
import type { Dependencies } from '../dependencies.js';
import { attachReferrer } from './attach-referrer.js';
import type { RepositoryAt } from './repository-at.js';

/** Attaches a deletion mark to a digest. The caller has checked that there is none. */
export async function putMark(deps: Dependencies, at: RepositoryAt, subject: Digest, mark: Mark): Promise<PlacedMark> {
  const artifact = { artifactType: MARK_ARTIFACT_TYPE, annotations: markAnnotations(mark, at.prefix) };
  const referrer = await attachReferrer(deps, at, subject, artifact);
  return { referrer, subject, mark };
}

/** Remembers the marks on a digest that a survey has looked at, after they changed. */
export function rememberMarks(
  { memory }: Dependencies,
  repository: Repository,
  digest: Digest,
  marks: readonly PlacedMark[],
): void {
  const known = memory.facts(repository, digest);
  if (known !== undefined) memory.rememberFacts(repository, digest, { ...known, marks, marksAt: Date.now() });
}
