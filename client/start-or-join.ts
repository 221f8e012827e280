import type { Client } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { MEMO_INPUT_DIGEST, QUEUES } from '../domain/durable/names.js';
import { DAY_MS } from '../domain/duration.js';
import type { InputOf, WorkflowName } from './workflow-types.js';

/** A run, to follow, await or cancel from any process. */
export interface Run {
  readonly workflowId: string;
  readonly runId: string;
  /** Whether a running workflow of equal input was joined, instead of a new start. */
  readonly joined: boolean;
}

interface RunOrder<Name extends WorkflowName> {
  readonly workflow: Name;
  readonly workflowId: string;
  readonly input: InputOf<Name>;
  /** Digest of the input: a running workflow of equal digest may be joined. Left out: never joined. */
  readonly inputDigest?: string;
  readonly summary: string;
  readonly details?: string;
}

/** Workflows that must end before a run can start, and why, for a person. */
interface Busy {
  readonly busy: readonly string[];
  readonly why: string;
}

/** A stuck run must not hold its lock for ever (docs/rules/durability.md#short-runs-have-a-timeout-waits-have-none). */
export const RUN_TIMEOUT_MS = DAY_MS;

/** Starts a run or joins one of equal input; waits for other runs in its way. @param attempt as `startOrMeet` */
export async function startOrJoin(
  client: Client,
  attempt: () => Promise<Run | Busy>,
  note: (text: string) => void,
): Promise<Run> {
  for (;;) {
    const met = await attempt();
    if ('runId' in met) return met;
    note(`waiting for ${met.busy.join(', ')}, ${met.why}`);
    await Promise.allSettled(met.busy.map((id) => client.workflow.getHandle(id).result()));
  }
}

/** Starts a run whose workflow id is its lock, or finds the holder (docs/rules/durability.md#the-id-is-the-lock). */
export async function startOrMeet<Name extends WorkflowName>(
  client: Client,
  order: RunOrder<Name> & { readonly inputDigest: string },
): Promise<Run | Busy> {
  const { workflowId, inputDigest } = order;
  try {
    return await startRun(client, order);
  } catch (error) {
    // `USE_EXISTING` would return the running workflow without telling whether its input is equal.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
  const { memo, runId, status } = await client.workflow.getHandle(workflowId).describe();
  if (status.name === 'RUNNING' && memo?.[MEMO_INPUT_DIGEST] === inputDigest) {
    return { workflowId, runId, joined: true };
  }
  return { busy: [workflowId], why: 'which runs with other input' };
}

/** Starts a workflow with its input. @throws WorkflowExecutionAlreadyStartedError when one with this id runs */
export async function startRun<Name extends WorkflowName>(client: Client, order: RunOrder<Name>): Promise<Run> {
  const { workflow, workflowId, input, inputDigest, summary, details } = order;
  const handle = await client.workflow.start(workflow, {
    workflowId,
    taskQueue: QUEUES.flow,
    args: [input],
    ...(inputDigest !== undefined && { memo: { [MEMO_INPUT_DIGEST]: inputDigest } }),
    workflowRunTimeout: RUN_TIMEOUT_MS,
    staticSummary: summary,
    ...(details !== undefined && { staticDetails: details }),
  });
  return { workflowId, runId: handle.firstExecutionRunId, joined: false };
}
