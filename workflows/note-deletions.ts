import { condition, continueAsNew, defineSignal, setHandler, workflowInfo } from '@temporalio/workflow';
import { DELETION_LEASE_MS, DELETION_SIGNALS } from '../domain/durable/names.js';

export const begunSignal = defineSignal<[string]>(DELETION_SIGNALS.begun);
export const endedSignal = defineSignal<[string]>(DELETION_SIGNALS.ended);

/**
 * Runs for as long as something is being deleted in a repository, and does nothing else: its id says where, so that a
 * placement which has published its tag can ask whether a deletion went on beside it. Nobody waits to delete.
 *
 * @param deleters who is at it. Each says when it ends; one that is not heard of any more is forgotten
 */
export async function noteDeletions(deleters: readonly string[]): Promise<void> {
  const heardOf = new Map(deleters.map((deleter) => [deleter, Date.now()]));
  setHandler(begunSignal, (deleter) => {
    heardOf.set(deleter, Date.now());
  });
  setHandler(endedSignal, (deleter) => {
    heardOf.delete(deleter);
  });
  while (heardOf.size > 0) {
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof noteDeletions>([...heardOf.keys()]);
    const untilMs = Math.min(...heardOf.values()) + DELETION_LEASE_MS;
    const isOther = () => Math.min(...heardOf.values()) + DELETION_LEASE_MS !== untilMs;
    await condition(isOther, Math.max(1, untilMs - Date.now()));
    for (const [deleter, at] of heardOf) if (at + DELETION_LEASE_MS <= Date.now()) heardOf.delete(deleter);
  }
}
