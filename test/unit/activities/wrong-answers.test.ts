import { beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../../domain/digest.js';
import { MARK_ARTIFACT_TYPE, type Mark, markAnnotations } from '../../../domain/lifecycle/mark.js';
import type { Placement } from '../../../domain/plan/work.js';
import { type ActivityWorld, createWorld, run } from '../../support/activity-world.js';
import { DESTINATION, digestFor, NOW, OPTIONS, placementOf, policyNamed } from '../../support/durable-samples.js';
import { storeImage, storeIndex } from '../../support/memory-registries.js';

const SOURCE = { host: 'registry.example', path: 'library/redis' };

let world: ActivityWorld;
beforeEach(() => {
  world = open();
});

function open(readBackMs = 0): ActivityWorld {
  return createWorld({
    roster: { main: { host: 'registry.example' } },
    settings: { purgeMinIdleMs: 1 },
    openOracle: () => ({ ask: async () => ({ kind: 'unseen', detail: '' }) }),
    readBackMs,
  });
}

const mirror = () => world.registries.store(DESTINATION);
const source = () => world.registries.store(SOURCE);

function placementAt(tag: string, facts: Partial<Placement> = {}): Placement {
  const baseDigest = storeImage(source(), { salt: tag });
  source().tags.set(tag, baseDigest);
  return placementOf('lib/redis', tag, { source: SOURCE, sourceTag: tag, baseDigest, ...facts });
}

async function place(tag: string): Promise<Digest> {
  const placement = placementAt(tag);
  const inspection = await run(world.steps.inspectPlacement, placement);
  await run(world.steps.writeImage, { placement, inspection });
  const { destination } = placement;
  const publication = { destination, tag, digest: inspection.stamped, expected: null, journal: {} };
  await run(world.steps.publishTag, publication);
  world.journal.length = 0;
  return inspection.stamped;
}

function markOf(tag: string): Mark {
  return {
    ...{ tag, state: 'pending-deletion', reason: 'dropped-from-selection', restored: null },
    markedAt: '2020-01-01T00:00:00.000+00:00',
    identity: { policy: 'redis', import: 'all', variant: 'default' },
  };
}

const attachMark = (digest: Digest, tag: string) =>
  world.registries.regctl.putArtifact(DESTINATION, digest, {
    ...{ artifactType: MARK_ARTIFACT_TYPE, annotations: markAnnotations(markOf(tag), 'io.houba') },
  });

/** HEAD finds nothing under these names although GET does. */
function hide(...references: readonly string[]): void {
  const { headManifest } = world.registries.reader;
  world.registries.reader.headManifest = async (repository, reference, signal) =>
    references.includes(reference) ? null : headManifest(repository, reference, signal);
}

describe('evidence that a registry takes and does not keep', () => {
  const ATTACHING: Readonly<Record<string, (digest: Digest) => Promise<unknown>>> = {
    'a mark': (digest) =>
      run(world.steps.setMark, { destination: DESTINATION, tag: '7', digest, put: markOf('7'), journal: {} }),
    'a stamp beside the image': (digest) =>
      run(world.steps.putStamp, {
        ...{ placement: placementOf('lib/redis', '7', { stampTo: 'referrer' }), digest, revision: null },
      }),
    'an SBOM': (digest) =>
      run(world.steps.attachSboms, {
        ...{ destination: DESTINATION, subject: digest, carryFrom: null, timestamp: NOW, journal: {} },
      }),
  };
  const take = async () => digestFor('taken');

  it.each(Object.entries(ATTACHING))('is not reported as done: %s', async (_, attach) => {
    const digest = await place('7');
    world.registries.regctl.putArtifact = take;
    await expect(attach(digest)).rejects.toMatchObject({ type: 'DigestMismatch', nonRetryable: true });
    expect(world.journal).toEqual([]);
  });

  it('is looked for again where lists lag behind', async () => {
    world = open(5_000);
    const digest = await place('7');
    const { listReferrers } = world.registries.reader;
    let stale = 3;
    world.registries.reader.listReferrers = async (...args) =>
      world.registries.writes.at(-1)?.startsWith('ATTACH') && stale-- > 0 ? [] : listReferrers(...args);
    await ATTACHING['a mark']?.(digest);
    expect(stale).toBeLessThanOrEqual(0);
    expect(world.journal).toMatchObject([{ event: 'operation', fields: { applied: true } }]);
  });
});

describe('a tag that HEAD does not find', () => {
  it('counts as deleted only when GET does not find it either', async () => {
    const digest = await place('7');
    world.registries.deletesTags = world.registries.deletes = false;
    hide('7');
    const tags = [{ tag: '7', digest, journal: {} }];
    const asked = { destination: DESTINATION, policy: 'redis', tags };
    const list = { manifests: [digest] };
    const { outcomes } = await run(world.steps.deleteTags, { ...asked, list });
    expect(outcomes).toMatchObject([{ deleted: false, error: { type: 'Unsupported' } }]);
    expect(mirror().tags.get('7')).toBe(digest);
  });

  it('counts as deleted by nobody when HEAD finds it and GET does not', async () => {
    const digest = await place('7');
    const { getManifest } = world.registries.reader;
    world.registries.reader.getManifest = async (repository, reference, signal) =>
      reference === '7' ? null : getManifest(repository, reference, signal);
    const tags = [{ tag: '7', digest, journal: {} }];
    const asked = { destination: DESTINATION, policy: 'redis', tags, list: { manifests: [digest] } };
    await expect(run(world.steps.deleteTags, asked)).rejects.toMatchObject({ type: 'RegistryUnavailable' });
  });

  it('counts as deleted by nobody when one GET misses it after its deletion failed', async () => {
    const digest = await place('7');
    const artifact = {
      artifactType: 'application/vnd.io.houba.deleted-tag',
      annotations: { 'io.houba.deleted-tag': '7' },
    };
    mirror().tags.set('7', await world.registries.regctl.putArtifact(DESTINATION, null, artifact));
    world.registries.deletesTags = world.registries.deletes = false;
    const { getManifest } = world.registries.reader;
    let asked = 0;
    // The last look, whether it is being deleted, and then what to put back.
    world.registries.reader.getManifest = async (repository, reference, signal) =>
      reference === '7' && ++asked === 3 ? null : getManifest(repository, reference, signal);
    const tags = [{ tag: '7', digest, journal: {} }];
    const request = { destination: DESTINATION, policy: 'redis', tags, list: { manifests: [digest] } };
    await expect(run(world.steps.deleteTags, request)).rejects.toMatchObject({ type: 'RegistryUnavailable' });
    await run(world.steps.deleteTags, request);
    expect(mirror().tags.get('7')).toBe(digest);
  });

  it('keeps what it needs when another tag goes', async () => {
    const [digest, other] = [await place('7'), storeIndex(mirror(), [{ digest: await place('8'), platform: null }])];
    mirror().tags.set('theirs', other);
    const needed = mirror().tags.get('8') as Digest;
    hide('theirs');
    const tags = [{ tag: '8', digest: needed, journal: {} }];
    const asked = { destination: DESTINATION, policy: 'redis', tags };
    const list = await run(world.steps.inspectDeletion, asked);
    await run(world.steps.deleteTags, { ...asked, list });
    expect([...mirror().manifests.keys()]).toEqual(expect.arrayContaining([digest, other, needed]));
  });

  it('keeps its image when a placement is undone', async () => {
    const digest = await place('7');
    hide('7');
    await run(world.steps.removeWritten, { destination: DESTINATION, digest });
    expect(mirror().manifests.has(digest)).toBe(true);
  });

  it('keeps its stamp when a placement is undone', async () => {
    const placement = placementOf('lib/redis', '7', { stampTo: 'referrer' });
    const digest = storeImage(mirror(), { salt: 'bare' });
    mirror().tags.set('7', digest);
    const request = { placement, digest, revision: null };
    const stamp = await run(world.steps.putStamp, request);
    hide('7');
    await run(world.steps.removeStamp, request);
    expect(mirror().manifests.has(stamp)).toBe(true);
  });

  it('is planned, found by its mark, judged and audited as it is', async () => {
    const digest = await place('7');
    await attachMark(digest, '7');
    hide('7');
    const policy = policyNamed('redis');
    const spec = { ...policy.spec, source: { registry: SOURCE.host, repository: SOURCE.path } };
    const request = { policy: { ...policy, spec }, source: '', options: OPTIONS, now: NOW, failed: [], first: true };
    const { placements } = await run(world.steps.planPolicy, request);
    expect(placements).toMatchObject([{ kind: 'restamped', current: digest }]);
    const { found } = await run(world.steps.findMarks, { registries: ['main'], repositories: null, cursor: null });
    expect(found).toMatchObject([{ tag: '7', digest }]);
    const marked = { destination: DESTINATION, tag: '7', digest: null, policy: 'redis' };
    expect(await run(world.steps.judgeTag, marked)).toMatchObject({ act: 'delete', digest });
    const audited = { repository: DESTINATION, signed: false, sbom: false, limit: null };
    expect(JSON.stringify(await run(world.steps.auditRepository, audited))).toContain(digest);
  });
});
