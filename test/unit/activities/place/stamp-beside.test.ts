import { beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import type { Placement } from '../../../../domain/plan/work.js';
import { OCI_KEYS, STAMP_ARTIFACT_TYPE } from '../../../../domain/stamp/keys.js';
import { type ActivityWorld, createWorld, run } from '../../../support/activity-world.js';
import { DESTINATION, digestFor, NOW, placementOf } from '../../../support/durable-samples.js';
import { type ImageFacts, storeImage } from '../../../support/memory-registries.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };

let world: ActivityWorld;
beforeEach(() => {
  world = createWorld();
});

const source = () => world.registries.store(SOURCE);
const destination = () => world.registries.store(DESTINATION);

/** Gives the source an image under a tag, and says how to place it with its stamp beside it. */
function upstream(tag: string, image: ImageFacts = {}, facts: Partial<Placement> = {}): Placement {
  const baseDigest = storeImage(source(), image);
  source().tags.set(tag, baseDigest);
  return placementOf('lib/redis', tag, { baseDigest, stampTo: 'referrer', ...facts });
}

/** The steps of a placement that have to do with its stamp. */
async function place(placement: Placement): Promise<{ digest: Digest; stamp: Digest }> {
  const { destination: to, tag, current, kind } = placement;
  const inspection = await run(world.steps.inspectPlacement, placement);
  const digest = inspection.stamped;
  await run(world.steps.writeImage, { placement, inspection });
  const stamp = await run(world.steps.putStamp, { placement, digest, revision: inspection.revision });
  const placed = { artifactType: 'image', signed: false, stamp } as const;
  await run(world.steps.publishTag, { destination: to, tag, digest, expected: current, journal: { kind }, placed });
  return { digest, stamp };
}

async function stampsOn(digest: Digest) {
  const referrers = await world.registries.reader.listReferrers(DESTINATION, digest);
  return referrers.filter(({ artifactType }) => artifactType === STAMP_ARTIFACT_TYPE);
}

describe('a stamp beside an image', () => {
  it('leaves the image as upstream made it, and says all that a stamp says, and of which tag', async () => {
    const placement = upstream('7', { labels: { [OCI_KEYS.revision]: 'abc' } });
    const { digest, stamp } = await place(placement);
    expect(digest).toBe(placement.baseDigest);
    expect(world.registries.writes).toEqual([
      `COPY upstream.example/library/redis@${digest} registry.example/lib/redis`,
      `ATTACH registry.example/lib/redis@${digest} ${STAMP_ARTIFACT_TYPE}`,
      'PUT registry.example/lib/redis:7',
    ]);
    const [found] = await stampsOn(digest);
    expect(found).toMatchObject({
      digest: stamp,
      annotations: {
        [OCI_KEYS.baseDigest]: digest,
        [OCI_KEYS.created]: NOW,
        [OCI_KEYS.revision]: 'abc',
        'io.houba.policy': 'redis',
        'io.houba.tag': '7',
      },
    });
    expect(found?.annotations).not.toHaveProperty('io.houba.supersedes');
    expect(world.memory.facts(DESTINATION, digest)).toMatchObject({
      stamp: null,
      stampsBeside: [{ tag: '7', stamp: { policy: 'redis', stampTo: 'referrer' } }],
    });
  });

  it('a second time writes nothing', async () => {
    const placement = upstream('7');
    const first = await place(placement);
    world.registries.writes.length = 0;
    expect(await place(placement)).toEqual(first);
    expect(world.registries.writes).toEqual([]);
  });

  it('is one for each of the tags that show the image', async () => {
    const first = await place(upstream('7.2'));
    const second = await place(upstream('7.2.0'));
    expect(second.digest).toBe(first.digest);
    expect((await stampsOn(first.digest)).map(({ annotations }) => annotations['io.houba.tag'])).toEqual([
      '7.2',
      '7.2.0',
    ]);
    expect(world.memory.facts(DESTINATION, first.digest)?.stampsBeside.map(({ tag }) => tag)).toEqual(['7.2', '7.2.0']);
  });

  it('names what an update supersedes, and a restamp keeps that thread', async () => {
    const before = digestFor('before');
    const placement = upstream('7', {}, { kind: 'updated', current: before });
    const digest = storeImage(destination(), {});
    const revision = null;
    await run(world.steps.putStamp, { placement, digest, revision });
    expect((await stampsOn(digest))[0]?.annotations).toMatchObject({ 'io.houba.supersedes': before });
    const label = { ...placement.label, vendor: 'New' };
    const restamp: Placement = { ...placement, kind: 'restamped', current: digest, label };
    const stamp = await run(world.steps.putStamp, { placement: restamp, digest, revision });
    const [, renewed] = await stampsOn(digest);
    expect(renewed).toMatchObject({ digest: stamp, annotations: { 'io.houba.supersedes': before } });
  });

  it('is not put beside what bears marks of ours: they would be read first', async () => {
    const forged = { 'io.houba.policy': 'redis', [OCI_KEYS.baseDigest]: digestFor('forged') };
    const placement = upstream('7', { annotations: forged });
    await expect(run(world.steps.inspectPlacement, placement)).rejects.toMatchObject({
      type: 'PreconditionFailed',
      message: expect.stringContaining('use stamp: annotations'),
    });
  });
});

describe('a restamp', () => {
  it('puts the new stamp, and drops the old one of this tag alone', async () => {
    const placement = upstream('7');
    const { digest, stamp: old } = await place(placement);
    const { stamp: other } = await place(upstream('7.2'));
    const label = { ...placement.label, vendor: 'New' };
    const { stamp } = await place({ ...placement, kind: 'restamped', current: digest, label });
    expect(world.memory.facts(DESTINATION, digest)?.stampsBeside).toMatchObject([
      { tag: '7', stamp: { vendor: 'New' } },
      { tag: '7.2' },
    ]);
    const request = { destination: DESTINATION, tag: '7', subjects: [digest, digest], keep: stamp };
    expect(await run(world.steps.dropOldStamps, request)).toEqual({ leftBehind: [] });
    expect((await stampsOn(digest)).map((one) => one.digest).sort()).toEqual([other, stamp].sort());
    expect(destination().manifests.has(old)).toBe(false);
    expect(destination().tags.get('7')).toBe(digest);
  });

  it('says what it leaves behind where the registry cannot delete', async () => {
    const { digest, stamp } = await place(upstream('7'));
    world.registries.deletes = false;
    const request = { destination: DESTINATION, tag: '7', subjects: [digest], keep: null };
    expect(await run(world.steps.dropOldStamps, request)).toEqual({ leftBehind: [stamp] });
    expect(world.journal.at(-1)).toMatchObject({ event: 'left.behind', fields: { digests: [stamp] } });
  });
});

describe('taking a stamp back', () => {
  it('removes the one that was put, and no other', async () => {
    const { digest } = await place(upstream('7.2'));
    const placement = upstream('7');
    const request = { placement, digest, revision: null };
    await run(world.steps.putStamp, request);
    expect(await run(world.steps.removeStamp, request)).toEqual({ leftBehind: [] });
    expect((await stampsOn(digest)).map(({ annotations }) => annotations['io.houba.tag'])).toEqual(['7.2']);
    expect(await run(world.steps.removeStamp, request)).toEqual({ leftBehind: [] });
  });

  it('leaves the stamp of a tag that shows the image all the same', async () => {
    const placement = upstream('7');
    const { digest } = await place(placement);
    await run(world.steps.removeStamp, { placement, digest, revision: null });
    expect(await stampsOn(digest)).toHaveLength(1);
  });

  it('is for one that was put: an inspection says which was there already', async () => {
    const placement = upstream('7');
    const { digest } = await place(placement);
    expect(await run(world.steps.inspectPlacement, placement)).toMatchObject({ stampThere: true });
    const other = { ...placement, label: { ...placement.label, vendor: 'New' } };
    expect(await run(world.steps.inspectPlacement, other)).not.toHaveProperty('stampThere');
    expect(await run(world.steps.inspectPlacement, { ...placement, tag: '8' })).not.toHaveProperty('stampThere');
    expect(await stampsOn(digest)).toHaveLength(1);
  });

  it('fails where the registry does not list what it has accepted', async () => {
    const placement = upstream('7');
    const digest = storeImage(destination(), {});
    world.registries.reader.listReferrers = async () => [];
    await expect(run(world.steps.putStamp, { placement, digest, revision: null })).rejects.toMatchObject({
      type: 'DigestMismatch',
      message: expect.stringContaining('does not list sha256:'),
    });
  });
});
