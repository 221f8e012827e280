import { WithStartWorkflowOperation, WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import { retireId } from '../../domain/durable/ids.js';
import { QUEUES } from '../../domain/durable/names.js';
import type { Judgement, RetireDecision, RetireOrder, RetireStatus } from '../../domain/durable/retire.js';
import { HoubaError } from '../../domain/errors.js';
import type { UsageAnswer } from '../../domain/lifecycle/usage.js';
import type { PurgeOutcome } from '../../domain/report/purge-report.js';
import type { retireTag } from '../../workflows/index.js';
import { createWorld } from '../support/activity-world.js';
import { DESTINATION, digestFor } from '../support/durable-samples.js';
import { createGate, HAPPY } from '../support/fake-steps.js';
import { DAY, judgementAt, MARKED, retireOrder, seenAt, UNKNOWN, UNSEEN } from '../support/retire-samples.js';
import { openStage, type Stage } from '../support/workflow-env.js';

const WINDOW = 30 * DAY;
const MOMENT = 10_000;

let stage: Stage;
let start: number;
/** What the oracle says, in turn; the last one for ever. */
let answers: UsageAnswer[];
let asked: number[];
/** What a look at the tag finds before anybody is asked; null: a mark that is pending. */
let world: Judgement | null;
let markedMs: number;

beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'));
});
afterAll(() => stage.close());
beforeEach(async () => {
  answers = [UNSEEN];
  asked = [];
  world = null;
  start = await stage.now();
  markedMs = start;
  play();
});

function play(fakes: Parameters<Stage['play']>[0] = {}): void {
  stage.play({
    judgeTag: async ({ digest }) => {
      const now = await stage.now();
      return (
        world ??
        judgementAt(now, markedMs, WINDOW, digest ?? MARKED, () => {
          asked.push((now - start) / DAY);
          return (answers.length > 1 ? answers.shift() : answers[0]) as UsageAnswer;
        })
      );
    },
    ...fakes,
  });
}

/** One tag's retirement, as sweeps and people see it. */
function retirementOf(tag: string, facts: Partial<RetireOrder> = {}) {
  const path = 'lib/retired';
  const workflowId = retireId({ ...DESTINATION, path }, tag);
  const handle = stage.client.workflow.getHandle<typeof retireTag>(workflowId);
  const order = (more: Partial<RetireOrder> = {}) => retireOrder(path, tag, { ...facts, ...more });
  const withStart = <Result, Args extends unknown[]>(update: string, args: Args, first = order()) =>
    stage.client.workflow.executeUpdateWithStart<typeof retireTag, Result, Args>(update, {
      args,
      startWorkflowOperation: new WithStartWorkflowOperation('retireTag', {
        ...{ workflowId, taskQueue: QUEUES.flow, args: [first], workflowIdConflictPolicy: 'USE_EXISTING' },
      }),
    } as never) as Promise<Result>;
  return {
    workflowId,
    handle,
    sweep: (more: Partial<RetireOrder> = {}) => withStart<PurgeOutcome, [RetireOrder]>('sweep', [order(more)]),
    startAndRestore: () =>
      withStart<RetireStatus, [RetireDecision]>(
        'restore',
        [{ by: 'eve', reason: 'needed', digest: null }],
        order({ digest: null }),
      ),
    says: (update: 'approve' | 'restore', digest: RetireDecision['digest'] = MARKED, by = 'bob') =>
      handle.executeUpdate<RetireStatus, [RetireDecision]>(update, { args: [{ by, reason: 'looked', digest }] }),
    status: () => handle.query<RetireStatus>('status'),
    result: (): Promise<PurgeOutcome> => handle.result(),
    waits: async () => (await handle.describe()).status.name === 'RUNNING',
  };
}

async function refusal(result: Promise<unknown>): Promise<ApplicationFailure> {
  try {
    await result;
  } catch (error) {
    expect(error).toBeInstanceOf(WorkflowUpdateFailedError);
    const { cause } = error as WorkflowUpdateFailedError;
    expect(cause).toBeInstanceOf(ApplicationFailure);
    return cause as ApplicationFailure;
  }
  throw new Error('the update was expected to be refused');
}

