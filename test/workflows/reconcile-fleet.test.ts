import { CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { fleetId, policyId } from '../../domain/durable/ids.js';
import type { FleetInput, FleetResult, PolicyResult, Progress, Status } from '../../domain/durable/messages.js';
import { QUEUES } from '../../domain/durable/names.js';
import { HoubaError } from '../../domain/errors.js';
import { noCounts } from '../../domain/report/run/run-report.js';
import type { reconcileFleet, reconcilePolicy } from '../../workflows/index.js';
import { fleetInput, OPTIONS, placementOf, planPage, policyInput, sourceNamed } from '../support/durable-samples.js';
import { createGate, type Fakes, HAPPY, untilCancelled } from '../support/fake-steps.js';
import { failureOf, historyOf, openStage, type Stage } from '../support/workflow-env.js';

let stage: Stage;
let started = 0;
beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'));
});
afterAll(() => stage.close());

function start(input: FleetInput) {
  return stage.client.workflow.start<typeof reconcileFleet>('reconcileFleet', {
    args: [input],
    taskQueue: QUEUES.flow,
    workflowId: fleetId(new Date(Date.UTC(2026, 5, 1) + started++)),
  });
}

async function reconcile(input: FleetInput): Promise<FleetResult> {
  return (await start(input)).result();
}

const opening =
  (facts: Partial<Awaited<ReturnType<Fakes['openFleet']>>>): Fakes['openFleet'] =>
  async (input, context) => ({ ...(await HAPPY.openFleet(input, context)), ...facts });

