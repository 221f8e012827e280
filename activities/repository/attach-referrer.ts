import type { Regctl } from '../../adapters/regctl.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { formatPinned } from '../../domain/reference.js';
import type { Dependencies } from '../dependencies.js';
import { readBack } from './read-back.js';
import type { RepositoryAt } from './repository-at.js';

type Artifact = Parameters<Regctl['putArtifact']>[2];

/**
 * Attaches an artifact to a manifest and finds it among its referrers (docs/rules/registry-access.md#a-write-is-read-back).
 * @returns its digest. @throws HoubaError `DigestMismatch` when it is not listed, and what a registry throws
 */
export async function attachReferrer(
  { regctl, readBackMs }: Dependencies,
  at: RepositoryAt,
  subject: Digest,
  artifact: Artifact,
): Promise<Digest> {
  const digest = await regctl.putArtifact(at.repository, subject, artifact, at.signal);
  await requireReferrer(at, subject, digest, readBackMs);
  return digest;
}

/** Reads the list of referrers until it names one. @throws HoubaError `DigestMismatch` when it does not */
export async function requireReferrer(
  at: RepositoryAt,
  subject: Digest,
  digest: Digest,
  readBackMs: number,
): Promise<void> {
  const isListed = (list: readonly { readonly digest: Digest }[]) => list.some((one) => one.digest === digest);
  if (isListed(await readBack(() => at.referrers(subject), isListed, readBackMs))) return;
  throw new HoubaError('DigestMismatch', `${formatPinned(at.repository, subject)} does not list ${digest}`, {
    hint: 'it was attached a moment ago: run again, and look at the registry if it happens again',
  });
}
