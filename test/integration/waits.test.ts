import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import type { Dependencies } from '../../activities/dependencies.js';
import {
  createObserveTags,
  createWithdrawOrphans,
  createWithdrawWaits,
} from '../../activities/settle/observe-waits.js';
import { HoubaClient } from '../../client/sdk.js';
import { policyId, retireId } from '../../domain/durable/ids.js';
import { QUEUES, WORKFLOWS } from '../../domain/durable/names.js';
import type { Wait } from '../../domain/plan/work.js';
import type { PolicyNode } from '../../domain/report/run/run-report.js';
import type { reconcilePolicy } from '../../workflows/index.js';
import { digestFor, fleetInput, planPage, policyInput } from '../support/durable-samples.js';
import { HAPPY } from '../support/fake-steps.js';
import { MARKED, retireOrder } from '../support/retire-samples.js';
import { until } from '../support/stack.js';
import { DAY, observationOf, PLACED } from '../support/wait-samples.js';
import { openStage, type Stage } from '../support/workflow-env.js';

// The steps that speak to Temporal itself, on a real server, which has visibility.
let stage: Stage;
let houba: HoubaClient;
const journal: Record<string, unknown>[] = [];

beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'), 'local');
  houba = new HoubaClient(stage.client);
});
afterAll(() => stage.close());

const START = Date.parse('2026-06-01T00:00:00Z');
/** A window of a hundred years later. */
const READY = '2126-05-08T00:00:00+00:00';
const tagsOf = (count: number) => Array.from({ length: count }, (_, index) => `1.${index}`);
const reference = (name: string, tag: string) => `registry.example/lib/${name}:${tag}`;

function waitsOf(name: string, tags: readonly string[], day: number, folder?: string): Wait[] {
  const policy = { label: { ...observationOf(name, '', PLACED, 0).placement.label, policy: name } };
  return tags.map((tag) => ({
    ...observationOf(`lib/${name}`, tag, digestFor(`moved ${tag}`), START + day * DAY, { placement: policy }),
    windowMs: 36_500 * DAY,
    maxWaitMs: 36_500 * DAY,
    ...(folder === undefined ? {} : { folder }),
    listed: true,
    reason: null,
  }));
}

const deps = {
  settings: { dryRunTags: false },
  journal: { event: (_: string, fields: Record<string, unknown>) => journal.push(fields) },
} as unknown as Dependencies;

/** The steps that speak to Temporal are the real ones. */
function play(fakes: Parameters<Stage['play']>[0]): void {
  stage.play({
    observeTags: (request) => createObserveTags(deps)(request),
    withdrawWaits: (request) => createWithdrawWaits(deps)(request),
    withdrawOrphans: (request) => createWithdrawOrphans(deps)(request),
    lookAgain: async (request, context) => ({
      ...(await HAPPY.lookAgain(request, context)),
      ...{ current: digestFor('shown'), placed: PLACED },
    }),
    ...fakes,
  });
}

/** A run whose plan says that these tags wait. */
async function run(
  name: string,
  tags: readonly string[],
  day: number,
  facts: { dryRun?: boolean } = {},
): Promise<PolicyNode> {
  play({ planPolicy: async () => planPage({ waits: waitsOf(name, tags, day), waitsAfter: null }) });
  const input = {
    ...policyInput(name, { dryRun: facts.dryRun ?? false }),
    now: new Date(START + day * DAY).toISOString(),
  };
  const { node } = await stage.client.workflow.execute<typeof reconcilePolicy>(WORKFLOWS.policy, {
    args: [input],
    taskQueue: QUEUES.flow,
    workflowId: policyId(name),
  });
  return node;
}

const waitsAt = async (name: string) => (await houba.waits()).filter(({ policy }) => policy === name);
const heldOf = (node: PolicyNode) => node.targets[0]?.variants[0]?.operations ?? [];

