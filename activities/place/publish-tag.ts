import type { Digest } from '../../domain/digest.js';
import { HoubaError } from '../../domain/errors.js';
import { readMarks } from '../../domain/lifecycle/mark.js';
import type { ParsedManifest } from '../../domain/manifest.js';
import type { Placement } from '../../domain/plan/work.js';
import { formatRepository, formatTagged, type Repository } from '../../domain/reference.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { readStamp, stampsBeside } from '../../domain/stamp/annotations.js';
import type { Dependencies } from '../dependencies.js';
import { youngestStamps } from '../repository/digest-facts.js';
import { readManifest } from '../repository/read-manifest.js';
import { step } from '../step.js';

export interface PublishRequest {
  readonly destination: DestinationRepository;
  readonly tag: string;
  readonly digest: Digest;
  /** What the tag resolved to when this was planned; null: it did not exist. */
  readonly expected: Digest | null;
  /** How the journal tells of it. */
  readonly journal: Readonly<Record<string, unknown>>;
  /** What the tag of a placement carries now. Left out for an alias, which carries what its tag does. */
  readonly placed?: PlacedEvidence;
  /** When the placement began to look at what is there, ms since 1970. */
  readonly begunAtMs?: number;
  /** Whether it was published before, and a deletion may have taken the tag away. */
  readonly again?: boolean;
}

interface PlacedEvidence {
  readonly artifactType: Placement['label']['artifactType'];
  readonly signed: boolean;
  /** The stamp beside it; null: it is on the manifest. */
  readonly stamp: Digest | null;
}

/**
 * Moves a tag, in one PUT, and reads it back. A tag that is there already is left alone; one that somebody else
 * moved meanwhile is not overwritten.
 *
 * @returns whether the tag shows something else than when this was planned; `again` where something was being deleted in the
 * repository meanwhile: it may have been found in place and be gone, and all has to be done once more
 * Throws `PreconditionFailed`, `DigestMismatch`; `Interrupted` while something is being deleted.
 */
export function createPublishTag(deps: Dependencies) {
  return step(async (request: PublishRequest, { signal }): Promise<boolean | 'again'> => {
    const { destination, tag, digest, expected, placed, begunAtMs, again } = request;
    const name = formatTagged(destination, tag);
    const before = await deps.reader.headManifest(destination, tag, signal);
    const moves = before?.digest !== digest || expected !== digest;
    // A new stamp beside the same image is told as well.
    if (!moves && placed === undefined) return false;
    const { raw, manifest } = await readManifest(deps.reader, destination, digest, signal);
    let shown = before?.digest ?? null;
    // An attempt whose answer was lost may have moved it already; then it is only told.
    if (shown !== digest) {
      if (shown !== expected && !(again && shown === null)) {
        throw new HoubaError('PreconditionFailed', `${name} was moved by somebody else during the run`, {
          hint: 'see who else writes there; the next run plans anew',
        });
      }
      await deps.regctl.putManifest(destination, { tag }, raw.mediaType, raw.bytes, signal);
      shown = (await deps.reader.headManifest(destination, tag, signal))?.digest ?? null;
    }
    if (begunAtMs !== undefined && (await wasOvertaken(deps, destination, begunAtMs))) return 'again';
    if (shown !== digest) {
      const found = shown ?? 'nothing';
      throw new HoubaError('DigestMismatch', `${name} resolves to ${found} after ${digest} was put there`);
    }
    if (placed !== undefined) await rememberPlaced(deps, request, placed, manifest, signal);
    deps.journal.event('operation', { ...request.journal, out_digest: digest, applied: true });
    return moves;
  });
}

/**
 * Whether a deletion went on beside a placement. One that begins after the tag was published sees the tag, and spares what
 * it needs.
 */
async function wasOvertaken({ deletions }: Dependencies, repository: Repository, sinceMs: number): Promise<boolean> {
  const deletion = await deletions.since(repository, sinceMs);
  if (deletion !== 'going on') return deletion === 'ended';
  throw new HoubaError('Interrupted', `something is being deleted in ${formatRepository(repository)}`, {
    hint: 'the placement waits for its end',
  });
}

/** So that the next survey need not look. Of the tag's stamps beside the image only the new one counts. */
async function rememberPlaced(
  deps: Dependencies,
  { destination, tag, digest }: PublishRequest,
  placed: PlacedEvidence,
  manifest: ParsedManifest,
  signal: AbortSignal,
): Promise<void> {
  const { prefix, sbomFormats } = deps.settings;
  const stamp = readStamp(manifest.annotations, prefix);
  const listed = placed.stamp === null ? [] : await deps.reader.listReferrers(destination, digest, {}, signal);
  const replaced = new Set(
    stampsBeside(listed, prefix)
      .filter((beside) => beside.tag === tag && beside.referrer.digest !== placed.stamp)
      .map((beside) => beside.referrer.digest),
  );
  const kept = listed.filter((referrer) => !replaced.has(referrer.digest));
  const formats = placed.artifactType === 'image' ? sbomFormats : [];
  deps.memory.rememberFacts(destination, digest, {
    stamp,
    stampsBeside: youngestStamps(kept, prefix).map((beside) =>
      beside.tag === tag ? { ...beside, signed: placed.signed } : beside,
    ),
    sbomFormats: formats,
    signedFormats: placed.signed ? formats : null,
    // What bears its own stamp is new.
    marks: readMarks(digest, listed, prefix),
    marksAt: Date.now(),
  });
}
