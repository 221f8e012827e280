import type { WorkflowHandle } from '@temporalio/client';
import type { AuditInput } from '../../domain/durable/audit.js';
import { deletionsId, retireId } from '../../domain/durable/ids.js';
import { DELETION_SIGNALS, QUEUES, RETIRE_UPDATES, WORKFLOWS } from '../../domain/durable/names.js';
import type { Judgement, RetireDecision, RetireOrder } from '../../domain/durable/retire.js';
import type { GcInput, PurgeInput } from '../../domain/durable/sweeps.js';
import { HoubaError } from '../../domain/errors.js';
import type { GcOutcome } from '../../domain/report/collect-report.js';
import { DESTINATION, digestFor } from '../support/durable-samples.js';
import { createGate, type Fakes, HAPPY, untilCancelled } from '../support/fake-steps.js';
import { MARKED, markedTag, retireOrder } from '../support/retire-samples.js';
import type { Stage } from '../support/workflow-env.js';

/** Retirements, and the sweeps that begin them. Each leaves a closed run behind and names it. */
export const SWEEP_CASES: Readonly<Record<string, (stage: Stage) => Promise<WorkflowHandle>>> = {
  'retire-tag/deleted': async (stage) => {
    const waits = ['mark', 'seen', 'unknown'] as const;
    let asked = 0;
    stage.play({
      judgeTag: async (marked, context) => {
        const why = waits[asked++];
        return why === undefined ? HAPPY.judgeTag(marked, context) : waiting(why, 600);
      },
    });
    return finished(await retiring(stage, 'deleted'));
  },
  'retire-tag/long-wait': async (stage) => {
    let asked = 0;
    stage.play({
      judgeTag: async (marked, context) => (++asked > 40 ? HAPPY.judgeTag(marked, context) : waiting('seen', 50)),
    });
    return finished(await retiring(stage, 'long-wait'));
  },
  'retire-tag/approved': async (stage) => {
    stage.play();
    const handle = await retiring(stage, 'approved', { requireApproval: true });
    await sweep(handle, retireOrder('lib/retired', 'approved'));
    await decide(handle, 'approve');
    return finished(handle);
  },
  'retire-tag/restored': async (stage) => {
    stage.play({ judgeTag: async () => waiting('mark', 3_600_000) });
    const handle = await retiring(stage, 'restored');
    await sweep(handle, retireOrder('lib/retired', 'restored'));
    await decide(handle, 'restore');
    return finished(handle);
  },
  // What stands in for a compensation: a deletion is only ever brought to its end.
  'retire-tag/deletion-tried-again': async (stage) => {
    let tried = 0;
    stage.play({
      deleteMarked: async (request, context) => {
        if (++tried === 1) throw new HoubaError('Denied', 'the registry refuses');
        return HAPPY.deleteMarked(request, context);
      },
    });
    const handle = await retiring(stage, 'tried-again');
    const order = retireOrder('lib/retired', 'tried-again');
    for (const _ of [1, 2]) await sweep(handle, order);
    return finished(handle);
  },
  'retire-tag/cancelled': async (stage) => {
    const gate = createGate();
    stage.play({ judgeTag: (_, context) => gate.hold(null).then(() => untilCancelled(context)) });
    const handle = await retiring(stage, 'cancelled');
    await gate.reached;
    gate.open();
    await handle.cancel();
    return finished(handle);
  },
  'retire-tag/cancelled-too-late': async (stage) => {
    const gate = createGate();
    stage.play({
      deleteMarked: async (request, context) => gate.hold(await HAPPY.deleteMarked(request, context)),
    });
    const handle = await retiring(stage, 'too-late');
    await gate.reached;
    await handle.cancel();
    gate.open();
    return finished(handle);
  },
  // The first page of that: it continues as new.
  'purge-fleet/first-page': async (stage) => {
    stage.play({
      findMarks: async ({ cursor }) =>
        cursor === null
          ? { found: [markedTag('lib/paged', '1')], settled: [], next: { registry: 'main', path: 'lib/a', tag: null } }
          : { found: [], settled: [], next: null },
    });
    const handle = await stage.client.workflow.start(WORKFLOWS.purge, {
      ...{ args: [PURGE], taskQueue: QUEUES.flow, workflowId: 'purge-first-page' },
    });
    await finished(handle);
    return stage.client.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId);
  },
  'purge-fleet/two-pages': async (stage) => {
    stage.play({
      findMarks: async ({ cursor }) =>
        cursor === null
          ? { found: [], settled: [], next: { registry: 'main', path: 'lib/a', tag: null } }
          : { found: ['1', '2', '3'].map((tag) => markedTag('lib/swept', tag)), settled: [], next: null },
      handOver: async (request, context) => {
        if (request.marked.tag === '2') throw new HoubaError('Denied', 'the registry refuses');
        return HAPPY.handOver(request, context);
      },
    });
    return finished(await start(stage, WORKFLOWS.purge, 'purge-recorded', { ...PURGE, maxDeletions: 2 }));
  },
  'purge-fleet/dry-run': async (stage) => {
    stage.play({
      findMarks: async () => ({ found: [markedTag('lib/swept', '1')], settled: [], next: null }),
    });
    return finished(await start(stage, WORKFLOWS.purge, 'purge-plan-recorded', { ...PURGE, apply: false }));
  },
  'purge-fleet/cancelled': async (stage) => {
    const gate = createGate();
    stage.play({ findMarks: (_, context) => gate.hold(null).then(() => untilCancelled(context)) });
    const handle = await start(stage, WORKFLOWS.purge, 'purge-cancelled', PURGE);
    await gate.reached;
    gate.open();
    await handle.cancel();
    return finished(handle);
  },
  'collect-garbage/collected': async (stage) => {
    stage.play({
      listRepositories: async () => ({
        repositories: ['a', 'b'].map((path) => ({ ...DESTINATION, path })),
        ...{ unread: [], next: null },
      }),
      planCollection: async ({ repository: { path } }) => {
        if (path === 'b') throw new HoubaError('Denied', 'the registry refuses');
        return { outcomes: [COLLECTED], scans: [], manifests: [digestFor('old')], kept: [], more: false };
      },
    });
    return finished(await start(stage, WORKFLOWS.gc, 'gc-recorded', GC));
  },
  'collect-garbage/two-rounds': async (stage) => {
    let rounds = 0;
    stage.play({
      listRepositories: async () => ({ repositories: [DESTINATION], unread: [], next: null }),
      planCollection: async () => {
        const found = { outcomes: [COLLECTED], scans: [], manifests: [digestFor('old')], kept: [] };
        return { ...found, more: ++rounds === 1 };
      },
      collect: async () => ({ leftBehind: rounds === 1 ? [] : [digestFor('old')] }),
    });
    return finished(await start(stage, WORKFLOWS.gc, 'gc-two-rounds-recorded', GC));
  },
  'note-deletions/two-deletions': async (stage) => {
    const repository = { ...DESTINATION, path: 'lib/noted' };
    const says = (signal: string, deleter: string) =>
      stage.client.workflow.signalWithStart(WORKFLOWS.deletions, {
        ...{ workflowId: deletionsId(repository), taskQueue: QUEUES.flow, args: [[deleter]] },
        ...{ signal, signalArgs: [deleter] },
      });
    const { begun, ended } = DELETION_SIGNALS;
    for (const deleter of ['first', 'second', 'first']) await says(begun, deleter);
    await says(ended, 'first');
    return finished(await says(ended, 'second'));
  },
  'note-deletions/cancelled': async (stage) => {
    const handle = await start(stage, WORKFLOWS.deletions, 'deletions/cancelled', ['only']);
    await handle.cancel();
    return finished(handle);
  },
  'collect-garbage/cancelled': async (stage) => {
    const gate = createGate();
    stage.play({ listRepositories: (_, context) => gate.hold(null).then(() => untilCancelled(context)) });
    const handle = await start(stage, WORKFLOWS.gc, 'gc-cancelled', GC);
    await gate.reached;
    gate.open();
    await handle.cancel();
    return finished(handle);
  },
  // The first page of that: it continues as new.
  'audit-fleet/first-page': async (stage) => {
    stage.play({ listRepositories: paged });
    const handle = await stage.client.workflow.start(WORKFLOWS.audit, {
      ...{ args: [AUDIT], taskQueue: QUEUES.flow, workflowId: 'audit-first-page' },
    });
    await finished(handle);
    return stage.client.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId);
  },
  'audit-fleet/audited': async (stage) => {
    stage.play({
      listRepositories: paged,
      auditRepository: async (request, context) => {
        if (request.repository.path === 'b') throw new HoubaError('Denied', 'the registry refuses');
        return HAPPY.auditRepository(request, context);
      },
    });
    return finished(await start(stage, WORKFLOWS.audit, 'audit-recorded', AUDIT));
  },
  'audit-fleet/cancelled': async (stage) => {
    const gate = createGate();
    stage.play({
      listRepositories: paged,
      auditRepository: (_, context) => gate.hold(null).then(() => untilCancelled(context)),
    });
    const handle = await start(stage, WORKFLOWS.audit, 'audit-cancelled', AUDIT);
    await gate.reached;
    gate.open();
    await handle.cancel();
    return finished(handle);
  },
};