describe('the waits of a policy', () => {
  it('begin with the first run that sees them, and say when they will be ready', async () => {
    const node = await run('many', tagsOf(120), 0);
    expect(node.totals).toMatchObject({ held: 120, failed: 0 });
    expect(heldOf(node)[119]).toMatchObject({
      kind: 'held',
      out_tag: '1.119',
      ready_at: READY,
      error: null,
    });
    await until(async () => (await waitsAt('many')).length === 120, '120 waits');
    expect(journal.filter(({ kind }) => kind === 'held')).toHaveLength(120);
    expect(journal[0]).toMatchObject({
      policy: 'many',
      dest: 'registry.example/lib/many',
      ready_at: expect.any(String),
    });
  });

  it('go on with the next run, from when they were first seen', async () => {
    const node = await run('many', tagsOf(120), 1);
    expect(new Set(heldOf(node).map(({ ready_at }) => ready_at))).toEqual(new Set([READY]));
  });

  it('end for the tags that a run waits for no more, and for no other policy’s', async () => {
    await run('other', ['1.0'], 0);
    await run('many', ['1.0', '1.7'], 2);
    await until(async () => (await waitsAt('many')).length === 2, 'the end of the others');
    expect((await waitsAt('many')).map((wait) => wait.reference)).toEqual([
      reference('many', '1.0'),
      reference('many', '1.7'),
    ]);
    await until(async () => (await waitsAt('other')).length === 1, 'the other policy’s wait');
  });

  it('are asked by a dry run, which begins and ends none', async () => {
    const node = await run('many', ['1.0', '1.8'], 3, { dryRun: true });
    expect(heldOf(node).map(({ out_tag, ready_at }) => [out_tag, ready_at])).toEqual([
      ['1.0', READY],
      ['1.8', null],
    ]);
    expect(await waitsAt('many')).toHaveLength(2);
  });

  it('are listed with all that a person needs to decide', async () => {
    const [wait] = await waitsAt('other');
    expect(wait).toEqual({
      kind: 'settle',
      reference: reference('other', '1.0'),
      workflowId: `settle/${reference('other', '1.0')}`,
      policy: 'other',
      digest: digestFor('moved 1.0'),
      phase: 'waiting',
      dueAt: READY,
      needsHuman: false,
      standsSince: '2026-06-01T00:00:00+00:00',
      seenAt: '2026-06-01T00:00:00+00:00',
      attempt: 0,
      held: null,
      reason: null,
      lastError: null,
    });
  });
});

describe('the waits of a policy that is gone', () => {
  /** A run over a folder: each of its policies has one tag that waits. */
  async function runFolder(folder: string | null, names: readonly string[]): Promise<void> {
    play({
      planPolicy: async ({ policy: { metadata }, now, folder: of }) => {
        const day = (Date.parse(now) - START) / DAY;
        return planPage({ waits: waitsOf(metadata.name, ['1.0'], day, of), waitsAfter: null });
      },
    });
    const input = fleetInput(names, folder === null ? {} : { folder });
    expect((await houba.reconcile(input)).status).toBe('ok');
  }

  const waiting = async (...names: string[]) =>
    (await Promise.all(names.map((name) => waitsAt(name)))).flat().map(({ policy }) => policy);

  it('end with the next run over its folder, and those of another folder, or of nobody knows which, go on', async () => {
    await runFolder('/srv/one', ['stays', 'goes']);
    await runFolder('/srv/two', ['elsewhere']);
    await runFolder(null, ['by-hand']);
    const all = ['stays', 'goes', 'elsewhere', 'by-hand'];
    await until(async () => (await waiting(...all)).length === 4, 'four waits');
    await runFolder('/srv/one', ['stays']);
    await until(async () => (await waiting('goes')).length === 0, 'the end of the wait');
    expect(await waiting(...all)).toEqual(['stays', 'elsewhere', 'by-hand']);
    const ended = await stage.client.workflow.getHandle(`settle/${reference('goes', '1.0')}`).result();
    expect(ended).toMatchObject({ outcome: 'withdrawn' });
  });

  it('go on when another of the folder wants the tag, which is then its own', async () => {
    await runFolder('/srv/three', ['renamed', 'beside']);
    await until(async () => (await waiting('renamed')).length === 1, 'the wait');
    const of = waitsOf('renamed', ['1.0'], 0, '/srv/three')[0] as Wait;
    const { label } = of.placement;
    const tag = { repository: { host: 'registry.example', path: 'lib/renamed' }, tag: '1.0' };
    await houba.decideWait('hold', tag, { by: 'bob', reason: 'not yet', digest: null });
    play({
      planPolicy: async ({ now }) => {
        const placement = { ...of.placement, label: { ...label, policy: 'new-name' } };
        return planPage({ waits: [{ ...of, at: now, placement }], waitsAfter: null });
      },
    });
    await houba.reconcile(fleetInput(['new-name'], { folder: '/srv/three' }));
    await until(async () => (await waiting('new-name')).length === 1, 'the wait under its new name');
    expect(await waitsAt('new-name')).toMatchObject([{ reference: reference('renamed', '1.0'), held: { by: 'bob' } }]);
    await until(async () => (await waiting('beside')).length === 0, 'the end of the other');
  });
});