function deletions(): string[] {
  return stage.inputs('deleteMarked').map(({ marked }) => marked.tag);
}

describe('a marked tag', () => {
  it('is asked about when its idle window is over, and deleted when nobody uses it', async () => {
    const tag = retirementOf('1');
    expect(await tag.sweep()).toMatchObject({
      decision: 'wait',
      applied: false,
      reason: 'its idle window is not over',
    });
    expect(Date.parse((await tag.status()).dueAt ?? '')).toBe(start + WINDOW);
    expect(asked).toEqual([]);
    const outcome = await tag.result();
    expect(outcome).toMatchObject({ decision: 'purge', applied: true, error: null, digest: MARKED });
    expect(asked).toEqual([expect.closeTo(30, 2)]);
    expect(stage.order()).toEqual(['judgeTag', 'judgeTag', 'listRetirement', 'deleteMarked']);
    expect(stage.inputs('deleteMarked')[0]).toMatchObject({
      marked: { tag: '1', digest: MARKED },
      list: { manifests: [MARKED] },
    });
  });

  it('that was marked long ago is handled at once, and the sweep learns what came of it', async () => {
    markedMs = start - 31 * DAY;
    expect(await retirementOf('2').sweep()).toMatchObject({ decision: 'purge', applied: true });
  });

  it('that is in use waits one window more after the sighting, and is asked about again, not before', async () => {
    answers = [seenAt(start + 29 * DAY), seenAt(start + 90 * DAY), UNSEEN];
    const tag = retirementOf('3');
    await tag.sweep();
    expect(await tag.result()).toMatchObject({ decision: 'purge', applied: true });
    // Seen on day 29, asked on day 30: again on day 60; then seen in what is day 90: again on day 120.
    expect(asked.map(Math.round)).toEqual([30, 60, 120]);
    expect(deletions()).toEqual(['3']);
  });

  it('a sweep that comes by before that changes nothing', async () => {
    markedMs = start - 31 * DAY;
    answers = [seenAt(start)];
    const tag = retirementOf('4');
    expect(await tag.sweep()).toMatchObject({ decision: 'protect', applied: false });
    expect(await tag.sweep()).toMatchObject({ decision: 'protect', applied: false });
    expect(asked).toHaveLength(1);
    await tag.handle.cancel();
  });

  it('about which nobody can say is kept, and asked about again a day later, or when a sweep comes by', async () => {
    markedMs = start - 31 * DAY;
    answers = [UNKNOWN];
    const tag = retirementOf('5');
    expect(await tag.sweep()).toMatchObject({ decision: 'uncertain', applied: false, error: null });
    expect(await tag.sweep()).toMatchObject({ decision: 'uncertain' });
    expect(asked).toHaveLength(2);
    await stage.pass(DAY + MOMENT);
    expect(asked).toHaveLength(3);
    expect(deletions()).toEqual([]);
    answers = [UNSEEN];
    expect(await tag.sweep()).toMatchObject({ decision: 'purge', applied: true });
  });

  it('ends its retirement when there is nothing to retire any more', async () => {
    const tag = retirementOf('6');
    await tag.sweep();
    world = { act: 'end', digest: MARKED, reason: 'a policy wants the tag', gone: false };
    expect(await tag.result()).toMatchObject({ decision: 'protect', reason: 'a policy wants the tag', applied: false });
    expect(deletions()).toEqual([]);
  });

  it('that was marked anew with another digest is another matter', async () => {
    const tag = retirementOf('7');
    await tag.sweep();
    const other = digestFor('other');
    markedMs = start + DAY;
    await tag.sweep({ digest: other });
    expect(Date.parse((await tag.status()).dueAt ?? '')).toBe(start + DAY + WINDOW);
    expect(await tag.result()).toMatchObject({ digest: other, applied: true });
  });

  it('that cannot be looked at is kept, and looked at again an hour later', async () => {
    let fails = true;
    play({
      judgeTag: async ({ digest }) => {
        if (fails) throw new HoubaError('Denied', 'the registry refuses');
        return { act: 'delete', digest, reason: 'not seen', needsApproval: false };
      },
    });
    const tag = retirementOf('8');
    expect(await tag.sweep()).toMatchObject({ decision: 'uncertain', applied: false, error: { type: 'Denied' } });
    expect((await tag.status()).lastError).toMatch('refuses');
    fails = false;
    expect(await tag.result()).toMatchObject({ applied: true });
    expect((await stage.now()) - start).toBeGreaterThan(3_500_000);
  });
});

