import type { PublishRequest } from '../../../../activities/place/publish-tag.js';
import type { Digest } from '../../../../domain/digest.js';
import type { Placement } from '../../../../domain/plan/work.js';
import type { ActivityWorld } from '../../../support/activity-world.js';
import { DESTINATION, placementOf } from '../../../support/durable-samples.js';
import { type ImageFacts, storeImage } from '../../../support/memory-registries.js';

export const SOURCE = { host: 'upstream.example', path: 'library/redis' };

/** The two ends of a placement in a test's world, which is another one for each test. */
export function endsOf(world: () => ActivityWorld) {
  const source = () => world().registries.store(SOURCE);
  const destination = () => world().registries.store(DESTINATION);
  /** Gives the source an image under a tag, and says how to place it. */
  function upstream(tag: string, image: ImageFacts = {}, facts: Partial<Placement> = {}): Placement {
    const baseDigest = storeImage(source(), { salt: tag, ...image });
    source().tags.set(tag, baseDigest);
    return placementOf('lib/redis', tag, { baseDigest, ...facts });
  }
  return { source, destination, upstream };
}

export function publishing({ destination: to, tag, current }: Placement, digest: Digest): PublishRequest {
  const placed = { artifactType: 'image', signed: false, stamp: null } as const;
  return { destination: to, tag, digest, expected: current, journal: { kind: 'imported', out_tag: tag }, placed };
}
