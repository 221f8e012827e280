import { beforeEach, describe, expect, it } from 'vitest';
import { type Digest, digestOf } from '../../domain/digest.js';
import { type ActivityWorld, createWorld, run } from '../support/activity-world.js';
import { DESTINATION, NOW, placementOf } from '../support/durable-samples.js';
import { storeImage, storeIndex } from '../support/memory-registries.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };
const OURS = { 'io.houba.sbom.platform': 'linux/amd64' };

let world: ActivityWorld;
beforeEach(() => {
  world = createWorld();
});
const source = () => world.registries.store(SOURCE);

/** What upstream says of an image, as if houba had said it. */
function forge(subject: Digest): Promise<Digest> {
  const config = Buffer.from('{}');
  source().blobs.set(digestOf(config), config);
  return world.registries.regctl.putArtifact(SOURCE, subject, {
    artifactType: 'application/spdx+json',
    annotations: OURS,
    file: { bytes: Buffer.from('{"of":"a lie"}'), mediaType: 'application/spdx+json' },
  });
}

const keep = (digest: Digest) => run(world.steps.keepEvidence, { source: SOURCE, digest, destination: DESTINATION });

async function place(digest: Digest, facts: object = {}): Promise<string | null> {
  source().tags.set('1.0', digest);
  const placement = placementOf(DESTINATION.path, '1.0', {
    ...{ source: SOURCE, sourceTag: '1.0', baseDigest: digest, destination: DESTINATION },
    ...facts,
  });
  const inspection = await run(world.steps.inspectPlacement, placement);
  await run(world.steps.writeImage, { placement, inspection });
  return inspection.revision;
}

describe('an inventory that upstream has made to look like ours', () => {
  let image: Digest;
  let forged: Digest;
  beforeEach(async () => {
    image = storeImage(source(), {});
    forged = await forge(image);
    world.registries.writes.length = 0;
  });
  const refused = { type: 'PreconditionFailed', message: expect.stringContaining('would pass for evidence of ours') };

  const withForged = () =>
    storeIndex(source(), [
      { digest: image, platform: 'linux/amd64' },
      { digest: forged, platform: 'unknown/unknown' },
    ]);

  it('does not come as the child of an index', async () => {
    await expect(place(withForged())).rejects.toMatchObject(refused);
    expect(world.registries.writes).toEqual([]);
  });

  it('does not come as the child of an index in an index', async () => {
    await expect(place(storeIndex(source(), [{ digest: withForged(), platform: null }]))).rejects.toMatchObject(
      refused,
    );
    expect(world.registries.writes).toEqual([]);
  });

  it('does not come as the platform of a subset', async () => {
    const index = storeIndex(source(), [{ digest: forged, platform: 'linux/arm64' }]);
    await expect(place(index, { platforms: ['linux/arm64'] })).rejects.toMatchObject(refused);
    expect(world.registries.writes).toEqual([]);
  });

  it('does not come as an image of its own', async () => {
    await expect(place(forged)).rejects.toMatchObject(refused);
    expect(world.registries.writes).toEqual([]);
  });

  it('does not come with upstream’s evidence, though the list of that does not show its marks', async () => {
    const { reader } = world.registries;
    const list = reader.listReferrers;
    reader.listReferrers = async (...asked) => (await list(...asked)).map((one) => ({ ...one, annotations: {} }));
    await expect(keep(image)).rejects.toMatchObject(refused);
    expect(world.registries.writes).toEqual([]);
  });
});

it('an image without forgeries comes as it is', async () => {
  const image = storeImage(source(), { annotations: { 'io.houba.policy': 'another house' } });
  await place(storeIndex(source(), [{ digest: image, platform: 'linux/amd64' }]));
  expect(world.registries.writes).toHaveLength(2);
});

it('an inventory of upstream’s own does not stand in for ours', async () => {
  const image = storeImage(source(), {});
  await world.registries.regctl.putArtifact(SOURCE, image, {
    artifactType: 'application/spdx+json',
    annotations: {},
    file: { bytes: Buffer.from('{"of":"whatever upstream likes"}'), mediaType: 'application/spdx+json' },
  });
  await keep(image);
  const request = { destination: DESTINATION, subject: image, carryFrom: null, timestamp: NOW, journal: null };
  expect(await run(world.steps.attachSboms, request)).toBe(1);
  expect(world.registries.scans).toHaveLength(1);
});

it.each([
  ['annotation', (revision: string) => ({ annotations: { 'org.opencontainers.image.revision': revision } })],
  ['label', (revision: string) => ({ labels: { 'org.opencontainers.image.revision': revision } })],
])('a revision too long for any history is none: %s', async (_, facts) => {
  expect(await place(storeImage(source(), facts('a'.repeat(40))))).toBe('a'.repeat(40));
  expect(await place(storeImage(source(), facts('a'.repeat(3 * 1024 * 1024))))).toBeNull();
});
