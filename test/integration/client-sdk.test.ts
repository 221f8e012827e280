import { Client } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { RunProgress, SweepProgress } from '../../client/follow.js';
import { fleetInput, HoubaClient, type Run } from '../../client/sdk.js';
import { HoubaError } from '../../domain/errors.js';
import { auditPart } from '../../domain/report/audit-report.js';
import { exitCodeOf } from '../../domain/report/run/exit-code.js';
import { placementOf, planPage, policyInput, sourceNamed } from '../support/durable-samples.js';
import { createGate, untilCancelled } from '../support/fake-steps.js';
import { until } from '../support/stack.js';
import { openStage, type Stage } from '../support/workflow-env.js';

let stage: Stage;
let houba: HoubaClient;
beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'), 'local');
});
afterAll(() => stage.close());
beforeEach(() => {
  stage.play();
  houba = new HoubaClient(stage.client);
});

const input = (...names: string[]) => fleetInput(names.map(sourceNamed));

describe('a reconcile', () => {
  it('gives a report with the operations of every policy, which only the children hold', async () => {
    stage.play({
      planPolicy: async ({ policy }) => planPage({ placements: [placementOf(`lib/${policy.metadata.name}`, '1')] }),
    });
    const report = await houba.reconcile(input('one', 'two'));
    expect(report).toMatchObject({ schema_version: 1, operations_cut: 0, mode: 'apply', status: 'ok' });
    expect(report.totals.imported).toBe(2);
    expect(report.policies.map(({ name }) => name)).toEqual(['one', 'two']);
    for (const policy of report.policies) {
      expect(policy.targets[0]?.variants[0]?.operations).toMatchObject([
        { kind: 'imported', out_tag: '1', applied: true },
      ]);
    }
  });

  it('reports a policy that failed beside one that did not', async () => {
    stage.play({
      planPolicy: async ({ policy }) => {
        if (policy.metadata.name === 'bad') throw new HoubaError('NotFound', 'no such source');
        return planPage();
      },
    });
    const report = await houba.reconcile(input('good', 'bad'));
    expect(report.status).toBe('partial');
    expect(report.policies[1]?.error).toMatchObject({ type: 'NotFound', message: expect.stringContaining('no such') });
    expect(exitCodeOf(report)).toBe(2);
  });

  it('that cannot begin fails with the reason of the step', async () => {
    stage.play({
      openFleet: async () => {
        throw new HoubaError('ConfigInvalid', 'registry "x" is not in the roster');
      },
    });
    await expect(houba.reconcile(input('any'))).rejects.toMatchObject({ code: 'ConfigInvalid' });
  });

  it('tells how far it is while it runs', async () => {
    const gate = createGate();
    stage.play({
      planPolicy: async () => planPage({ pending: 1, placements: [placementOf('lib/slow', '1')] }),
      writeImage: async () => gate.hold(undefined),
    });
    const seen: RunProgress[] = [];
    const report = houba.reconcile(input('slow'), { onProgress: (progress) => seen.push(progress) });
    await until(() => seen.some(({ placements }) => placements.total === 1));
    expect(seen.at(-1)).toMatchObject({ policies: { done: 0, total: 1, current: ['slow'] }, placements: { done: 0 } });
    const [running] = await houba.recentRuns(1);
    expect(running?.status).toBe('RUNNING');
    expect(await houba.status(running?.workflowId ?? '')).toMatchObject({
      progress: { policies: { total: 1 }, placements: { total: 1 } },
    });
    gate.open();
    expect((await report).status).toBe('ok');
    expect(await houba.status(running?.workflowId ?? '')).toMatchObject({ status: 'COMPLETED', progress: null });
  });

  it('whose input no history can hold is refused before it starts', async () => {
    const noise = Array.from({ length: 90_000 }, (_, index) => `${index}-${Math.sin(index)}`);
    const { policy } = sourceNamed('large');
    const large = { ...policy, metadata: { ...policy.metadata, labels: { noise: noise.join() } } };
    const refused = houba.startReconcile(fleetInput([{ file: 'large.yaml', policy: large }]));
    await expect(refused).rejects.toMatchObject({
      code: 'ConfigInvalid',
      hint: expect.stringMatching(/shard.*POLICY_DIR/),
    });
  });
});

describe('a sweep', () => {
  it('tells how far it is while it runs, and which limit it waits for', async () => {
    const gate = createGate();
    const named = (path: string) => ({ host: 'registry.example', path, registry: 'main' });
    const seen: SweepProgress[] = [];
    // The other repository is done by then.
    const isLimited = ({ limits, done }: SweepProgress) => limits.length > 0 && done === 1;
    const isTold = () => seen.some(isLimited);
    stage.play({
      listRepositories: async () => ({ repositories: [named('a'), named('b')], unread: [], next: null }),
      auditRepository: async ({ repository }) => {
        if (repository.path === 'a') return auditPart([], 0);
        // Until somebody has looked while it waited.
        if (isTold()) return gate.hold(auditPart([], 0));
        throw new HoubaError('RateLimited', 'registry.example limits requests for another 2 s', {
          facts: { registry: 'registry.example' },
          retryAfterMs: 2_000,
        });
      },
    });
    const audit = { registries: null, repositories: null, signed: false, sbom: false, limit: null };
    const run = await houba.startSweep({ verb: 'audit', input: audit });
    const following = houba.followSweep(run, (progress) => seen.push(progress));
    const limited = { registry: 'registry.example', until: expect.stringMatching(/^\d{4}-.*Z$/), steps: 1 };
    await until(isTold);
    const told = { phase: 'auditing', done: 1, current: ['registry.example/b'] };
    expect(seen.find(isLimited)).toEqual({ ...told, limits: [limited] });
    expect(await houba.status(run.workflowId)).toMatchObject({ sweep: 'audit', progress: told, word: null });
    gate.open();
    await following;
    expect(await houba.sweepReport(run)).toMatchObject({ counts: { errored: 0 } });
    expect(await houba.status(run.workflowId)).toMatchObject({ status: 'COMPLETED', progress: null });
  });
});

