import { CancellationScope, log } from '@temporalio/workflow';
import type { DeletionList, DeletionOutcome, DeletionRequest } from '../activities/deletion/delete-tags.js';
import { removalKey, removalOperation } from '../domain/plan/planned-operations.js';
import { PAGE_SIZES, type PlannedDeletion, type PlannedMark } from '../domain/plan/work.js';
import { formatPinned, formatRepository } from '../domain/reference.js';
import { type OperationLine, operationLine } from '../domain/report/run/journal.js';
import type { Position } from '../domain/report/run/position.js';
import type { Operation } from '../domain/report/run/run-report.js';
import { reportFailure } from './failures.js';
import { inParallel } from './in-parallel.js';
import { steps } from './steps.js';

export interface RemovalRecord {
  readonly policy: string;
  /** @param items one unless it says */
  working(tag: string, work: () => Promise<void>, items?: number): Promise<void>;
  record(index: number, position: Position, operation: Operation, failureKey: string | null): void;
  /** A failure that is no operation. */
  giveUp(failureKey: string): void;
}

/** Deletes tags, those of one repository batch by batch: they may share what goes with them. */
export async function deleteTags(
  run: RemovalRecord,
  deletions: readonly PlannedDeletion[],
  width: number,
): Promise<void> {
  const indexed = deletions.map((deletion, index) => ({ deletion, index }));
  await inParallel(
    groupsOf(indexed, ({ deletion }) => formatRepository(deletion.destination)),
    width,
    async (group) => {
      for (let start = 0; start < group.length; start += PAGE_SIZES.deletions) {
        await deleteBatch(run, group.slice(start, start + PAGE_SIZES.deletions));
      }
    },
  );
}

async function deleteBatch(
  run: RemovalRecord,
  batch: readonly { readonly deletion: PlannedDeletion; readonly index: number }[],
): Promise<void> {
  const [first] = batch;
  if (first === undefined) return;
  const { policy } = run;
  const tags = batch.map(({ deletion }) => {
    return { tag: deletion.tag, digest: deletion.digest, journal: journalOf(policy, deletion) };
  });
  const request: DeletionRequest = { destination: first.deletion.destination, policy, tags };
  const work = async () => {
    const outcomes = await carryOut(request);
    for (const [at, { deletion, index }] of batch.entries()) {
      const outcome = outcomes[at];
      // Restored since it was planned: nothing happened, and nothing is wrong.
      if (outcome === undefined || outcome.kept !== null) continue;
      const operation = { ...removalOperation(deletion), applied: outcome.deleted, error: outcome.error };
      run.record(index, deletion.position, operation, outcome.error === null ? null : removalKey(deletion));
    }
  };
  await run.working(first.deletion.tag, work, batch.length);
}

/** The list is kept here until it is gone: without the tags nobody would find its content again. */
async function carryOut(request: DeletionRequest): Promise<readonly DeletionOutcome[]> {
  let list: DeletionList | null = null;
  try {
    const whole = await steps.inspectDeletion(request);
    list = whole;
    // From the first tag on there is only forward.
    const result = await CancellationScope.nonCancellable(() => steps.deleteTags({ ...request, list: whole }));
    return result.outcomes;
  } catch (thrown) {
    const error = reportFailure(thrown);
    const { policy, destination } = request;
    if (list !== null) {
      log.error('deletion.unfinished', { policy, dest: formatRepository(destination), digests: list.manifests });
    }
    return request.tags.map(({ tag }) => ({ tag, deleted: false, kept: null, error }));
  }
}

/** Sets the marks on one digest one by one: some registries keep them in a list that is written whole. */
export async function setMarks(run: RemovalRecord, marks: readonly PlannedMark[], width: number): Promise<void> {
  const indexed = marks.map((mark, index) => ({ mark, index }));
  const groups = groupsOf(indexed, ({ mark }) => formatPinned(mark.destination, mark.digest));
  await inParallel(groups, width, async (group) => {
    for (const { mark, index } of group) await run.working(mark.tag ?? '', () => setMark(run, mark, index));
  });
}

/** Sets or clears a mark; cleared ones are not reported (docs/rules/retention.md#clearing-is-quiet). */
async function setMark(run: RemovalRecord, planned: PlannedMark, index: number): Promise<void> {
  const { destination, tag, digest, put, remove, position } = planned;
  const some = remove === undefined ? {} : { remove };
  const request = { destination, tag, digest, put, ...some, journal: journalOf(run.policy, planned) };
  const operation = removalOperation(planned);
  try {
    const made = await steps.setMark(request);
    if (made) run.record(index, position, { ...operation, applied: true }, null);
  } catch (thrown) {
    const error = reportFailure(thrown);
    if (put !== null) return run.record(index, position, { ...operation, error }, removalKey(planned));
    run.giveUp(removalKey(planned));
    const dest = formatRepository(destination);
    log.warn('mark.left', { policy: run.policy, dest, tag, digest, error_type: error.type, error: error.message });
  }
}

function journalOf(policy: string, removal: PlannedDeletion | PlannedMark): OperationLine {
  const operation = removalOperation(removal);
  const whose = { policy, dest: formatRepository(removal.destination), variant: '' };
  return operationLine(whose, operation, { reason: operation.reason });
}

function groupsOf<Item>(items: readonly Item[], keyOf: (item: Item) => string): Item[][] {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group === undefined) groups.set(keyOf(item), [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
