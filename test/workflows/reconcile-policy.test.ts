import { CancelledFailure } from '@temporalio/common';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { placementId, policyId } from '../../domain/durable/ids.js';
import type { PolicyResult, Progress, Status } from '../../domain/durable/messages.js';
import { QUEUES } from '../../domain/durable/names.js';
import { HoubaError } from '../../domain/errors.js';
import type { PolicyInput } from '../../domain/plan/request.js';
import type { Backfill, Placement, PlanPage, Wait } from '../../domain/plan/work.js';
import { newOperation, noCounts, type Operation } from '../../domain/report/run/run-report.js';
import type { placeImage, reconcilePolicy } from '../../workflows/index.js';
import {
  aliasOf,
  backfillOf,
  digestFor,
  NOW,
  placementOf,
  planPage,
  policyInput,
  REBUILD,
} from '../support/durable-samples.js';
import { createGate, type Fakes, HAPPY, stampedDigest, untilCancelled } from '../support/fake-steps.js';
import { observationOf } from '../support/wait-samples.js';
import { failureOf, historyOf, openStage, payloadSizes, type Stage } from '../support/workflow-env.js';

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'));
});
afterAll(() => stage.close());

function start(input: PolicyInput) {
  return stage.client.workflow.start<typeof reconcilePolicy>('reconcilePolicy', {
    args: [input],
    taskQueue: QUEUES.flow,
    workflowId: policyId(input.policy.metadata.name),
  });
}

async function reconcile(name: string): Promise<PolicyResult> {
  return (await start(policyInput(name))).result();
}

/** Plays a plan of one page: what is left on a second look is nothing. */
function planning(page: Partial<PlanPage>): Fakes['planPolicy'] {
  return async () => planPage(page);
}

const numbered = (path: string, count: number) =>
  Array.from({ length: count }, (_, index) => placementOf(path, `1.${index}`));

function operationsOf({ node }: PolicyResult): readonly Operation[] {
  return node.targets[0]?.variants[0]?.operations ?? [];
}

const refusing =
  (tag: string): Fakes['inspectPlacement'] =>
  async (placement, context) => {
    if (placement.tag === tag) throw new HoubaError('NotFound', 'it is gone');
    return HAPPY.inspectPlacement(placement, context);
  };

describe('a policy with nothing to do', () => {
  it('ends after one plan, with few events', async () => {
    stage.play({
      planPolicy: planning({ counted: [{ position: { target: 0, variant: 0 }, kind: 'skipped', count: 10_000 }] }),
    });
    const handle = await start(policyInput('idle'));
    const { node } = await handle.result();
    expect(stage.order()).toEqual(['planPolicy']);
    expect(node).toMatchObject({ name: 'idle', status: 'ok', error: null, totals: { ...noCounts(), skipped: 10_000 } });
    expect((await historyOf(handle)).length).toBeLessThanOrEqual(15);
  });

  it('tells the plan what the client asked for', async () => {
    stage.play();
    await (await start(policyInput('asked', { recheck: true, concurrency: 7 }))).result();
    expect(stage.inputs('planPolicy')).toEqual([
      { ...policyInput('asked', { recheck: true, concurrency: 7 }), failed: [], first: true, waitsAfter: null },
    ]);
  });

  it('reports what the plan only found', async () => {
    const held: Operation = {
      kind: 'held',
      out_tag: '7',
      src_tag: '7',
      digest: digestFor('new'),
      applied: false,
      ready_at: null,
      error: null,
      transform_steps: null,
      out_digest: digestFor('old'),
    };
    const settled = [{ position: { target: 0, variant: 0 }, operation: held }];
    stage.play({ planPolicy: planning({ settled, cut: 3 }) });
    const result = await reconcile('held');
    expect(operationsOf(result)).toEqual([held]);
    expect(result.operationsCut).toBe(3);
    expect(result.node.totals.held).toBe(1);
  });
});

