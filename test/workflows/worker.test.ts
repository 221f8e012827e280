import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { connectTo } from '../../client/connect.js';
import { keepHistories } from '../../client/stack/namespace.js';
import { serverListens, spawnServer, stopServer } from '../../client/stack/temporal-server.js';
import { programPath } from '../../config/programs.js';
import { loadSettings } from '../../config/settings.js';
import type { FleetInput, FleetResult, PolicySource } from '../../domain/durable/messages.js';
import { QUEUES } from '../../domain/durable/names.js';
import { createLogger } from '../../worker/journal.js';
import { type HoubaWorker, startWorker } from '../../worker/worker.js';
import type { reconcileFleet } from '../../workflows/index.js';
import { fleetInput, policyNamed } from '../support/durable-samples.js';
import { type FakeRegistry, startFakeRegistry } from '../support/fake-registry.js';
import { freePort } from '../support/registries.js';

type Client = Awaited<ReturnType<typeof connectTo>>;

let folder: string;
let registry: FakeRegistry;
let server: ReturnType<typeof spawnServer>;
let client: Client;
let worker: HoubaWorker;
let running: Promise<void>;

/** A worker as production runs it, on the real server, reaching one registry. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'houba-worker-'));
  registry = await startFakeRegistry();
  const [port, uiPort] = [await freePort(), await freePort()];
  const files = { database: join(folder, 'temporal.db'), log: join(folder, 'temporal.log') };
  const program = programPath('temporal') ?? expect.fail('run make setup');
  server = spawnServer({ program, port, uiPort, ...files }, { PATH: '/usr/bin:/bin', HOME: folder });
  await serverListens(server, port, files.log);
  const place = { address: `127.0.0.1:${port}`, namespace: 'default', connection: null };
  await keepHistories(place.address, place.namespace);
  client = await connectTo(place);
  const { settings } = loadSettings({
    HOUBA_HOME: join(folder, 'home'),
    HOUBA_WORK_DIR: join(folder, 'work'),
    HOUBA_REGISTRIES: JSON.stringify({ main: { host: registry.host, tls_verify: false } }),
    HOME: folder,
    PATH: '/usr/bin:/bin',
  });
  worker = await startWorker({
    settings,
    connection: { address: place.address },
    namespace: place.namespace,
    log: createLogger({ format: 'json', level: 'info', destination: join(folder, 'journal') }),
    workflowBundle: inject('workflowBundle'),
  });
  running = worker.run();
});
afterAll(async () => {
  worker?.shutdown();
  await running;
  await client?.connection.close();
  await stopServer(server);
  await registry.stop();
  rmSync(folder, { recursive: true, force: true });
});

function sourceAt(name: string): PolicySource {
  const policy = policyNamed(name);
  const source = { registry: registry.host, repository: `library/${name}` };
  return { file: `${name}.yaml`, policy: { ...policy, spec: { ...policy.spec, source } } };
}

function reconcile(input: FleetInput): Promise<FleetResult> {
  return client.workflow.execute<typeof reconcileFleet>('reconcileFleet', {
    args: [input],
    taskQueue: QUEUES.flow,
    workflowId: 'reconcile-fleet-test',
  });
}

const journal = () =>
  readFileSync(join(folder, 'journal'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));

describe('a worker', () => {
  it('serves every queue', async () => {
    registry.on('GET /v2/library/empty/tags/list', { body: JSON.stringify({ name: 'library/empty', tags: [] }) });
    const { policies } = await reconcile(fleetInput([], { policies: [sourceAt('unknown'), sourceAt('empty')] }));
    expect(policies.map(({ name, error }) => [name, error?.type])).toEqual([
      ['unknown', 'NotFound'],
      ['empty', 'PreconditionFailed'],
    ]);
  });

  it('is healthy until it is told to end, and then ends', async () => {
    expect(worker.healthy()).toBe(true);
    worker.shutdown();
    await running;
    expect(worker.healthy()).toBe(false);
  });

  it('has told its journal by then what happened, in which run', () => {
    const events = journal();
    expect(events.map(({ event }) => event).sort()).toEqual([
      // A word of the SDK, for each step that failed.
      'Activity failed',
      'Activity failed',
      'policy.completed',
      'policy.completed',
      'policy.failed',
      'policy.failed',
      'policy.started',
      'policy.started',
      'run.completed',
      'run.started',
    ]);
    expect(events.find(({ event }) => event === 'run.started')).toMatchObject({
      level: 'info',
      policy_count: 2,
      mode: 'apply',
      workflow_id: 'reconcile-fleet-test',
    });
    expect(events.find(({ event, policy }) => event === 'policy.failed' && policy === 'empty')).toMatchObject({
      level: 'error',
      error_type: 'PreconditionFailed',
      exit_code: 1,
      workflow_id: 'reconcile/empty',
      run_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    });
  });
});
