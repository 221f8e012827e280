import { type ReplayHistoriesIterable, Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { dataConverter } from '../../config/connection.js';
import { quietRuntime } from '../support/workflow-env.js';
import { type RecordedHistory, readHistories } from './histories.js';

const RECORDED = readHistories();

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

  it('is there for every workflow', () => {
    const workflows = new Set(RECORDED.map(({ name }) => name.split('/')[0]));
    expect([...workflows]).toEqual([
      'collect-garbage',
      'place-image',
      'purge-fleet',
      'reconcile-fleet',
      'reconcile-policy',
      'retire-tag',
      'settle-tag',
    ]);
  });

  it('that did something else is noticed', async () => {
    const first = RECORDED.find(({ name }) => name.startsWith('place-image/'));
    const altered = JSON.parse(JSON.stringify(first?.history).replaceAll('"writeImage"', '"writeSomethingElse"'));
    const errors = await replay([{ name: 'altered', history: altered }]);
    expect(String(errors.get('altered'))).toMatch(/Determinism/);
  });
});
