import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { deletionNotes } from '../../activities/deletion/deletion-notes.js';
import { deletionsId } from '../../domain/durable/ids.js';
import { DELETION_SIGNALS, QUEUES, WORKFLOWS } from '../../domain/durable/names.js';
import { LIFE_SIGNS } from '../../domain/durable/retry.js';
import type { Repository } from '../../domain/reference.js';
import { DESTINATION } from '../support/durable-samples.js';
import { createGate } from '../support/fake-steps.js';
import { openStage, type Stage } from '../support/workflow-env.js';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'));
  stage.play();
});
afterAll(() => stage.close());

const repository = (name: string): Repository => ({ ...DESTINATION, path: `lib/${name}` });

/** As a step of a workflow's would. */
function asStep<Result>(work: () => Promise<Result>, activityId = '1', attempt = 1): Promise<Result> {
  return new MockActivityEnvironment({ activityId, attempt }, { client: stage.client }).run(work);
}

const since = (where: Repository, atMs: number) => asStep(() => deletionNotes.since(where, atMs));
const ended = (where: Repository) => stage.client.workflow.getHandle(deletionsId(where)).result();

describe('a deletion', () => {
  it('is known while it goes on, and that there was one afterwards', async () => {
    const where = repository('noted');
    const before = await stage.now();
    expect(await since(where, before)).toBe('none');
    await asStep(() =>
      deletionNotes.during(where, async () => {
        expect(await since(where, before)).toBe('going on');
        expect(await since(repository('other'), before)).toBe('none');
      }),
    );
    await ended(where);
    expect(await since(where, before)).toBe('ended');
    expect(await since(where, (await stage.now()) + 1)).toBe('none');
  });

  it('that fails is over', async () => {
    const where = repository('failed');
    const failed = asStep(() => deletionNotes.during(where, () => Promise.reject(new Error('away'))));
    await expect(failed).rejects.toThrow('away');
    await ended(where);
  });

  it('does not wait for another, and both are known until the last has ended', async () => {
    const where = repository('both');
    const [first, second] = [createGate(), createGate()];
    const one = asStep(() => deletionNotes.during(where, () => first.hold(null)), '1');
    // The test server refuses two that begin at the same moment.
    await first.reached;
    const two = asStep(() => deletionNotes.during(where, () => second.hold(null)), '2');
    await second.reached;
    first.open();
    await one;
    expect(await since(where, 0)).toBe('going on');
    second.open();
    await two;
    await ended(where);
  });

  it('goes on when an attempt ends whose step another one has taken over', async () => {
    const where = repository('taken-over');
    const [stalled, current] = [createGate(), createGate()];
    const one = asStep(() => deletionNotes.during(where, () => stalled.hold(null)));
    await stalled.reached;
    const two = asStep(() => deletionNotes.during(where, () => current.hold(null)), '1', 2);
    await current.reached;
    stalled.open();
    await one;
    expect(await since(where, 0)).toBe('going on');
    current.open();
    await two;
    await ended(where);
  });

  it('that is not heard of any more is forgotten', async () => {
    const where = repository('lost');
    const begun = await stage.now();
    await stage.client.workflow.signalWithStart(WORKFLOWS.deletions, {
      ...{ workflowId: deletionsId(where), taskQueue: QUEUES.flow, args: [['lost']] },
      ...{ signal: DELETION_SIGNALS.begun, signalArgs: ['lost'] },
    });
    await ended(where);
    const after = (await stage.now()) - begun;
    expect(after).toBeGreaterThanOrEqual(LIFE_SIGNS.deletionLeaseMs - 1_000);
    expect(after).toBeLessThan(LIFE_SIGNS.deletionLeaseMs + 60_000);
  });
});
