import { createJudgeTag } from './ask-oracle.js';
import { createAuditRepository, createOpenAudit } from './audit-repository.js';
import { createInspectBuild, createWriteBuild } from './build.js';
import { createCollect, createPlanCollection } from './collect.js';
import { createDeleteTags, createInspectDeletion } from './delete-tag.js';
import type { Dependencies } from './dependencies.js';
import { createOpenFleet } from './fleet.js';
import { createHandOver } from './hand-over.js';
import { createLookAgain } from './look-again.js';
import { createSetMark } from './marks.js';
import { createObserveTags, createWithdrawOrphans, createWithdrawWaits } from './observe-tags.js';
import { createInspectPlacement, createPublishTag, createRemoveWritten, createWriteImage } from './placement.js';
import { createPlanPolicy } from './plan-policy.js';
import { createDeleteMarked, createListRetirement, createRestoreTag } from './retire.js';
import { createAttachSboms } from './sboms.js';
import { createSignEvidence } from './sign.js';
import { createDropOldStamps, createPutStamp, createRemoveStamp } from './stamp-artifact.js';
import { createFindMarks, createListRepositories, createOpenSweep } from './sweep.js';
import { createKeepEvidence } from './upstream-evidence.js';
import { createVerifyUpstream } from './verify-upstream.js';

/** The network-bound steps, on the queue `houba-registry`. */
export function createRegistryActivities(deps: Dependencies) {
  return {
    openFleet: createOpenFleet(deps),
    planPolicy: createPlanPolicy(deps),
    observeTags: createObserveTags(deps),
    withdrawWaits: createWithdrawWaits(deps),
    withdrawOrphans: createWithdrawOrphans(deps),
    lookAgain: createLookAgain(deps),
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
    handOver: createHandOver(deps),
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

/** The one step that reaches the signing identity, on the queue `houba-sign`. */
export function createSignActivities(deps: Dependencies) {
  return { signEvidence: createSignEvidence(deps) };
}

export type RegistryActivities = ReturnType<typeof createRegistryActivities>;
export type BuildActivities = ReturnType<typeof createBuildActivities>;
export type SignActivities = ReturnType<typeof createSignActivities>;
