import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { retireId } from '../../domain/durable/ids.js';
import { QUEUES } from '../../domain/durable/names.js';
import { failedOutcome, type MarkedTag, outcomeOf } from '../../domain/durable/retire.js';
import type { GcInput, PurgeInput } from '../../domain/durable/sweeps.js';
import { HoubaError } from '../../domain/errors.js';
import { type GcOutcome, type GcReport, gcExitCode } from '../../domain/report/collect-report.js';
import type { PurgeReport } from '../../domain/report/purge-report.js';
import { DESTINATION, digestFor } from '../support/durable-samples.js';
import { DAY, judgementAt, MARKED, markedTag, UNSEEN } from '../support/retire-samples.js';
import { historyOf, openStage, type Stage } from '../support/workflow-env.js';

let stage: Stage;
let runs = 0;

beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'));
});
afterAll(() => stage.close());

const PURGE: PurgeInput = {
  registry: null,
  repositories: null,
  apply: true,
  maxDeletions: null,
  requireApproval: false,
};
const GC: GcInput = { registry: null, repositories: null, apply: true, keep: 2, olderThanDays: 30 };

function start(workflow: 'purgeFleet' | 'collectGarbage', input: PurgeInput | GcInput) {
  const workflowId = `sweep-${runs++}`;
  return stage.client.workflow.start(workflow, { args: [input], taskQueue: QUEUES.flow, workflowId });
}

async function purge(input: Partial<PurgeInput> = {}): Promise<PurgeReport> {
  return (await (await start('purgeFleet', { ...PURGE, ...input })).result()) as PurgeReport;
}

async function gc(input: Partial<GcInput> = {}): Promise<GcReport> {
  return (await (await start('collectGarbage', { ...GC, ...input })).result()) as GcReport;
}

const tags = (...names: string[]): MarkedTag[] => names.map((tag) => markedTag('lib/swept', tag));

function oncePage(found: readonly MarkedTag[]) {
  return async () => ({ found, settled: [], next: null });
}

describe('a purge', () => {
  it('that is dry asks about every marked tag, and begins nothing', async () => {
    stage.play({ findMarks: oncePage(tags('1', '2')) });
    const report = await purge({ apply: false });
    expect(report).toMatchObject({ mode: 'dry-run', counts: { purge: 2, applied: 0 } });
    expect(report.outcomes.map(({ applied }) => applied)).toEqual([false, false]);
    expect(stage.order()).toEqual(['openSweep', 'findMarks', 'judgeTag', 'judgeTag']);
  });

  it('is dry when the worker says so, whatever it was asked for', async () => {
    stage.play({
      openSweep: async () => ({ mode: 'dry-run', registries: ['main'], concurrency: 2 }),
      findMarks: oncePage(tags('1')),
    });
    expect((await purge()).mode).toBe('dry-run');
    expect(stage.inputs('handOver')).toEqual([]);
  });

  it('fails before it looks at anything where there is no oracle', async () => {
    stage.play({
      openSweep: async () => {
        throw new HoubaError('ConfigInvalid', 'no oracle');
      },
    });
    await expect(purge()).rejects.toThrow();
    expect(stage.inputs('findMarks')).toEqual([]);
  });

  it('hands every marked tag over, page by page, and a failure stops no other', async () => {
    stage.play({
      findMarks: async ({ cursor }) =>
        cursor === null
          ? { found: tags('1', '2'), settled: [], next: { registry: 'main', path: 'lib/swept', tag: '2' } }
          : { found: tags('3'), settled: [failedOutcome(markedTag('lib/other', '9'), ERROR)], next: null },
      handOver: async ({ marked }) => {
        if (marked.tag === '2') throw new HoubaError('Denied', 'the registry refuses');
        return { outcome: { ...DELETED(marked), applied: true }, begun: true };
      },
    });
    const report = await purge({ requireApproval: true });
    expect(report.counts).toMatchObject({ purge: 2, uncertain: 2, applied: 2, failed: 2 });
    expect(report.outcomes.map(({ image_ref }) => image_ref.split(':').at(-1))).toEqual(['1', '2', '9', '3']);
    expect(stage.inputs('openSweep')).toHaveLength(1);
    expect(stage.inputs('handOver').every(({ requireApproval }) => requireApproval)).toBe(true);
  });

  it('begins no more retirements than it may; those under way do not count', async () => {
    const begun: string[] = [];
    stage.play({
      findMarks: oncePage(tags('1', '2', '3', '4')),
      handOver: async ({ marked, mayBegin }) => {
        const under = marked.tag === '1';
        if (mayBegin && !under) begun.push(marked.tag);
        return { outcome: DELETED(marked), begun: mayBegin && !under };
      },
      openSweep: async () => ({ mode: 'apply', registries: ['main'], concurrency: 1 }),
    });
    await purge({ maxDeletions: 2 });
    expect(begun).toEqual(['2', '3']);
    expect(stage.inputs('handOver').map(({ mayBegin }) => mayBegin)).toEqual([true, true, true, false]);
  });

  it('stays far below the bounds of a history with a full page', async () => {
    const found = Array.from({ length: 100 }, (_, index) => markedTag('lib/swept', `tag-${index}`));
    stage.play({ findMarks: oncePage(found) });
    const handle = await start('purgeFleet', PURGE);
    await handle.result();
    expect((await historyOf(handle)).length).toBeLessThan(1_500);
  });
});