describe('tags that wait', () => {
  const waiting = (path: string, tags: readonly string[], facts: Partial<Wait> = {}): Wait[] =>
    tags.map((tag) => ({
      ...observationOf(path, tag, digestFor(`moved ${tag}`), Date.parse(NOW)),
      ...{ listed: true, reason: null, ...facts },
    }));
  const tagsOf = (count: number) => Array.from({ length: count }, (_, index) => `1.${index}`);
  const ready: Fakes['observeTags'] = async ({ waits }) =>
    waits.map(() => ({ readyAt: '2026-06-08T00:00:00+00:00', reason: null, error: null }));

  it('are told what upstream shows, at most 100 at a time, and reported as held until they are ready', async () => {
    const waits = waiting('lib/waits', tagsOf(250));
    stage.play({ planPolicy: planning({ waits, waitsAfter: null }), observeTags: ready });
    const handle = await start(policyInput('waits'));
    const result = await handle.result();
    expect(stage.inputs('observeTags').map(({ waits: batch }) => batch.length)).toEqual([100, 100, 50]);
    expect(result.node).toMatchObject({ status: 'ok', totals: { held: 250, failed: 0 } });
    expect(operationsOf(result)[0]).toEqual({
      ...newOperation('held', '1.0'),
      src_tag: '1.0',
      digest: digestFor('moved 1.0'),
      out_digest: digestFor('shown'),
      ready_at: '2026-06-08T00:00:00+00:00',
    });
    expect(Math.max(...payloadSizes(await historyOf(handle)))).toBeLessThan(32 * 1024);
  });

  it('say beside the time why they are held, if it is not merely the window', async () => {
    const [lost, held] = waiting('lib/reasons', ['1', '2']) as [Wait, Wait];
    stage.play({
      planPolicy: planning({ waits: [{ ...lost, reason: 'its base is gone' }, held], waitsAfter: null }),
      observeTags: async () => [
        { readyAt: null, reason: null, error: null },
        { readyAt: null, reason: 'held by bob: not now', error: null },
      ],
    });
    const operations = operationsOf(await reconcile('reasons'));
    expect(operations.map(({ reason }) => reason)).toEqual(['its base is gone', 'held by bob: not now']);
  });

  it('of which one does not answer is a failure of that one', async () => {
    const error = { type: 'Interrupted', message: 'it did not answer', exit_code: 2 };
    stage.play({
      planPolicy: planning({ waits: waiting('lib/silent', ['1', '2']), waitsAfter: null }),
      observeTags: async () => [
        { readyAt: null, reason: null, error },
        { readyAt: null, reason: null, error: null },
      ],
    });
    const { node } = await reconcile('silent');
    expect(node).toMatchObject({ status: 'partial', totals: { held: 1, failed: 1 } });
  });

  it('wait silently while they are placed anew from what is recorded', async () => {
    const waits = waiting('lib/silent-wait', ['1'], { listed: false });
    const placements = [placementOf('lib/silent-wait', '1', { kind: 'restamped', current: digestFor('old') })];
    stage.play({ planPolicy: planning({ waits, waitsAfter: null, placements }), observeTags: ready });
    const { node } = await reconcile('silent-wait');
    expect(node.totals).toMatchObject({ restamped: 1, held: 0 });
    expect(stage.order().slice(0, 3)).toEqual(['planPolicy', 'observeTags', 'inspectPlacement']);
  });

  it('are withdrawn when the run waits for them no more: it names those that go on', async () => {
    stage.play({ planPolicy: planning({ waits: waiting('lib/left', ['1']), waitsAfter: null }), observeTags: ready });
    await reconcile('left');
    expect(stage.inputs('withdrawWaits')).toEqual([
      { policy: 'left', waiting: ['settle/registry.example/lib/left:1'], at: NOW },
    ]);
    expect(stage.order().at(-1)).toBe('withdrawWaits');
  });

  it('are left alone where a destination could not be read', async () => {
    const error = { type: 'Denied', message: 'the registry refuses', exit_code: 2 };
    stage.play({ planPolicy: planning({ waits: [], waitsAfter: null, error }) });
    await reconcile('unread');
    expect(stage.order()).toEqual(['planPolicy']);
  });

  it('are asked, and told nothing, on a dry run', async () => {
    stage.play({ planPolicy: planning({ waits: waiting('lib/dry', ['1']), waitsAfter: null }), observeTags: ready });
    const handle = await start(policyInput('dry', { dryRun: true }));
    expect((await handle.result()).node.totals.held).toBe(1);
    expect(stage.inputs('observeTags')).toMatchObject([{ dryRun: true }]);
    expect(stage.order()).not.toContain('withdrawWaits');
  });

  it('more than one page holds are told page by page, and all of them go on', async () => {
    stage.play({
      planPolicy: async ({ waitsAfter }) =>
        waitsAfter === null
          ? planPage({ waits: waiting('lib/paged', ['1', '2']), waitsAfter: 'lib/paged:2' })
          : planPage({ waits: waiting('lib/paged', ['3']), waitsAfter: null }),
      observeTags: ready,
    });
    const { node } = await reconcile('paged');
    expect(stage.inputs('planPolicy').map(({ first, waitsAfter }) => [first, waitsAfter])).toEqual([
      [true, null],
      [false, 'lib/paged:2'],
    ]);
    expect(node.totals.held).toBe(3);
    expect(stage.inputs('withdrawWaits')).toMatchObject([
      { waiting: ['1', '2', '3'].map((tag) => `settle/registry.example/lib/paged:${tag}`) },
    ]);
  });

  it('are told once, also when there is more to place than one page holds', async () => {
    stage.play({
      planPolicy: async ({ first }) =>
        first
          ? planPage({
              waits: waiting('lib/once', ['1']),
              waitsAfter: null,
              placements: numbered('lib/once-more', 2),
              pending: 4,
            })
          : planPage({ placements: numbered('lib/once-more', 2) }),
      observeTags: ready,
    });
    const { node } = await reconcile('once');
    expect(stage.inputs('planPolicy').map(({ waitsAfter }) => waitsAfter)).toEqual([null, undefined]);
    expect(stage.inputs('observeTags')).toHaveLength(1);
    expect(node.totals).toMatchObject({ held: 1, imported: 4 });
    expect(stage.inputs('withdrawWaits')).toMatchObject([{ waiting: ['settle/registry.example/lib/once:1'] }]);
  });

  it('of a plan from before there were any are none', async () => {
    stage.play();
    await reconcile('from-before');
    expect(stage.order()).toEqual(['planPolicy']);
  });
});

