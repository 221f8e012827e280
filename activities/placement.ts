import type { RegistryReader } from '../adapters/registry.js';
import type { Digest } from '../domain/digest.js';
import type { DestinationRepository, Placement } from '../domain/durable/placement.js';
import type { ParsedManifest } from '../domain/manifest.js';
import {
  formatPinned,
  formatRepository,
  formatTagged,
  isEvidenceTag,
  isTag,
  type Repository,
} from '../domain/reference.js';
import { HoubaError } from '../domain/report/errors.js';
import { readStamp, stampAnnotations } from '../domain/stamp/annotations.js';
import { OCI_KEYS } from '../domain/stamp/keys.js';
import { type StampedManifest, stampManifest } from '../domain/stamp/manifest.js';
import type { Dependencies } from './dependencies.js';
import { readConfig, readManifest } from './manifests.js';
import { step } from './step.js';

/** What a placement will write, and what of it is there already; decided before anything is written. */
export interface Inspection {
  readonly stamped: Digest;
  readonly revision: string | null;
  readonly stampedPresent: boolean;
  readonly originalPresent: boolean;
}

/**
 * Reads the manifest to place, from the destination if its original is there, and works out the bytes to publish.
 *
 * Throws `NotFound` when the digest can no longer be fetched, `Unsupported`, `DigestMismatch`.
 */
export function createInspectPlacement(deps: Dependencies) {
  return step(async (placement: Placement, { signal }): Promise<Inspection> => {
    const { destination, baseDigest } = placement;
    const originalPresent = (await deps.reader.headManifest(destination, baseDigest, signal)) !== null;
    const from = originalPresent ? destination : placement.source;
    const { raw, manifest } = await readManifest(deps.reader, from, baseDigest, signal);
    const revision = await readRevision(deps.reader, from, manifest, signal);
    const stamped = stampFor(deps, placement, raw.bytes, manifest, revision).digest;
    const stampedPresent = (await deps.reader.headManifest(destination, stamped, signal)) !== null;
    return { stamped, revision, stampedPresent, originalPresent };
  });
}

/**
 * Copies the original by digest and puts the stamped manifest beside it, by digest as well: no tag exists or moves.
 * What is there already is left alone.
 *
 * Throws `PreconditionFailed` when the source tag has moved since it was planned (L34).
 */
export function createWriteImage(deps: Dependencies) {
  return step(async ({ placement, inspection }: { placement: Placement; inspection: Inspection }, { signal }) => {
    const { source, destination, baseDigest } = placement;
    if (!inspection.originalPresent) {
      if (placement.kind === 'imported') await refuseMoved(deps, placement, signal);
      await deps.regctl.copyImage({ repository: source, digest: baseDigest }, destination, signal);
    }
    if (inspection.stampedPresent) return;
    const { raw, manifest } = await readManifest(deps.reader, destination, baseDigest, signal);
    const stamped = stampFor(deps, placement, raw.bytes, manifest, inspection.revision);
    if (stamped.digest !== inspection.stamped) {
      throw new HoubaError('DigestMismatch', `${formatPinned(destination, baseDigest)} changed while it was stamped`);
    }
    await deps.regctl.putManifest(destination, { digest: stamped.digest }, stamped.mediaType, stamped.bytes, signal);
  });
}

async function refuseMoved(deps: Dependencies, placement: Placement, signal: AbortSignal): Promise<void> {
  const now = await deps.reader.headManifest(placement.source, placement.sourceTag, signal);
  if (now?.digest === placement.baseDigest) return;
  throw new HoubaError(
    'PreconditionFailed',
    `${formatTagged(placement.source, placement.sourceTag)} moved during the run`,
    {
      hint: 'the next run looks at it again',
    },
  );
}

export interface PublishRequest {
  readonly destination: DestinationRepository;
  readonly tag: string;
  readonly digest: Digest;
  /** What the tag resolved to when this was planned; null: it did not exist. */
  readonly expected: Digest | null;
  /** How the journal tells of it. */
  readonly journal: Readonly<Record<string, unknown>>;
}

/**
 * Moves a tag, in one PUT, and reads it back. A tag that is there already is left alone; one that somebody else
 * moved meanwhile is not overwritten.
 *
 * @returns whether the tag shows something else than when this was planned
 * Throws `PreconditionFailed`, `DigestMismatch`.
 */
