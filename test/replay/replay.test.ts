import { type ReplayHistoriesIterable, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { dataConverter } from '../../config/payload-codec.js';
import { WORKFLOWS } from '../../domain/durable/names.js';
import { quietRuntime } from '../support/workflow-env.js';
import { type RecordedHistory, readHistories } from './histories.js';

const RECORDED = readHistories();

/**
 * A happy path, a compensation or what stands in for one, a cancellation, and a long wait, of the workflows that have it.
 * Sweeps, runs of policies and fleets undo nothing themselves: they tell what failed, and go on.
 */
const WAYS: Readonly<Record<string, readonly string[]>> = {
  'audit-fleet': ['first-page', 'audited', 'cancelled'],
  'collect-garbage': ['collected', 'cancelled'],
  'note-deletions': ['two-deletions', 'cancelled'],
  'place-image': ['published', 'overtaken', 'rebuilt', 'compensated', 'compensation-failed', 'cancelled'],
  'purge-fleet': ['first-page', 'two-pages', 'dry-run', 'cancelled'],
  'reconcile-fleet': ['policy-dir', 'one-of-three-fails', 'cancelled'],
  'reconcile-policy': ['placements', 'removals', 'plan-in-hand', 'plan-in-hand-rest', 'waits', 'cancelled'],
  'retire-tag': ['deleted', 'restored', 'deletion-tried-again', 'cancelled', 'cancelled-too-late', 'long-wait'],
  'settle-tag': ['taken', 'source-tag-gone', 'nothing-to-fetch', 'compensated', 'cancelled', 'withdrawn', 'long-wait'],
};

/** What replaying finds, by the history's name: null where the workflows still do what they did. */
async function replay(histories: readonly RecordedHistory[]): Promise<Map<string, Error | null>> {
  const options = { workflowBundle: { codePath: inject('workflowBundle') }, dataConverter };
  const input = histories.map(({ name, history }) => ({ workflowId: name, history }));
  const found = new Map<string, Error | null>();
  for await (const { workflowId, error } of Worker.runReplayHistories(options, input as ReplayHistoriesIterable & [])) {
    found.set(workflowId, error ?? null);
  }
  return found;
}

describe('a run that was begun by an earlier version', () => {
  let found: Map<string, Error | null>;
  beforeAll(async () => {
    quietRuntime();
    found = await replay(RECORDED);
  });

  it.each(RECORDED.map(({ name }) => name))('goes on as it began: %s', (name) => {
    expect(found.get(name)).toBeNull();
  });

  it('is there for every workflow, in each way that its runs can go', () => {
    const names = RECORDED.map(({ name }) => name.replace(/\.json$/, ''));
    const ways = Object.entries(WAYS).flatMap(([workflow, cases]) => cases.map((one) => `${workflow}/${one}`));
    expect(names).toEqual(expect.arrayContaining(ways));
    const recorded = new Set(names.map((name) => name.split('/')[0]));
    const workflows = Object.values(WORKFLOWS).map((name) => name.replace(/[A-Z]/g, (big) => `-${big.toLowerCase()}`));
    expect([...recorded]).toEqual(workflows.sort());
    expect(Object.keys(WAYS)).toEqual(workflows);
  });

  it('that did something else is noticed', async () => {
    const first = RECORDED.find(({ name }) => name.startsWith('place-image/'));
    const altered = JSON.parse(JSON.stringify(first?.history).replaceAll('"writeImage"', '"writeSomethingElse"'));
    const errors = await replay([{ name: 'altered', history: altered }]);
    expect(String(errors.get('altered'))).toMatch(/Determinism/);
  });
});