describe('a policy whose plan fails', () => {
  it('has failed, with the code of what went wrong', async () => {
    stage.play({
      planPolicy: async () => {
        throw new HoubaError('NotFound', 'the source is unknown', { hint: 'check spec.source' });
      },
    });
    const { node } = await reconcile('unknown-source');
    expect(node).toMatchObject({ status: 'failed', targets: [] });
    expect(node.error).toEqual({
      type: 'NotFound',
      message: 'the source is unknown (check spec.source)',
      exit_code: 2,
    });
  });

  it('gives up on a registry that stays away', async () => {
    stage.play({
      planPolicy: async () => {
        throw new HoubaError('RegistryUnavailable', 'nobody answers');
      },
    });
    const { node } = await reconcile('away');
    expect(stage.order()).toHaveLength(4);
    expect(node.error).toMatchObject({ type: 'RegistryUnavailable', exit_code: 2 });
  });

  it('that cannot read one target works on the others', async () => {
    const error = { type: 'Denied', message: 'no', exit_code: 2 };
    stage.play({ planPolicy: planning({ error, placements: [placementOf('lib/rest', '1')] }) });
    const { node } = await reconcile('one-target');
    expect(node).toMatchObject({ status: 'partial', error, totals: { imported: 1 } });
  });
});

describe('a page', () => {
  it('places, then fills up inventories, then moves aliases', async () => {
    stage.play({
      planPolicy: planning({
        placements: [placementOf('lib/stages', '2')],
        backfills: [backfillOf('lib/stages', '1')],
        aliases: [aliasOf('lib/stages', 'one', '1')],
      }),
    });
    const { node } = await reconcile('stages');
    const placing = ['inspectPlacement', 'writeImage', 'attachSboms', 'publishTag'];
    expect(stage.order()).toEqual(['planPolicy', ...placing, 'attachSboms', 'publishTag']);
    expect(node.totals).toEqual({ ...noCounts(), imported: 1, sbom: 1, aliased: 1 });
    const [, filled] = stage.inputs('attachSboms');
    expect(filled).toMatchObject({ subject: digestFor('placed 1'), carryFrom: null, journal: { kind: 'sbom' } });
    const [, moved] = stage.inputs('publishTag');
    expect(moved).toMatchObject({ tag: 'one', digest: digestFor('placed 1'), journal: { kind: 'aliased' } });
  });

  it('reports in the order of the plan, whatever ended first', async () => {
    const gate = createGate();
    stage.play({
      planPolicy: planning({ placements: numbered('lib/order', 6), concurrency: 6 }),
      writeImage: ({ placement }) => (placement.tag === '1.0' ? gate.hold(undefined) : Promise.resolve(undefined)),
      publishTag: async ({ tag }) => {
        if (tag === '1.5') gate.open();
        return true;
      },
    });
    const operations = operationsOf(await reconcile('order'));
    expect(operations.map(({ out_tag }) => out_tag)).toEqual(['1.0', '1.1', '1.2', '1.3', '1.4', '1.5']);
    expect(operations[0]).toEqual({
      kind: 'imported',
      out_tag: '1.0',
      src_tag: '1.0',
      digest: digestFor('source 1.0'),
      applied: true,
      ready_at: null,
      error: null,
      transform_steps: null,
      out_digest: stampedDigest('lib/order:1.0'),
    });
  });

  it('has no more placements in flight than allowed', async () => {
    let flying = 0;
    let most = 0;
    stage.play({
      planPolicy: planning({ placements: numbered('lib/bounded', 12), concurrency: 3 }),
      inspectPlacement: async (placement, context) => {
        most = Math.max(most, ++flying);
        return HAPPY.inspectPlacement(placement, context);
      },
      publishTag: async () => {
        flying -= 1;
        return true;
      },
    });
    const { node } = await reconcile('bounded');
    expect(node.totals.imported).toBe(12);
    expect(most).toBe(3);
  });

  it('goes on when one placement fails', async () => {
    stage.play({
      planPolicy: planning({ placements: numbered('lib/partial', 3) }),
      inspectPlacement: refusing('1.1'),
    });
    const result = await reconcile('partial');
    expect(result.node).toMatchObject({ status: 'partial', error: null, totals: { imported: 2, failed: 1 } });
    expect(operationsOf(result)[1]).toMatchObject({
      applied: false,
      out_digest: null,
      error: { type: 'NotFound', message: 'it is gone', exit_code: 2 },
    });
  });

  it('goes on when a backfill or an alias fails', async () => {
    const denied = async () => {
      throw new HoubaError('Denied', 'no');
    };
    stage.play({
      planPolicy: planning({
        backfills: [backfillOf('lib/steps', '1'), backfillOf('lib/steps', '2')],
        aliases: [aliasOf('lib/steps', 'one', '1')],
      }),
      attachSboms: async ({ subject }) => (subject === digestFor('placed 1') ? denied() : 1),
      publishTag: denied,
    });
    const result = await reconcile('steps');
    expect(operationsOf(result).map(({ kind, applied }) => [kind, applied])).toEqual([
      ['sbom', false],
      ['sbom', true],
      ['aliased', false],
    ]);
    expect(result.node).toMatchObject({ status: 'partial', totals: { sbom: 1, failed: 2 } });
  });

  it('makes the evidence that a kept tag lacks, the document before its signature, and reports each', async () => {
    const both = backfillOf('lib/evidence', '1', { needs: ['sbom', 'attested'] });
    const signature = backfillOf('lib/evidence', '2', { needs: ['attested'] });
    stage.play({ planPolicy: planning({ backfills: [both, signature], concurrency: 1 }) });
    const result = await reconcile('evidence');
    expect(stage.order()).toEqual(['planPolicy', 'attachSboms', 'signEvidence', 'signEvidence']);
    const [signed] = stage.inputs('signEvidence');
    const { destination, tag, subject, artifactType, facts } = both;
    expect(signed).toMatchObject({ destination, tag, subject, artifactType, facts, journal: { kind: 'attested' } });
    expect(operationsOf(result).map(({ kind, out_tag, applied }) => [kind, out_tag, applied])).toEqual([
      ['attested', '1', true],
      ['attested', '2', true],
      ['sbom', '1', true],
    ]);
    expect(result.node.totals).toEqual({ ...noCounts(), sbom: 1, attested: 2 });
  });

  it('signs nothing of a tag whose inventory could not be made', async () => {
    stage.play({
      planPolicy: planning({ backfills: [backfillOf('lib/undocumented', '1', { needs: ['sbom', 'attested'] })] }),
      attachSboms: async () => {
        throw new HoubaError('Denied', 'no');
      },
    });
    const result = await reconcile('undocumented');
    expect(stage.order()).toEqual(['planPolicy', 'attachSboms']);
    expect(result.node.totals).toEqual({ ...noCounts(), failed: 1 });
  });

  it('fills up inventories alone where an earlier version planned it', async () => {
    const { needs: _, facts: __, ...earlier } = backfillOf('lib/earlier', '1');
    stage.play({ planPolicy: planning({ backfills: [earlier as Backfill] }) });
    await reconcile('earlier');
    expect(stage.order()).toEqual(['planPolicy', 'attachSboms']);
  });

  it('names the steps of a rebuild in the report', async () => {
    stage.play({ planPolicy: planning({ placements: [placementOf('lib/rebuilds', '1', REBUILD)] }) });
    const result = await reconcile('rebuilds');
    expect(operationsOf(result)).toMatchObject([{ kind: 'imported', transform_steps: ['setTimezone'] }]);
  });

  it('reports the aliases that a placement moved, and those it could not', async () => {
    const aliases = ['1', 'latest', 'same'].map((alias) => ({ alias, current: null }));
    stage.play({
      planPolicy: planning({ placements: [placementOf('lib/pointed', '1.0', { aliases })] }),
      publishTag: async ({ tag }) => {
        if (tag === 'latest') throw new HoubaError('PreconditionFailed', 'moved by somebody else');
        return tag !== 'same';
      },
    });
    const result = await reconcile('pointed');
    expect(operationsOf(result).map(({ kind, out_tag, applied }) => [kind, out_tag, applied])).toEqual([
      ['imported', '1.0', true],
      ['aliased', '1', true],
      ['aliased', 'latest', false],
    ]);
  });

  it('fails a placement whose tag another run is placing', async () => {
    const gate = createGate();
    const taken = placementOf('lib/taken', '1.0');
    stage.play({ writeImage: () => gate.hold(undefined) });
    const other = await stage.client.workflow.start<typeof placeImage>('placeImage', {
      args: [taken],
      taskQueue: QUEUES.flow,
      workflowId: placementId(taken.destination, taken.tag),
    });
    await gate.reached;
    stage.play({
      planPolicy: planning({ placements: [taken, placementOf('lib/taken', '1.1')] }),
      publishTag: async ({ tag }) => {
        if (tag === '1.1') gate.open();
        return true;
      },
    });
    const result = await reconcile('taken');
    await other.result();
    expect(result.node.status).toBe('partial');
    expect(operationsOf(result)[0]?.error).toMatchObject({ type: 'PreconditionFailed', exit_code: 1 });
  });

  it('goes on when somebody cancels one placement', async () => {
    const gate = createGate();
    const chosen = placementOf('lib/chosen', '1.0');
    stage.play({
      planPolicy: planning({ placements: [chosen, placementOf('lib/chosen', '1.1')], concurrency: 1 }),
      attachSboms: async ({ subject }, context) => {
        if (subject !== stampedDigest('lib/chosen:1.0')) return 1;
        gate.enter();
        return untilCancelled(context);
      },
    });
    const handle = await start(policyInput('chosen'));
    await gate.reached;
    await stage.client.workflow.getHandle(placementId(chosen.destination, '1.0')).cancel();
    const result = await handle.result();
    expect(result.node).toMatchObject({ status: 'partial', totals: { imported: 1, failed: 1 } });
    expect(operationsOf(result)[0]?.error).toMatchObject({ type: 'Interrupted', exit_code: 2 });
    expect(stage.inputs('removeWritten')).toHaveLength(1);
  });
});

