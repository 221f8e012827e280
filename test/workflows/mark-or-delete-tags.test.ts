import { CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { DeletionOutcome } from '../../activities/deletion/delete-tags.js';
import { policyId } from '../../domain/durable/ids.js';
import type { PolicyResult } from '../../domain/durable/messages.js';
import { QUEUES } from '../../domain/durable/names.js';
import { HoubaError } from '../../domain/errors.js';
import type { PlannedDeletion, PlannedMark, PlanPage } from '../../domain/plan/work.js';
import type { reconcilePolicy } from '../../workflows/index.js';
import {
  aliasOf,
  backfillOf,
  DESTINATION,
  digestFor,
  NOW,
  placementOf,
  planPage,
  policyInput,
} from '../support/durable-samples.js';
import { createGate, type Fakes, HAPPY } from '../support/fake-steps.js';
import { failureOf, openStage, type Stage } from '../support/workflow-env.js';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'));
});
afterAll(() => stage.close());

function start(name: string) {
  return stage.client.workflow.start<typeof reconcilePolicy>('reconcilePolicy', {
    args: [policyInput(name)],
    taskQueue: QUEUES.flow,
    workflowId: policyId(name),
  });
}

/** Plays a plan of these pages. */
async function reconcile(name: string, fakes: Partial<Fakes>, ...pages: Partial<PlanPage>[]): Promise<PolicyResult> {
  let asked = 0;
  stage.play({ planPolicy: async () => planPage(pages[asked++] ?? {}), ...fakes });
  return (await start(name)).result();
}

const POSITION = { target: 0, variant: null };

function deletionOf(tag: string, path = 'lib/redis'): PlannedDeletion {
  const digests = { digest: digestFor(`placed ${tag}`), baseDigest: digestFor(`source ${tag}`) };
  return { position: POSITION, destination: { ...DESTINATION, path }, tag, ...digests };
}

function markOf(tag: string, facts: Partial<PlannedMark> = {}): PlannedMark {
  const identity = { policy: 'redis', import: 'all', variant: 'default' };
  return {
    ...deletionOf(tag),
    kind: 'set',
    put: { tag, state: 'pending-deletion', markedAt: NOW, reason: 'retention-excess', identity, restored: null },
    ...facts,
  };
}

const clearOf = (tag: string, facts: Partial<PlannedMark> = {}) => markOf(tag, { kind: 'clear', put: null, ...facts });

const operationsOf = ({ node }: PolicyResult) => node.targets[0]?.operations ?? [];
const tagsDeleted = () => stage.inputs('deleteTags').map(({ tags }) => tags.map(({ tag }) => tag));

describe('removals', () => {
  it('come after everything else: deletions, marks, and what is cleared', async () => {
    const result = await reconcile(
      'stages',
      {},
      {
        placements: [placementOf('lib/removal-stages', '2')],
        backfills: [backfillOf('lib/removal-stages', '1')],
        aliases: [aliasOf('lib/removal-stages', 'latest', '1')],
        deletions: [deletionOf('gone')],
        marks: [markOf('old'), clearOf('wanted')],
        pending: 6,
      },
    );
    const last = stage.order().slice(-5);
    expect(last).toEqual(['publishTag', 'inspectDeletion', 'deleteTags', 'setMark', 'setMark']);
    expect(stage.inputs('setMark').map(({ tag, put }) => [tag, put?.reason])).toEqual([
      ['old', 'retention-excess'],
      ['wanted', undefined],
    ]);
    expect(result.node.totals).toMatchObject({ deleted: 1, marked: 1, failed: 0 });
    expect(operationsOf(result)).toMatchObject([
      { kind: 'deleted', out_tag: 'gone', applied: true, digest: digestFor('source gone') },
      {
        kind: 'marked',
        out_tag: 'old',
        applied: true,
        reason: 'retention-excess',
        out_digest: digestFor('placed old'),
      },
    ]);
  });

  it('tell the journal whose they are', async () => {
    await reconcile('journal', {}, { deletions: [deletionOf('gone')], marks: [markOf('old')], pending: 2 });
    const common = { policy: 'journal', dest: 'registry.example/lib/redis', variant: '', src_tag: null };
    expect(stage.inputs('deleteTags')[0]?.tags[0]?.journal).toEqual({
      ...{ ...common, kind: 'deleted', out_tag: 'gone', digest: digestFor('source gone') },
    });
    expect(stage.inputs('setMark')[0]?.journal).toEqual({
      ...{ ...common, kind: 'marked', out_tag: 'old', digest: digestFor('source old'), reason: 'retention-excess' },
    });
  });

  it('of a plan from before there were any are none', async () => {
    const { deletions, marks, ...page } = planPage({ placements: [placementOf('lib/before', '1')] });
    expect([deletions, marks]).toEqual([undefined, undefined]);
    await reconcile('before', {}, page);
    expect(stage.order()).not.toContain('setMark');
  });

  it('are remembered as too many for the whole of a run', async () => {
    const first = { marks: [markOf('old')], pending: 5, refused: ['registry.example/lib/redis'] };
    await reconcile('refused', {}, first);
    expect(stage.inputs('planPolicy').map(({ refused }) => refused)).toEqual([
      undefined,
      ['registry.example/lib/redis'],
    ]);
  });
});

