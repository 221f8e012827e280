import type { WorkflowHandle } from '@temporalio/client';
import { policyId } from '../../domain/durable/ids.js';
import { QUEUES, WORKFLOWS } from '../../domain/durable/names.js';
import { HoubaError } from '../../domain/errors.js';
import type { PlanItem } from '../../domain/plan/plan-item.js';
import type { PolicyInput } from '../../domain/plan/request.js';
import type { PlannedDeletion, PlannedMark } from '../../domain/plan/work.js';
import {
  DESTINATION,
  digestFor,
  fleetInput,
  NOW,
  placementOf,
  planPage,
  policyInput,
  sourceNamed,
} from '../support/durable-samples.js';
import { createGate, type Fakes, HAPPY, untilCancelled } from '../support/fake-steps.js';
import type { Stage } from '../support/workflow-env.js';

/** Runs of policies and of fleets, beside those of placements. Each leaves a closed run behind and names it. */
export const RUN_CASES: Readonly<Record<string, (stage: Stage) => Promise<WorkflowHandle>>> = {
  // A plan that somebody holds in hand: of its first page one item has moved, and the rest comes in a second run.
  'reconcile-policy/plan-in-hand': async (stage) => {
    stage.play({ planPolicy: holding });
    const handle = await start(stage, WORKFLOWS.policy, policyId('in-hand'), inHand());
    await finished(handle);
    return stage.client.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId);
  },
  'reconcile-policy/plan-in-hand-rest': async (stage) =>
    stage.client.workflow.getHandle((await RUN_CASES['reconcile-policy/plan-in-hand']?.(stage))?.workflowId ?? ''),
  // What stands in for a compensation: a tag that could not be deleted is told, and the marks are set all the same.
  'reconcile-policy/removals': async (stage) => {
    stage.play({
      planPolicy: async ({ first }) =>
        first ? planPage({ deletions: ['1', '2'].map(deletionOf), marks: [markOf('3'), markOf('4')] }) : planPage(),
      deleteTags: async ({ tags }) => ({
        outcomes: tags.map(({ tag }) => {
          const error = tag === '2' ? { type: 'Unsupported', message: 'it does not delete', exit_code: 1 } : null;
          return { tag, deleted: error === null, kept: null, error };
        }),
        leftBehind: [],
      }),
      setMark: async ({ tag, put }) => (tag === '4' ? denied() : put !== null),
    });
    return finished(await start(stage, WORKFLOWS.policy, policyId('removals'), policyInput('removals')));
  },
  'reconcile-policy/cancelled': async (stage) => {
    const gate = createGate();
    stage.play({
      planPolicy: async () =>
        planPage({ placements: [placementOf('lib/halted', '1'), placementOf('lib/halted', '2')] }),
      attachSboms: (_, context) => gate.hold(null).then(() => untilCancelled(context)),
    });
    const handle = await start(stage, WORKFLOWS.policy, policyId('cancelled'), policyInput('cancelled'));
    await gate.reached;
    gate.open();
    await handle.cancel();
    return finished(handle);
  },
  'reconcile-fleet/policy-dir': async (stage) => {
    const policies = ['one', 'two'].map((name) => sourceNamed(name));
    stage.play({
      openFleet: async (input, context) => {
        const opened = await HAPPY.openFleet(input, context);
        return { ...opened, own: ['one', 'two'], policies, folder: '/srv/policies' };
      },
    });
    return finished(
      await start(stage, WORKFLOWS.fleet, 'reconcile-fleet-policy-dir', fleetInput([], { policies: null })),
    );
  },
  'reconcile-fleet/cancelled': async (stage) => {
    const gate = createGate();
    stage.play({ planPolicy: (_, context) => gate.hold(null).then(() => untilCancelled(context)) });
    const handle = await start(stage, WORKFLOWS.fleet, 'reconcile-fleet-cancelled', fleetInput(['halted', 'stopped']));
    await gate.reached;
    gate.open();
    await handle.cancel();
    return finished(handle);
  },
};

const PATH = 'lib/in-hand';
const FIRST = { target: 0, variant: 0 };
const SOURCE_TAGS = Array.from({ length: 202 }, (_, index) => `1.${1_000 + index}`);
const PLACED = new Set(['1.1000', '1.1200', '1.1201']);

function inHand(): PolicyInput {
  const items = SOURCE_TAGS.map((tag): PlanItem => {
    const { destination, sourceTag, baseDigest, current } = placementOf(PATH, tag);
    return {
      ...{ kind: 'imported', repository: `${destination.host}/${destination.path}`, tag, import: 'all' },
      ...{ variant: 'default', src_tag: sourceTag, digest: baseDigest, current, reason: null },
    };
  });
  const basis = { settings: { HOUBA_LABEL_PREFIX: 'io.houba' }, transforms: {} };
  return { ...policyInput('in-hand'), plan: { basis, policy: digestFor('policy'), items } };
}

/** Of the items asked for a few are to be placed, one has moved, and the others are done. */
const holding: Fakes['planPolicy'] = async ({ plan }) => {
  const { items = [] } = plan ?? {};
  const error = { type: 'PreconditionFailed', message: 'it moved', exit_code: 1 };
  const moved = items.filter(({ tag }) => tag === '1.1001');
  return planPage({
    placements: items.filter(({ tag }) => PLACED.has(tag)).map(({ tag }) => placementOf(PATH, tag)),
    settled: moved.map(({ tag, src_tag, digest }) => ({
      position: FIRST,
      operation: {
        ...{ kind: 'imported', out_tag: tag, src_tag, digest, applied: false, ready_at: null, error },
        ...{ transform_steps: null, out_digest: null },
      },
    })),
    counted: [{ position: FIRST, kind: 'skipped', count: items.length - moved.length }],
  });
};

function deletionOf(tag: string): PlannedDeletion {
  const destination = { ...DESTINATION, path: 'lib/removals' };
  const digests = { digest: digestFor(`placed ${tag}`), baseDigest: digestFor(`source ${tag}`) };
  return { position: { target: 0, variant: null }, destination, tag, ...digests };
}

function markOf(tag: string): PlannedMark {
  const identity = { policy: 'removals', import: 'all', variant: 'default' };
  const put = { tag, state: 'pending-deletion', markedAt: NOW, reason: 'retention-excess', identity } as const;
  return { ...deletionOf(tag), kind: 'set', put: { ...put, restored: null } };
}

async function denied(): Promise<never> {
  throw new HoubaError('Denied', 'the registry refuses');
}

function start(stage: Stage, workflow: string, workflowId: string, input: unknown) {
  return stage.client.workflow.start(workflow, { args: [input], taskQueue: QUEUES.flow, workflowId });
}

async function finished(handle: WorkflowHandle): Promise<WorkflowHandle> {
  await handle.result().catch(() => undefined);
  return handle;
}
