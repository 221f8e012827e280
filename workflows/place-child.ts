import { executeChild } from '@temporalio/workflow';
import { placementId } from '../domain/durable/ids.js';
import { QUEUES } from '../domain/durable/names.js';
import type { Placement } from '../domain/plan/work.js';
import { formatRepository } from '../domain/reference.js';
import { type PlacementResult, placeImage } from './place-image.js';
import { placementAttributes } from './search-attributes.js';

/** Places as a child, whose id is the lock of the tag. Throws what the child throws, or that the id is taken. */
export async function placeChild(placement: Placement): Promise<PlacementResult> {
  const { destination, tag, label } = placement;
  return executeChild(placeImage, {
    args: [placement],
    workflowId: placementId(destination, tag),
    taskQueue: QUEUES.flow,
    // A child's compensation outlives its parent.
    parentClosePolicy: 'ABANDON',
    staticSummary: `${placement.kind} ${tag}`,
    typedSearchAttributes: placementAttributes({
      policy: label.policy,
      repository: formatRepository(destination),
      tag,
      digest: placement.baseDigest,
    }),
  });
}
