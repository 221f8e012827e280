import { condition, continueAsNew, defineSignal, setHandler, workflowInfo } from '@temporalio/workflow';
import { DELETION_SIGNALS } from '../domain/durable/names.js';
import { LIFE_SIGNS } from '../domain/durable/retry.js';

export const begunSignal = defineSignal<[string, number]>(DELETION_SIGNALS.begun);
export const endedSignal = defineSignal<[string, number]>(DELETION_SIGNALS.ended);

/**
 * Records that something is being deleted in the repository of its id: a placement that has published asks for it
 * (docs/rules/purge.md#deletions-and-placements-see-each-other).
 * @param deleters each signals its end; one that is silent for the lease is forgotten, an earlier attempt is ignored
 */
export async function noteDeletions(deleters: readonly string[]): Promise<void> {
  const heardOf = new Map(deleters.map((deleter) => [deleter, { attempt: 0, at: Date.now() }]));
  const isLatest = (deleter: string, attempt: number) => attempt >= (heardOf.get(deleter)?.attempt ?? 0);
  const nextEndMs = () => Math.min(...[...heardOf.values()].map(({ at }) => at)) + LIFE_SIGNS.deletionLeaseMs;
  setHandler(begunSignal, (deleter, attempt = 1) => {
    if (isLatest(deleter, attempt)) heardOf.set(deleter, { attempt, at: Date.now() });
  });
  setHandler(endedSignal, (deleter, attempt = 1) => {
    if (isLatest(deleter, attempt)) heardOf.delete(deleter);
  });
  while (heardOf.size > 0) {
    if (workflowInfo().continueAsNewSuggested) await continueAsNew<typeof noteDeletions>([...heardOf.keys()]);
    const untilMs = nextEndMs();
    await condition(() => nextEndMs() !== untilMs, Math.max(1, untilMs - Date.now()));
    for (const [deleter, { at }] of heardOf) if (at + LIFE_SIGNS.deletionLeaseMs <= Date.now()) heardOf.delete(deleter);
  }
}