describe('a run that is at work already', () => {
  /** Starts a run that stays in its first placement until the gate opens. */
  async function busy(name: string) {
    const gate = createGate();
    stage.play({
      planPolicy: async () => planPage({ placements: [placementOf(`lib/${name}`, '1')] }),
      writeImage: async () => gate.hold(undefined),
    });
    const first = await houba.startReconcile(input(name));
    await gate.reached;
    await until(async () => (await houba.recentRuns(1))[0]?.workflowId === first.workflowId);
    return { gate, first };
  }

  it('with equal input is joined, also by another client', async () => {
    const { gate, first } = await busy('joined');
    const notes: string[] = [];
    const other = new HoubaClient(new Client(stage.client.options as never));
    const second = await other.startReconcile(input('joined'), { note: (text) => notes.push(text) });
    expect(second).toEqual({ ...first, joined: true });
    expect(notes).toEqual([expect.stringContaining(`joining ${first.workflowId}`)]);
    gate.open();
    expect(await other.await(second)).toEqual(await houba.await(first));
  });

  it('on one of our policies with other input is waited for', async () => {
    const { gate, first } = await busy('contended');
    const notes: string[] = [];
    let second: Run | null = null;
    const starting = houba
      .startReconcile(fleetInput([sourceNamed('contended')], { recheck: true }), { note: (text) => notes.push(text) })
      .then((run) => {
        second = run;
        return run;
      });
    await until(() => notes.length > 0);
    expect(notes[0]).toContain('waiting for reconcile/contended');
    expect(second).toBeNull();
    gate.open();
    const run = await starting;
    expect(run).toMatchObject({ joined: false });
    expect(run.workflowId).not.toBe(first.workflowId);
    expect(await houba.await(run)).toMatchObject({ status: 'ok', policies: [{ error: null }] });
  });

  it('does not keep a dry run waiting: it takes no lock', async () => {
    const { gate, first } = await busy('planned');
    stage.play();
    const run = await houba.startReconcile(fleetInput([sourceNamed('planned')], { dryRun: true }));
    expect(run.workflowId).toMatch(/^plan-fleet-/);
    expect((await houba.await(run)).mode).toBe('dry-run');
    gate.open();
    await houba.await(first);
  });

  it('can be cancelled, which its awaiter is told', async () => {
    const reached = createGate();
    stage.play({
      planPolicy: async () => planPage({ placements: [placementOf('lib/cancelled', '1')] }),
      writeImage: async (_, context) => {
        reached.enter();
        return untilCancelled(context);
      },
    });
    const run = await houba.startReconcile(input('cancelled'));
    await reached.reached;
    await houba.cancel(run);
    await expect(houba.await(run)).rejects.toMatchObject({
      code: 'Interrupted',
      message: expect.stringContaining('cancelled'),
    });
  });
});

describe('one policy alone', () => {
  it('is started, joined on equal input whatever the time, and waited for on other input', async () => {
    const gate = createGate();
    stage.play({
      planPolicy: async () => planPage({ placements: [placementOf('lib/alone', '1')] }),
      writeImage: async () => gate.hold(undefined),
    });
    const first = await houba.startReconcilePolicy(policyInput('alone'));
    expect(first).toMatchObject({ workflowId: 'reconcile/alone', joined: false });
    await gate.reached;
    const later = { ...policyInput('alone'), now: '2026-07-01T00:00:00.000+00:00' };
    expect(await houba.startReconcilePolicy(later)).toEqual({ ...first, joined: true });

    const notes: string[] = [];
    const other = houba.startReconcilePolicy(policyInput('alone', { recheck: true }), {
      note: (text) => notes.push(text),
    });
    await until(() => notes.length > 0);
    gate.open();
    expect((await houba.awaitPolicy(first)).node).toMatchObject({ name: 'alone', status: 'ok' });
    const second = await other;
    expect(second.runId).not.toBe(first.runId);
    expect((await houba.awaitPolicy(second)).node.status).toBe('ok');
  });
});

describe('what is not there', () => {
  it('is told as not found, with where to look', async () => {
    await expect(houba.status('reconcile-fleet-never')).rejects.toMatchObject({ code: 'NotFound' });
    await expect(houba.cancel({ workflowId: 'reconcile-fleet-never' })).rejects.toMatchObject({ code: 'NotFound' });
  });
});
