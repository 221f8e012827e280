import { WithStartWorkflowOperation } from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import type { Digest } from '../../domain/digest.js';
import { settleId } from '../../domain/durable/ids.js';
import { QUEUES, WAIT_UPDATES, WORKFLOWS } from '../../domain/durable/names.js';
import type { Observed } from '../../domain/durable/settle.js';
import type { Observation, Placement } from '../../domain/plan/work.js';
import { digestFor, placementOf } from './durable-samples.js';
import type { Stage } from './workflow-env.js';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** What the tags of these samples show before they move. */
export const PLACED = digestFor('placed');

/** What a run at this time sees of a moved tag. */
export function observationOf(
  path: string,
  tag: string,
  digest: Digest,
  atMs: number,
  facts: Partial<Omit<Observation, 'placement'>> & { readonly placement?: Partial<Placement> } = {},
): Observation {
  const { placement, ...rest } = facts;
  const moved = { kind: 'updated', baseDigest: digest, current: digestFor('shown') } as const;
  return {
    digest,
    at: new Date(atMs).toISOString(),
    placed: PLACED,
    windowMs: 7 * DAY,
    maxWaitMs: 28 * DAY,
    ...rest,
    placement: placementOf(path, tag, { ...moved, ...placement }),
  };
}

/** Tells a tag's wait what a run sees, as the product does; begins it where there is none. */
export async function observe({ client }: Stage, observation: Observation): Promise<Observed> {
  const { destination, tag } = observation.placement;
  const startWorkflowOperation = new WithStartWorkflowOperation(WORKFLOWS.settle, {
    workflowId: settleId(destination, tag),
    taskQueue: QUEUES.flow,
    args: [observation],
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
  return client.workflow.executeUpdateWithStart<Workflow, Observed, [Observation]>(WAIT_UPDATES.observe, {
    args: [observation],
    startWorkflowOperation,
  });
}
