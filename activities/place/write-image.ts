import { type Digest, isDigest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { isIndexType, isNameless, type ParsedManifest } from '../../domain/manifest.js';
import type { Placement } from '../../domain/plan/work.js';
import { formatPinned, formatTagged, isEvidenceTag, isTag } from '../../domain/reference.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { readStamp } from '../../domain/stamp/annotations.js';
import { prefixedKeys } from '../../domain/stamp/keys.js';
import { stampManifest } from '../../domain/stamp/manifest.js';
import { stampsBeside } from '../../domain/stamp/stamp-of.js';
import { indexWithout, requirePlatforms, subsetIndex } from '../../domain/stamp/subset.js';
import { type Removal, removeManifests } from '../deletion/remove-manifests.js';
import type { Dependencies } from '../dependencies.js';
import { readBack } from '../repository/read-back.js';
import { readPlatforms } from '../repository/read-manifest.js';
import { type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { step } from '../step.js';
import { carryProvenance } from './buildkit-provenance.js';
import { copyImage } from './copy-image.js';
import { readRevision, stampFor } from './make-stamp.js';
import { refuseForged } from './refuse-forged.js';
import { isStampThere } from './stamp-beside.js';

/** What a placement will write and what is there already, decided before anything is written. */
export interface Inspection {
  readonly stamped: Digest;
  readonly revision: string | null;
  readonly stampedPresent: boolean;
  readonly originalPresent: boolean;
  /** Attestations that upstream has lost, without which the image is placed. */
  readonly lost?: readonly Digest[];
  /** Whether the stamp to put beside the image is there already, and is not to be undone. */
  readonly stampThere?: boolean;
}

/**
 * Reads the manifest to place, from the destination where its original is there, and makes the bytes to publish.
 * @throws HoubaError `NotFound`, `PolicyInvalid` for a missing platform, `Unsupported`, `DigestMismatch`,
 * `PreconditionFailed`
 */
export function createInspectPlacement(deps: Dependencies) {
  return step(async (placement: Placement, { signal }): Promise<Inspection> => {
    const { destination } = placement;
    let body = await readBody(deps, placement, signal);
    const lost = await body.refuseForged();
    if (lost.length > 0) {
      refuseLost(placement, lost);
      body = await readBody(deps, placement, signal, lost);
    }
    const revision = await body.revision();
    const stamped = stampFor(deps, placement, body, revision).digest;
    const stampedPresent = (await deps.reader.headManifest(destination, stamped, signal)) !== null;
    const stampThere = stampedPresent && (await isStampThere(deps, { placement, digest: stamped, revision }, signal));
    const { originalPresent } = body;
    const more = { ...(stampThere && { stampThere }), ...(body.lost !== undefined && { lost: body.lost }) };
    return { stamped, revision, stampedPresent, originalPresent, ...more };
  });
}

/**
 * Copies an image and writes its stamped manifest by digest; of a subset only its children are copied. @throws
 * HoubaError `PreconditionFailed` when the source moved (docs/rules/plan.md#the-source-is-read-again-before-writing)
 */
export function createWriteImage(deps: Dependencies) {
  return step(async ({ placement, inspection, again }: WriteRequest, { signal }) => {
    const { source, destination, baseDigest } = placement;
    const from = repositoryAt(deps, source, signal);
    const bring = async (digests: readonly Digest[]) => {
      if (digests.length > 0 && placement.kind === 'imported' && !again) await refuseMoved(deps, placement, signal);
      for (const digest of digests) await copyImage(deps, from, digest, destination);
    };
    const { lost } = inspection;
    // A whole image is read from its copy: upstreams count reads.
    if (isWhole(placement) && lost === undefined && !inspection.originalPresent) await bring([baseDigest]);
    const body = await readBody(deps, placement, signal, lost);
    await bring(body.toCopy);
    const stamped = stampFor(deps, placement, body, inspection.revision);
    if (stamped.digest !== inspection.stamped) {
      throw new HoubaError('DigestMismatch', `${formatPinned(destination, baseDigest)} changed while it was stamped`);
    }
    // A whole image with its stamp beside it is its own original.
    if (!inspection.stampedPresent && stamped.digest !== baseDigest) {
      await deps.regctl.putManifest(destination, { digest: stamped.digest }, stamped.mediaType, stamped.bytes, signal);
    }
    if (isRestampedInPlace(placement))
      await carryProvenance(deps, repositoryAt(deps, destination, signal), placement.current, stamped.digest);
  });
}

export interface WriteRequest {
  readonly placement: Placement;
  readonly inspection: Inspection;
  /** Whether its tag was published before, and a deletion may have taken some of it away. */
  readonly again?: boolean;
}

/** The manifest or index to place, before it is stamped. */
interface Body {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  /** Upstream's own; never invented (docs/rules/stamp.md#standard-keys-keep-their-meaning). */
  readonly revision: () => Promise<string | null>;
  readonly originalPresent: boolean;
  /** Children that it is without; left out: none. */
  readonly lost?: readonly Digest[];
  /** Refuses what would pass for houba's, see there. @returns what upstream has lost */
  readonly refuseForged: () => Promise<readonly Digest[]>;
  readonly toCopy: readonly Digest[];
}

/** @param lost children to leave out */
async function readBody(
  deps: Dependencies,
  placement: Placement,
  signal: AbortSignal,
  lost: readonly Digest[] = [],
): Promise<Body> {
  const { source, destination, baseDigest } = placement;
  const platforms = placement.platforms ?? null;
  const lacks = await lackingOf(deps, placement, signal);
  const originalPresent = lacks?.length === 0;
  if (isRestampedInPlace(placement)) return readCurrent(deps, placement, originalPresent, signal);
  const incomplete = lacks === null ? await readIncomplete(deps, placement, signal) : null;
  if (incomplete !== null) return incomplete;
  const from = repositoryAt(deps, originalPresent ? destination : source, signal);
  const { raw, manifest } = await from.manifest(baseDigest);
  const { mediaType } = raw;
  const name = formatPinned(source, baseDigest);
  if (manifest.kind === 'index' && manifest.manifests.length === 0) {
    throw new HoubaError('Unsupported', `${name} is an index of nothing`, {
      hint: 'leave the tag out, or have its publisher push it again',
    });
  }
  /** What is asked of the source about what comes along; of nothing else. */
  const asking = (wanted: ParsedManifest) => ({
    revision: () => readRevision(from, wanted),
    refuseForged: () => (originalPresent ? nothingForged() : refuseForged(from, baseDigest, wanted)),
  });
  if (platforms !== null && manifest.kind === 'index') {
    const { bytes, children } = subsetIndex(raw.bytes, manifest, platforms, name);
    const toCopy = originalPresent ? [] : children.map((child) => child.digest);
    return { bytes, mediaType, originalPresent, toCopy, ...asking({ ...manifest, manifests: children }) };
  }
  if (platforms !== null) {
    const [only] = await readPlatforms(from, baseDigest);
    requirePlatforms(only === undefined ? [] : [only.platform], platforms, name);
  }
  if (lost.length > 0 && manifest.kind === 'index') {
    const { bytes, children } = indexWithout(raw.bytes, manifest, lost);
    const toCopy = (lacks ?? children.map(({ digest }) => digest)).filter((digest) => !lost.includes(digest));
    return { bytes, mediaType, originalPresent, lost, toCopy, ...asking({ ...manifest, manifests: children }) };
  }
  const toCopy = lacks ?? [baseDigest];
  return { bytes: raw.bytes, mediaType, originalPresent, toCopy, ...asking(manifest) };
}

/** Lists what an original at the destination lacks after a concurrent deletion; null: the original is not there. */
async function lackingOf(
  deps: Dependencies,
  { destination, baseDigest, kind }: Placement,
  signal: AbortSignal,
): Promise<readonly Digest[] | null> {
  const at = repositoryAt(deps, destination, signal);
  const raw = await deps.reader.headManifest(destination, baseDigest, signal);
  if (raw === null) return null;
  if (kind === 'restamped' || !(isIndexType(raw.mediaType) || isNameless(raw.mediaType))) return [];
  const { manifest } = await at.manifest(baseDigest);
  const children = manifest.kind === 'index' ? manifest.manifests.map(({ digest }) => digest) : [];
  const heads = await Promise.all(children.map((digest) => at.head(digest)));
  return children.filter((_, at) => heads[at] === null);
}

/** Whether the image is copied unchanged, so that the original comes along. */
function isWhole({ platforms, transform }: Placement): boolean {
  return (platforms ?? null) === null && (transform ?? null) === null;
}

/** A restamp of a subset or a rebuild: neither composed nor built again. */
function isRestampedInPlace(placement: Placement): boolean {
  return placement.kind === 'restamped' && !isWhole(placement);
}

/** Reads what the tag shows now, without its old stamp where the new one goes beside it. */
async function readCurrent(
  deps: Dependencies,
  { destination, tag, current, stampTo }: Placement,
  originalPresent: boolean,
  signal: AbortSignal,
): Promise<Body> {
  const { prefix } = deps.settings;
  if (current === null) throw new HoubaError('PreconditionFailed', `${formatTagged(destination, tag)} is gone`);
  const at = repositoryAt(deps, destination, signal);
  const shown = await at.manifest(current);
  const { raw } = shown;
  const stamp = await at.stampOf(shown, tag);
  const bare = stampTo === 'referrer' && stamp?.stampTo === 'annotations';
  const { bytes, mediaType } = bare ? stampManifest(raw.bytes, raw.mediaType, {}, prefix) : raw;
  const revision = async () => stamp?.revision ?? null;
  return { bytes, mediaType, revision, originalPresent, refuseForged: nothingForged, toCopy: [] };
}

/** Reads a copy without what upstream had lost, to be stamped again: it has no original. null: it is no such copy. */
async function readIncomplete(deps: Dependencies, placement: Placement, signal: AbortSignal): Promise<Body | null> {
  const { destination, kind, current, stampTo } = placement;
  const key = prefixedKeys(deps.settings.prefix)?.lost;
  if (kind !== 'restamped' || current === null || stampTo === 'referrer' || key === undefined) return null;
  const shown = await repositoryAt(deps, destination, signal).findManifest(current);
  const lost = shown?.manifest.annotations[key]?.split(',').filter(isDigest) ?? [];
  return lost.length === 0 ? null : { ...(await readCurrent(deps, placement, false, signal)), lost };
}

/** @throws HoubaError `NotFound` where a stamp beside the image would have to speak of an index that cannot be copied */
function refuseLost({ stampTo, source, baseDigest }: Placement, [first]: readonly Digest[]): void {
  if (stampTo !== 'referrer') return;
  throw new HoubaError('NotFound', `${formatPinned(source, baseDigest)} names an attestation that is gone, ${first}`, {
    hint: 'such an index cannot be copied unchanged: use stamp: annotations, or `platforms`',
  });
}

async function nothingForged(): Promise<readonly Digest[]> {
  return [];
}

/** Refuses a source tag that has moved, unless a wait settled on the digest. @throws HoubaError `PreconditionFailed` */
export async function refuseMoved(deps: Dependencies, placement: Placement, signal: AbortSignal): Promise<void> {
  if (placement.settled !== undefined) return;
  const now = await deps.reader.headListed(placement.source, placement.sourceTag, signal);
  if (now?.digest === placement.baseDigest) return;
  throw new HoubaError(
    'PreconditionFailed',
    `${formatTagged(placement.source, placement.sourceTag)} moved during the run`,
    {
      hint: 'the next run looks at it again',
    },
  );
}

/**
 * Undoes a failed placement (docs/rules/durability.md#compensation-comes-last-in-first-out). A manifest that a tag
 * shows, or another tag's stamp is about, stays: an equal placement may need it.
 */
export function createRemoveWritten(deps: Dependencies) {
  return step(
    async (
      { destination, digest }: { destination: DestinationRepository; digest: Digest },
      { signal },
    ): Promise<Removal> => {
      const at = repositoryAt(deps, destination, signal);
      const isNeeded = async () =>
        (await isTagged(deps, at, digest)) || stampsBeside(await at.referrers(digest), at.prefix).length > 0;
      // What names no tag of its own may have been published a moment ago for another one.
      const patienceMs = (await namesItsTag(at, digest)) ? 0 : deps.readBackMs;
      if (await readBack(isNeeded, (needed) => needed, patienceMs, signal)) return { leftBehind: [] };
      const referrers = await at.referrers(digest);
      const victims = [...referrers.map((referrer) => ({ digest: referrer.digest, subject: digest })), { digest }];
      return removeManifests(deps, destination, victims, signal);
    },
  );
}

/** Whether no other tag can be given this manifest: its stamp says policy, import, variant and source tag. */
async function namesItsTag(at: RepositoryAt, digest: Digest): Promise<boolean> {
  if (at.prefix === '') return false;
  const found = await at.findManifest(digest);
  return found !== null && readStamp(found.manifest.annotations, at.prefix) !== null;
}

async function isTagged({ reader }: Dependencies, at: RepositoryAt, digest: Digest): Promise<boolean> {
  const tags = (await reader.listTags(at.repository, at.signal)) ?? [];
  for (const tag of tags) {
    if (!isTag(tag) || isEvidenceTag(tag)) continue;
    if ((await at.find(tag)) === digest) return true;
  }
  return false;
}