describe('a retirement that a purge begins', () => {
  it('waits by itself and deletes when it is due, without the purge', async () => {
    const { createStartRetirement } = await import('../../activities/retire/start-retirement.js');
    const markedMs = await stage.now();
    stage.play({
      findMarks: oncePage([markedTag('lib/handed', '1')]),
      judgeTag: async ({ digest }) =>
        judgementAt(await stage.now(), markedMs, 30 * DAY, digest ?? MARKED, () => UNSEEN),
      handOver: (request) => createStartRetirement({} as never)(request),
    });
    const report = await purge();
    expect(report.outcomes).toMatchObject([{ decision: 'wait', applied: false }]);
    // Another one meets it, and begins nothing.
    expect((await purge({ maxDeletions: 0 })).outcomes).toMatchObject([
      { decision: 'wait', reason: expect.stringMatching('idle window') },
    ]);
    const handle = stage.client.workflow.getHandle(retireId({ ...DESTINATION, path: 'lib/handed' }, '1'));
    expect(await handle.result()).toMatchObject({ applied: true });
    expect((await stage.now()) - markedMs).toBeGreaterThanOrEqual(30 * DAY);
    expect((await purge({ maxDeletions: 0 })).outcomes).toMatchObject([
      { decision: 'wait', reason: expect.stringMatching('--max-deletions') },
    ]);
  });
});

describe('a collection', () => {
  const repository = (path: string) => ({ ...DESTINATION, path });
  const outcome = (path: string): GcOutcome => ({
    ...{ kind: 'superseded', image_ref: `registry.example/${path}`, kept: 1 },
    ...{ collected: [digestFor(path)], applied: false, error: null },
  });
  const planned = (path: string) => ({
    ...{ outcomes: [outcome(path)], scans: [], manifests: [digestFor(path)], kept: [], more: false },
  });

  it('lists what it would collect, and collects it when told to', async () => {
    stage.play({
      listRepositories: async () => ({ repositories: [repository('a'), repository('b')], unread: [], next: null }),
      planCollection: async ({ repository: { path } }) => (path === 'a' ? planned(path) : NOTHING),
    });
    expect(await gc({ apply: false })).toMatchObject({
      ...{ mode: 'dry-run', counts: { repositories: 2, collected: 1, failed: 0 } },
      outcomes: [{ applied: false }],
    });
    expect(stage.inputs('planCollection').every(({ apply }) => !apply)).toBe(true);
    expect(stage.inputs('collect')).toEqual([]);
    expect(await gc()).toMatchObject({ mode: 'apply', outcomes: [{ applied: true, collected: [digestFor('a')] }] });
    expect(stage.inputs('collect')).toMatchObject([{ repository: { path: 'a' }, planned: planned('a') }]);
  });

  it('reports what fails and what a registry keeps, and goes on', async () => {
    stage.play({
      listRepositories: async ({ cursor }) =>
        cursor === null
          ? {
              repositories: [repository('a'), repository('b')],
              ...{ unread: [{ name: 'dead.example', error: ERROR }], next: { registry: 'main', path: 'b', tag: null } },
            }
          : { repositories: [repository('c')], unread: [], next: null },
      planCollection: async ({ repository: { path } }) => {
        if (path === 'b') throw new HoubaError('Denied', 'the registry refuses');
        return planned(path);
      },
      collect: async () => ({ leftBehind: [digestFor('c')] }),
    });
    const report = await gc();
    expect(report.counts).toMatchObject({ repositories: 4, failed: 3 });
    expect(report.outcomes.find(({ image_ref }) => image_ref.endsWith('/c'))).toMatchObject({
      ...{ collected: [], kept: 2, applied: false },
      error: { type: 'Unsupported', message: expect.stringContaining('registry.example does not delete: 1 stay') },
    });
    expect(gcExitCode(report)).toBe(2);
  });

  it('that finds more than goes at once is made again', async () => {
    let rounds = 0;
    stage.play({
      listRepositories: async () => ({ repositories: [repository('a')], unread: [], next: null }),
      planCollection: async () => ({ ...planned(`a${++rounds}`), more: rounds < 3 }),
    });
    expect(await gc()).toMatchObject({
      counts: { repositories: 1, collected: 3, failed: 0 },
      outcomes: [{ applied: true }, { applied: true }, { applied: true }],
    });
    expect(stage.inputs('collect')).toHaveLength(3);
  });

  it('is not made again where a registry keeps what was to go', async () => {
    stage.play({
      listRepositories: async () => ({ repositories: [repository('a')], unread: [], next: null }),
      planCollection: async () => ({ ...planned('a'), more: true }),
      collect: async () => ({ leftBehind: [digestFor('a')] }),
    });
    expect((await gc()).counts).toMatchObject({ failed: 1, collected: 0 });
    expect(stage.inputs('collect')).toHaveLength(1);
  });

  it('ends where a registry still shows what it said it has deleted', async () => {
    stage.play({
      listRepositories: async () => ({ repositories: [repository('a')], unread: [], next: null }),
      planCollection: async () => ({ ...planned('a'), more: true }),
    });
    await gc();
    expect(stage.inputs('collect')).toHaveLength(2);
  });
});

const NOTHING = { outcomes: [], scans: [], manifests: [], kept: [], more: false };
const ERROR = { type: 'Denied', message: 'no', exit_code: 2 };
const DELETED = (marked: MarkedTag) =>
  outcomeOf(marked, { act: 'delete', digest: marked.digest, reason: 'not seen', needsApproval: false });
