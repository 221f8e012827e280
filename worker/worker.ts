import { join } from 'node:path';
import {
  type LogLevel,
  type LogMetadata,
  NativeConnection,
  type NativeConnectionOptions,
  Runtime,
  Worker,
  type WorkerOptions,
} from '@temporalio/worker';
import { createBuildActivities, createRegistryActivities, createSignActivities } from '../activities/index.js';
import { killLiveCommands } from '../adapters/command.js';
import { dataConverter } from '../config/payload-codec.js';
import { packageRoot } from '../config/programs.js';
import type { Settings } from '../config/settings.js';
import { QUEUES } from '../domain/durable/names.js';
import { LIFE_SIGNS } from '../domain/durable/retry.js';
import { openDependencies } from './dependencies.js';
import type { Logger } from './journal.js';
import { requireOpenFiles } from './open-files.js';
import { tellLimits } from './tell-limits.js';

export interface HoubaWorker {
  /** Resolves after a shutdown, rejects when a queue's worker fails. */
  run(): Promise<void>;
  /** Stops polling, lets running activities end within their grace, then kills what is left. */
  shutdown(): void;
  healthy(): boolean;
}

interface HoubaWorkerOptions {
  readonly settings: Settings;
  readonly connection: NativeConnectionOptions;
  readonly namespace: string;
  /** The task queues to serve, all by default (docs/rules/durability.md#queues-are-apart-by-what-they-need). */
  readonly queues?: readonly string[];
  readonly log: Logger;
  /** The workflow bundle, made with the same SDK; by default that of the build in dist/. */
  readonly workflowBundle?: string;
}

/** Activities at a time: registry steps wait for the network, build steps need processor and disk. */
const REGISTRY_SLOTS = 50;
const BUILD_SLOTS = 2;
const SIGN_SLOTS = 5;

export async function startWorker(options: HoubaWorkerOptions): Promise<HoubaWorker> {
  requireOpenFiles();
  installRuntime(options.log);
  const opened = await openDependencies(options.settings, options.log);
  const connection = await NativeConnection.connect(options.connection);
  const shared = {
    connection,
    namespace: options.namespace,
    dataConverter,
    // The SDK would throttle heartbeats, and so delay a cancellation for most of the heartbeat timeout.
    maxHeartbeatThrottleInterval: LIFE_SIGNS.beatMs,
    defaultHeartbeatThrottleInterval: LIFE_SIGNS.beatMs,
    interceptors: { activity: [tellLimits(options.log)] },
  } satisfies Partial<WorkerOptions>;
  const all: Record<string, () => WorkerOptions> = {
    [QUEUES.flow]: () => ({
      ...shared,
      taskQueue: QUEUES.flow,
      workflowBundle: { codePath: options.workflowBundle ?? join(packageRoot(), 'dist', 'workflow-bundle.js') },
    }),
    [QUEUES.registry]: () => ({
      ...shared,
      taskQueue: QUEUES.registry,
      activities: createRegistryActivities(opened.dependencies),
      maxConcurrentActivityTaskExecutions: REGISTRY_SLOTS,
      shutdownGraceTime: '30 seconds',
      shutdownForceTime: '40 seconds',
    }),
    [QUEUES.build]: () => ({
      ...shared,
      taskQueue: QUEUES.build,
      activities: createBuildActivities(opened.dependencies),
      maxConcurrentActivityTaskExecutions: BUILD_SLOTS,
      shutdownGraceTime: '30 seconds',
      shutdownForceTime: '40 seconds',
    }),
    [QUEUES.sign]: () => ({
      ...shared,
      taskQueue: QUEUES.sign,
      activities: createSignActivities(opened.dependencies),
      maxConcurrentActivityTaskExecutions: SIGN_SLOTS,
      shutdownGraceTime: '30 seconds',
      shutdownForceTime: '40 seconds',
    }),
  };
  const queues = options.queues ?? Object.keys(all);
  const workers = await Promise.all(queues.flatMap((queue) => (all[queue] ? [Worker.create(all[queue]())] : [])));
  const shutdown = () => {
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const running = Promise.all(workers.map((worker) => worker.run()));
  // One failed queue stops the process: a worker without it would look healthy.
  running.catch(shutdown);
  return {
    run: async () => {
      try {
        await running;
      } finally {
        await killLiveCommands();
        await opened.close();
        await connection.close();
      }
    },
    shutdown,
    healthy: () => workers.every((worker) => worker.getState() === 'RUNNING'),
  };
}

/** Installs the SDK's runtime once a process; its warnings and errors go to the journal. */
function installRuntime(log: Logger): void {
  if (Runtime._instance !== undefined) return;
  Runtime.install({
    logger: sdkLogger(log),
    telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
    shutdownSignals: [],
  });
}

const LEVELS: Readonly<Record<LogLevel, 'trace' | 'debug' | 'info' | 'warn' | 'error'>> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERROR: 'error',
};

/** The SDK's warning about a queue without activities or without workflows, as all are here. */
const ONE_KIND_EACH = /^No (?:activities|workflows) registered/;

/** The SDK passes message and facts, pino wants facts and message (sdk-typescript#1352). */
function sdkLogger(log: Logger) {
  const write = (level: LogLevel, message: string, meta?: LogMetadata) => {
    const { sdkComponent, taskQueue, namespace, workflowId, runId, workflowType, ...fields } = meta ?? {};
    // Workflows log houba's events; of the SDK's own lines only warnings and errors are kept.
    if (sdkComponent !== 'workflow' && (level === 'INFO' || level === 'DEBUG' || level === 'TRACE')) return;
    if (ONE_KIND_EACH.test(message)) return;
    const whence = workflowId === undefined ? {} : { workflow_id: workflowId, run_id: runId };
    log[LEVELS[level]]({ ...fields, ...whence }, message);
  };
  return {
    log: write,
    trace: (message: string, meta?: LogMetadata) => write('TRACE', message, meta),
    debug: (message: string, meta?: LogMetadata) => write('DEBUG', message, meta),
    info: (message: string, meta?: LogMetadata) => write('INFO', message, meta),
    warn: (message: string, meta?: LogMetadata) => write('WARN', message, meta),
    error: (message: string, meta?: LogMetadata) => write('ERROR', message, meta),
  };
}
