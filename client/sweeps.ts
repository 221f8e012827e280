import {
  type Client,
  type WorkflowUpdateFailedError as UpdateFailed,
  WithStartWorkflowOperation,
} from '@temporalio/client';
import { ApplicationFailure, WorkflowNotFoundError } from '@temporalio/common';
import { retireId, sweepId } from '../domain/durable/ids.js';
import { QUERIES, QUEUES, RETIRE_UPDATES, WORKFLOWS } from '../domain/durable/names.js';
import type { MarkedTag, RetireDecision, RetireOrder, RetireStatus } from '../domain/durable/retire.js';
import { HoubaError, isErrorCode } from '../domain/errors.js';
import { formatTagged } from '../domain/reference.js';
import type { PurgeOutcome } from '../domain/report/purge-report.js';
import { inputDigest } from './input-digest.js';
import { type Run, startOrJoin, startOrMeet } from './start-or-join.js';
import { SWEEPS, type Sweep } from './sweep-kinds.js';
import type { Workflows } from './workflow-types.js';

/**
 * Starts a sweep, or joins one of equal input; one of other input is waited for. A dry run takes no lock and never
 * joins.
 */
export async function startSweep(client: Client, sweep: Sweep, note: (text: string) => void): Promise<Run> {
  const { verb, input } = sweep;
  const { workflow, dryRun } = SWEEPS[verb];
  const dry = dryRun && !('apply' in input && input.apply);
  const named = 'registries' in input ? input.registries?.join(', ') : input.registry;
  const workflowId = sweepId(verb, dry ? new Date() : null);
  const summary = `${verb} ${named ?? 'all registries'}${dry ? ' (dry run)' : ''}`;
  const order = { workflow, workflowId, input, inputDigest: inputDigest(input), summary };
  return await startOrJoin(client, () => startOrMeet(client, order), note);
}

export type Decision = [verb: 'approve' | 'restore', tag: Pick<MarkedTag, 'destination' | 'tag'>, word: RetireDecision];

/**
 * Sends a person's decision to a tag's retirement, and starts one for a restore. @returns the status after it took
 * effect. @throws HoubaError `PreconditionFailed` when it is refused, `NotFound` when there is nothing to decide
 */
export async function decideRetirement(client: Client, ...[verb, tag, word]: Decision): Promise<RetireStatus> {
  const workflowId = retireId(tag.destination, tag.tag);
  const handle = client.workflow.getHandle(workflowId);
  try {
    const digest = word.digest ?? (await currentDigest(client, workflowId));
    const args: [RetireDecision] = [{ ...word, digest }];
    try {
      return await handle.executeUpdate<RetireStatus, [RetireDecision]>(RETIRE_UPDATES[verb], { args });
    } catch (error) {
      if (!(error instanceof WorkflowNotFoundError)) throw error;
    }
    if (verb === 'approve') throw nothingToApprove(tag);
    const order: RetireOrder = { ...tag, digest: word.digest, policy: '', requireApproval: true };
    const startWorkflowOperation = new WithStartWorkflowOperation<Workflows['retireTag']>(WORKFLOWS.retire, {
      workflowId,
      taskQueue: QUEUES.flow,
      args: [order],
      workflowIdConflictPolicy: 'USE_EXISTING',
      staticSummary: `restore ${formatTagged(tag.destination, tag.tag)}`,
    });
    return await client.workflow.executeUpdateWithStart<Workflows['retireTag'], RetireStatus, [RetireDecision]>(
      RETIRE_UPDATES.restore,
      { args: [word], startWorkflowOperation },
    );
  } catch (error) {
    throw explainRefusal(error);
  }
}

/** The outcome of a retirement now, after an approval for instance. */
export async function retirementOutcome(
  client: Client,
  { destination, tag }: Pick<MarkedTag, 'destination' | 'tag'>,
): Promise<PurgeOutcome> {
  const handle = client.workflow.getHandle<Workflows['retireTag']>(retireId(destination, tag));
  const order: RetireOrder = { destination, tag, digest: null, policy: '', requireApproval: false };
  try {
    return await handle.executeUpdate<PurgeOutcome, [RetireOrder]>(RETIRE_UPDATES.sweep, { args: [order] });
  } catch (error) {
    // It has ended meanwhile: its result is the outcome.
    if (error instanceof WorkflowNotFoundError) return await handle.result();
    throw explainRefusal(error);
  }
}

/** The digest whose retirement is running; null: none. */
async function currentDigest(client: Client, workflowId: string): Promise<RetireDecision['digest']> {
  try {
    const handle = client.workflow.getHandle(workflowId);
    if ((await handle.describe()).status.name !== 'RUNNING') return null;
    const { digest } = await handle.query<RetireStatus>(QUERIES.status);
    return (digest ?? null) as RetireDecision['digest'];
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

function nothingToApprove({ destination, tag }: Pick<MarkedTag, 'destination' | 'tag'>): HoubaError {
  return new HoubaError('NotFound', `nothing waits for an approval of ${formatTagged(destination, tag)}`, {
    hint: '`houba purge` shows the marked tags, `houba purge --apply --require-approval` begins to retire them',
  });
}

/** The workflow's own refusal; any other error as it is. */
function explainRefusal(error: unknown): unknown {
  const { cause } = error as UpdateFailed;
  if (cause instanceof ApplicationFailure && isErrorCode(cause.type)) {
    return new HoubaError(cause.type, cause.message, { cause: error });
  }
  return error;
}
