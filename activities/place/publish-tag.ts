import type { Manifest } from '../../adapters/registry.js';
import type { Digest } from '../../domain/digest.js';
import { type ErrorCode, HoubaError, NOTHING_SENT } from '../../domain/errors.js';
import { readMarks } from '../../domain/lifecycle/mark.js';
import type { ParsedManifest } from '../../domain/manifest.js';
import type { Placement } from '../../domain/plan/work.js';
import { formatRepository, formatTagged, type Repository } from '../../domain/reference.js';
import type { OperationLine } from '../../domain/report/run/journal.js';
import type { DestinationRepository } from '../../domain/roster.js';
import { readStamp } from '../../domain/stamp/annotations.js';
import { stampsBeside } from '../../domain/stamp/stamp-of.js';
import type { Dependencies } from '../dependencies.js';
import { youngestStamps } from '../repository/digest-facts.js';
import { readBack } from '../repository/read-back.js';
import { type RepositoryAt, repositoryAt } from '../repository/repository-at.js';
import { step } from '../step.js';

export interface PublishRequest {
  readonly destination: DestinationRepository;
  readonly tag: string;
  readonly digest: Digest;
  /** What the tag resolved to when this was planned; null: it did not exist. */
  readonly expected: Digest | null;
  readonly journal: Partial<OperationLine>;
  /** The evidence of a placement; left out for an alias, which shows the image of another tag. */
  readonly placed?: PlacedEvidence;
  /** When the placement began to read the destination, ms since 1970. */
  readonly begunAtMs?: number;
  /** Whether it was published before, and a deletion may have taken the tag away. */
  readonly again?: boolean;
}

interface PlacedEvidence {
  readonly artifactType: Placement['label']['artifactType'];
  readonly signed: boolean;
  /** The stamp beside the image; null: it is on the manifest. */
  readonly stamp: Digest | null;
}

/**
 * Publishes a tag in one PUT and reads it back
 * (docs/rules/registry-access.md#an-existing-tag-is-not-overwritten-blindly).
 * @returns whether the tag shows something else than when this was planned; `again`: a deletion went on meanwhile,
 * which may have taken what was found in place
 * @throws HoubaError `PreconditionFailed`, `DigestMismatch`, `Interrupted` while something is being deleted; with the
 * fact `NOTHING_SENT` when the tag cannot show the digest (docs/rules/durability.md#what-was-sent-to-a-tag-stays)
 */
export function createPublishTag(deps: Dependencies) {
  return step(async (request: PublishRequest, { signal, attempt }): Promise<boolean | 'again'> => {
    // An earlier attempt, or an earlier pass of the placement, may have sent the PUT.
    const put = { sent: attempt > 1 || request.again === true };
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
  const at = repositoryAt(deps, destination, signal);
  const head = () => at.head(tag);
  let shown = await head();
  if (shown === digest) put.sent = true;
  const moves = shown !== digest || expected !== digest;
  // A new stamp beside the same image is journalled as well.
  if (!moves && placed === undefined) return false;
  const { raw, manifest } = await at.manifest(digest);
  // An attempt whose answer was lost may have moved the tag already.
  if (shown !== digest) {
    if (shown !== expected && !(again && shown === null)) {
      throw new HoubaError('PreconditionFailed', `${name} was moved by somebody else during the run`, {
        hint: 'see who else writes there; the next run plans anew',
      });
    }
    await putTag(deps, at, { tag, raw }, put);
    shown = await head();
  }
  if (begunAtMs !== undefined && (await wasOvertaken(deps, destination, begunAtMs))) return 'again';
  if (shown !== digest) {
    shown = await readBack(head, (now) => now === digest, deps.readBackMs, at.signal);
    // A deletion that began meanwhile may not have seen the tag.
    if (begunAtMs !== undefined && (await wasOvertaken(deps, destination, begunAtMs))) return 'again';
  }
  if (shown !== digest) {
    throw new HoubaError('DigestMismatch', `${name} resolves to ${shown ?? 'nothing'} after ${digest} was put there`);
  }
  if (placed !== undefined) await rememberPlaced(deps, at, { ...request, placed }, manifest);
  deps.journal.event('operation', { ...request.journal, out_digest: digest, applied: true });
  return moves;
}

/** Codes by which a registry itself refuses a PUT (docs/rules/durability.md#what-was-sent-to-a-tag-stays). */
const REFUSALS: readonly ErrorCode[] = ['Denied', 'Unauthorized', 'NotFound', 'Unsupported'];

async function putTag(
  { regctl }: Dependencies,
  { repository, signal }: RepositoryAt,
  { tag, raw: { mediaType, bytes } }: { readonly tag: string; readonly raw: Manifest },
  put: { sent: boolean },
): Promise<void> {
  const { sent } = put;
  put.sent = true;
  try {
    await regctl.putManifest(repository, { tag }, mediaType, bytes, signal);
  } catch (error) {
    if (error instanceof HoubaError && REFUSALS.includes(error.code)) put.sent = sent;
    throw error;
  }
}

/** Whether a deletion overlapped the placement (docs/rules/purge.md#deletions-and-placements-see-each-other). */
async function wasOvertaken({ deletions }: Dependencies, repository: Repository, sinceMs: number): Promise<boolean> {
  const deletion = await deletions.since(repository, sinceMs);
  if (deletion !== 'going on') return deletion === 'ended';
  throw new HoubaError('Interrupted', `something is being deleted in ${formatRepository(repository)}`, {
    hint: 'the placement waits for its end',
  });
}

/** Remembers what was published for the next survey. Of the tag's stamps beside the image only the new one counts. */
async function rememberPlaced(
  { memory, settings }: Dependencies,
  at: RepositoryAt,
  { tag, digest, placed }: PublishRequest & { readonly placed: PlacedEvidence },
  manifest: ParsedManifest,
): Promise<void> {
  const { prefix } = at;
  const stamp = readStamp(manifest.annotations, prefix);
  const listed = placed.stamp === null ? [] : await at.referrers(digest);
  const replaced = new Set(
    stampsBeside(listed, prefix)
      .filter((beside) => beside.tag === tag && beside.referrer.digest !== placed.stamp)
      .map((beside) => beside.referrer.digest),
  );
  const kept = listed.filter((referrer) => !replaced.has(referrer.digest));
  const formats = placed.artifactType === 'image' ? settings.sbomFormats : [];
  memory.rememberFacts(at.repository, digest, {
    stamp,
    stampsBeside: youngestStamps(kept, prefix).map((beside) =>
      beside.tag === tag ? { ...beside, signed: placed.signed } : beside,
    ),
    sbomFormats: formats,
    signedFormats: placed.signed ? formats : null,
    marks: readMarks(digest, listed, prefix),
    marksAt: Date.now(),
  });
}
