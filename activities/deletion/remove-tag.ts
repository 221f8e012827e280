import type { Manifest } from '../../adapters/registry.js';
import { type Digest, NOWHERE } from '../../domain/digest.js';
import { isRetried } from '../../domain/durable/retry.js';
import { HoubaError } from '../../domain/errors.js';
import type { ParsedManifest } from '../../domain/manifest.js';
import { formatPinned, formatRepository, formatTagged, referrersTag } from '../../domain/reference.js';
import type { Dependencies } from '../dependencies.js';
import { readBack } from '../repository/read-back.js';
import { confirmAbsent, type RepositoryAt } from '../repository/repository-at.js';

const PLACEHOLDER_TYPE = 'application/vnd.io.houba.deleted-tag';
const PLACEHOLDER_TAG = 'io.houba.deleted-tag';

/** Whether a tag shows the placeholder of its interrupted deletion. */
export function isPlaceholder(manifest: ParsedManifest, tag: string): boolean {
  return manifest.artifactType === PLACEHOLDER_TYPE && manifest.annotations[PLACEHOLDER_TAG] === tag;
}

export async function isBeingDeleted(at: RepositoryAt, tag: string): Promise<boolean> {
  const shown = await at.findManifest(tag);
  return shown !== null && isPlaceholder(shown.manifest, tag);
}

/**
 * Deletes a tag and no manifest, through a placeholder where need be
 * (docs/rules/purge.md#a-tag-is-deleted-and-nothing-else). May run twice.
 * @param shown what the tag shows, or showed before it was moved to the placeholder
 * @returns false: the registry does not delete, and the tag shows what it did
 * @throws HoubaError `PreconditionFailed` when somebody moved the tag meanwhile, `Interrupted` while it shows the
 * placeholder, `DigestMismatch` when it neither goes nor comes back
 */
export async function removeTag(deps: Dependencies, at: RepositoryAt, tag: string, shown: Digest): Promise<boolean> {
  const taken = await deps.reader.deleteTag(at.repository, tag, at.signal);
  if (await isGone(deps, at, tag, taken ? undefined : 0)) return true;
  const placeholder = taken ? null : await tryPlaceholder(deps, at, tag);
  if (placeholder === null) {
    return (await isBeingDeleted(at, tag)) && (await putBack(deps, at, tag, shown)) === 'gone';
  }
  const now = await at.find(tag);
  if (now === null) return true;
  if (now !== shown && now !== placeholder.digest) {
    throw new HoubaError('PreconditionFailed', `${formatTagged(at.repository, tag)} was moved during the run`, {
      hint: 'the next run plans anew',
    });
  }
  return replaceAndDelete(deps, at, { tag, shown }, placeholder);
}

/** Writes and deletes the placeholder by digest, as a test. @returns null: the registry deletes no manifests */
async function tryPlaceholder(deps: Dependencies, at: RepositoryAt, tag: string): Promise<Manifest | null> {
  const { reader, regctl, readBackMs, journal } = deps;
  const { repository, signal } = at;
  // Asked first, so that nothing is written to a registry whose deletion is off.
  if ((await regctl.deleteManifest(repository, NOWHERE, signal)) === 'unsupported') return null;
  const artifact = { artifactType: PLACEHOLDER_TYPE, annotations: { [PLACEHOLDER_TAG]: tag } };
  const digest = await regctl.putArtifact(repository, null, artifact, signal);
  const raw = await readBack(
    () => reader.getManifest(repository, digest, signal),
    (found) => found !== null,
    readBackMs,
    signal,
  );
  if (raw === null) throw new HoubaError('RegistryUnavailable', `${formatPinned(repository, digest)} cannot be read`);
  if (await deleteManifest(deps, at, digest)) return raw;
  journal.event('left.behind', { dest: formatRepository(repository), digests: [digest] });
  return null;
}

/** Moves the tag to the placeholder and deletes it. @returns false: the tag shows its image again */
async function replaceAndDelete(
  deps: Dependencies,
  at: RepositoryAt,
  { tag, shown }: { readonly tag: string; readonly shown: Digest },
  { digest, mediaType, bytes }: Manifest,
): Promise<boolean> {
  const { repository, signal } = at;
  let failure: unknown = null;
  try {
    await deps.regctl.putManifest(repository, { tag }, mediaType, bytes, signal);
    await deleteManifest(deps, at, digest);
    if (await isGone(deps, at, tag)) return true;
  } catch (error) {
    // Not thrown at once: the tag may show the placeholder, and gets its image back first.
    signal.throwIfAborted();
    failure = error;
  }
  let back: 'gone' | 'there';
  try {
    back = await putBack(deps, at, tag, shown);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof HoubaError && !isRetried(cause.code)) throw cause;
    const name = formatTagged(repository, tag);
    throw new HoubaError('Interrupted', `${name} shows a placeholder of its deletion`, { cause });
  }
  if (back === 'gone') return true;
  if (failure !== null) throw failure;
  return false;
}

async function deleteManifest(deps: Dependencies, at: RepositoryAt, digest: Digest): Promise<boolean> {
  const outcome = await deps.regctl.deleteManifest(at.repository, digest, at.signal);
  if (outcome === 'unsupported') return false;
  // It was read a moment ago: a registry that answers 404 now will not delete it later.
  return isGone(deps, at, digest, outcome === 'absent' ? 0 : undefined);
}

/**
 * Whether a reference is gone, read for `patienceMs` (docs/rules/registry-access.md#a-write-is-read-back). Without the tag
 * of a list of referrers some registries show the subject by its name.
 */
export async function isGone(
  { readBackMs }: Dependencies,
  at: RepositoryAt,
  reference: string,
  patienceMs = readBackMs,
): Promise<boolean> {
  const isAbsent = (shown: Digest | null) => shown === null || reference === referrersTag(shown);
  return isAbsent(await readBack(() => at.find(reference), isAbsent, patienceMs, at.signal));
}

/** Moves a tag back to its image, unless somebody moved it or it is gone. A stale read may show that image already. */
async function putBack(
  { reader, regctl, readBackMs }: Dependencies,
  at: RepositoryAt,
  tag: string,
  shown: Digest,
): Promise<'gone' | 'there'> {
  const { repository, signal } = at;
  const name = formatTagged(repository, tag);
  const now = await at.findManifest(tag);
  if (now === null) {
    await confirmAbsent(at, tag);
    return 'gone';
  }
  if (now.raw.digest !== shown && !isPlaceholder(now.manifest, tag)) return 'there';
  const raw = await reader.getManifest(repository, shown, signal);
  if (raw === null) {
    throw new HoubaError('DigestMismatch', `${name} could not be deleted and lost its image`, {
      hint: `put ${formatPinned(repository, shown)} back from its source`,
    });
  }
  await regctl.putManifest(repository, { tag }, raw.mediaType, raw.bytes, signal);
  const found = await readBack(
    () => at.head(tag),
    (digest) => digest === shown,
    readBackMs,
    signal,
  );
  if (found === shown) return 'there';
  throw new HoubaError('DigestMismatch', `${name} resolves to ${found ?? 'nothing'}`, {
    hint: `${shown} was put back there after the registry did not delete the tag; look at it by hand`,
  });
}