export function createPublishTag(deps: Dependencies) {
  return step(async (request: PublishRequest, { signal }): Promise<boolean> => {
    const { destination, tag, digest, expected } = request;
    const name = formatTagged(destination, tag);
    const before = await deps.reader.headManifest(destination, tag, signal);
    if (before?.digest === digest && expected === digest) return false;
    const { raw, manifest } = await readManifest(deps.reader, destination, digest, signal);
    // An attempt whose answer was lost may have moved it already; then it is only told.
    if (before?.digest !== digest) {
      if ((before?.digest ?? null) !== expected) {
        throw new HoubaError('PreconditionFailed', `${name} was moved by somebody else during the run`, {
          hint: 'see who else writes there; the next run plans anew',
        });
      }
      await deps.regctl.putManifest(destination, { tag }, raw.mediaType, raw.bytes, signal);
      const after = (await deps.reader.headManifest(destination, tag, signal))?.digest ?? 'nothing';
      if (after !== digest) {
        throw new HoubaError('DigestMismatch', `${name} resolves to ${after} after ${digest} was put there`);
      }
    }
    deps.memory.rememberFacts(destination, digest, {
      stamp: readStamp(manifest.annotations, deps.settings.prefix),
      sbomFormats: deps.settings.sbomFormats,
    });
    deps.journal.event('operation', { ...request.journal, out_digest: digest, applied: true });
    return true;
  });
}

/** What a compensation leaves behind because the registry cannot delete. */
export interface Removal {
  readonly leftBehind: readonly Digest[];
}

/**
 * Undoes a placement that failed for good: the stamped manifest that it found absent and wrote, and the referrers on
 * it. Not the original and no child, which others may share, and nothing that a tag resolves to: an equal placement
 * may have published the same digest.
 */
export function createRemoveWritten(deps: Dependencies) {
  return step(
    async (
      { destination, digest }: { destination: DestinationRepository; digest: Digest },
      { signal },
    ): Promise<Removal> => {
      if (await isTagged(deps.reader, destination, digest, signal)) return { leftBehind: [] };
      const leftBehind: Digest[] = [];
      const referrers = await deps.reader.listReferrers(destination, digest, {}, signal);
      for (const victim of [...referrers.map((referrer) => referrer.digest), digest]) {
        const outcome = await deps.regctl.deleteManifest(destination, victim, signal);
        if (outcome === 'unsupported') leftBehind.push(victim);
      }
      if (leftBehind.length > 0) {
        deps.journal.event('left.behind', { dest: formatRepository(destination), digests: leftBehind });
      }
      return { leftBehind };
    },
  );
}

async function isTagged(reader: RegistryReader, repository: Repository, digest: Digest, signal: AbortSignal) {
  const tags = (await reader.listTags(repository, signal)) ?? [];
  for (const tag of tags) {
    if (!isTag(tag) || isEvidenceTag(tag)) continue;
    if ((await reader.headManifest(repository, tag, signal))?.digest === digest) return true;
  }
  return false;
}

function stampFor(
  deps: Dependencies,
  { label, source, sourceTag, baseDigest, current }: Placement,
  bytes: Uint8Array,
  manifest: ParsedManifest,
  revision: string | null,
): StampedManifest {
  const { prefix } = deps.settings;
  const stamp = { ...label, source, sourceTag, baseDigest, revision, supersedes: current };
  const annotations = stampAnnotations(
    { ...stamp, transformSteps: [], transformVersion: null, platforms: null },
    prefix,
  );
  return stampManifest(bytes, manifest.mediaType, annotations, prefix);
}

/** Upstream's own word: the manifest's annotation, else a label of the (first) image's configuration, else none. */
async function readRevision(
  reader: RegistryReader,
  repository: Repository,
  manifest: ParsedManifest,
  signal: AbortSignal,
): Promise<string | null> {
  const annotated = manifest.annotations[OCI_KEYS.revision];
  if (annotated !== undefined) return annotated;
  if (manifest.kind === 'image') {
    const { labels } = await readConfig(reader, repository, manifest.config, signal);
    const label = labels[OCI_KEYS.revision];
    return typeof label === 'string' && label !== '' ? label : null;
  }
  const first = manifest.manifests.find((child) => child.platform !== undefined && child.platform.os !== 'unknown');
  if (first === undefined) return null;
  const child = await readManifest(reader, repository, first.digest, signal);
  return child.manifest.kind === 'image' ? readRevision(reader, repository, child.manifest, signal) : null;
}