describe('an approval', () => {
  it('is waited for, and whoever uses the image is asked about once more after it', async () => {
    markedMs = start - 31 * DAY;
    const tag = retirementOf('a1', { requireApproval: true });
    expect(await tag.sweep()).toMatchObject({ decision: 'wait', reason: expect.stringMatching('approve') });
    expect(await tag.status()).toMatchObject({ phase: 'awaiting approval', dueAt: null });
    await stage.pass(20 * DAY);
    expect(await tag.waits()).toBe(true);
    expect(await tag.says('approve')).toMatchObject({ approved: { by: 'bob' } });
    expect(await tag.result()).toMatchObject({ applied: true });
    expect(asked).toHaveLength(2);
    expect(stage.inputs('deleteMarked')[0]?.facts).toMatchObject({ approved_by: 'bob', approved_reason: 'looked' });
  });

  it('is void once the image has been seen in use', async () => {
    markedMs = start - 31 * DAY;
    answers = [UNSEEN, seenAt(start), UNSEEN];
    const tag = retirementOf('a2', { requireApproval: true });
    await tag.sweep();
    await tag.says('approve');
    expect(await tag.sweep()).toMatchObject({ decision: 'protect' });
    await stage.pass(31 * DAY);
    expect(await tag.status()).toMatchObject({ phase: 'awaiting approval', approved: null });
    expect(deletions()).toEqual([]);
    await tag.handle.cancel();
  });

  it('is void once the mark was made anew: it was for the earlier one', async () => {
    const tag = retirementOf('a6');
    await tag.sweep({ requireApproval: true });
    await tag.says('approve');
    markedMs = start + 10 * DAY;
    await stage.pass(41 * DAY);
    expect(deletions()).toEqual([]);
    expect(await tag.status()).toMatchObject({ phase: 'awaiting approval', approved: null });
    await tag.says('approve');
    expect(await tag.result()).toMatchObject({ applied: true });
  });

  it('of another digest, without a name, or without a digest is refused', async () => {
    const tag = retirementOf('a3', { requireApproval: true });
    await tag.sweep();
    expect((await refusal(tag.says('approve', digestFor('old')))).type).toBe('PreconditionFailed');
    expect((await refusal(tag.says('approve', null))).type).toBe('PreconditionFailed');
    expect((await refusal(tag.says('approve', MARKED, '  '))).type).toBe('ConfigInvalid');
    await tag.handle.cancel();
  });

  it('that one sweep asks for is not taken back by another that does not', async () => {
    markedMs = start - 31 * DAY;
    const tag = retirementOf('a4', { requireApproval: true });
    await tag.sweep();
    expect(await tag.sweep({ requireApproval: false })).toMatchObject({ decision: 'wait' });
    await tag.handle.cancel();
  });

  it('is waited for when the worker’s settings ask for it', async () => {
    world = { act: 'delete', digest: MARKED, reason: 'not seen', needsApproval: true };
    const tag = retirementOf('a5');
    expect(await tag.sweep()).toMatchObject({ decision: 'wait', applied: false });
    await tag.handle.cancel();
  });
});