describe('a tag that is to be deleted', () => {
  it('is listed among the waits, with the time at which it is looked at again', async () => {
    const untilMs = START + 36_500 * DAY;
    const judgement = { act: 'wait', why: 'mark', digest: MARKED, untilMs, reason: 'its idle window' } as const;
    play({ judgeTag: async () => judgement });
    const order = retireOrder('lib/retired', '1.0', { policy: 'retired' });
    const workflowId = retireId(order.destination, '1.0');
    const handle = await stage.client.workflow.start(WORKFLOWS.retire, {
      ...{ args: [order], taskQueue: QUEUES.flow, workflowId },
    });
    await until(async () => (await waitsAt('retired'))[0]?.dueAt === READY, 'the wait');
    expect(await waitsAt('retired')).toEqual([
      {
        kind: 'retire',
        reference: reference('retired', '1.0'),
        workflowId,
        policy: 'retired',
        digest: MARKED,
        phase: 'waiting',
        dueAt: READY,
        needsHuman: false,
        standsSince: null,
        seenAt: null,
        attempt: null,
        held: null,
        reason: 'its idle window',
        lastError: null,
      },
    ]);
    await handle.cancel();
  });

  it('needs a human when somebody has to approve it', async () => {
    play({});
    const order = retireOrder('lib/approval', '1.0', { policy: 'approval', requireApproval: true });
    const workflowId = retireId(order.destination, '1.0');
    const handle = await stage.client.workflow.start(WORKFLOWS.retire, {
      ...{ args: [order], taskQueue: QUEUES.flow, workflowId },
    });
    await until(async () => (await waitsAt('approval'))[0]?.needsHuman === true, 'the wait');
    expect(await waitsAt('approval')).toMatchObject([{ kind: 'retire', phase: 'awaiting approval', dueAt: null }]);
    await handle.cancel();
  });
});

describe('a person', () => {
  const tag = { repository: { host: 'registry.example', path: 'lib/other' }, tag: '1.0' };
  const word = { by: 'bob', reason: 'needed today', digest: null };

  it('holds, releases and promotes what a wait shows now', async () => {
    expect(await houba.decideWait('hold', tag, word)).toMatchObject({ dueAt: null, held: { by: 'bob' } });
    await expect(houba.decideWait('release', tag, { ...word, digest: digestFor('another') })).rejects.toMatchObject({
      code: 'PreconditionFailed',
    });
    expect(await houba.decideWait('release', tag, word)).toMatchObject({ held: null });
    const status = await houba.decideWait('promote', tag, word);
    expect(status.taken).toMatchObject({
      digest: digestFor('moved 1.0'),
      promoted: { by: 'bob', reason: 'needed today' },
    });
    await until(async () => (await waitsAt('other')).length === 0, 'the end of the wait');
  });

  it('learns that nothing is waited for, before and after', async () => {
    for (const other of [tag, { ...tag, tag: 'never' }]) {
      await expect(houba.decideWait('promote', other, word)).rejects.toMatchObject({ code: 'NotFound' });
      await expect(houba.decideWait('hold', other, { ...word, digest: PLACED })).rejects.toMatchObject({
        code: 'NotFound',
      });
    }
  });

  it('learns why a promoted digest could not be placed', async () => {
    await run('failing', ['1.0'], 0);
    stage.play({
      lookAgain: async () => ({ upstream: null, current: null, placed: null, aliases: [], fetchable: [] }),
    });
    const failing = { repository: { host: 'registry.example', path: 'lib/failing' }, tag: '1.0' };
    await expect(houba.decideWait('promote', failing, word)).rejects.toMatchObject({
      code: 'ToolFailed',
      message: expect.stringContaining('can no longer be fetched'),
    });
  });
});