describe('pages', () => {
  /** A repository that converges: what was published is gone from the next plan. */
  function converging(path: string, count: number, concurrency: number) {
    const wanted = numbered(path, count).map((one) => ({
      ...one,
      label: { ...one.label, artifactType: 'generic' as const },
    }));
    const published = new Set<string>();
    const planPolicy: Fakes['planPolicy'] = async ({ failed }) => {
      const open = wanted.filter(
        ({ tag }) => !published.has(tag) && !failed.includes(`registry.example/${path}:${tag}`),
      );
      return planPage({ placements: open.slice(0, 200), pending: open.length, concurrency });
    };
    const publishTag: Fakes['publishTag'] = async ({ tag }) => {
      published.add(tag);
      return true;
    };
    return { planPolicy, publishTag, published };
  }

  it('follow each other until nothing is left, each in a history of its own; what failed is not tried again', async () => {
    const tries = new Map<string, number>();
    const { planPolicy, publishTag, published } = converging('lib/pages', 450, 16);
    stage.play({
      planPolicy,
      publishTag,
      inspectPlacement: async (placement: Placement, context) => {
        tries.set(placement.tag, (tries.get(placement.tag) ?? 0) + 1);
        if (placement.tag.endsWith('7')) throw new HoubaError('NotFound', 'it is gone');
        return HAPPY.inspectPlacement(placement, context);
      },
    });
    const handle = await start(policyInput('pages'));
    const result = await handle.result();

    expect(stage.inputs('planPolicy').map(({ first, failed }) => [first, failed.length])).toEqual([
      [true, 0],
      [false, 20],
      [false, 40],
    ]);
    expect(result.node).toMatchObject({ status: 'partial', totals: { imported: 405, failed: 45 } });
    expect(published.size).toBe(405);
    expect([...tries.values()].every((count) => count === 1)).toBe(true);
    expect(operationsOf(result).map(({ out_tag }) => out_tag)).toEqual(numbered('', 450).map(({ tag }) => tag));

    const first = stage.client.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId);
    const events = await historyOf(first);
    expect(events.length).toBeLessThanOrEqual(2_000);
    expect(events.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.input?.payloads).toHaveLength(2);
    expect(Math.max(...payloadSizes(events))).toBeLessThanOrEqual(32 * 1024);
  });

  it('end, although the plan never converges', async () => {
    stage.play({
      planPolicy: async ({ first }) =>
        planPage({ aliases: [aliasOf('lib/loop', first ? 'one' : 'again', '1')], pending: 3 }),
    });
    const { node } = await reconcile('loop');
    expect(node.totals.aliased).toBeLessThanOrEqual(4);
  });
});

