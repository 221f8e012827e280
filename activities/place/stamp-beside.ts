import type { ReferrerDescriptor } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { STAMP_ARTIFACT_TYPE } from '../../domain/stamp/keys.js';
import { stampBeside, stampsBeside } from '../../domain/stamp/stamp-of.js';
import { type Removal, removeManifests, type Victim } from '../deletion/remove-manifests.js';
import type { Dependencies } from '../dependencies.js';
import { attachReferrer } from '../repository/attach-referrer.js';
import { type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { step } from '../step.js';
import { type StampRequest, stampBesideFor } from './make-stamp.js';

/** Attaches a tag's stamp to the digest it will show, before it moves. An equal stamp stays. @returns its digest */
export function createPutStamp(deps: Dependencies) {
  return step(async (request: StampRequest, { signal }): Promise<Digest> => {
    const at = repositoryAt(deps, request.placement.destination, signal);
    const { annotations, there } = await lookFor(deps, at, request);
    if (there !== undefined) return there.digest;
    const artifact = { artifactType: STAMP_ARTIFACT_TYPE, annotations };
    return attachReferrer(deps, at, request.digest, artifact);
  });
}

/** Whether `putStamp` would find its stamp there, which another placement has put. */
export async function isStampThere(deps: Dependencies, request: StampRequest, signal: AbortSignal): Promise<boolean> {
  if (request.placement.stampTo !== 'referrer') return false;
  return (await lookFor(deps, repositoryAt(deps, request.placement.destination, signal), request)).there !== undefined;
}

/**
 * Undoes `putStamp` where the inspection found no such stamp, unless the tag shows the digest all the same and needs it.
 */
export function createRemoveStamp(deps: Dependencies) {
  return step(async (request: StampRequest, { signal }): Promise<Removal> => {
    const { destination, tag } = request.placement;
    const at = repositoryAt(deps, destination, signal);
    if ((await at.find(tag)) === request.digest) return { leftBehind: [] };
    const { there } = await lookFor(deps, at, request);
    const victims = there === undefined ? [] : [{ digest: there.digest, subject: request.digest }];
    return removeManifests(deps, destination, victims, signal);
  });
}

export interface OldStampsRequest {
  readonly destination: DestinationRepository;
  readonly tag: string;
  /** The digest that the tag shows and, on a restamp, the one that it showed before. */
  readonly subjects: readonly Digest[];
  /** The stamp that stays; null: the stamp is on the manifest now. */
  readonly keep: Digest | null;
}

/** Deletes the older stamps of a tag, once the tag shows the image of the newest. */
export function createDropOldStamps(deps: Dependencies) {
  return step(async ({ destination, tag, subjects, keep }: OldStampsRequest, { signal }): Promise<Removal> => {
    const at = repositoryAt(deps, destination, signal);
    const old: Victim[] = [];
    for (const subject of new Set(subjects)) {
      const stamps = stampsBeside(await at.referrers(subject), at.prefix).filter((stamp) => stamp.tag === tag);
      const replaced = stamps.filter(({ referrer }) => referrer.digest !== keep);
      old.push(...replaced.map(({ referrer }) => ({ digest: referrer.digest, subject })));
    }
    return removeManifests(deps, destination, old, signal);
  });
}

async function lookFor(
  deps: Dependencies,
  at: RepositoryAt,
  request: StampRequest,
): Promise<{ annotations: Record<string, string>; there: ReferrerDescriptor | undefined }> {
  const { digest, placement } = request;
  const referrers = await at.referrers(digest);
  const stamps = stampsBeside(referrers, at.prefix).filter((stamp) => stamp.tag === placement.tag);
  const annotations = stampBesideFor(deps, request, stampBeside(referrers, placement.tag, at.prefix)?.stamp ?? null);
  const there = stamps.find(({ referrer }) => sameEntries(referrer.annotations, annotations))?.referrer;
  return { annotations, there };
}

function sameEntries(some: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(wanted);
  return Object.keys(some).length === keys.length && keys.every((key) => some[key] === wanted[key]);
}
