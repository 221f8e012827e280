import {
  CancellationScope,
  defineQuery,
  isCancellation,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Digest } from '../domain/digest.js';
import type { Status } from '../domain/durable/messages.js';
import { QUERIES } from '../domain/durable/names.js';
import type { Placement, PlacementResult } from '../domain/durable/placement.js';
import { formatRepository } from '../domain/reference.js';
import { failure, reportFailure } from './failures.js';
import { needsHumanAttributes } from './search-attributes.js';
import { steps } from './steps.js';

export const statusQuery = defineQuery<Status>(QUERIES.status);

/**
 * Brings one image to one tag: copy and stamp by digest, evidence, and the tag last. Until the tag moves nobody sees
 * anything; after it moved nothing is taken back.
 */
export async function placeImage(placement: Placement): Promise<PlacementResult> {
  const { destination, tag } = placement;
  let status: Status = { phase: 'inspecting', since: new Date().toISOString() };
  setHandler(statusQuery, () => status);
  const enter = (phase: string, digest?: string) => {
    status = { phase, since: new Date().toISOString(), ...(digest === undefined ? {} : { digest }) };
    setCurrentDetails(`${phase} ${tag}`);
  };

  const inspection = await steps.inspectPlacement(placement);
  const digest = inspection.stamped;
  const undo: (() => Promise<readonly Digest[]>)[] = [];
  try {
    if (!inspection.stampedPresent) undo.push(() => removeWritten(placement, digest));
    enter('writing', digest);
    await steps.writeImage({ placement, inspection });
    if (placement.label.artifactType === 'image') {
      enter('inventory', digest);
      const carryFrom = placement.kind === 'restamped' ? placement.current : null;
      const timestamp = placement.label.created;
      await steps.attachSboms({ destination, subject: digest, carryFrom, timestamp, journal: null });
    }
    enter('publishing', digest);
    const expected = placement.current;
    await steps.publishTag({ destination, tag, digest, expected, journal: journalOf(placement) });
  } catch (error) {
    enter('compensating', digest);
    const leftBehind = await compensate(undo, error);
    throw leftBehind.length === 0 ? error : tellRemains(error, leftBehind);
  }
  enter('aliases', digest);
  return { digest, aliases: await moveAliases(placement, digest) };
}

async function moveAliases(
  placement: Placement,
  digest: PlacementResult['digest'],
): Promise<PlacementResult['aliases']> {
  const { destination, tag, aliases } = placement;
  const outcomes: PlacementResult['aliases'][number][] = [];
  for (const { alias, current } of aliases) {
    const journal = { ...journalOf(placement), kind: 'aliased', out_tag: alias, src_tag: tag };
    try {
      const moved = await steps.publishTag({ destination, tag: alias, digest, expected: current, journal });
      outcomes.push({ alias, moved, error: null });
    } catch (error) {
      outcomes.push({ alias, moved: false, error: reportFailure(error) });
    }
  }
  return outcomes;
}

/**
 * Last in, first out, and not to be cancelled. What cannot be undone is said loudly and waits for a person (guide, section
 * 5). @returns what is left behind because the registry does not delete
 */
async function compensate(undo: readonly (() => Promise<readonly Digest[]>)[], cause: unknown): Promise<Digest[]> {
  const failed: string[] = [];
  const leftBehind: Digest[] = [];
  await CancellationScope.nonCancellable(async () => {
    for (const step of [...undo].reverse()) {
      try {
        leftBehind.push(...(await step()));
      } catch (error) {
        failed.push(reportFailure(error).message);
      }
    }
  });
  if (failed.length === 0) return leftBehind;
  upsertSearchAttributes(needsHumanAttributes());
  const first = cause instanceof Error ? cause.message : String(cause);
  throw failure('CompensationFailed', `could not undo: ${failed.join('; ')} (after: ${first})`);
}

async function removeWritten({ destination }: Placement, digest: Digest): Promise<readonly Digest[]> {
  return (await steps.removeWritten({ destination, digest })).leftBehind;
}

/** The failure, and what it leaves at a registry that does not delete; a cancellation stays what it is. */
function tellRemains(error: unknown, leftBehind: readonly Digest[]): unknown {
  if (isCancellation(error)) return error;
  const { type, message } = reportFailure(error);
  return failure(type, `${message}; left behind, for the registry does not delete: ${leftBehind.join(', ')}`);
}

/** The fields of the journal's `operation` line (section 10). */
function journalOf({ label, destination, kind, tag, sourceTag, baseDigest }: Placement): Record<string, unknown> {
  return {
    policy: label.policy,
    dest: formatRepository(destination),
    variant: label.variant,
    kind,
    out_tag: tag,
    src_tag: sourceTag,
    digest: baseDigest,
  };
}
