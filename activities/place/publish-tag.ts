import type { Manifest } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { type ErrorCode, HoubaError, NOTHING_SENT } from '../../domain/errors.js';
import { readMarks } from '../../domain/lifecycle/mark.js';
import type { ParsedManifest } from '../../domain/manifest.js';
import type { Placement } from '../../domain/plan/work.js';
import { formatRepository, formatTagged, type Repository } from '../../domain/reference.js';
import type { OperationLine } from '../../domain/report/run/journal.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { readStamp, stampsBeside } from '../../domain/stamp/annotations.js';
import type { Dependencies } from '../dependencies.js';
import { youngestStamps } from '../repository/digest-facts.js';
import { readBack } from '../repository/read-back.js';
import { readManifest } from '../repository/read-manifest.js';
import { step } from '../step.js';

export interface PublishRequest {
  readonly destination: DestinationRepository;
  readonly tag: string;
  readonly digest: Digest;
  /** What the tag resolved to when this was planned; null: it did not exist. */
  readonly expected: Digest | null;
  /** How the journal tells of it. */
  readonly journal: Partial<OperationLine>;
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
 * Moves a tag, in one PUT, and reads it back, for a while where a read lags behind. A tag that is there already is left alone;
 * one that somebody else moved meanwhile is not overwritten.
 *
 * @returns whether the tag shows something else than when this was planned; `again` where something was being deleted in the
 * repository meanwhile: it may have been found in place and be gone, and all has to be done once more
 * Throws `PreconditionFailed`, `DigestMismatch`; `Interrupted` while something is being deleted. A failure says `NOTHING_SENT`
 * when the tag cannot show the digest: nobody has asked for it, or the registry refused.
 */
export function createPublishTag(deps: Dependencies) {
  return step(async (request: PublishRequest, { signal, attempt }): Promise<boolean | 'again'> => {
    // What an earlier attempt sent before it was interrupted nobody knows.
    const put = { sent: attempt > 1 };
    try {
      return await publishTag(deps, request, put, signal);
    } catch (error) {
      if (put.sent || !(error instanceof HoubaError)) throw error;
      const { code, message, hint, cause, retryAfterMs } = error;
      const facts = { ...error.facts, [NOTHING_SENT]: 1 };
      throw new HoubaError(code, message, {
        ...{ cause, facts },
        ...(hint !== undefined && { hint }),
        ...(retryAfterMs !== undefined && { retryAfterMs }),
      });
    }
  });
}

async function publishTag(
  deps: Dependencies,
  request: PublishRequest,
  put: { sent: boolean },
  signal: AbortSignal,
): Promise<boolean | 'again'> {
  const { destination, tag, digest, expected, placed, begunAtMs, again } = request;
  const name = formatTagged(destination, tag);
  const head = async () => (await deps.reader.headManifest(destination, tag, signal))?.digest ?? null;
  let shown = await head();
  const moves = shown !== digest || expected !== digest;
  // A new stamp beside the same image is told as well.
  if (!moves && placed === undefined) return false;
  const { raw, manifest } = await readManifest(deps.reader, destination, digest, signal);
  // An attempt whose answer was lost may have moved it already; then it is only told.
  if (shown !== digest) {
    if (shown !== expected && !(again && shown === null)) {
      throw new HoubaError('PreconditionFailed', `${name} was moved by somebody else during the run`, {
        hint: 'see who else writes there; the next run plans anew',
      });
    }
    await putTag(deps, request, raw, put, signal);
    shown = await head();
  }
  if (begunAtMs !== undefined && (await wasOvertaken(deps, destination, begunAtMs))) return 'again';
  if (shown !== digest) {
    shown = await readBack(head, (now) => now === digest, deps.readBackMs);
  }
  if (shown !== digest) {
    throw new HoubaError('DigestMismatch', `${name} resolves to ${shown ?? 'nothing'} after ${digest} was put there`);
  }
  if (placed !== undefined) await rememberPlaced(deps, request, placed, manifest, signal);
  deps.journal.event('operation', { ...request.journal, out_digest: digest, applied: true });
  return moves;
}

/** Codes by which a registry itself refuses a PUT. After anything else the tag may show the digest. */
const REFUSALS: readonly ErrorCode[] = ['Denied', 'Unauthorized', 'NotFound', 'Unsupported'];

async function putTag(
  { regctl }: Dependencies,
  { destination, tag }: PublishRequest,
  { mediaType, bytes }: Manifest,
  put: { sent: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { sent } = put;
  put.sent = true;
  try {
    await regctl.putManifest(destination, { tag }, mediaType, bytes, signal);
  } catch (error) {
    if (error instanceof HoubaError && REFUSALS.includes(error.code)) put.sent = sent;
    throw error;
  }
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
