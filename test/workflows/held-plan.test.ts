import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { fleetId, policyId } from '../../domain/durable/ids.js';
import { QUEUES } from '../../domain/durable/names.js';
import type { ItemPage, PlanItem, PlannedItems } from '../../domain/plan/plan-item.js';
import type { PolicyInput } from '../../domain/plan/request.js';
import type { Placement } from '../../domain/plan/work.js';
import type { reconcileFleet, reconcilePolicy } from '../../workflows/index.js';
import { digestFor, fleetInput, OPTIONS, placementOf, planPage, policyInput } from '../support/durable-samples.js';
import type { Fakes } from '../support/fake-steps.js';
import { historyOf, openStage, payloadSizes, type Stage } from '../support/workflow-env.js';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'));
});
afterAll(() => stage.close());

const BASIS = { settings: { HOUBA_LABEL_PREFIX: 'io.houba' }, transforms: {} };

function itemOf({ destination, tag, sourceTag, baseDigest, current }: Placement): PlanItem {
  return {
    ...{ kind: 'imported', repository: `${destination.host}/${destination.path}`, tag, import: 'all' },
    ...{ variant: 'default', src_tag: sourceTag, digest: baseDigest, current, reason: null },
  };
}

function planOf(path: string, count: number): PlannedItems {
  const items = Array.from({ length: count }, (_, index) => itemOf(placementOf(path, `1.${1000 + index}`)));
  return { basis: BASIS, policy: digestFor('policy'), items };
}

/** Plays a world in which everything holds, but for some tags. */
function holding(path: string, refused: readonly string[] = []): Fakes['planPolicy'] {
  return async ({ plan }) => {
    const { items = [] } = plan ?? {};
    const placements = items.filter(({ tag }) => !refused.includes(tag)).map(({ tag }) => placementOf(path, tag));
    const error = { type: 'PreconditionFailed', message: 'it moved', exit_code: 1 };
    const settled = items
      .filter(({ tag }) => refused.includes(tag))
      .map(({ tag, src_tag, digest }) => ({
        position: { target: 0, variant: 0 },
        operation: {
          ...{ kind: 'imported' as const, out_tag: tag, src_tag, digest, applied: false, ready_at: null },
          ...{ error, transform_steps: null, out_digest: null },
        },
      }));
    // What is beside the plan must not keep the run going.
    return planPage({ placements, settled, pending: 10_000, waits: [], waitsAfter: null, concurrency: 20 });
  };
}

function start(input: PolicyInput) {
  return stage.client.workflow.start<typeof reconcilePolicy>('reconcilePolicy', {
    args: [input],
    taskQueue: QUEUES.flow,
    workflowId: policyId(input.policy.metadata.name),
  });
}

describe('a plan in hand', () => {
  it('is carried out page by page, each in a history within its budget, and nothing else is done', async () => {
    const plan = planOf('lib/pages', 450);
    stage.play({ planPolicy: holding('lib/pages', ['1.1003', '1.1449']) });
    const handle = await start({ ...policyInput('pages'), plan });
    const runs = [handle.firstExecutionRunId];
    const { node } = await handle.result();
    const asked = stage.inputs('planPolicy');
    expect(asked.map((request) => request.plan?.items.length)).toEqual([200, 200, 50]);
    expect(asked.map(({ first }) => first)).toEqual([true, false, false]);
    expect(asked.flatMap((request) => request.plan?.items ?? [])).toEqual(plan.items);
    expect(asked.every((request) => request.plan?.basis.settings.HOUBA_LABEL_PREFIX === 'io.houba')).toBe(true);
    expect(node).toMatchObject({ status: 'partial', totals: { imported: 448, failed: 2 } });
    // Tags that wait and are not in the plan go on waiting.
    expect(stage.order()).not.toContain('withdrawWaits');
    for (let next: string | undefined = runs[0]; next !== undefined; ) {
      const events = await historyOf(stage.client.workflow.getHandle(policyId('pages'), next));
      expect(events.length).toBeLessThanOrEqual(2_000);
      expect(Math.max(...payloadSizes(events))).toBeLessThan(512 * 1024);
      next = events.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? undefined;
    }
  });

  it('says what could not be read', async () => {
    const input = { ...policyInput('away'), plan: planOf('lib/away', 1) };
    stage.play({ planPolicy: async () => planPage({ error: { type: 'NotFound', message: 'gone', exit_code: 2 } }) });
    const { node } = await (await start(input)).result();
    expect(node.error).toEqual({ type: 'NotFound', message: 'gone', exit_code: 2 });
  });

  it('holds a plan of nothing to be done', async () => {
    stage.play();
    const { node } = await (await start({ ...policyInput('empty'), plan: planOf('lib/empty', 0) })).result();
    expect(node.status).toBe('ok');
    expect(stage.order()).toEqual(['planPolicy']);
  });
});

describe('a plan that is saved', () => {
  const saved: ItemPage = { items: planOf('lib/saved', 2).items, basis: BASIS, after: 'registry.example/lib/saved:x' };

  it('comes with the result; a later page reports nothing again', async () => {
    stage.play({ planPolicy: async () => planPage({ saved }) });
    const options = { ...OPTIONS, dryRun: true };
    const first = await (await start({ ...policyInput('saved'), options, save: { after: null } })).result();
    expect(first.saved).toEqual(saved);
    await (await start({ ...policyInput('saved'), options, save: { after: 'somewhere' } })).result();
    expect(stage.inputs('planPolicy').map(({ save, first: isFirst }) => [save?.after, isFirst])).toEqual([
      [null, true],
      ['somewhere', false],
    ]);
  });

  it('is asked of every policy of a fleet; each is given its own items, and nothing is done without any', async () => {
    stage.play();
    const plans = { one: planOf('lib/one', 1) };
    const run = (input: Parameters<typeof reconcileFleet>[0]) =>
      stage.client.workflow.execute<typeof reconcileFleet>('reconcileFleet', {
        args: [input],
        taskQueue: QUEUES.flow,
        workflowId: fleetId(new Date()),
      });
    const { policies } = await run(fleetInput(['one', 'two'], { plans }));
    expect(policies.map(({ name, error }) => [name, error?.type])).toEqual([
      ['one', undefined],
      ['two', 'PreconditionFailed'],
    ]);
    const asked = () => stage.inputs('planPolicy').map((input) => [input.policy.metadata.name, input.plan, input.save]);
    expect(asked()).toEqual([['one', plans.one, undefined]]);
    stage.play();
    await run(fleetInput(['three'], { save: true, options: { ...OPTIONS, dryRun: true } }));
    expect(asked()).toEqual([['three', undefined, { after: null }]]);
  });
});
