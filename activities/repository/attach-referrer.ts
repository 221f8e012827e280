import type { Regctl } from '../../adapters/regctl.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { formatPinned } from '../../domain/reference.js';
import type { Dependencies } from '../dependencies.js';
import { readBack } from './read-back.js';
import type { RepositoryAt } from './repository-at.js';

type Artifact = Parameters<Regctl['putArtifact']>[2];
type AttachingDependencies = Pick<Dependencies, 'reader' | 'regctl' | 'readBackMs'>;

/**
 * Attaches an artifact to a manifest and finds it among its referrers (docs/rules/registry-access.md#a-write-is-read-back).
 * @returns its digest. @throws HoubaError `DigestMismatch` when it is not listed, and what a registry throws
 */
export function attachReferrer(
  deps: AttachingDependencies,
  at: RepositoryAt,
  subject: Digest,
  artifact: Artifact,
): Promise<Digest> {
  return addReferrer(deps, at, subject, () => deps.regctl.putArtifact(at.repository, subject, artifact, at.signal));
}

/**
 * Writes a referrer and reads the list back. Where clients keep the list, whoever finds none begins a new one: one wrong
 * answer to the program that writes would hide all the evidence that is there.
 * @param write returns the digest of the referrer. @throws HoubaError `DigestMismatch` when the list does not name it, or
 * not all that it named before
 */
export async function addReferrer(
  deps: AttachingDependencies,
  at: RepositoryAt,
  subject: Digest,
  write: () => Promise<Digest>,
): Promise<Digest> {
  const before = await deps.reader.listUnderTag(at.repository, subject, at.signal);
  let digest: Digest;
  try {
    digest = await write();
  } catch (error) {
    // It may have written the list, and failed later.
    await listAgain(deps, at, subject, before).catch(() => {});
    throw error;
  }
  const isListed = (list: readonly { readonly digest: Digest }[]) => list.some((one) => one.digest === digest);
  const list = await readBack(() => at.referrers(subject), isListed, deps.readBackMs, at.signal);
  if (!isListed(list)) throw notListed(at, subject, digest);
  if (before.some((one) => !list.some((it) => it.digest === one))) await listAgain(deps, at, subject, before);
  return digest;
}

/** Lists again what the list has named and does not name, and which is there. */
async function listAgain(
  { reader, regctl, readBackMs }: AttachingDependencies,
  at: RepositoryAt,
  subject: Digest,
  before: readonly Digest[],
): Promise<void> {
  if (before.length === 0) return;
  const { repository, signal } = at;
  const read = () => reader.listUnderTag(repository, subject, signal);
  const now = await read();
  for (const digest of before.filter((one) => !now.includes(one))) {
    if ((await at.find(digest)) === null) continue; // somebody has deleted it meanwhile
    await regctl.copyImage({ repository, digest }, repository, { subject }, signal);
    const isListed = (list: readonly Digest[]) => list.includes(digest);
    if (!isListed(await readBack(read, isListed, readBackMs, signal))) throw notListed(at, subject, digest);
  }
}

function notListed({ repository }: RepositoryAt, subject: Digest, digest: Digest): HoubaError {
  return new HoubaError('DigestMismatch', `${formatPinned(repository, subject)} does not list ${digest}`, {
    hint: 'it was attached a moment ago: run again, and look at the registry if it happens again',
  });
}