describe('a fleet', () => {
  it('reconciles each policy in a child of its own, and adds up', async () => {
    stage.play({
      planPolicy: async ({ policy }) => planPage({ placements: [placementOf(`lib/sum-${policy.metadata.name}`, '1')] }),
    });
    const handle = await start(fleetInput(['a', 'b']));
    const result = await handle.result();
    const counted = { ...noCounts(), imported: 1 };
    expect(result).toMatchObject({ mode: 'apply', status: 'ok', totals: { ...noCounts(), imported: 2 } });
    expect(result.policies).toEqual(
      ['a', 'b'].map((name) => ({
        name,
        source: `${name}.yaml`,
        workflowId: `reconcile/${name}`,
        runId: expect.any(String),
        status: 'ok',
        totals: counted,
        error: null,
        skipped: null,
      })),
    );
    expect((await handle.describe()).searchAttributes).toMatchObject({ HoubaOutcome: ['ok'] });
  });

  it('leaves the operations to the children named in its result', async () => {
    stage.play({ planPolicy: async () => planPage({ placements: [placementOf('lib/named', '1')] }) });
    const { policies } = await reconcile(fleetInput(['named']));
    const { workflowId, runId } = policies[0] as FleetResult['policies'][number];
    const child: PolicyResult = await stage.client.workflow.getHandle(workflowId, runId ?? '').result();
    expect(child.node.targets[0]?.variants[0]?.operations).toMatchObject([{ kind: 'imported', out_tag: '1' }]);
  });

  it('gives every policy the same time and the same options', async () => {
    stage.play();
    const options = { ...OPTIONS, recheck: true, concurrency: 3 };
    await reconcile(fleetInput(['c', 'd'], { options }));
    const requests = stage.inputs('planPolicy');
    expect(requests.map((request) => request.options)).toEqual([options, options]);
    expect(new Set(requests.map(({ now }) => now)).size).toBe(1);
    expect(requests[0]?.now).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00$/);
  });

  it('goes on with the others when one policy fails', async () => {
    stage.play({
      planPolicy: async ({ policy }) => {
        if (policy.metadata.name === 'broken') throw new HoubaError('Unauthorized', 'who are you');
        return planPage();
      },
    });
    const { status, policies } = await reconcile(fleetInput(['fine', 'broken', 'well']));
    expect(status).toBe('partial');
    expect(policies.map((policy) => [policy.name, policy.status, policy.error?.type])).toEqual([
      ['fine', 'ok', undefined],
      ['broken', 'failed', 'Unauthorized'],
      ['well', 'ok', undefined],
    ]);
  });

  it('goes on when somebody cancels one policy', async () => {
    const gate = createGate();
    stage.play({
      planPolicy: async ({ policy }, context) => {
        if (policy.metadata.name !== 'unwelcome') return planPage();
        gate.enter();
        return untilCancelled(context);
      },
    });
    const handle = await start(fleetInput(['unwelcome', 'welcome']));
    await gate.reached;
    await stage.client.workflow.getHandle(policyId('unwelcome')).cancel();
    const { status, policies } = await handle.result();
    expect(status).toBe('partial');
    expect(policies.map((policy) => policy.error?.type)).toEqual(['Interrupted', undefined]);
  });

  it('passes over a policy that another run is working on', async () => {
    const gate = createGate();
    stage.play({ planPolicy: () => gate.hold(planPage()) });
    const other = await stage.client.workflow.start<typeof reconcilePolicy>('reconcilePolicy', {
      args: [policyInput('busy')],
      taskQueue: QUEUES.flow,
      workflowId: policyId('busy'),
    });
    await gate.reached;
    stage.play();
    const { status, policies } = await reconcile(fleetInput(['busy', 'idle']));
    gate.open();
    await other.result();
    expect(status).toBe('ok');
    expect(policies).toMatchObject([
      { name: 'busy', status: 'ok', runId: null, skipped: 'already running', totals: noCounts() },
      { name: 'idle', skipped: null },
    ]);
  });

  it('works on what the checked set says is its own', async () => {
    stage.play({ openFleet: opening({ own: ['f'] }) });
    const { policies } = await reconcile(fleetInput(['e', 'f', 'g'], { shard: { index: 1, count: 3 } }));
    expect(policies.map(({ name }) => name)).toEqual(['f']);
    expect(stage.inputs('openFleet')[0]).toMatchObject({ shard: { index: 1, count: 3 }, only: null });
  });

  it('works on the policies that the worker read when none came along', async () => {
    stage.play({ openFleet: opening({ own: ['read'], policies: [sourceNamed('read'), sourceNamed('other')] }) });
    const { policies } = await reconcile(fleetInput([], { policies: null }));
    expect(policies.map(({ name }) => name)).toEqual(['read']);
  });

  it('without policies is done', async () => {
    stage.play();
    expect(await reconcile(fleetInput([]))).toEqual({ mode: 'apply', status: 'ok', totals: noCounts(), policies: [] });
  });

  it('has no more policies at work than allowed', async () => {
    let flying = 0;
    let most = 0;
    stage.play({
      openFleet: opening({ concurrency: 2 }),
      planPolicy: async () => {
        most = Math.max(most, ++flying);
        await new Promise((resolve) => setImmediate(resolve));
        flying -= 1;
        return planPage();
      },
    });
    await reconcile(fleetInput(['h', 'i', 'j', 'k', 'l']));
    expect(most).toBeLessThanOrEqual(2);
  });

  it.each(['ConfigInvalid', 'PolicyInvalid'] as const)('fails as %s when its set does not stand', async (code) => {
    stage.play({
      openFleet: async () => {
        throw new HoubaError(code, 'two policies write one repository');
      },
    });
    const error = await failureOf(reconcile(fleetInput(['m'])));
    expect(error).toMatchObject({ type: code, message: 'two policies write one repository' });
    expect(stage.order()).toEqual(['openFleet']);
  });

  it('continues as new after 200 policies, without checking the set again', async () => {
    const names = Array.from({ length: 230 }, (_, index) => `page-${index}`);
    stage.play({ openFleet: opening({ own: names, concurrency: 20 }) });
    const handle = await start(fleetInput(names, { folder: '/srv/policies' }));
    const { status, policies } = await handle.result();
    expect(status).toBe('ok');
    expect(policies.map(({ name }) => name)).toEqual(names);
    expect(stage.inputs('openFleet')).toHaveLength(1);
    expect(stage.inputs('planPolicy')).toHaveLength(230);
    expect(stage.inputs('withdrawOrphans')).toMatchObject([{ policies: names, folder: '/srv/policies' }]);
    expect(new Set(stage.inputs('planPolicy').map(({ now }) => now)).size).toBe(1);
    const first = stage.client.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId);
    const events = await historyOf(first);
    expect(events.at(-1)?.workflowExecutionContinuedAsNewEventAttributes).toBeTruthy();
    expect(events.length).toBeLessThanOrEqual(2_000);
  });
});

