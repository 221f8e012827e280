import type { Digest } from '../../domain/digest.js';
import type { Observation, Placement } from '../../domain/durable/placement.js';
import { digestFor, placementOf } from './durable-samples.js';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;

/** What the tags of these samples show before they move. */
export const PLACED = digestFor('placed');

/** What a run at this time sees of a moved tag. */
export function observationOf(
  path: string,
  tag: string,
  digest: Digest,
  atMs: number,
  facts: Partial<Omit<Observation, 'placement'>> & { readonly placement?: Partial<Placement> } = {},
): Observation {
  const { placement, ...rest } = facts;
  const moved = { kind: 'updated', baseDigest: digest, current: digestFor('shown') } as const;
  return {
    digest,
    at: new Date(atMs).toISOString(),
    placed: PLACED,
    windowMs: 7 * DAY,
    maxWaitMs: 28 * DAY,
    ...rest,
    placement: placementOf(path, tag, { ...moved, ...placement }),
  };
}
