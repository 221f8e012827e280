import { beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../../domain/digest.js';
import { STAMP_ARTIFACT_TYPE } from '../../../domain/stamp/keys.js';
import { type ActivityWorld, createWorld, run } from '../../support/activity-world.js';
import { DESTINATION } from '../../support/durable-samples.js';
import { storeImage, storeIndex } from '../../support/memory-registries.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };

let world: ActivityWorld;
let image: Digest;
let index: Digest;
beforeEach(() => {
  world = createWorld();
  image = storeImage(source(), {});
  index = storeIndex(source(), [{ digest: image, platform: 'linux/amd64' }]);
});

const source = () => world.registries.store(SOURCE);
const keep = () => run(world.steps.keepEvidence, { source: SOURCE, digest: index, destination: DESTINATION });

function attach(subject: Digest, artifactType: string, annotations: Readonly<Record<string, string>> = {}) {
  return world.registries.regctl.putArtifact(SOURCE, subject, { artifactType, annotations });
}

describe('upstream’s evidence', () => {
  it('comes with the original, by digest: referrers of it and of its platforms, and signature tags', async () => {
    const signature = await attach(index, 'application/vnd.dev.sigstore.bundle.v0.3+json');
    const sbom = await attach(image, 'application/spdx+json');
    world.registries.writes.length = 0;
    await keep();
    expect(world.registries.writes).toEqual([
      `COPY upstream.example/library/redis@${index} registry.example/lib/redis with referrers with digest tags`,
    ]);
    const kept = world.registries.store(DESTINATION);
    expect([...kept.manifests.keys()].sort()).toEqual([image, index, sbom, signature].sort());
    expect(kept.tags.size).toBe(0);
  });

  it.each([
    ['a stamp', STAMP_ARTIFACT_TYPE, {}],
    ['an inventory of ours', 'application/spdx+json', { 'io.houba.sbom.platform': 'linux/amd64' }],
  ])('that would pass for %s is not taken in, also on a platform’s manifest', async (_, artifactType, annotations) => {
    await attach(image, artifactType, annotations);
    world.registries.writes.length = 0;
    await expect(keep()).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringContaining('would pass for evidence of ours'),
    });
    expect(world.registries.writes).toEqual([]);
  });

  it('may be gone upstream when the original is kept here', async () => {
    await keep();
    source().manifests.clear();
    world.registries.writes.length = 0;
    await keep();
    expect(world.registries.writes).toEqual([]);
  });

  it('of what nobody has is an error', async () => {
    source().manifests.clear();
    await expect(keep()).rejects.toMatchObject({ type: 'NotFound' });
  });
});