describe('a restore', () => {
  it('while it waits ends the retirement, and nothing is deleted', async () => {
    const tag = retirementOf('r1');
    await tag.sweep();
    expect(await tag.says('restore')).toMatchObject({ phase: 'restored' });
    expect(await tag.result()).toMatchObject({
      decision: 'protect',
      applied: false,
      reason: 'restored by bob: looked',
    });
    expect(stage.inputs('restoreTag')[0]).toMatchObject({ marked: { tag: 'r1' }, word: { by: 'bob', digest: MARKED } });
    await stage.pass(60 * DAY);
    expect(deletions()).toEqual([]);
  });

  it('that comes while the deletion is being prepared is in time', async () => {
    markedMs = start - 31 * DAY;
    const gate = createGate();
    play({
      judgeTag: async () => DUE,
      listRetirement: async (doomed, context) => gate.hold(await HAPPY.listRetirement(doomed, context)),
    });
    const tag = retirementOf('r2');
    const swept = tag.sweep();
    await gate.reached;
    const restored = tag.says('restore');
    await restored;
    gate.open();
    expect(await swept).toMatchObject({ decision: 'protect', applied: false });
    expect(deletions()).toEqual([]);
  });

  it('holds the deletion up for as long as it takes', async () => {
    const restoring = createGate();
    const listing = createGate();
    play({
      judgeTag: async () => DUE,
      listRetirement: async (doomed, context) => listing.hold(await HAPPY.listRetirement(doomed, context)),
      restoreTag: async (request, context) => restoring.hold(await HAPPY.restoreTag(request, context)),
    });
    const tag = retirementOf('r3');
    const swept = tag.sweep();
    await listing.reached;
    const restored = tag.says('restore');
    await restoring.reached;
    listing.open();
    expect(deletions()).toEqual([]);
    restoring.open();
    await restored;
    expect(await swept).toMatchObject({ decision: 'protect' });
    expect(deletions()).toEqual([]);
  });

  it('comes too late once the tag is being deleted', async () => {
    const gate = createGate();
    play({
      judgeTag: async () => DUE,
      deleteMarked: async (request, context) => gate.hold(await HAPPY.deleteMarked(request, context)),
    });
    const tag = retirementOf('r4');
    const swept = tag.sweep();
    await gate.reached;
    expect((await refusal(tag.says('restore'))).message).toMatch('being deleted');
    gate.open();
    expect(await swept).toMatchObject({ applied: true });
    expect(stage.inputs('restoreTag')).toEqual([]);
  });

  it('that fails leaves the tag marked, and says why', async () => {
    play({
      restoreTag: async () => {
        throw new HoubaError('PreconditionFailed', 'it has no deletion mark');
      },
    });
    const tag = retirementOf('r5');
    await tag.sweep();
    expect((await refusal(tag.says('restore'))).message).toMatch('no deletion mark');
    expect(await tag.waits()).toBe(true);
    await tag.handle.cancel();
  });

  it('needs no retirement that has begun', async () => {
    const tag = retirementOf('r6');
    expect(await tag.startAndRestore()).toMatchObject({ phase: 'restored' });
    expect(await tag.result()).toMatchObject({ decision: 'protect', applied: false });
  });
});

const DUE: Judgement = { act: 'delete', digest: MARKED, reason: 'not seen in use', needsApproval: false };

