// Records the histories that replay.test.ts replays, from played steps on a real Temporal server. By hand, when a
// workflow gets a new case; never over a file that stands for runs which may still be open (patch the workflow instead):
//
//   npx esbuild test/replay/record.ts --bundle --packages=external --platform=node --format=esm \
//     --outfile=.state/replay/record.mjs && node .state/replay/record.mjs [CASE...]
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { TestProject } from 'vitest/node';
import { packageRoot } from '../../config/programs.js';
import { placementId, policyId, settleId } from '../../domain/durable/ids.js';
import { QUEUES, WAIT_UPDATES, WORKFLOWS } from '../../domain/durable/names.js';
import type { WaitDecision, WaitStatus, Withdrawal } from '../../domain/durable/settle.js';
import { HoubaError, NOTHING_SENT } from '../../domain/errors.js';
import {
  aliasOf,
  backfillOf,
  digestFor,
  fleetInput,
  NOW,
  placementOf,
  planPage,
  policyInput,
  REBUILD,
} from '../support/durable-samples.js';
import { createGate, type Fakes, HAPPY, untilCancelled } from '../support/fake-steps.js';
import build from '../support/global-setup.js';
import { until } from '../support/stack.js';
import { HOUR, observationOf, observe, PLACED } from '../support/wait-samples.js';
import { openStage, type Stage } from '../support/workflow-env.js';
import { RUN_CASES } from './run-cases.js';
import { SWEEP_CASES } from './sweep-cases.js';

const FOLDER = join(packageRoot(), 'test', 'replay', 'histories');

/** Who ran it and where is nobody's business, and nothing that replaying looks at. */
const ANONYMOUS: Readonly<Record<string, string>> = { identity: 'recorder', stackTrace: '' };

