import type { ObserveOutcome } from '../activities/settle/observe-waits.js';
import { PAGE_SIZES, type Wait } from '../domain/plan/work.js';
import type { Position } from '../domain/report/run/position.js';
import { newOperation, type Operation } from '../domain/report/run/run-report.js';
import { reportFailure } from './failures.js';
import { steps } from './steps.js';

/**
 * Tells the waits of moved tags what upstream shows.
 * @param report gets every held tag, with the time it will be ready
 */
export async function observeWaits(
  waits: readonly Wait[],
  dryRun: boolean,
  report: (position: Position, operation: Operation) => void,
): Promise<void> {
  for (let from = 0; from < waits.length; from += PAGE_SIZES.waits) {
    const batch = waits.slice(from, from + PAGE_SIZES.waits);
    const outcomes = await observeBatch(batch, dryRun);
    batch.forEach((wait, index) => {
      const outcome = outcomes[index];
      if (outcome === undefined || (!wait.listed && outcome.error === null)) return;
      report(wait.placement.position, heldOperation(wait, outcome));
    });
  }
}

async function observeBatch(waits: readonly Wait[], dryRun: boolean): Promise<readonly ObserveOutcome[]> {
  try {
    return await steps.observeTags({ waits, dryRun });
  } catch (thrown) {
    const error = reportFailure(thrown);
    return waits.map(() => ({ readyAt: null, reason: null, error }));
  }
}

function heldOperation(wait: Wait, { readyAt, error, ...outcome }: ObserveOutcome): Operation {
  const { digest, placement } = wait;
  const reason = outcome.reason ?? wait.reason;
  return {
    ...newOperation('held', placement.tag),
    src_tag: placement.sourceTag,
    digest,
    out_digest: placement.current,
    ready_at: readyAt,
    error,
    ...(reason === null ? {} : { reason }),
  };
}
