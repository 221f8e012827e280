import { type Client, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { ActivityFailure, ChildWorkflowFailure } from '@temporalio/common';
import type { History } from '@temporalio/common/lib/proto-utils.js';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { dataConverter } from '../../config/payload-codec.js';
import { programPath } from '../../config/programs.js';
import { QUEUES, SEARCH_ATTRIBUTES } from '../../domain/durable/names.js';
import { type Call, type Fakes, HAPPY, type Input, type StepName, stepsPlaying } from './fake-steps.js';

/** A Temporal server with the product's workflows and played steps. One a test file: its clock is shared. */
export interface Stage {
  readonly client: Client;
  /** What the steps do from now on; those not named work. Forgets the calls so far. */
  play(fakes?: Partial<Fakes>): void;
  readonly calls: readonly Call[];
  /** The names of the steps called, in order. */
  order(): StepName[];
  inputs<Name extends StepName>(step: Name): Input<Name>[];
  /** The server's time, which is not this process's; ms since 1970. */
  now(): Promise<number>;
  /** Lets time pass, at once where the server skips it. */
  pass(ms: number): Promise<void>;
  close(): Promise<void>;
}

/**
 * @param bundle path of the workflows' bundle
 * @param server time-skipping, where days pass at once, or the real one
 */
export async function openStage(bundle: string, server: 'time-skipping' | 'local' = 'time-skipping'): Promise<Stage> {
  quietRuntime();
  const environment = await patiently(server === 'local' ? startLocal : startTimeSkipping);
  await addSearchAttributes(environment);

  let fakes: Fakes = HAPPY;
  const calls: Call[] = [];
  const { attachSboms, inspectBuild, writeBuild, signEvidence, ...registry } = stepsPlaying(
    () => fakes,
    (call) => calls.push(call),
  );
  const shared = { connection: environment.nativeConnection, dataConverter };
  const soon = { maxHeartbeatThrottleInterval: '50ms', defaultHeartbeatThrottleInterval: '50ms' } as const;
  const workers = await Promise.all([
    Worker.create({
      ...shared,
      taskQueue: QUEUES.flow,
      workflowBundle: { codePath: bundle },
      // A mistake in a workflow fails its run at once instead of waiting for a fixed build.
      workflowFailureErrorTypes: { '*': ['Error'] },
    }),
    Worker.create({ ...shared, ...soon, taskQueue: QUEUES.registry, activities: registry }),
    Worker.create({
      ...shared,
      ...soon,
      taskQueue: QUEUES.build,
      activities: { attachSboms, inspectBuild, writeBuild },
    }),
    Worker.create({ ...shared, ...soon, taskQueue: QUEUES.sign, activities: { signEvidence } }),
  ]);
  const running = Promise.all(workers.map((worker) => worker.run()));
  return {
    client: environment.client,
    play: (next = {}) => {
      fakes = { ...HAPPY, ...next };
      calls.length = 0;
    },
    calls,
    order: () => calls.map((call) => call.step),
    inputs: (step) => calls.filter((call) => call.step === step).map((call) => call.input as Input<typeof step>),
    now: () => environment.currentTimeMs(),
    pass: (ms) => environment.sleep(ms),
    close: async () => {
      for (const worker of workers) worker.shutdown();
      await running;
      await environment.teardown();
    },
  };
}

/** Only what the SDK itself finds wrong is worth a line: workflows write the journal's events of failures that tests cause. */
export function quietRuntime(): void {
  if (Runtime._instance !== undefined) return;
  const logger = new DefaultLogger('ERROR', ({ message, meta }) => {
    if (meta?.sdkComponent !== 'workflow') process.stderr.write(`${message} ${meta?.error ?? ''}\n`);
  });
  const logging = { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } as const;
  Runtime.install({ logger, telemetryOptions: { logging } });
}

/** The SDK gives a server five seconds to start, which a busy machine may need for loading it. */
async function patiently<Started>(start: () => Promise<Started>): Promise<Started> {
  for (let tried = 1; ; tried++) {
    try {
      return await start();
    } catch (error) {
      if (tried === 5 || !/did not start within/.test(String(error))) throw error;
    }
  }
}

function startTimeSkipping(): Promise<TestWorkflowEnvironment> {
  const executable = { type: 'existing-path' as const, path: program('temporal-test-server') };
  return TestWorkflowEnvironment.createTimeSkipping({ server: { executable }, client: { dataConverter } });
}

function startLocal(): Promise<TestWorkflowEnvironment> {
  const executable = { type: 'existing-path' as const, path: program('temporal') };
  return TestWorkflowEnvironment.createLocal({ server: { executable, ip: '127.0.0.1' }, client: { dataConverter } });
}

function program(name: string): string {
  const path = programPath(name);
  if (path === null) throw new Error(`${name} is not there; run make setup`);
  return path;
}

/** `temporal.api.enums.v1.IndexedValueType`. */
const INDEXED = { KEYWORD: 2, BOOL: 5, DATETIME: 6 } as const;

/** A server that does not know them fails every task that sets one. */
async function addSearchAttributes({ connection, namespace = 'default' }: TestWorkflowEnvironment): Promise<void> {
  const searchAttributes = Object.fromEntries(
    Object.values(SEARCH_ATTRIBUTES).map(([name, type]) => [name, INDEXED[type]]),
  );
  await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
}

/** Every event of a run, page by page. */
export async function historyOf(handle: WorkflowHandle): Promise<NonNullable<History['events']>> {
  return (await handle.fetchHistory()).events ?? [];
}

/** Bytes of every payload that the events hold, as they travelled. */
export function payloadSizes(events: NonNullable<History['events']>): number[] {
  const sizes: number[] = [];
  const look = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    if ('data' in value && value.data instanceof Uint8Array) sizes.push(value.data.length);
    else for (const inner of Object.values(value)) look(inner);
  };
  look(events);
  return sizes;
}

/** Why a workflow failed: what stands behind the failures of the client, the step and the child. */
export async function failureOf(result: Promise<unknown>): Promise<Error> {
  try {
    await result;
  } catch (error) {
    let inner = error as Error;
    while (isWrapper(inner) && inner.cause !== undefined) inner = inner.cause;
    return inner;
  }
  throw new Error('the workflow was expected to fail');
}

function isWrapper(error: Error): error is Error & { cause?: Error } {
  return (
    error instanceof WorkflowFailedError || error instanceof ActivityFailure || error instanceof ChildWorkflowFailure
  );
}