describe('the deletion', () => {
  it('is not done when the last look finds the world changed', async () => {
    const stays: Judgement = { act: 'end', digest: MARKED, reason: 'the tag shows another digest now', gone: false };
    play({ judgeTag: async () => DUE, deleteMarked: async () => ({ judgement: stays }) });
    expect(await retirementOf('d1').sweep()).toMatchObject({
      decision: 'protect',
      applied: false,
      reason: stays.reason,
    });
  });

  it('waits again when the mark was made anew meanwhile', async () => {
    const untilMs = start + 5 * DAY;
    let looks = 0;
    play({
      judgeTag: async () => DUE,
      deleteMarked: async (request, context) => {
        looks += 1;
        if (looks > 1) return HAPPY.deleteMarked(request, context);
        return { judgement: { act: 'wait', why: 'mark', digest: MARKED, untilMs, reason: 'made anew' } };
      },
    });
    const tag = retirementOf('d2');
    expect(await tag.sweep()).toMatchObject({ decision: 'wait', due_at: expect.any(String) });
    expect(await tag.result()).toMatchObject({ applied: true });
    expect((await stage.now()) - start).toBeGreaterThanOrEqual(5 * DAY);
  });

  it('that fails is tried again with the same list, for its rest cannot be found a second time', async () => {
    let tries = 0;
    play({
      judgeTag: async () => ({ ...DUE, askedAtMs: 1_000 }),
      deleteMarked: async (request, context) => {
        tries += 1;
        if (tries === 1) throw new HoubaError('Denied', 'not allowed');
        return HAPPY.deleteMarked(request, context);
      },
    });
    const tag = retirementOf('d3');
    expect(await tag.sweep()).toMatchObject({ applied: false, error: { type: 'Denied' } });
    expect(await tag.result()).toMatchObject({ applied: true, error: null });
    expect(stage.inputs('listRetirement')).toHaveLength(1);
    const [first, second] = stage.inputs('deleteMarked');
    expect(second).toEqual(first);
    expect(first).toMatchObject({ askedAtMs: 1_000 });
  });

  it('that failed can still be restored, for the tag goes first', async () => {
    play({
      judgeTag: async () => DUE,
      deleteMarked: async () => {
        throw new HoubaError('Denied', 'not allowed');
      },
    });
    const tag = retirementOf('d4');
    await tag.sweep();
    await tag.says('restore');
    expect(await tag.result()).toMatchObject({ decision: 'protect', applied: false });
  });

  it('is told to a sweep that comes back for its answer after its worker was killed', async () => {
    play({ judgeTag: async () => DUE });
    const tag = retirementOf('d6');
    const scheduledTimestampMs = await stage.now();
    await tag.sweep();
    await tag.result();
    const { requireApproval, ...marked } = retireOrder('lib/retired', 'd6');
    const ask = (info: { attempt: number; scheduledTimestampMs: number }) =>
      new MockActivityEnvironment(info, { client: stage.client }).run(createWorld().steps.handOver, {
        ...{ marked, requireApproval, mayBegin: true },
      });
    expect(await ask({ attempt: 2, scheduledTimestampMs })).toMatchObject({
      ...{ begun: true, outcome: { decision: 'purge', applied: true } },
    });
    play({ judgeTag: async () => ({ act: 'end', digest: MARKED, reason: 'the tag is gone already', gone: true }) });
    const later = { attempt: 2, scheduledTimestampMs: (await stage.now()) + 60_000 };
    expect(await ask(later)).toMatchObject({ begun: true, outcome: { decision: 'protect', applied: false } });
  });

  it('tells what the registry keeps', async () => {
    play({
      judgeTag: async () => DUE,
      deleteMarked: async () => ({ retired: { leftBehind: [digestFor('left')] } }),
    });
    expect((await retirementOf('d5').sweep()).reason).toMatch('keeps 1');
  });
});

describe('a cancellation', () => {
  it('ends a wait, and nothing is deleted', async () => {
    const tag = retirementOf('c1');
    await tag.sweep();
    await tag.handle.cancel();
    await expect(tag.result()).rejects.toThrow();
    expect((await tag.handle.describe()).status.name).toBe('CANCELLED');
    expect(deletions()).toEqual([]);
  });

  it('does not come between a tag and what goes with it', async () => {
    const gate = createGate();
    play({
      judgeTag: async () => DUE,
      deleteMarked: async (request, context) => gate.hold(await HAPPY.deleteMarked(request, context)),
    });
    const tag = retirementOf('c2');
    const swept = tag.sweep();
    await gate.reached;
    await tag.handle.cancel();
    gate.open();
    expect(await tag.result()).toMatchObject({ applied: true });
    await swept;
  });
});

describe('a long wait', () => {
  it('continues as new with all it knows', async () => {
    markedMs = start - 31 * DAY;
    answers = [UNKNOWN];
    const tag = retirementOf('l1', { requireApproval: true });
    await tag.sweep();
    const first = (await tag.handle.describe()).runId;
    await stage.pass(300 * DAY);
    expect((await tag.handle.describe()).runId).not.toBe(first);
    answers = [UNSEEN];
    expect(await tag.sweep({ requireApproval: false })).toMatchObject({ decision: 'wait' });
    await tag.says('approve');
    expect(await tag.result()).toMatchObject({ applied: true });
  });
});
