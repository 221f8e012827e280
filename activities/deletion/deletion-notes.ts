import { Context } from '@temporalio/activity';
import { deletionsId } from '../../domain/durable/ids.js';
import { DELETION_SIGNALS, QUEUES, WORKFLOWS } from '../../domain/durable/names.js';
import { LIFE_SIGNS } from '../../domain/durable/retry.js';
import type { DeletionNotes } from '../dependencies.js';
import { temporalClient, WorkflowNotFoundError } from '../temporal.js';

/** Announces deletions by a Temporal workflow per repository: describing an id is never stale, as a search may be. */
export const deletionNotes: DeletionNotes = {
  async during(repository, work) {
    const { workflowExecution, activityId, attempt } = Context.current().info;
    // All attempts share this name and carry their number: an earlier one must not end a later one's announcement.
    const deleter = `${workflowExecution?.workflowId}/${activityId}`;
    const { workflow } = temporalClient();
    const workflowId = deletionsId(repository);
    const begin = () =>
      workflow.signalWithStart(WORKFLOWS.deletions, {
        ...{ workflowId, taskQueue: QUEUES.flow, args: [[deleter]] },
        ...{ signal: DELETION_SIGNALS.begun, signalArgs: [deleter, attempt] },
      });
    await begin();
    let told: Promise<unknown> = Promise.resolve();
    const timer = setInterval(() => {
      told = begin().catch(() => undefined);
    }, LIFE_SIGNS.deletionLeaseMs / 3);
    try {
      return await work();
    } finally {
      clearInterval(timer);
      // A renewal that arrived after the end would announce the deletion again.
      await told;
      // Without this signal the announcement ends when its lease runs out.
      const handle = workflow.getHandle(workflowId);
      await handle.signal(DELETION_SIGNALS.ended, deleter, attempt).catch(() => undefined);
    }
  },

  async since(repository, sinceMs) {
    try {
      const handle = temporalClient().workflow.getHandle(deletionsId(repository));
      const { status, closeTime } = await handle.describe();
      if (status.name === 'RUNNING') return 'going on';
      return closeTime !== undefined && closeTime.getTime() >= sinceMs ? 'ended' : 'none';
    } catch (error) {
      if (error instanceof WorkflowNotFoundError) return 'none';
      throw error;
    }
  },
};
