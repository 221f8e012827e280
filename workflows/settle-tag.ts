import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  patched,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { QUERIES, WAIT_SIGNALS, WAIT_UPDATES } from '../domain/durable/names.js';
import type { Look, Observed, SettleResult, WaitDecision, WaitStatus, Withdrawal } from '../domain/durable/settle.js';
import type { Observation, Placement } from '../domain/plan/work.js';
import { reportFailure } from './failures.js';
import { placeChild } from './place-child.js';
import type { PlacementResult } from './place-image.js';
import { type CarriedWait, SettleState } from './settle-state.js';
import { steps } from './steps.js';

export const statusQuery = defineQuery<WaitStatus>(QUERIES.status);
export const observeUpdate = defineUpdate<Observed, [Observation]>(WAIT_UPDATES.observe);
export const promoteUpdate = defineUpdate<WaitStatus, [WaitDecision]>(WAIT_UPDATES.promote);
export const holdUpdate = defineUpdate<WaitStatus, [WaitDecision]>(WAIT_UPDATES.hold);
export const releaseUpdate = defineUpdate<WaitStatus, [WaitDecision]>(WAIT_UPDATES.release);
export const withdrawnSignal = defineSignal<[Withdrawal]>(WAIT_SIGNALS.withdrawn);

/**
 * Waits until a tag's moved digest has stood still for the window, and takes it over. Runs tell it what upstream shows;
 * what to do when is decided in `domain/lifecycle/settle`. Without them, it acts on the last they said.
 */
export async function settleTag(first: Observation, carried?: CarriedWait): Promise<SettleResult> {
  // A wait from before acts as it did: not while the source tag is gone.
  const wait = new SettleState(first, carried, patched('houba-001-source-tag-gone'));
  setHandler(statusQuery, () => wait.status());
  setHandler(observeUpdate, (seen) => wait.observe(seen), { validator: (seen) => wait.refuseBoundless(seen) });
  setHandler(withdrawnSignal, (withdrawal) => wait.withdraw(withdrawal));
  setHandler(holdUpdate, (word) => wait.hold(word), { validator: (word) => wait.refuseHold(word) });
  setHandler(releaseUpdate, (word) => wait.release(word), { validator: (word) => wait.refuseRelease(word) });
  setHandler(promoteUpdate, (word) => promote(wait, word), { validator: (word) => wait.refuseStale(word) });

  for (;;) {
    const next = wait.next();
    wait.tell(next);
    if (next.kind === 'end') return await close(wait, next.because);
    if (next.kind === 'wait') {
      if (isLong()) return await continueAsNew<typeof settleTag>(first, wait.carry());
      await wait.change(next, isLong);
      continue;
    }
    const placement = await lookAndChoose(wait);
    if (placement === null) continue;
    const placed = await take(wait, placement);
    if (placed !== null && wait.took(placement, placed)) return await close(wait, 'taken');
  }
}

async function promote(wait: SettleState, word: WaitDecision): Promise<WaitStatus> {
  await condition(wait.promote(word));
  return wait.status();
}

/** Looks at both registries and chooses the placement; null: they changed, or did not answer. */
async function lookAndChoose(wait: SettleState): Promise<Placement | null> {
  let look: Look;
  try {
    look = await steps.lookAgain(wait.question());
  } catch (error) {
    wait.failed(reportFailure(error).message);
    return null;
  }
  return wait.choose(look);
}

async function take(wait: SettleState, placement: Placement): Promise<PlacementResult | null> {
  wait.enter('placing');
  try {
    return await placeChild(placement);
  } catch (error) {
    wait.failed(reportFailure(error).message);
    return null;
  }
}

async function close(wait: SettleState, outcome: SettleResult['outcome']): Promise<SettleResult> {
  const result = wait.close(outcome);
  await condition(allHandlersFinished);
  return result;
}

/** A day of hourly runs makes 120 (docs/rules/durability.md#histories-stay-small). */
const LONGEST_HISTORY = 1_500;

function isLong(): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return (continueAsNewSuggested || historyLength > LONGEST_HISTORY) && allHandlersFinished();
}
