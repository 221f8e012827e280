import type { Client } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { MEMO_INPUT_DIGEST, QUEUES } from '../domain/durable/names.js';
import { DAY_MS } from '../domain/duration.js';
import type { InputOf, WorkflowName } from './workflow-types.js';

/** A run, to follow, await or cancel, from this process or another. */
export interface Run {
  readonly workflowId: string;
  readonly runId: string;
  /** It was running already, with the same input, and is followed instead of a new one. */
  readonly joined: boolean;
}

/** What a run is started with. */
export interface RunOrder<Name extends WorkflowName> {
  readonly workflow: Name;
  readonly workflowId: string;
  readonly input: InputOf<Name>;
  /** Of the work that it does: a run of equal digest may be joined. Left out: it is nobody's to join. */
  readonly inputDigest?: string;
  readonly summary: string;
  readonly details?: string;
}

/** Workflows that have to end before a run can start, and why, for a person. */
interface Busy {
  readonly busy: readonly string[];
  readonly why: string;
}

/** A run that is stuck must not hold what it locks for ever (docs/rules/durability.md#short-runs-have-a-timeout-waits-have-none). */
export const RUN_TIMEOUT_MS = DAY_MS;

/**
 * Starts a run, or joins one of equal input; as long as an attempt finds other work in its way, that is waited for first.
 *
 * @param attempt `startOrMeet`, or what else knows who is in the way
 */
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

/** Starts a run whose workflow id is its lock, or finds who holds it. */
export async function startOrMeet<Name extends WorkflowName>(
  client: Client,
  order: RunOrder<Name> & { readonly inputDigest: string },
): Promise<Run | Busy> {
  const { workflowId, inputDigest } = order;
  try {
    return await startRun(client, order);
  } catch (error) {
    // Refused rather than given what runs (`USE_EXISTING`), which would not say whose input it has.
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
  }
  const { memo, runId, status } = await client.workflow.getHandle(workflowId).describe();
  if (status.name === 'RUNNING' && memo?.[MEMO_INPUT_DIGEST] === inputDigest) {
    return { workflowId, runId, joined: true };
  }
  return { busy: [workflowId], why: 'which runs with other input' };
}

/**
 * Starts a run of a workflow, with the input that this workflow takes.
 * @throws WorkflowExecutionAlreadyStartedError when one of this id runs
 */
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
