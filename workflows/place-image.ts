import {
  CancellationScope,
  defineQuery,
  isCancellation,
  patched,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Removal } from '../activities/deletion/remove-manifests.js';
import type { StampRequest } from '../activities/place/make-stamp.js';
import type { Inspection } from '../activities/place/write-image.js';
import type { Digest } from '../domain/digest.js';
import type { Status } from '../domain/durable/messages.js';
import { QUERIES } from '../domain/durable/names.js';
import type { ReportedError } from '../domain/errors.js';
import { NOTHING_SENT } from '../domain/errors.js';
import { type Placement, placementFacts } from '../domain/plan/work.js';
import { formatRepository } from '../domain/reference.js';
import { type OperationLine, operationLine } from '../domain/report/run/journal.js';
import { withoutLost } from '../domain/report/run/run-report.js';
import { failure, hasFact, reportFailure } from './failures.js';
import { needsHumanAttributes } from './search-attributes.js';
import { steps } from './steps.js';

export const statusQuery = defineQuery<Status>(QUERIES.status);

/**
 * Brings one image to one tag: upstream's signature, copy or rebuild and stamp by digest, evidence, and the tag last.
 * Until the tag moves nobody sees anything; after it moved nothing is taken back.
 */
export async function placeImage(planned: Placement): Promise<PlacementResult> {
  const { tag } = planned;
  let status: Status = { phase: 'starting', since: new Date().toISOString() };
  setHandler(statusQuery, () => status);
  const enter = (phase: string, digest?: string) => {
    status = { phase, since: new Date().toISOString(), ...(digest === undefined ? {} : { digest }) };
    setCurrentDetails(`${phase} ${tag}`);
  };

  const placement = await admit(planned, enter);
  let pass = await bring(placement, false, enter);
  // What was in place may have been deleted meanwhile; what is there still is not written again.
  while (pass.overtaken) pass = await onlyForward(() => bring(placement, true, enter));
  const { digest, stamp, lost } = pass;
  await dropOldStamps(placement, digest, stamp);
  enter('aliases', digest);
  return { digest, aliases: await moveAliases(placement, digest), ...(lost !== undefined && { lost }) };
}

type Enter = (phase: string, digest?: string) => void;

interface Brought {
  readonly digest: Digest;
  /** null: it is on the image. */
  readonly stamp: Digest | null;
  /** Something was being deleted in the repository. */
  readonly overtaken: boolean;
  readonly lost: readonly Digest[] | undefined;
}

/** Places an image, from the inspection to the moved tag, or undoes it. */
async function bring(placement: Placement, again: boolean, enter: Enter): Promise<Brought> {
  const begunAtMs = Date.now();
  enter('inspecting');
  const { inspection, write } = await inspect(placement, again);
  const digest = inspection.stamped;
  const undo: (() => Promise<Removal>)[] = [];
  let stamp: Digest | null = null;
  let published: Promise<boolean | 'again'> | null = null;
  try {
    // The original, when the stamp goes beside it, is never taken back: others may share it.
    if (!inspection.stampedPresent && digest !== placement.baseDigest) {
      undo.push(() => steps.removeWritten({ destination: placement.destination, digest }));
    }
    enter('writing', digest);
    await write();
    await collectEvidence(placement, digest, enter);
    stamp = await stampBeside(placement, inspection, undo);
    await throwIfCancelled();
    enter('publishing', digest);
    const { lost } = inspection;
    const pass = { begunAtMs, lost, ...(again && { again }) };
    published = onlyForward(() => publish(placement, digest, stamp, pass));
    return { digest, stamp, overtaken: (await published) === 'again', lost };
  } catch (error) {
    enter('compensating', digest);
    // A tag may show what was sent to it, whatever a read says: reads can lag behind.
    if ((published !== null || again) && mayBeShown(error)) {
      throw undo.length === 0 ? error : tellRemains(error, `its tag may show ${digest}, which stays`);
    }
    const leftBehind = await compensate(undo, error);
    throw leftBehind.length === 0
      ? error
      : tellRemains(error, `left behind, for the registry does not delete: ${leftBehind.join(', ')}`);
  }
}

