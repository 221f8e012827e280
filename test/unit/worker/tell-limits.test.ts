import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import type { Logger } from '../../../worker/journal.js';
import { tellLimits } from '../../../worker/tell-limits.js';

type Line = { registry: string; until: string | null; steps: number; workflow_id: string };

function journal() {
  const lines: Line[] = [];
  const log = { warn: (fields: Line, event: string) => event === 'registry.limited' && lines.push(fields) };
  const intercept = tellLimits(log as unknown as Logger);
  /** Runs a step of a workflow to its end. */
  const step = async (workflowId: string, error: unknown) => {
    const info = { activityId: '1', workflowExecution: { workflowId, runId: workflowId } };
    const { inbound } = intercept({ info } as never);
    const next = async () => {
      if (error !== null) throw error;
    };
    await inbound?.execute?.({} as never, next as never).catch((thrown: unknown) => expect(thrown).toBe(error));
  };
  return { lines, step };
}

const limited = (registry: string, nextRetryDelay?: number) =>
  ApplicationFailure.create({
    type: 'RateLimited',
    details: [{ registry }],
    ...(nextRetryDelay === undefined ? {} : { nextRetryDelay }),
  });

describe('the journal of a limit', () => {
  it('says which registry, until when, and how many steps wait', async () => {
    const { lines, step } = journal();
    const before = Date.now();
    await step('a', limited('r.example', 3_600_000));
    await step('b', limited('r.example', 3_600_000));
    await step('c', limited('other.example', 60_000));
    await step('a', limited('r.example', 3_600_000));
    expect(lines.map(({ registry, steps, workflow_id }) => [workflow_id, registry, steps])).toEqual([
      ['a', 'r.example', 1],
      ['b', 'r.example', 2],
      ['c', 'other.example', 1],
      ['a', 'r.example', 2],
    ]);
    expect(Date.parse(lines[0]?.until ?? '') - before).toBeGreaterThanOrEqual(3_600_000);
  });

  it('counts no step that went on, and tells of nothing else', async () => {
    const { lines, step } = journal();
    await step('a', limited('r.example', 3_600_000));
    await step('a', null);
    await step('b', ApplicationFailure.create({ type: 'RegistryUnavailable' }));
    await step('b', new Error('odd'));
    await step('c', limited('r.example'));
    expect(lines.map(({ until, steps }) => [until !== null, steps])).toEqual([
      [true, 1],
      [false, 1],
    ]);
  });
});