const PURGE: PurgeInput = {
  registry: null,
  repositories: null,
  apply: true,
  maxDeletions: null,
  requireApproval: false,
};
const GC: GcInput = { registry: null, repositories: null, apply: true, keep: 2, olderThanDays: 30 };
const AUDIT: AuditInput = { registries: null, repositories: null, signed: true, sbom: true, limit: null };
const COLLECTED: GcOutcome = {
  ...{ kind: 'superseded', image_ref: 'registry.example/a', kept: 1, collected: [digestFor('old')] },
  ...{ applied: false, error: null },
};

/** A repository, and a registry that has no catalogue; then two more repositories. */
const paged: Fakes['listRepositories'] = async ({ cursor }) => {
  const found = (...paths: string[]) => paths.map((path) => ({ ...DESTINATION, path }));
  if (cursor !== null) return { repositories: found('b', 'c'), unread: [], passedOver: [], next: null };
  const error = { type: 'Unsupported', message: 'there is no catalogue', exit_code: 1 };
  const next = { registry: 'main', path: 'a', tag: null };
  return { repositories: found('a'), unread: [], passedOver: [{ name: 'other.example', error }], next };
};

function waiting(why: 'mark' | 'seen' | 'unknown', ms: number): Judgement {
  return { act: 'wait', why, digest: MARKED, untilMs: Date.now() + ms, reason: `for ${why}` };
}

function retiring(stage: Stage, tag: string, facts: Partial<RetireOrder> = {}) {
  const order = retireOrder('lib/retired', tag, facts);
  return start(stage, WORKFLOWS.retire, retireId(order.destination, tag), order);
}

function sweep(handle: WorkflowHandle, order: RetireOrder): Promise<unknown> {
  return handle.executeUpdate<unknown, [RetireOrder]>(RETIRE_UPDATES.sweep, { args: [order] });
}

function decide(handle: WorkflowHandle, verb: 'approve' | 'restore'): Promise<unknown> {
  const word: RetireDecision = { by: 'bob', reason: 'looked at it', digest: MARKED };
  return handle.executeUpdate<unknown, [RetireDecision]>(RETIRE_UPDATES[verb], { args: [word] });
}

function start(stage: Stage, workflow: string, workflowId: string, input: unknown): Promise<WorkflowHandle> {
  return stage.client.workflow.start(workflow, { args: [input], taskQueue: QUEUES.flow, workflowId });
}

async function finished(handle: WorkflowHandle): Promise<WorkflowHandle> {
  await handle.result().catch(() => undefined);
  return handle;
}
