import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineUpdate,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Digest } from '../domain/digest.js';
import { QUERIES, RETIRE_UPDATES } from '../domain/durable/names.js';
import type { RetireDecision, RetireOrder, RetireStatus } from '../domain/durable/retire.js';
import type { PurgeOutcome } from '../domain/report/purge-report.js';
import { failure, reportFailure } from './failures.js';
import { type CarriedRetirement, RetireState } from './retire-state.js';
import { steps } from './steps.js';

export const statusQuery = defineQuery<RetireStatus>(QUERIES.status);
export const sweepUpdate = defineUpdate<PurgeOutcome, [RetireOrder]>(RETIRE_UPDATES.sweep);
export const approveUpdate = defineUpdate<RetireStatus, [RetireDecision]>(RETIRE_UPDATES.approve);
export const restoreUpdate = defineUpdate<RetireStatus, [RetireDecision]>(RETIRE_UPDATES.restore);

/**
 * Retires one marked tag: waits for the end of its idle window, asks who uses it, waits again while somebody does,
 * waits for an approval where one is demanded, and deletes it after a last look. Until then anybody may restore it.
 */
export async function retireTag(first: RetireOrder, carried?: CarriedRetirement): Promise<PurgeOutcome> {
  const run = new RetireState(first, carried);
  setHandler(statusQuery, () => run.status());
  setHandler(sweepUpdate, (order) => sweep(run, order));
  setHandler(approveUpdate, (word) => run.approve(word), { validator: (word) => run.refuseApproval(word) });
  setHandler(restoreUpdate, (word) => restore(run, word), { validator: (word) => run.refuseStale(word) });

  for (;;) {
    const next = run.next();
    if (next.act === 'end') return await close(run);
    if (next.act === 'wait') {
      if (isLong() && allHandlersFinished()) return await continueAsNew<typeof retireTag>(first, run.carry());
      await run.change(next);
    } else if (next.act === 'judge') await judge(run);
    else if (next.act === 'list') await list(run);
    else if (next.act === 'delete') await remove(run, next.list);
  }
}

async function sweep(run: RetireState, order: RetireOrder): Promise<PurgeOutcome> {
  run.order(order);
  // A cancellation that comes during a deletion does not end it, nor the answer.
  await CancellationScope.nonCancellable(() => condition(() => run.isSettled()));
  return run.outcome();
}

async function restore(run: RetireState, word: RetireDecision): Promise<RetireStatus> {
  try {
    return await run.restore(word, (marked) => steps.restoreTag({ marked, word }));
  } catch (error) {
    const { type, message } = reportFailure(error);
    throw failure(type, message);
  }
}

async function judge(run: RetireState): Promise<void> {
  run.enter('judging');
  const asked = run.orderNumber();
  try {
    run.judged(await steps.judgeTag(run.question()), asked);
  } catch (error) {
    run.failed(reportFailure(error));
  }
}

async function list(run: RetireState): Promise<void> {
  run.enter('listing');
  try {
    const { manifests, witnesses } = await steps.listRetirement(run.doomed());
    run.begin(manifests, witnesses);
  } catch (error) {
    run.failed(reportFailure(error));
  }
}

/** Deletes the tag, the point of no return: neither a cancellation nor a restore comes in between. */
async function remove(run: RetireState, manifests: readonly Digest[]): Promise<void> {
  run.enter('deleting');
  await CancellationScope.nonCancellable(async () => {
    try {
      const result = await steps.deleteMarked({
        marked: run.doomed(),
        list: { manifests, ...run.seenBeside() },
        facts: run.facts(),
        ...run.asked(),
      });
      if ('retired' in result) run.went(result.retired);
      else run.stays(result.judgement);
    } catch (error) {
      run.failed(reportFailure(error));
    }
  });
}

async function close(run: RetireState): Promise<PurgeOutcome> {
  const outcome = run.close();
  // A cancellation that came during the deletion came too late.
  await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
  return outcome;
}

const LONGEST_HISTORY = 1_500;

function isLong(): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return continueAsNewSuggested || historyLength > LONGEST_HISTORY;
}
