import { Context } from '@temporalio/activity';
import type { Workflow } from '@temporalio/common';
import { retireId } from '../../domain/durable/ids.js';
import { QUEUES, RETIRE_UPDATES, WORKFLOWS } from '../../domain/durable/names.js';
import { type MarkedTag, outcomeOf, type RetireOrder } from '../../domain/durable/retire.js';
import { formatTagged } from '../../domain/reference.js';
import type { PurgeOutcome } from '../../domain/report/purge-report.js';
import type { Dependencies } from '../dependencies.js';
import { step } from '../step.js';
import { temporalClient, WithStartWorkflowOperation, WorkflowNotFoundError } from '../temporal.js';

export interface StartRetirementRequest {
  readonly marked: MarkedTag;
  readonly requireApproval: boolean;
  /** Whether a new retirement may begin; else only a running one is told. */
  readonly mayBegin: boolean;
}

export interface StartRetirementResult {
  readonly outcome: PurgeOutcome;
  readonly begun: boolean;
}

/** Tells the retirement of a marked tag, or starts one. A failed retirement is an outcome, as is its next wait. */
export function createStartRetirement(_deps: Dependencies) {
  return step(
    async (
      { marked, requireApproval, mayBegin }: StartRetirementRequest,
      { signal },
    ): Promise<StartRetirementResult> => {
      const client = temporalClient();
      const { destination, tag } = marked;
      const workflowId = retireId(destination, tag);
      const order: RetireOrder = { ...marked, requireApproval };
      return await client.withAbortSignal(signal, async () => {
        try {
          const handle = client.workflow.getHandle(workflowId);
          const outcome = await handle.executeUpdate<PurgeOutcome, [RetireOrder]>(RETIRE_UPDATES.sweep, {
            args: [order],
          });
          return { outcome, begun: false };
        } catch (error) {
          if (!(error instanceof WorkflowNotFoundError)) throw error;
        }
        const ended = await endedMeanwhile(client, workflowId);
        // This sweep may have begun it.
        if (ended !== null) return { outcome: ended, begun: mayBegin };
        if (!mayBegin) return { outcome: refused(marked), begun: false };
        const startWorkflowOperation = new WithStartWorkflowOperation(WORKFLOWS.retire, {
          workflowId,
          taskQueue: QUEUES.flow,
          args: [order],
          workflowIdConflictPolicy: 'USE_EXISTING',
          staticSummary: `retire ${formatTagged(destination, tag)}`,
        });
        const outcome = await client.workflow.executeUpdateWithStart<Workflow, PurgeOutcome, [RetireOrder]>(
          RETIRE_UPDATES.sweep,
          { args: [order], startWorkflowOperation },
        );
        return { outcome, begun: true };
      });
    },
  );
}

/** Fetches the outcome of a retirement that ended before this attempt: the earlier answer was lost with its worker. */
async function endedMeanwhile(
  client: ReturnType<typeof temporalClient>,
  workflowId: string,
): Promise<PurgeOutcome | null> {
  const { attempt, scheduledTimestampMs } = Context.current().info;
  if (attempt === 1) return null;
  try {
    const handle = client.workflow.getHandle(workflowId);
    const { status, closeTime } = await handle.describe();
    if (status.name !== 'COMPLETED' || closeTime === undefined) return null;
    return closeTime.getTime() < scheduledTimestampMs ? null : ((await handle.result()) as PurgeOutcome);
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return null;
    throw error;
  }
}

function refused(marked: MarkedTag): PurgeOutcome {
  const reason = 'not begun: this run has begun as many retirements as --max-deletions allows';
  const { digest } = marked;
  return { ...outcomeOf(marked, { act: 'end', digest, reason, gone: false }), decision: 'wait' };
}