/** Each leaves a closed run behind and names it. */
const CASES: Readonly<Record<string, (stage: Stage) => Promise<WorkflowHandle>>> = {
  'place-image/published': async (stage) => {
    stage.play();
    const placement = placementOf('lib/published', '7.2.0', { aliases: [{ alias: '7', current: null }] });
    return finished(await start(stage, WORKFLOWS.placement, placementId(placement.destination, '7.2.0'), placement));
  },
  'place-image/overtaken': async (stage) => {
    let published = 0;
    stage.play({ publishTag: async () => (++published === 1 ? 'again' : true) });
    const placement = placementOf('lib/overtaken', '7.2.0');
    return finished(await start(stage, WORKFLOWS.placement, placementId(placement.destination, '7.2.0'), placement));
  },
  'place-image/compensated': async (stage) => {
    stage.play({ publishTag: refused });
    const placement = placementOf('lib/compensated', '7.2.0');
    return finished(await start(stage, WORKFLOWS.placement, placementId(placement.destination, '7.2.0'), placement));
  },
  'place-image/sent-stays': async (stage) => {
    stage.play({ publishTag: denied });
    const placement = placementOf('lib/sent', '7.2.0');
    return finished(await start(stage, WORKFLOWS.placement, placementId(placement.destination, '7.2.0'), placement));
  },
  'place-image/cancelled': async (stage) => {
    const gate = createGate();
    stage.play({ attachSboms: (_, context) => gate.hold(null).then(() => untilCancelled(context)) });
    const placement = placementOf('lib/cancelled', '7.2.0');
    const handle = await start(stage, WORKFLOWS.placement, placementId(placement.destination, '7.2.0'), placement);
    await gate.reached;
    gate.open();
    await handle.cancel();
    return finished(handle);
  },
  'place-image/cancelled-publishing': async (stage) => {
    const gate = createGate();
    let published = 0;
    stage.play({ publishTag: async () => (++published === 1 ? gate.hold('again' as const) : true) });
    const placement = placementOf('lib/cancelled', '7.2.1');
    const handle = await start(stage, WORKFLOWS.placement, placementId(placement.destination, '7.2.1'), placement);
    await gate.reached;
    await handle.cancel();
    gate.open();
    return finished(handle);
  },
  'place-image/compensation-failed': async (stage) => {
    stage.play({ publishTag: refused, removeWritten: denied });
    const placement = placementOf('lib/stuck', '7.2.0');
    return finished(await start(stage, WORKFLOWS.placement, placementId(placement.destination, '7.2.0'), placement));
  },
  'place-image/rebuilt': async (stage) => {
    stage.play();
    const placement = placementOf('lib/rebuilt', '7.2.0', { ...REBUILD, sign: true, keepUpstreamEvidence: true });
    return finished(await start(stage, WORKFLOWS.placement, placementId(placement.destination, '7.2.0'), placement));
  },
  'place-image/rebuild-compensated': async (stage) => {
    stage.play({ signEvidence: denied });
    const placement = placementOf('lib/unsigned', '7.2.0', { ...REBUILD, sign: true });
    return finished(await start(stage, WORKFLOWS.placement, placementId(placement.destination, '7.2.0'), placement));
  },
  'place-image/signed-copy': async (stage) => {
    stage.play();
    const placement = placementOf('lib/signed', '7.2.0', { sign: true, verifyUpstream: { key: 'cosign.pub' } });
    return finished(await start(stage, WORKFLOWS.placement, placementId(placement.destination, '7.2.0'), placement));
  },
  'place-image/unverified': async (stage) => {
    stage.play({
      verifyUpstream: async () => {
        throw new HoubaError('SignatureInvalid', 'signed by another key');
      },
    });
    const placement = placementOf('lib/unverified', '7.2.0', { verifyUpstream: { key: 'cosign.pub' } });
    return finished(await start(stage, WORKFLOWS.placement, placementId(placement.destination, '7.2.0'), placement));
  },
  'place-image/restamped-beside': async (stage) => {
    stage.play();
    const current = digestFor('before');
    const placement = placementOf('lib/beside', '7.2.0', { stampTo: 'referrer', kind: 'restamped', current });
    return finished(await start(stage, WORKFLOWS.placement, placementId(placement.destination, '7.2.0'), placement));
  },
  'place-image/stamp-beside-compensated': async (stage) => {
    stage.play({ publishTag: refused });
    const placement = placementOf('lib/beside-undone', '7.2.0', { stampTo: 'referrer' });
    return finished(await start(stage, WORKFLOWS.placement, placementId(placement.destination, '7.2.0'), placement));
  },
  'reconcile-policy/evidence': async (stage) => {
    stage.play({
      planPolicy: async () =>
        planPage({
          backfills: [
            backfillOf('lib/evidence', '7.2.0', { needs: ['sbom', 'attested'] }),
            backfillOf('lib/evidence', '7.2.1', { needs: ['attested'] }),
          ],
        }),
    });
    return finished(await start(stage, WORKFLOWS.policy, policyId('evidence'), policyInput('evidence')));
  },
  'reconcile-policy/nothing-to-do': async (stage) => {
    stage.play();
    return finished(await start(stage, WORKFLOWS.policy, policyId('idle'), policyInput('idle')));
  },
  'reconcile-policy/placements': async (stage) => {
    const aliases = [{ alias: '7', current: null }];
    stage.play({
      planPolicy: async () =>
        planPage({
          placements: ['7.2.0', '7.2.1', '7.2.2'].map((tag) => placementOf('lib/placed', tag, { aliases })),
          backfills: [backfillOf('lib/placed', '7.1.0')],
          aliases: [aliasOf('lib/placed', '7.1', '7.1.0')],
          concurrency: 2,
        }),
      inspectPlacement: goneAt('7.2.1'),
    });
    return finished(await start(stage, WORKFLOWS.policy, policyId('placements'), policyInput('placements')));
  },
  'reconcile-policy/continued': async (stage) => {
    stage.play({
      planPolicy: async ({ first, failed }) =>
        planPage(
          first
            ? { placements: [placementOf('lib/page', '1'), placementOf('lib/page', '2')], pending: 3 }
            : { placements: [placementOf('lib/page', '3')], pending: failed.length },
        ),
      inspectPlacement: goneAt('2'),
    });
    const handle = await start(stage, WORKFLOWS.policy, policyId('continued'), policyInput('continued'));
    await finished(handle);
    return stage.client.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId);
  },
  'reconcile-policy/continuation': async (stage) =>
    stage.client.workflow.getHandle((await CASES['reconcile-policy/continued']?.(stage))?.workflowId ?? ''),
  'reconcile-policy/plan-failed': async (stage) => {
    stage.play({ planPolicy: denied });
    return finished(await start(stage, WORKFLOWS.policy, policyId('unplanned'), policyInput('unplanned')));
  },
  'reconcile-policy/waits': async (stage) => {
    const wait = {
      ...observationOf('lib/held', '7.2.0', digestFor('moved'), Date.parse(NOW)),
      listed: true,
      reason: null,
    };
    stage.play({ planPolicy: async () => planPage({ waits: [wait], waitsAfter: null }) });
    return finished(await start(stage, WORKFLOWS.policy, policyId('waits'), policyInput('waits')));
  },
  'settle-tag/taken': async (stage) => {
    stage.play({ lookAgain: unchanged });
    return finished(await settling(stage, 'taken', { windowMs: 1_500 }));
  },
  'settle-tag/long-wait': async (stage) => {
    stage.play({ lookAgain: unchanged });
    const handle = await settling(stage, 'long-wait');
    const digest = digestFor('long-wait again');
    const later = Date.now();
    for (let hour = 1; hour <= 30; hour++) {
      await observe(stage, observationOf('lib/settled', 'long-wait', digest, later + hour * HOUR));
    }
    for (const update of ['hold', 'release', 'promote'] as const) {
      const word: WaitDecision = { by: 'bob', reason: 'looked at it', digest };
      await handle.executeUpdate<WaitStatus, [WaitDecision]>(WAIT_UPDATES[update], { args: [word] });
    }
    return finished(handle);
  },
  'settle-tag/compensated': async (stage) => {
    let attempts = 0;
    stage.play({
      lookAgain: unchanged,
      publishTag: async (request, context) => (++attempts === 1 ? refused() : HAPPY.publishTag(request, context)),
    });
    const handle = await settling(stage, 'compensated');
    const word: WaitDecision = { by: 'bob', reason: 'needed', digest: digestFor('compensated') };
    for (const _ of [1, 2]) await handle.executeUpdate<WaitStatus, [WaitDecision]>('promote', { args: [word] });
    return finished(handle);
  },
  'settle-tag/cancelled': async (stage) => {
    const gate = createGate();
    stage.play({
      lookAgain: unchanged,
      attachSboms: (_, context) => gate.hold(null).then(() => untilCancelled(context)),
    });
    const handle = await settling(stage, 'cancelled', { windowMs: 0 });
    await gate.reached;
    gate.open();
    await handle.cancel();
    return finished(handle);
  },
  'settle-tag/withdrawn': async (stage) => {
    stage.play();
    const handle = await settling(stage, 'withdrawn');
    await handle.signal<[Withdrawal]>('withdrawn', { at: new Date(Date.now() + HOUR).toISOString() });
    return finished(handle);
  },
  'settle-tag/source-tag-gone': async (stage) => {
    stage.play({ lookAgain: async (request, context) => ({ ...(await unchanged(request, context)), upstream: null }) });
    return finished(await settling(stage, 'source-tag-gone', { maxWaitMs: 1_500 }));
  },
  'settle-tag/nothing-to-fetch': async (stage) => {
    stage.play({
      lookAgain: async (request, context) => {
        return { ...(await unchanged(request, context)), upstream: null, fetchable: [] };
      },
    });
    const handle = await settling(stage, 'nothing-to-fetch', { maxWaitMs: 1_500 });
    await until(async () => (await handle.describe()).searchAttributes.HoubaNeedsHuman?.[0] === true);
    await handle.signal<[Withdrawal]>('withdrawn', { at: new Date(Date.now() + HOUR).toISOString() });
    return finished(handle);
  },
  ...RUN_CASES,
  ...SWEEP_CASES,
  'reconcile-fleet/one-of-three-fails': async (stage) => {
    stage.play({
      planPolicy: async ({ policy }) => (policy.metadata.name === 'broken' ? denied() : planPage()),
    });
    return finished(
      await start(stage, WORKFLOWS.fleet, 'reconcile-fleet-recorded', fleetInput(['fine', 'broken', 'well'])),
    );
  },
};