/** Verifies upstream (docs/rules/evidence.md#upstreams-signature-is-demanded-before-anything-is-read). */
async function admit(placement: Placement, enter: Enter): Promise<Placement> {
  const { source, baseDigest, verifyUpstream: signer } = placement;
  if (signer === undefined || signer === null) return placement;
  enter('verifying');
  const upstreamVerified = await steps.verifyUpstream({ source, digest: baseDigest, signer });
  return { ...placement, upstreamVerified };
}

/** Inspects the source, by the kind of placement: a restamp never builds, it stamps what is there. */
async function inspect(
  placement: Placement,
  again: boolean,
): Promise<{ inspection: Inspection; write: () => Promise<void> }> {
  const { kind, transform } = placement;
  if (kind === 'restamped' || transform === undefined || transform === null) {
    const inspection = await steps.inspectPlacement(placement);
    return { inspection, write: () => steps.writeImage({ placement, inspection, ...(again && { again }) }) };
  }
  const inspection = await steps.inspectBuild(placement);
  return { inspection, write: () => steps.writeBuild({ placement, inspection, ...(again && { again }) }) };
}

/**
 * Does what a cancellation must not cut short (docs/rules/durability.md#what-was-sent-to-a-tag-stays): of an attempt that
 * waits for its retry nobody could tell what it has sent. Runs from before that rule are cancelled as they were.
 */
async function onlyForward<Result>(work: () => Promise<Result>): Promise<Result> {
  const outer = CancellationScope.current();
  const yields = () => !patched('houba-003-publishing-is-not-cancelled');
  if (outer.consideredCancelled && yields()) return outer.cancelRequested;
  return await CancellationScope.nonCancellable(async () => {
    const inner = new CancellationScope();
    let over = false;
    outer.cancelRequested.catch(() => {
      if (!over && yields()) inner.cancel();
    });
    try {
      return await inner.run(work);
    } finally {
      over = true;
    }
  });
}

async function throwIfCancelled(): Promise<void> {
  const scope = CancellationScope.current();
  if (scope.consideredCancelled) await scope.cancelRequested;
}

/** Whether a failed publication may have moved its tag. A cancellation came before it was sent. */
function mayBeShown(error: unknown): boolean {
  return !isCancellation(error) && patched('houba-002-what-was-sent-stays') && !hasFact(error, NOTHING_SENT);
}

/** Attaches all evidence to the digest (docs/rules/evidence.md#evidence-is-complete-before-the-tag-moves). */
async function collectEvidence(placement: Placement, digest: Digest, enter: Enter): Promise<void> {
  const { destination, tag, kind, label, source, baseDigest } = placement;
  if (placement.keepUpstreamEvidence && kind !== 'restamped') {
    enter('keeping upstream evidence', digest);
    const { platforms } = placement;
    const some = platforms === undefined || platforms === null ? {} : { platforms };
    await steps.keepEvidence({ source, digest: baseDigest, destination, ...some });
  }
  if (label.artifactType === 'image') {
    enter('inventory', digest);
    const carryFrom = kind === 'restamped' ? placement.current : null;
    await steps.attachSboms({ destination, subject: digest, carryFrom, timestamp: label.created, journal: null });
  }
  if (placement.sign) {
    enter('signing', digest);
    const { artifactType } = label;
    const facts = placementFacts(placement);
    await steps.signEvidence({ destination, tag, subject: digest, artifactType, facts, journal: null });
  }
}

/** @returns null: the stamp is on the image */
async function stampBeside(
  placement: Placement,
  { stamped: digest, revision, stampThere }: Inspection,
  undo: (() => Promise<Removal>)[],
): Promise<Digest | null> {
  if (placement.stampTo !== 'referrer') return null;
  const request: StampRequest = { placement, digest, revision };
  if (stampThere !== true) undo.push(() => steps.removeStamp(request));
  return steps.putStamp(request);
}

