import { type Digest, digestOf } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import type { ParsedManifest } from '../../domain/manifest.js';
import { formatPinned, formatRepository, formatTagged, type Repository } from '../../domain/reference.js';
import type { Dependencies } from '../dependencies.js';
import { readBack } from '../repository/read-back.js';

/** What a tag shows for a moment where a registry deletes manifests but no tags: the tag goes with this manifest. */
const PLACEHOLDER_TYPE = 'application/vnd.io.houba.deleted-tag';
const PLACEHOLDER_TAG = 'io.houba.deleted-tag';

/** Of no manifest. */
const NOWHERE = digestOf(new TextEncoder().encode('houba: no manifest has these bytes'));

/** Whether a tag shows what `removeTag` put there before it was interrupted. */
export function isPlaceholder(manifest: ParsedManifest, tag: string): boolean {
  return manifest.artifactType === PLACEHOLDER_TYPE && manifest.annotations[PLACEHOLDER_TAG] === tag;
}

/**
 * Deletes a tag, never the manifest that it shows. It counts as deleted when the registry no longer finds it. Bears being
 * interrupted and run again.
 *
 * A registry that deletes no tags may delete manifests: there the tag is moved to a placeholder of ours, whose deletion takes
 * the tag along. Before the tag is touched, the same placeholder shows by digest that deletion works.
 *
 * @param shown what the tag shows, or showed before it was moved to the placeholder
 * @returns whether the tag is gone; false: the registry does not delete, and the tag shows what it did
 * Throws `DigestMismatch` when the tag neither goes nor comes back.
 */
export async function removeTag(
  deps: Dependencies,
  repository: Repository,
  tag: string,
  shown: Digest,
  signal: AbortSignal,
): Promise<boolean> {
  const { reader, regctl } = deps;
  if (await reader.deleteTag(repository, tag, signal)) return isGone(deps, repository, tag, signal);
  if ((await reader.headManifest(repository, tag, signal)) === null) return true;
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
  if (raw === null || !(await deleteManifest(deps, repository, placeholder, signal))) {
    deps.journal.event('left.behind', { dest: formatRepository(repository), digests: [placeholder] });
    await putBack(deps, repository, tag, shown, placeholder, signal);
    return false;
  }
  // From here on an interrupted run leaves the placeholder, which the next attempt knows.
  await regctl.putManifest(repository, { tag }, raw.mediaType, raw.bytes, signal);
  await deleteManifest(deps, repository, placeholder, signal);
  if (await isGone(deps, repository, tag, signal)) return true;
  await putBack(deps, repository, tag, shown, placeholder, signal);
  return false;
}

/** @returns whether it is gone when it is read back */
async function deleteManifest(
  deps: Dependencies,
  repository: Repository,
  digest: Digest,
  signal: AbortSignal,
): Promise<boolean> {
  const outcome = await deps.regctl.deleteManifest(repository, digest, signal);
  if (outcome === 'unsupported') return false;
  // It was read a moment ago: a registry that knows nothing of it now will not delete it later.
  return isGone(deps, repository, digest, signal, outcome === 'absent' ? 0 : undefined);
}

/** Whether a tag or a digest is no longer found, now or within `patienceMs`. */
export async function isGone(
  { reader, readBackMs }: Dependencies,
  repository: Repository,
  reference: string,
  signal: AbortSignal,
  patienceMs = readBackMs,
): Promise<boolean> {
  const read = () => reader.headManifest(repository, reference, signal);
  return (await readBack(read, (head) => head === null, patienceMs)) === null;
}

/** Gives a tag back what it showed, if it shows the placeholder. */
async function putBack(
  { reader, regctl, readBackMs }: Dependencies,
  repository: Repository,
  tag: string,
  shown: Digest,
  placeholder: Digest,
  signal: AbortSignal,
): Promise<void> {
  const head = () => reader.headManifest(repository, tag, signal);
  if ((await head())?.digest !== placeholder) return;
  const raw = await reader.getManifest(repository, shown, signal);
  if (raw === null) {
    throw new HoubaError('DigestMismatch', `${formatTagged(repository, tag)} could not be deleted and lost its image`, {
      hint: `put ${formatPinned(repository, shown)} back from its source`,
    });
  }
  await regctl.putManifest(repository, { tag }, raw.mediaType, raw.bytes, signal);
  const found = await readBack(head, (now) => now?.digest === shown, readBackMs);
  if (found?.digest === shown) return;
  throw new HoubaError('DigestMismatch', `${formatTagged(repository, tag)} resolves to ${found?.digest ?? 'nothing'}`, {
    hint: `${shown} was put back there after the registry did not delete the tag; look at it by hand`,
  });
}
