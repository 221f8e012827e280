import { type Digest, digestOf } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { ParsedManifest } from '../../domain/manifest.js';
import { formatPinned, formatRepository, formatTagged } from '../../domain/reference.js';
import type { Dependencies } from '../dependencies.js';
import { readBack } from '../repository/read-back.js';
import type { RepositoryAt } from '../repository/repository-at.js';

const PLACEHOLDER_TYPE = 'application/vnd.io.houba.deleted-tag';
const PLACEHOLDER_TAG = 'io.houba.deleted-tag';

/** The digest of no manifest. */
const NOWHERE = digestOf(new TextEncoder().encode('houba: no manifest has these bytes'));

/** Whether a tag shows what `removeTag` put there before it was interrupted. */
export function isPlaceholder(manifest: ParsedManifest, tag: string): boolean {
  return manifest.artifactType === PLACEHOLDER_TYPE && manifest.annotations[PLACEHOLDER_TAG] === tag;
}

/**
 * Deletes a tag, never the manifest that it shows; where the registry deletes no tags, by way of a placeholder
 * (docs/rules/purge.md#a-tag-is-deleted-and-nothing-else). May be interrupted and run again.
 * @param shown what the tag shows, or showed before it was moved to the placeholder
 * @returns whether the registry no longer finds the tag; false: it does not delete, and the tag shows what it did
 * Throws `DigestMismatch` when the tag neither goes nor comes back.
 */
export async function removeTag(deps: Dependencies, at: RepositoryAt, tag: string, shown: Digest): Promise<boolean> {
  const { reader, regctl } = deps;
  const { repository, signal } = at;
  if (await reader.deleteTag(repository, tag, signal)) return isGone(deps, at, tag);
  if ((await at.head(tag)) === null) return true;
  // Where deletion is off, nothing is written to find it out.
  if ((await regctl.deleteManifest(repository, NOWHERE, signal)) === 'unsupported') return false;
  const annotations = { [PLACEHOLDER_TAG]: tag };
  const placeholder = await regctl.putArtifact(
    repository,
    null,
    { artifactType: PLACEHOLDER_TYPE, annotations },
    signal,
  );
  const raw = await reader.getManifest(repository, placeholder, signal);
  if (raw === null || !(await deleteManifest(deps, at, placeholder))) {
    deps.journal.event('left.behind', { dest: formatRepository(repository), digests: [placeholder] });
    await putBack(deps, at, { tag, shown, placeholder });
    return false;
  }
  // From here on an interrupted run leaves the placeholder, which the next attempt knows.
  await regctl.putManifest(repository, { tag }, raw.mediaType, raw.bytes, signal);
  await deleteManifest(deps, at, placeholder);
  if (await isGone(deps, at, tag)) return true;
  await putBack(deps, at, { tag, shown, placeholder });
  return false;
}

async function deleteManifest(deps: Dependencies, at: RepositoryAt, digest: Digest): Promise<boolean> {
  const outcome = await deps.regctl.deleteManifest(at.repository, digest, at.signal);
  if (outcome === 'unsupported') return false;
  // It was read a moment ago: a registry that knows nothing of it now will not delete it later.
  return isGone(deps, at, digest, outcome === 'absent' ? 0 : undefined);
}

/**
 * Whether a tag or a digest is no longer found, now or within `patienceMs` (docs/rules/registry-access.md#a-write-is-read-back).
 */
export async function isGone(
  { readBackMs }: Dependencies,
  at: RepositoryAt,
  reference: string,
  patienceMs = readBackMs,
): Promise<boolean> {
  return (
    (await readBack(
      () => at.head(reference),
      (shown) => shown === null,
      patienceMs,
    )) === null
  );
}

/** Gives a tag back what it showed, if it shows the placeholder. */
async function putBack(
  { reader, regctl, readBackMs }: Dependencies,
  { repository, signal, head }: RepositoryAt,
  { tag, shown, placeholder }: { readonly tag: string; readonly shown: Digest; readonly placeholder: Digest },
): Promise<void> {
  if ((await head(tag)) !== placeholder) return;
  const raw = await reader.getManifest(repository, shown, signal);
  if (raw === null) {
    throw new HoubaError('DigestMismatch', `${formatTagged(repository, tag)} could not be deleted and lost its image`, {
      hint: `put ${formatPinned(repository, shown)} back from its source`,
    });
  }
  await regctl.putManifest(repository, { tag }, raw.mediaType, raw.bytes, signal);
  const found = await readBack(
    () => head(tag),
    (now) => now === shown,
    readBackMs,
  );
  if (found === shown) return;
  throw new HoubaError('DigestMismatch', `${formatTagged(repository, tag)} resolves to ${found ?? 'nothing'}`, {
    hint: `${shown} was put back there after the registry did not delete the tag; look at it by hand`,
  });
}
