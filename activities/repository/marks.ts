import type { ReferrerDescriptor } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import {
  MARK_ARTIFACT_TYPE,
  type Mark,
  markAnnotations,
  type PlacedMark,
  readMarks,
} from '../../domain/lifecycle/mark.js';
import type { Repository } from '../../domain/reference.js';
import type { Dependencies } from '../dependencies.js';

/** Attaches a mark to a digest: look first whether there is one. */
export async function putMark(
  { regctl, settings }: Dependencies,
  repository: Repository,
  subject: Digest,
  mark: Mark,
  signal: AbortSignal,
): Promise<PlacedMark> {
  const artifact = { artifactType: MARK_ARTIFACT_TYPE, annotations: markAnnotations(mark, settings.prefix) };
  const referrer = await regctl.putArtifact(repository, subject, artifact, signal);
  return { referrer, subject, mark };
}

/** The marks that hang on a digest now. */
export async function readMarksOn(
  { reader, settings }: Dependencies,
  repository: Repository,
  subject: Digest,
  signal: AbortSignal,
): Promise<PlacedMark[]> {
  const referrers: ReferrerDescriptor[] = await reader.listReferrers(repository, subject, {}, signal);
  return readMarks(subject, referrers, settings.prefix);
}

/**
 * Notes what marks hang on a digest, after changing them. Nothing is noted of a digest that nobody has looked at: the next
 * survey does.
 */
export function rememberMarks(
  { memory }: Dependencies,
  repository: Repository,
  digest: Digest,
  marks: readonly PlacedMark[],
): void {
  const known = memory.facts(repository, digest);
  if (known !== undefined) memory.rememberFacts(repository, digest, { ...known, marks, marksAt: Date.now() });
}