/** Upstream still shows what a wait was begun with. */
const unchanged: Fakes['lookAgain'] = async (request, context) => ({
  ...(await HAPPY.lookAgain(request, context)),
  ...{ current: digestFor('shown'), placed: PLACED },
});

async function settling(stage: Stage, tag: string, facts: Parameters<typeof observationOf>[4] = {}) {
  const observation = observationOf('lib/settled', tag, digestFor(tag), Date.now(), facts);
  await observe(stage, observation);
  return stage.client.workflow.getHandle(settleId(observation.placement.destination, tag));
}

/** Of a publication: no tag can show it. */
async function refused(): Promise<never> {
  throw new HoubaError('Denied', 'the registry refuses', { facts: { [NOTHING_SENT]: 1 } });
}

async function denied(): Promise<never> {
  throw new HoubaError('Denied', 'the registry refuses');
}

function goneAt(tag: string): Fakes['inspectPlacement'] {
  return async (placement, context) => {
    if (placement.tag === tag) throw new HoubaError('NotFound', 'it is gone');
    return HAPPY.inspectPlacement(placement, context);
  };
}

function start(stage: Stage, workflow: string, workflowId: string, input: unknown) {
  return stage.client.workflow.start(workflow, { args: [input], taskQueue: QUEUES.flow, workflowId });
}

async function finished(handle: WorkflowHandle): Promise<WorkflowHandle> {
  await handle.result().catch(() => undefined);
  return handle;
}

let bundle = '';
const project = { name: 'record', provide: (_: string, path: string) => (bundle = path) };
build(project as unknown as TestProject);
const stage = await openStage(bundle, 'local');
const wanted = process.argv.slice(2);
for (const [name, play] of Object.entries(CASES)) {
  const file = join(FOLDER, `${name}.json`);
  if (wanted.length > 0 ? !wanted.includes(name) : existsSync(file)) continue;
  const handle = await play(stage);
  const json = JSON.parse(historyToJSON(await handle.fetchHistory()));
  mkdirSync(dirname(file), { recursive: true });
  const text = JSON.stringify(json, (key, value) => (key in ANONYMOUS ? ANONYMOUS[key] : value), 1);
  // A sticky queue is named after the process as well.
  writeFileSync(file, `${text.replaceAll(`${process.pid}@${hostname()}`, 'recorder')}\n`);
  process.stderr.write(`${name}: ${json.events.length} events\n`);
}
await stage.close();
