export { placeImage } from './place-image.js';
export { reconcileFleet } from './reconcile-fleet.js';
export { reconcilePolicy } from './reconcile-policy.js';
export { settleTag } from './settle-tag.js';
