import { createAuditRepository, createOpenAudit } from './audit/audit-repository.js';
import { createCollect, createPlanCollection } from './collect/collect.js';
import { createDeleteTags, createInspectDeletion } from './deletion/delete-tags.js';
import type { Dependencies } from './dependencies.js';
import { createAttachSboms } from './evidence/attach-sboms.js';
import { createSignEvidence } from './evidence/sign-evidence.js';
import { createKeepEvidence } from './place/keep-upstream-evidence.js';
import { createPublishTag } from './place/publish-tag.js';
import { createInspectBuild, createWriteBuild } from './place/rebuild.js';
import { createDropOldStamps, createPutStamp, createRemoveStamp } from './place/stamp-beside.js';
import { createVerifyUpstream } from './place/verify-upstream.js';
import { createInspectPlacement, createRemoveWritten, createWriteImage } from './place/write-image.js';
import { createOpenFleet } from './plan/open-fleet.js';
import { createPlanPolicy } from './plan/plan-policy.js';
import { createDeleteMarked, createListRetirement, createRestoreTag } from './retire/delete-marked.js';
import { createFindMarks } from './retire/find-marks.js';
import { createJudgeTag } from './retire/judge-tag.js';
import { createSetMark } from './retire/set-mark.js';
import { createStartRetirement } from './retire/start-retirement.js';
import { createObserveTags, createWithdrawOrphans, createWithdrawWaits } from './settle/observe-waits.js';
import { createSurveyWaitingTag } from './settle/survey-waiting-tag.js';
import { createListRepositories, createOpenSweep } from './sweep/walk-registries.js';

/** The network-bound steps, on the queue `houba-registry`. */
export function createRegistryActivities(deps: Dependencies) {
  return {
    openFleet: createOpenFleet(deps),
    planPolicy: createPlanPolicy(deps),
    observeTags: createObserveTags(deps),
    withdrawWaits: createWithdrawWaits(deps),
    withdrawOrphans: createWithdrawOrphans(deps),
    lookAgain: createSurveyWaitingTag(deps),
    verifyUpstream: createVerifyUpstream(deps),
    inspectPlacement: createInspectPlacement(deps),
    writeImage: createWriteImage(deps),
    keepEvidence: createKeepEvidence(deps),
    putStamp: createPutStamp(deps),
    publishTag: createPublishTag(deps),
    dropOldStamps: createDropOldStamps(deps),
    setMark: createSetMark(deps),
    inspectDeletion: createInspectDeletion(deps),
    deleteTags: createDeleteTags(deps),
    openSweep: createOpenSweep(deps),
    findMarks: createFindMarks(deps),
    listRepositories: createListRepositories(deps),
    handOver: createStartRetirement(deps),
    judgeTag: createJudgeTag(deps),
    listRetirement: createListRetirement(deps),
    deleteMarked: createDeleteMarked(deps),
    restoreTag: createRestoreTag(deps),
    planCollection: createPlanCollection(deps),
    collect: createCollect(deps),
    openAudit: createOpenAudit(deps),
    auditRepository: createAuditRepository(deps),
    removeStamp: createRemoveStamp(deps),
    removeWritten: createRemoveWritten(deps),
  };
}

/** The steps that cost processor and disk, on the queue `houba-build`. */
export function createBuildActivities(deps: Dependencies) {
  return {
    inspectBuild: createInspectBuild(deps),
    writeBuild: createWriteBuild(deps),
    attachSboms: createAttachSboms(deps),
  };
}

/** The only step with access to the signing key, on the queue `houba-sign`. */
export function createSignActivities(deps: Dependencies) {
  return { signEvidence: createSignEvidence(deps) };
}

export type RegistryActivities = ReturnType<typeof createRegistryActivities>;
export type BuildActivities = ReturnType<typeof createBuildActivities>;
export type SignActivities = ReturnType<typeof createSignActivities>;