async function publish(
  placement: Placement,
  digest: Digest,
  stamp: Digest | null,
  { lost, ...pass }: { readonly begunAtMs: number; readonly again?: boolean; readonly lost: Brought['lost'] },
): Promise<boolean | 'again'> {
  const { destination, tag, current: expected, label, sign } = placement;
  const placed = { artifactType: label.artifactType, signed: sign ?? false, stamp };
  const reason = [placement.settled, lost && withoutLost(lost)].filter((one) => one !== undefined).join('; ');
  const journal = { ...journalOf(placement), ...(lost !== undefined && { reason }) };
  return await steps.publishTag({ destination, tag, digest, expected, journal, placed, ...pass });
}

/** Drops the stamps that a new one beside the image replaces. */
async function dropOldStamps(placement: Placement, digest: Digest, keep: Digest | null): Promise<void> {
  const { destination, tag, kind, current, stampTo } = placement;
  const restamped = kind === 'restamped' && stampTo !== undefined;
  if (stampTo !== 'referrer' && !restamped) return;
  const subjects = restamped && current !== null ? [digest, current] : [digest];
  await steps.dropOldStamps({ destination, tag, subjects, keep });
}

async function moveAliases(
  placement: Placement,
  digest: PlacementResult['digest'],
): Promise<PlacementResult['aliases']> {
  const { destination, tag, aliases } = placement;
  const outcomes: PlacementResult['aliases'][number][] = [];
  for (const { alias, current } of aliases) {
    const journal = { ...journalOf(placement), kind: 'aliased', out_tag: alias, src_tag: tag } as const;
    try {
      const moved = await steps.publishTag({ destination, tag: alias, digest, expected: current, journal });
      outcomes.push({ alias, moved: moved === true, error: null });
    } catch (error) {
      outcomes.push({ alias, moved: false, error: reportFailure(error) });
    }
  }
  return outcomes;
}

/**
 * Undoes what was written, last in, first out, and not to be cancelled. What cannot be undone waits for a person
 * (docs/rules/durability.md#compensation-comes-last-in-first-out).
 *
 * @returns what is left behind because the registry does not delete
 */
async function compensate(undo: readonly (() => Promise<Removal>)[], cause: unknown): Promise<Digest[]> {
  const failed: string[] = [];
  const leftBehind: Digest[] = [];
  await CancellationScope.nonCancellable(async () => {
    for (const step of [...undo].reverse()) {
      try {
        leftBehind.push(...(await step()).leftBehind);
      } catch (error) {
        failed.push(reportFailure(error).message);
      }
    }
  });
  if (failed.length === 0) return leftBehind;
  upsertSearchAttributes(needsHumanAttributes());
  const first = isCancellation(cause) ? 'it was cancelled' : reportFailure(cause).message;
  throw failure('CompensationFailed', `could not undo: ${failed.join('; ')} (after: ${first})`);
}

/** Adds to a failure what it leaves in the registry. */
function tellRemains(error: unknown, remains: string): unknown {
  if (isCancellation(error)) return error;
  const { type, message } = reportFailure(error);
  return failure(type, `${message}; ${remains}`);
}

/** The operation as the journal tells of it; the step that publishes adds what came of it. */
function journalOf(placement: Placement): OperationLine {
  const { label, destination, kind, tag, sourceTag, baseDigest, transform, settled, promoted } = placement;
  const whose = { policy: label.policy, dest: formatRepository(destination), variant: label.variant };
  const word = settled === undefined ? null : promoted;
  return operationLine(
    whose,
    { kind, out_tag: tag, src_tag: sourceTag, digest: baseDigest },
    {
      transform_steps: transform?.steps.map((one) => one.name),
      ...{ reason: settled, promoted_by: word?.by, promoted_reason: word?.reason },
    },
  );
}

export interface PlacementResult {
  readonly digest: Digest;
  /** Attestations that upstream has lost; left out: none. */
  readonly lost?: readonly Digest[];
  readonly aliases: readonly {
    readonly alias: string;
    readonly moved: boolean;
    readonly error: ReportedError | null;
  }[];
}
