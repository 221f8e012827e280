import type { Dependencies } from './dependencies.js';
import { createOpenFleet } from './fleet.js';
import { createInspectPlacement, createPublishTag, createRemoveWritten, createWriteImage } from './placement.js';
import { createPlanPolicy } from './plan-policy.js';
import { createAttachSboms } from './sboms.js';

/** The network-bound steps, on the queue `houba-registry`. */
export function createRegistryActivities(deps: Dependencies) {
  return {
    openFleet: createOpenFleet(deps),
    planPolicy: createPlanPolicy(deps),
    inspectPlacement: createInspectPlacement(deps),
    writeImage: createWriteImage(deps),
    publishTag: createPublishTag(deps),
    removeWritten: createRemoveWritten(deps),
  };
}

/** The steps that cost processor and disk, on the queue `houba-build`. */
export function createBuildActivities(deps: Dependencies) {
  return { attachSboms: createAttachSboms(deps) };
}

export type RegistryActivities = ReturnType<typeof createRegistryActivities>;
export type BuildActivities = ReturnType<typeof createBuildActivities>;