describe('the waits of policies that are gone', () => {
  const told = () => stage.inputs('withdrawOrphans');
  const folder = '/srv/policies';

  it('are ended when all that is in the folder is through, at the time of the run', async () => {
    stage.play();
    await reconcile(fleetInput(['t', 'u'], { folder }));
    const [asked] = stage.inputs('planPolicy');
    expect(asked).toMatchObject({ folder });
    expect(told()).toEqual([{ policies: ['t', 'u'], folder, at: asked?.now }]);
    expect(stage.order().at(-1)).toBe('withdrawOrphans');
  });

  it('are ended by a scheduled run, which the worker tells the folder', async () => {
    stage.play({ openFleet: opening({ own: ['v'], policies: [sourceNamed('v')], folder }) });
    await reconcile(fleetInput([], { policies: null }));
    expect(stage.inputs('planPolicy')).toMatchObject([{ folder }]);
    expect(told()).toMatchObject([{ policies: ['v'], folder }]);
  });

  it.each<[string, Partial<FleetInput>, Partial<Fakes>]>([
    ['nobody can tell the folder', {}, {}],
    ['it is a dry run', { folder, options: { ...OPTIONS, dryRun: true } }, {}],
    ['it works on one policy', { folder, only: 'w' }, {}],
    ['it works on one shard', { folder, shard: { index: 0, count: 2 } }, {}],
    ['there is no policy at all', { folder, policies: [] }, {}],
    [
      'a policy could not be planned: it may be the other one under a new name',
      { folder },
      {
        planPolicy: async () => {
          throw new HoubaError('NotFound', 'upstream is gone');
        },
      },
    ],
  ])('go on where %s', async (_, input, fakes) => {
    stage.play(fakes);
    await reconcile(fleetInput(['w'], input));
    expect(told()).toEqual([]);
  });

  it('that cannot be found leave the run as it is', async () => {
    stage.play({
      withdrawOrphans: async () => {
        throw new HoubaError('Denied', 'no visibility');
      },
    });
    expect((await reconcile(fleetInput(['x'], { folder }))).status).toBe('ok');
  });
});

describe('a dry run', () => {
  it('takes no lock: its children have ids of their own', async () => {
    const gate = createGate();
    stage.play({ planPolicy: () => gate.hold(planPage()) });
    const applying = await start(fleetInput(['both']));
    await gate.reached;
    stage.play();
    const options = { ...OPTIONS, dryRun: true };
    const { mode, policies } = await reconcile(fleetInput(['both'], { options }));
    gate.open();
    await applying.result();
    expect(mode).toBe('dry-run');
    expect(policies[0]?.skipped).toBeNull();
    expect(policies[0]?.workflowId).toMatch(/^plan\/both-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}Z$/);
  });

  it('is told of when the worker is set to it', async () => {
    stage.play({ openFleet: opening({ dryRun: true }) });
    expect((await reconcile(fleetInput(['n']))).mode).toBe('dry-run');
  });
});

describe('a running fleet', () => {
  it('tells how far it is', async () => {
    const gate = createGate();
    stage.play({
      openFleet: opening({ concurrency: 1 }),
      planPolicy: ({ policy }) => (policy.metadata.name === 'p' ? gate.hold(planPage()) : Promise.resolve(planPage())),
    });
    const handle = await start(fleetInput(['o', 'p', 'q']));
    await gate.reached;
    const progress = await handle.query<Progress>('progress');
    const status = await handle.query<Status>('status');
    gate.open();
    await handle.result();
    expect(progress).toEqual({ done: 1, total: 3, current: ['p'] });
    expect(status.phase).toBe('reconciling');
    expect(await handle.query<Progress>('progress')).toEqual({ done: 3, total: 3, current: [] });
  });

  it('that is cancelled ends cancelled, and so do its policies', async () => {
    const gate = createGate();
    stage.play({
      openFleet: opening({ concurrency: 1 }),
      planPolicy: async (_, context) => {
        gate.enter();
        return untilCancelled(context);
      },
    });
    const handle = await start(fleetInput(['r', 's']));
    await gate.reached;
    await handle.cancel();
    expect(await failureOf(handle.result())).toBeInstanceOf(CancelledFailure);
    expect((await stage.client.workflow.getHandle(policyId('r')).describe()).status.name).toBe('CANCELLED');
    expect(stage.inputs('planPolicy').map(({ policy }) => policy.metadata.name)).toEqual(['r']);
  });
});
