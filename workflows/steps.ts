import { type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { BuildActivities, RegistryActivities, SignActivities } from '../activities/index.js';
import { QUEUES } from '../domain/durable/names.js';

/**
 * What a step whose worker was killed waits before another worker takes it over. Every step beats three times as often
 * (`step`), and bears being run twice if a stalled worker misses it.
 */
const HEARTBEAT = '10 seconds';

/** Timeouts and retries by kind of step (guide, section 4); workflows name no other. */
const REGISTRY = {
  taskQueue: QUEUES.registry,
  // The default lets a workflow go on while its tool still writes (guide, "Cancellation").
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  heartbeatTimeout: HEARTBEAT,
} satisfies ActivityOptions;
const TOO_LARGE = ['PayloadsTooLarge'];

const plan = proxyActivities<RegistryActivities>({
  ...REGISTRY,
  startToCloseTimeout: '2 hours',
  scheduleToCloseTimeout: '12 hours',
  retry: {
    initialInterval: '5 seconds',
    backoffCoefficient: 2,
    maximumInterval: '5 minutes',
    nonRetryableErrorTypes: TOO_LARGE,
  },
});

const read = proxyActivities<RegistryActivities>({
  ...REGISTRY,
  startToCloseTimeout: '2 minutes',
  scheduleToCloseTimeout: '30 minutes',
  retry: { initialInterval: '2 seconds', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

const copy = proxyActivities<RegistryActivities>({
  ...REGISTRY,
  startToCloseTimeout: '30 minutes',
  scheduleToCloseTimeout: '6 hours',
  retry: { initialInterval: '5 seconds', backoffCoefficient: 2, maximumInterval: '5 minutes' },
});

const move = proxyActivities<RegistryActivities>({
  ...REGISTRY,
  startToCloseTimeout: '2 minutes',
  scheduleToCloseTimeout: '1 hour',
  retry: { initialInterval: '2 seconds', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

const inventory = proxyActivities<BuildActivities>({
  taskQueue: QUEUES.build,
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  heartbeatTimeout: HEARTBEAT,
  startToCloseTimeout: '30 minutes',
  scheduleToCloseTimeout: '2 hours',
  retry: {
    initialInterval: '10 seconds',
    backoffCoefficient: 2,
    maximumInterval: '5 minutes',
    maximumAttempts: 5,
  },
});

const build = proxyActivities<BuildActivities>({
  taskQueue: QUEUES.build,
  cancellationType: 'WAIT_CANCELLATION_COMPLETED',
  heartbeatTimeout: HEARTBEAT,
  startToCloseTimeout: '2 hours',
  scheduleToCloseTimeout: '8 hours',
  retry: {
    // Shorter than the guide's: a person may wait for it, and without a daemon the hourly run comes back anyway.
    initialInterval: '5 seconds',
    backoffCoefficient: 2,
    maximumInterval: '10 minutes',
    maximumAttempts: 5,
  },
});

const verify = proxyActivities<RegistryActivities>({
  ...REGISTRY,
  startToCloseTimeout: '5 minutes',
  scheduleToCloseTimeout: '1 hour',
  retry: { initialInterval: '5 seconds', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

const sign = proxyActivities<SignActivities>({
  ...REGISTRY,
  taskQueue: QUEUES.sign,
  startToCloseTimeout: '5 minutes',
  scheduleToCloseTimeout: '1 hour',
  retry: { initialInterval: '5 seconds', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

const control = proxyActivities<RegistryActivities>({
  ...REGISTRY,
  startToCloseTimeout: '1 minute',
  scheduleToCloseTimeout: '15 minutes',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '30 seconds' },
});

/** A deletion goes on once it has begun. */
const removal = proxyActivities<RegistryActivities>({
  ...REGISTRY,
  startToCloseTimeout: '15 minutes',
  scheduleToCloseTimeout: '2 hours',
  retry: { initialInterval: '2 seconds', backoffCoefficient: 2, maximumInterval: '5 minutes' },
});

/** Waits for a retirement that may be at work: its own steps are bounded. */
const starting = proxyActivities<RegistryActivities>({
  ...REGISTRY,
  startToCloseTimeout: '4 hours',
  scheduleToCloseTimeout: '12 hours',
  retry: { initialInterval: '5 seconds', backoffCoefficient: 2, maximumInterval: '5 minutes' },
});

/** Each answer of the oracle has a timeout of its own. */
const asking = proxyActivities<RegistryActivities>({
  ...REGISTRY,
  startToCloseTimeout: '30 minutes',
  scheduleToCloseTimeout: '2 hours',
  retry: { initialInterval: '5 seconds', backoffCoefficient: 2, maximumInterval: '5 minutes' },
});

const compensation = proxyActivities<RegistryActivities>({
  ...REGISTRY,
  startToCloseTimeout: '2 minutes',
  scheduleToCloseTimeout: '1 day',
  retry: { initialInterval: '5 seconds', backoffCoefficient: 2, maximumInterval: '10 minutes' },
});

/** What sweeps look at a repository with; the steps of the next sweep are among them without a line here. */
export const sweepSteps = plan;

/** Every other step a workflow can ask for, each under the options of its kind. */
export const steps = {
  openFleet: control.openFleet,
  planPolicy: plan.planPolicy,
  observeTags: plan.observeTags,
  withdrawWaits: plan.withdrawWaits,
  withdrawOrphans: read.withdrawOrphans,
  lookAgain: read.lookAgain,
  verifyUpstream: verify.verifyUpstream,
  inspectPlacement: read.inspectPlacement,
  inspectBuild: build.inspectBuild,
  writeImage: copy.writeImage,
  writeBuild: build.writeBuild,
  keepEvidence: copy.keepEvidence,
  attachSboms: inventory.attachSboms,
  signEvidence: sign.signEvidence,
  putStamp: move.putStamp,
  publishTag: move.publishTag,
  dropOldStamps: move.dropOldStamps,
  setMark: move.setMark,
  inspectDeletion: removal.inspectDeletion,
  deleteTags: removal.deleteTags,
  openSweep: control.openSweep,
  handOver: starting.handOver,
  judgeTag: asking.judgeTag,
  listRetirement: removal.listRetirement,
  deleteMarked: removal.deleteMarked,
  restoreTag: move.restoreTag,
  openAudit: control.openAudit,
  removeStamp: compensation.removeStamp,
  removeWritten: compensation.removeWritten,
};
