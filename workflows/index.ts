export { collectGarbage } from './collect-garbage.js';
export { noteDeletions } from './note-deletions.js';
export { placeImage } from './place-image.js';
export { purgeFleet } from './purge-fleet.js';
export { reconcileFleet } from './reconcile-fleet.js';
export { reconcilePolicy } from './reconcile-policy.js';
export { retireTag } from './retire-tag.js';
export { settleTag } from './settle-tag.js';