describe('a running policy', () => {
  it('tells how far it is', async () => {
    const gate = createGate();
    stage.play({
      planPolicy: planning({ placements: numbered('lib/progress', 3), concurrency: 1 }),
      writeImage: ({ placement }) => (placement.tag === '1.1' ? gate.hold(undefined) : Promise.resolve(undefined)),
    });
    const handle = await start(policyInput('progress'));
    await gate.reached;
    const progress = await handle.query<Progress>('progress');
    const status = await handle.query<Status>('status');
    gate.open();
    await handle.result();
    expect(progress).toEqual({ done: 1, total: 3, current: ['1.1'] });
    expect(status.phase).toBe('placing');
    expect(await handle.query<Progress>('progress')).toEqual({ done: 3, total: 3, current: [] });
  });

  it('that is cancelled ends cancelled, once its placements have undone their work', async () => {
    const gate = createGate();
    stage.play({
      planPolicy: planning({ placements: numbered('lib/stopped', 4), concurrency: 2 }),
      attachSboms: async (_, context) => {
        if (stage.inputs('attachSboms').length === 2) gate.enter();
        return untilCancelled(context);
      },
    });
    const handle = await start(policyInput('stopped'));
    await gate.reached;
    await handle.cancel();
    expect(await failureOf(handle.result())).toBeInstanceOf(CancelledFailure);
    expect((await handle.describe()).status.name).toBe('CANCELLED');
    expect(
      stage
        .inputs('inspectPlacement')
        .map(({ tag }) => tag)
        .sort(),
    ).toEqual(['1.0', '1.1']);
    expect(stage.inputs('removeWritten')).toHaveLength(2);
    expect(stage.order()).not.toContain('publishTag');
    for (const { destination, tag } of stage.inputs('inspectPlacement')) {
      const child = await stage.client.workflow.getHandle(placementId(destination, tag)).describe();
      expect(child.status.name).toBe('CANCELLED');
    }
  });

  it('that is cancelled while it plans does nothing more', async () => {
    const gate = createGate();
    stage.play({
      planPolicy: async (_, context) => {
        gate.enter();
        return untilCancelled(context);
      },
    });
    const handle = await start(policyInput('never-planned'));
    await gate.reached;
    await handle.cancel();
    expect(await failureOf(handle.result())).toBeInstanceOf(CancelledFailure);
  });

  it('can be found by its outcome, and its placements by what they place', async () => {
    stage.play({ planPolicy: planning({ placements: [placementOf('lib/found', '1')] }) });
    const handle = await start(policyInput('found'));
    await handle.result();
    expect((await handle.describe()).searchAttributes).toMatchObject({ HoubaOutcome: ['ok'] });
    const id = placementId({ host: 'registry.example', path: 'lib/found' }, '1');
    expect((await stage.client.workflow.getHandle(id).describe()).searchAttributes).toMatchObject({
      HoubaPolicy: ['redis'],
      HoubaRepository: ['registry.example/lib/found'],
      HoubaTag: ['1'],
      HoubaDigest: [digestFor('source 1')],
    });
  });
});
