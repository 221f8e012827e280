import type { ReferrerDescriptor } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { digestSet, IN_TOTO, IN_TOTO_PREDICATE_TYPE, MAX_STATEMENT_BYTES } from '../../domain/evidence/statement.js';
import { formatPinned, formatRepository } from '../../domain/reference.js';
import type { Dependencies } from '../dependencies.js';
import { attachReferrer } from '../repository/attach-referrer.js';
import { readArtifactFile } from '../repository/read-manifest.js';
import type { RepositoryAt } from '../repository/repository-at.js';

/** Copies BuildKit's provenance of an image to its restamped digest; an index has it on its platforms, which stay. */
export async function carryProvenance(
  deps: Dependencies,
  at: RepositoryAt,
  current: Digest | null,
  to: Digest,
): Promise<void> {
  if (current === null || current === to) return;
  const said = await at.referrers(current);
  const statements = said.filter(isUnsignedStatement);
  if (statements.length === 0) return;
  const there = await at.referrers(to);
  for (const { digest, artifactType, annotations } of statements) {
    const predicateType = annotations[IN_TOTO_PREDICATE_TYPE];
    const isSame = (one: ReferrerDescriptor) => one.annotations[IN_TOTO_PREDICATE_TYPE] === predicateType;
    if (there.some((one) => isUnsignedStatement(one) && isSame(one))) continue;
    const name = formatPinned(at.repository, digest);
    const document = await readArtifactFile(at, digest, MAX_STATEMENT_BYTES);
    if (document === null) throw unreadable(name);
    const bytes = withSubject(document, formatRepository(at.repository), to, name);
    const artifact = { artifactType, annotations, file: { bytes, mediaType: IN_TOTO } };
    await attachReferrer(deps, at, to, artifact);
  }
}

export function isUnsignedStatement({ artifactType, annotations }: ReferrerDescriptor): boolean {
  return artifactType === IN_TOTO && IN_TOTO_PREDICATE_TYPE in annotations;
}

/** Replaces the subject of a statement by this manifest. @param where the statement was read, for the message */
export function withSubject(document: Uint8Array, name: string, digest: Digest, where: string): Uint8Array {
  let statement: unknown;
  try {
    statement = JSON.parse(new TextDecoder().decode(document));
  } catch (cause) {
    throw unreadable(where, cause);
  }
  if (typeof statement !== 'object' || statement === null) throw unreadable(where);
  const subject = [{ name, digest: digestSet(digest) }];
  return new TextEncoder().encode(JSON.stringify({ ...statement, subject }));
}

function unreadable(where: string, cause?: unknown): HoubaError {
  return new HoubaError('Unsupported', `${where} holds no statement`, { cause });
}
