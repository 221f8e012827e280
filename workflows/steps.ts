import { type ActivityOptions, proxyActivities } from '@temporalio/workflow';
import type { BuildActivities, RegistryActivities, SignActivities } from '../activities/index.js';
import { QUEUES } from '../domain/durable/names.js';
import { LIFE_SIGNS, STEP_TIMES, type StepTimes } from '../domain/durable/retry.js';

type Kind = keyof typeof STEP_TIMES;

/** Options of a step; a cancelled workflow awaits it (docs/rules/durability.md#cancelling-waits-for-the-step). */
function optionsOf(kind: Kind, more: ActivityOptions['retry'] = {}): ActivityOptions {
  const times: StepTimes = STEP_TIMES[kind];
  return {
    cancellationType: 'WAIT_CANCELLATION_COMPLETED',
    heartbeatTimeout: LIFE_SIGNS.silenceMs,
    startToCloseTimeout: times.attemptMs,
    scheduleToCloseTimeout: times.wholeMs,
    retry: {
      initialInterval: times.firstWaitMs,
      backoffCoefficient: 2,
      maximumInterval: times.longestWaitMs,
      ...(times.attempts !== undefined && { maximumAttempts: times.attempts }),
      ...more,
    },
  };
}

function registrySteps(kind: Kind, more?: ActivityOptions['retry']) {
  return proxyActivities<RegistryActivities>({ taskQueue: QUEUES.registry, ...optionsOf(kind, more) });
}

function buildSteps(kind: Kind) {
  return proxyActivities<BuildActivities>({ taskQueue: QUEUES.build, ...optionsOf(kind) });
}

const plan = registrySteps('plan', { nonRetryableErrorTypes: ['PayloadsTooLarge'] });
const read = registrySteps('read');
const copy = registrySteps('copy');
const move = registrySteps('move');
const verify = registrySteps('verify');
const control = registrySteps('control');
const removal = registrySteps('removal');
const starting = registrySteps('starting');
const asking = registrySteps('asking');
const compensation = registrySteps('compensation');
const inventory = buildSteps('inventory');
const build = buildSteps('build');
const sign = proxyActivities<SignActivities>({ taskQueue: QUEUES.sign, ...optionsOf('sign') });

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