describe('deletions', () => {
  it('of one repository go ten at a time, one batch after the other', async () => {
    const many = Array.from({ length: 23 }, (_, index) => deletionOf(`1.${index}`));
    const { node } = await reconcile('batches', {}, { deletions: [...many, deletionOf('9', 'lib/x')], pending: 24 });
    expect(
      tagsDeleted()
        .map((tags) => tags.length)
        .sort(),
    ).toEqual([1, 10, 10, 3]);
    const here = stage.calls.flatMap(({ step, input }) =>
      'tags' in input && input.destination.path === 'lib/redis' ? [step] : [],
    );
    expect(here).toEqual(Array.from({ length: 3 }, () => ['inspectDeletion', 'deleteTags']).flat());
    expect(node.totals.deleted).toBe(24);
  });

  it('hand on what was found to go with the tags', async () => {
    const manifests = [digestFor('a'), digestFor('b')];
    await reconcile(
      'list',
      { inspectDeletion: async () => ({ manifests }) },
      { deletions: [deletionOf('1')], pending: 1 },
    );
    expect(stage.inputs('deleteTags')).toMatchObject([{ policy: 'list', list: { manifests } }]);
  });

  it('report what failed of them, and are silent about what somebody restored', async () => {
    const error = { type: 'PreconditionFailed', message: 'moved', exit_code: 1 };
    const fates: Record<string, Partial<DeletionOutcome>> = {
      moved: { deleted: false, error },
      restored: { deleted: false, kept: 'somebody restored it' },
    };
    const deleteTags: Fakes['deleteTags'] = async ({ tags }) => ({
      outcomes: tags.map(({ tag }) => ({ tag, deleted: true, kept: null, error: null, ...fates[tag] })),
      leftBehind: [],
    });
    const deletions = ['gone', 'moved', 'restored'].map((tag) => deletionOf(tag));
    const result = await reconcile('fates', { deleteTags }, { deletions, pending: 4 });
    expect(operationsOf(result)).toMatchObject([
      { out_tag: 'gone', applied: true, error: null },
      { out_tag: 'moved', applied: false, error },
    ]);
    expect(stage.inputs('planPolicy')[1]?.failed).toEqual(['registry.example/lib/redis:moved']);
  });

  it('that cannot be prepared fail, and nothing is deleted', async () => {
    const inspectDeletion = async () => {
      throw new HoubaError('Unsupported', 'it cannot be read');
    };
    const result = await reconcile('unread', { inspectDeletion }, { deletions: [deletionOf('1')], pending: 1 });
    expect(operationsOf(result)).toMatchObject([{ applied: false, error: { type: 'Unsupported' } }]);
    expect(stage.order()).not.toContain('deleteTags');
  });

  it('that have begun are waited for longer than other steps', async () => {
    let attempts = 0;
    const deleteTags: Fakes['deleteTags'] = async (input, context) => {
      attempts += 1;
      if (attempts < 8) throw new HoubaError('Interrupted', 'the registry is away');
      return HAPPY.deleteTags(input, context);
    };
    const result = await reconcile('patient', { deleteTags }, { deletions: [deletionOf('1')], pending: 1 });
    expect(operationsOf(result)).toMatchObject([{ applied: true }]);
  });

  it('that never come to their end are told of in the end', async () => {
    const deleteTags = async () => {
      throw new HoubaError('Interrupted', 'the registry is away');
    };
    const result = await reconcile('endless', { deleteTags }, { deletions: [deletionOf('1')], pending: 1 });
    expect(operationsOf(result)).toMatchObject([{ applied: false, error: { type: 'Interrupted' } }]);
  });

  it('are carried through although somebody cancels the run', async () => {
    const gate = createGate();
    let done = false;
    stage.play({
      planPolicy: async () => planPage({ deletions: [deletionOf('1')], marks: [markOf('2')], pending: 2 }),
      deleteTags: async (input, context) => {
        await gate.hold(null);
        done = true;
        return HAPPY.deleteTags(input, context);
      },
    });
    const handle = await start('cancelled');
    await gate.reached;
    await handle.cancel();
    gate.open();
    expect(await failureOf(handle.result())).toBeInstanceOf(CancelledFailure);
    expect(done).toBe(true);
    expect(stage.order()).not.toContain('setMark');
  });
});

describe('marks', () => {
  it('on one digest are written one after the other, on several at once', async () => {
    const digest = digestFor('shared');
    const gate = createGate();
    let inFlight = 0;
    let most = 0;
    const setMark: Fakes['setMark'] = async ({ tag }) => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      if (tag === 'a') await gate.hold(null);
      if (tag === 'other') {
        await gate.reached;
        gate.open();
      }
      inFlight -= 1;
      return true;
    };
    const marks = [markOf('a', { digest }), markOf('b', { digest }), markOf('other')];
    await reconcile('digests', { setMark }, { marks, pending: 3 });
    const order = stage.inputs('setMark').map(({ tag }) => tag);
    expect(order.indexOf('a')).toBeLessThan(order.indexOf('b'));
    expect(order.at(-1)).toBe('b');
    expect(most).toBe(2);
  });

  it('that are there already are not told of', async () => {
    const result = await reconcile('there', { setMark: async () => false }, { marks: [markOf('1')], pending: 1 });
    expect(operationsOf(result)).toEqual([]);
    expect(result.node.totals.marked).toBe(0);
  });

  it('that cannot be made are failures; that cannot be cleared are not', async () => {
    const setMark = async () => {
      throw new HoubaError('Denied', 'no');
    };
    const marks = [markOf('1'), clearOf('2'), clearOf('', { tag: null })];
    const result = await reconcile('denied', { setMark }, { marks, pending: 4 });
    expect(operationsOf(result)).toMatchObject([{ kind: 'marked', out_tag: '1', error: { type: 'Denied' } }]);
    expect(result.node.totals).toMatchObject({ failed: 1, marked: 0 });
    const failed = new Set(stage.inputs('planPolicy')[1]?.failed);
    const untagged = `registry.example/lib/redis@${digestFor('placed ')}`;
    expect(failed).toEqual(new Set(['registry.example/lib/redis:1', 'registry.example/lib/redis:2', untagged]));
  });
});
