import type { Client } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { fleetInput } from '../../../client/fleet-input.js';
import { HoubaClient } from '../../../client/sdk.js';
import { startOrJoin, startOrMeet } from '../../../client/start-or-join.js';
import { MEMO_INPUT_DIGEST } from '../../../domain/durable/names.js';
import { policyInput, sourceNamed } from '../../support/durable-samples.js';

const A_DAY_MS = 24 * 3_600_000;
const AUDIT = { registries: null, repositories: null, signed: false, sbom: false, limit: null };
const ORDER = { workflow: 'auditFleet', workflowId: 'audit', input: AUDIT, inputDigest: 'mine', summary: '' } as const;

interface Started {
  readonly type: string;
  readonly workflowRunTimeout?: unknown;
  readonly memo?: Record<string, unknown>;
}

/** A Temporal on which these runs hold their ids, one after the other, each until somebody waits for it. */
function temporal(...running: readonly { readonly digest: string; readonly status: string }[]) {
  const started: Started[] = [];
  const left = [...running];
  const waited: string[] = [];
  const workflow = {
    options: { loadedDataConverter: { payloadConverter: { toPayload: () => ({ data: null }) }, payloadCodecs: [] } },
    start: async (type: string, options: Omit<Started, 'type'> & { readonly workflowId: string }) => {
      if (left.length > 0) throw new WorkflowExecutionAlreadyStartedError('held', options.workflowId, type);
      started.push({ type, ...options });
      return { firstExecutionRunId: 'new' };
    },
    getHandle: (id: string) => ({
      describe: async () => ({
        runId: 'old',
        memo: { [MEMO_INPUT_DIGEST]: left[0]?.digest },
        status: { name: left[0]?.status },
      }),
      result: async () => {
        waited.push(id);
        left.shift();
        throw new Error('it failed, which is no matter of ours');
      },
    }),
    list: async function* () {},
  };
  return { client: { workflow } as unknown as Client, started, waited };
}

describe('a run whose id is held', () => {
  it('is joined when its input is equal', async () => {
    const { client, started } = temporal({ digest: 'mine', status: 'RUNNING' });
    const run = await startOrJoin(client, () => startOrMeet(client, ORDER), expect.unreachable);
    expect(run).toEqual({ workflowId: 'audit', runId: 'old', joined: true });
    expect(started).toEqual([]);
  });

  it.each([
    ['has other input', { digest: 'theirs', status: 'RUNNING' }],
    ['has ended meanwhile', { digest: 'mine', status: 'COMPLETED' }],
  ])('is waited for when it %s, and started again', async (_, held) => {
    const notes: string[] = [];
    const { client, started, waited } = temporal(held, held);
    const run = await startOrJoin(
      client,
      () => startOrMeet(client, ORDER),
      (text) => notes.push(text),
    );
    expect(run).toEqual({ workflowId: 'audit', runId: 'new', joined: false });
    expect(waited).toEqual(['audit', 'audit']);
    expect(notes[0]).toBe('waiting for audit, which runs with other input');
    expect(started).toHaveLength(1);
  });
});

describe('every run that somebody starts', () => {
  it.each<[string, (houba: HoubaClient) => Promise<unknown>]>([
    ['purge', (houba) => houba.startSweep({ verb: 'purge', input: sweep({ maxDeletions: 1, requireApproval: true }) })],
    ['gc', (houba) => houba.startSweep({ verb: 'gc', input: sweep({ keep: 2, olderThanDays: 30 }) })],
    ['audit', (houba) => houba.startSweep({ verb: 'audit', input: AUDIT })],
    ['reconcile', (houba) => houba.startReconcile(fleetInput([sourceNamed('one')]))],
    ['dry reconcile', (houba) => houba.startReconcile(fleetInput([sourceNamed('one')], { dryRun: true }))],
    ['reconcile of one policy', (houba) => houba.startReconcilePolicy(policyInput('one'))],
  ])('%s ends within a day, stuck or not, and says which input it has', async (_, start) => {
    const { client, started } = temporal();
    await start(new HoubaClient(client));
    expect(started).toMatchObject([
      { workflowRunTimeout: A_DAY_MS, memo: { [MEMO_INPUT_DIGEST]: expect.stringMatching(/./) } },
    ]);
  });
});

function sweep<More extends object>(more: More) {
  return { registry: null, repositories: null, apply: true, ...more };
}
