import { beforeEach, describe, expect, it } from 'vitest';
import type { DeletionList, DeletionRequest, DeletionResult } from '../../../../activities/deletion/delete-tags.js';
import type { Digest } from '../../../../domain/digest.js';
import { HoubaError } from '../../../../domain/errors.js';
import { MARK_ARTIFACT_TYPE } from '../../../../domain/lifecycle/mark.js';
import type { Placement } from '../../../../domain/plan/work.js';
import { type ActivityWorld, createWorld, run } from '../../../support/activity-world.js';
import { DESTINATION, digestFor, NOW, placementOf } from '../../../support/durable-samples.js';
import { storeImage, storeIndex } from '../../../support/memory-registries.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };
const SPDX = 'application/spdx+json';

let world: ActivityWorld;
beforeEach(() => {
  world = createWorld();
});

const source = () => world.registries.store(SOURCE);
const mirror = () => world.registries.store(DESTINATION);
const shown = (tag: string) => mirror().tags.get(tag) ?? expect.fail(`no ${tag}`);
const there = () => [...mirror().manifests.keys()].sort();

/** Two platforms, the second of which several images may share. */
function upstreamIndex(salt: string, shared = salt): Digest {
  return storeIndex(source(), [
    { digest: storeImage(source(), { salt: `${salt} amd64` }), platform: 'linux/amd64' },
    { digest: storeImage(source(), { salt: `${shared} arm64`, architecture: 'arm64' }), platform: 'linux/arm64' },
  ]);
}

/** Brings an image to a tag as its workflow does, inventory included. */
async function place(tag: string, baseDigest: Digest, facts: Partial<Placement> = {}): Promise<Digest> {
  const current = mirror().tags.get(tag) ?? null;
  source().tags.set(tag, baseDigest);
  const placement = placementOf('lib/redis', tag, { baseDigest, current, ...facts });
  const { destination } = placement;
  const inspection = await run(world.steps.inspectPlacement, placement);
  const { stamped: digest, revision } = inspection;
  await run(world.steps.writeImage, { placement, inspection });
  const sboms = { destination, subject: digest, carryFrom: null, timestamp: NOW, journal: null };
  await run(world.steps.attachSboms, sboms);
  const beside = placement.stampTo === 'referrer';
  const stamp = beside ? await run(world.steps.putStamp, { placement, digest, revision }) : null;
  const placed = { artifactType: 'image', signed: false, stamp } as const;
  await run(world.steps.publishTag, { destination, tag, digest, expected: current, journal: {}, placed });
  world.registries.writes.length = 0;
  return digest;
}

function request(...tags: readonly string[]): DeletionRequest {
  const doomed = tags.map((tag) => ({ tag, digest: shown(tag), journal: { kind: 'deleted', out_tag: tag } as const }));
  return { destination: DESTINATION, policy: 'redis', tags: doomed };
}

async function remove(asked: DeletionRequest): Promise<DeletionResult> {
  const list = await run(world.steps.inspectDeletion, asked);
  expect(world.registries.writes).toEqual([]);
  return run(world.steps.deleteTags, { ...asked, list });
}

const GONE = { deleted: true, kept: null, error: null };

describe('a deletion', () => {
  it('takes everything of a tag along, and leaves nothing behind', async () => {
    await place('7', upstreamIndex('seven'));
    expect(await remove(request('7'))).toEqual({ outcomes: [{ tag: '7', ...GONE }], leftBehind: [] });
    expect([...there(), ...mirror().tags]).toEqual([]);
    expect(world.registries.writes[0]).toBe('DELETE registry.example/lib/redis:7');
    expect(world.journal.at(-1)).toEqual({
      event: 'operation',
      fields: { kind: 'deleted', out_tag: '7', applied: true },
    });
  });

  it('leaves what another tag needs: platforms, originals, evidence', async () => {
    await place('8', upstreamIndex('eight', 'both'));
    const before = there();
    await place('7', upstreamIndex('seven', 'both'));
    await remove(request('7'));
    expect(there()).toEqual(before);
  });

  it('leaves the image alone that another tag shows, with that tag’s marks', async () => {
    const digest = await place('7', upstreamIndex('seven'));
    mirror().tags.set('latest', digest);
    for (const tag of ['7', 'latest']) await attachMark(digest, tag);
    const before = there();
    await remove(request('7'));
    expect([...mirror().tags.keys()]).toEqual(['latest']);
    expect(before.filter((one) => !there().includes(one))).toHaveLength(1);
    expect(await marksOn(digest)).toEqual(['latest']);
    expect(world.memory.facts(DESTINATION, digest)?.marks?.map(({ mark }) => mark.tag)).toEqual(['latest']);
  });

  it('takes the past of a tag along, unless another tag needs that', async () => {
    await place('6', upstreamIndex('six'));
    const before = there();
    await place('7', upstreamIndex('old'));
    await place('7', upstreamIndex('new'), { kind: 'updated' });
    await remove(request('7'));
    expect(there()).toEqual(before);
  });

  it('of several tags at once takes along what only they share', async () => {
    await place('7', upstreamIndex('seven', 'both'));
    await place('8', upstreamIndex('eight', 'both'));
    await remove(request('7', '8'));
    expect(there()).toEqual([]);
  });

  it('removes the stamp of the tag beside an image that stays', async () => {
    const base = upstreamIndex('seven');
    const digest = await place('7', base, { stampTo: 'referrer' });
    await place('7.0', base, { stampTo: 'referrer' });
    await remove(request('7'));
    const facts = world.memory.facts(DESTINATION, digest);
    expect(facts?.stampsBeside.map(({ tag }) => tag)).toEqual(['7.0']);
    const referrers = await world.registries.reader.listReferrers(DESTINATION, digest);
    expect(referrers.map(({ annotations }) => annotations['io.houba.tag']).sort()).toEqual([
      '7.0',
      undefined,
      undefined,
    ]);
  });

  it('takes along what older signers keep of the original by name', async () => {
    const base = upstreamIndex('seven');
    await place('7', base);
    for (const owner of [base, digestFor('another image')]) {
      mirror().tags.set(`${owner.replace(':', '-')}.sig`, storeImage(mirror(), { salt: `signature of ${owner}` }));
    }
    await remove(request('7'));
    expect([...mirror().tags.keys()]).toEqual([`${digestFor('another image').replace(':', '-')}.sig`]);
    expect(there()).toHaveLength(1);
  });
});

async function attachMark(digest: Digest, tag: string, state = 'pending-deletion'): Promise<void> {
  const annotations = { 'io.houba.lifecycle.tag': tag, 'io.houba.lifecycle.state': state };
  await world.registries.regctl.putArtifact(DESTINATION, digest, { artifactType: MARK_ARTIFACT_TYPE, annotations });
  world.registries.writes.length = 0;
}

async function marksOn(digest: Digest): Promise<(string | undefined)[]> {
  const referrers = await world.registries.reader.listReferrers(DESTINATION, digest);
  return referrers
    .filter(({ artifactType }) => artifactType === MARK_ARTIFACT_TYPE)
    .map(({ annotations }) => annotations['io.houba.lifecycle.tag']);
}

describe('the last look', () => {
  it('spares a tag that was moved meanwhile, and all that the others share with it', async () => {
    await place('7', upstreamIndex('seven', 'both'));
    await place('8', upstreamIndex('eight', 'both'));
    const asked = request('7', '8');
    const list = await run(world.steps.inspectDeletion, asked);
    const other = await place('8', upstreamIndex('nine', 'both'), { kind: 'updated' });
    const { outcomes } = await run(world.steps.deleteTags, { ...asked, list });
    expect(outcomes).toMatchObject([GONE, { deleted: false, error: { type: 'PreconditionFailed' } }]);
    expect(shown('8')).toBe(other);
    expect(await missingOf(other)).toEqual([]);
  });

  it('spares what does not carry the stamp of the policy', async () => {
    await place('7', upstreamIndex('seven'));
    mirror().tags.set('8', storeImage(mirror(), { salt: 'theirs' }));
    const before = there();
    const { outcomes } = await remove({ ...request('7', '8'), policy: 'else' });
    expect(outcomes.map(({ error }) => error?.type)).toEqual(['PreconditionFailed', 'PreconditionFailed']);
    expect(there()).toEqual(before);
  });

  it('spares a tag that somebody restored', async () => {
    const digest = await place('7', upstreamIndex('seven'));
    await attachMark(digest, '7', 'restored');
    const { outcomes } = await remove(request('7'));
    expect(outcomes).toEqual([{ tag: '7', deleted: false, kept: 'somebody restored it', error: null }]);
    expect(world.registries.writes).toEqual([]);
  });

  it('needs no policy where stamps name none', async () => {
    world = createWorld({ settings: { prefix: '' } });
    await place('7', upstreamIndex('seven'));
    expect(await remove(request('7'))).toMatchObject({ outcomes: [GONE] });
  });
});

async function missingOf(digest: Digest): Promise<string[]> {
  const { bytes } = mirror().manifests.get(digest) ?? expect.fail('not there');
  const { manifests } = JSON.parse(new TextDecoder().decode(bytes)) as { manifests: { digest: Digest }[] };
  return manifests.map((child) => child.digest).filter((child) => !mirror().manifests.has(child));
}

describe('an interrupted deletion', () => {
  it('comes to its end from the list alone, wherever it was cut short', async () => {
    await place('8', upstreamIndex('eight', 'both'));
    const before = there();
    const base = upstreamIndex('seven', 'both');
    for (let writes = 1; ; writes++) {
      await place('7', base);
      const asked = request('7');
      const list = await run(world.steps.inspectDeletion, asked);
      const ended = await cutShort(writes, asked, list);
      if (ended) break;
      const { outcomes } = await run(world.steps.deleteTags, { ...asked, list });
      expect(outcomes).toMatchObject([GONE]);
      expect(there()).toEqual(before);
    }
  });

  /** @returns whether it came to its end before that many writes */
  async function cutShort(writes: number, asked: DeletionRequest, list: DeletionList): Promise<boolean> {
    let left = writes;
    world.registries.before = (call) => {
      if (!call.startsWith('DELETE')) return;
      if (left === 0) throw new HoubaError('RegistryUnavailable', 'cut short');
      left -= 1;
    };
    const failure = await run(world.steps.deleteTags, { ...asked, list }).catch((error) => error);
    world.registries.before = () => undefined;
    if (failure instanceof Error) expect(failure).toMatchObject({ type: 'Interrupted', nonRetryable: false });
    return !(failure instanceof Error);
  }

  it('that has not begun is the registry’s failure', async () => {
    await place('7', upstreamIndex('seven'));
    world.registries.before = (call) => {
      if (call.startsWith('DELETE')) throw new HoubaError('RegistryUnavailable', 'away');
    };
    await expect(remove(request('7'))).rejects.toMatchObject({ type: 'RegistryUnavailable' });
  });
});

describe('a registry that does not delete', () => {
  it('is said of each tag, and nothing else is tried', async () => {
    await place('7', upstreamIndex('seven'));
    await place('8', upstreamIndex('eight'));
    world.registries.deletesTags = false;
    world.registries.deletes = false;
    const before = [there(), [...mirror().tags]];
    const { outcomes } = await remove(request('7', '8'));
    const refused = { deleted: false, kept: null, error: { type: 'Unsupported' } };
    expect(outcomes).toMatchObject([
      { tag: '7', ...refused },
      { tag: '8', ...refused },
    ]);
    expect([there(), [...mirror().tags]]).toEqual(before);
    expect(world.registries.writes.filter((write) => !write.startsWith('DELETE'))).toEqual([]);
  });

  it.each([
    ['answers as if nothing were there', false],
    ['answers as if all were deleted', 'pretended'],
  ] as const)('and %s: the run does not say deleted, and the tag shows what it did', async (_, tags) => {
    const digest = await place('7', upstreamIndex('seven'));
    world.registries.deletesTags = tags;
    world.registries.deletes = 'pretended';
    const { outcomes } = await remove(request('7'));
    expect(outcomes).toMatchObject([{ deleted: false, kept: null, error: { type: 'Unsupported', exit_code: 1 } }]);
    expect(mirror().tags.get('7')).toBe(digest);
    expect(world.journal.filter(({ fields }) => fields.kind === 'deleted')).toEqual([]);
  });

  it('from one moment to the next gives the tag its image back', async () => {
    const digest = await place('7', upstreamIndex('seven'));
    world.registries.deletesTags = false;
    world.registries.before = (call) => {
      if (call === 'PUT registry.example/lib/redis:7') world.registries.deletes = 'pretended';
    };
    const { outcomes } = await remove(request('7'));
    expect(outcomes).toMatchObject([{ deleted: false, error: { type: 'Unsupported' } }]);
    expect(mirror().tags.get('7')).toBe(digest);
  });

  it('but for tags leaves the rest behind, and says what', async () => {
    const digest = await place('7', upstreamIndex('seven'));
    world.registries.deletes = false;
    const { outcomes, leftBehind } = await remove(request('7'));
    expect(outcomes).toMatchObject([GONE]);
    expect(leftBehind).toContain(digest);
    expect(world.journal.at(-1)).toMatchObject({ event: 'left.behind' });
  });
});

describe('a registry that deletes manifests but no tags', () => {
  beforeEach(() => {
    world.registries.deletesTags = false;
  });

  it('loses the tag with a placeholder, and nothing else stays', async () => {
    await place('7', upstreamIndex('seven'));
    expect(await remove(request('7'))).toEqual({ outcomes: [{ tag: '7', ...GONE }], leftBehind: [] });
    expect([...there(), ...mirror().tags]).toEqual([]);
  });

  it('keeps an image that another tag shows', async () => {
    const digest = await place('7', upstreamIndex('seven'));
    mirror().tags.set('latest', digest);
    await remove(request('7'));
    expect([...mirror().tags]).toEqual([['latest', digest]]);
    expect(there()).toContain(digest);
  });

  it('comes to an end after an interruption between any two requests', async () => {
    for (let writes = 0; ; writes++) {
      await place('7', upstreamIndex('seven'));
      const asked = request('7');
      const list = await run(world.steps.inspectDeletion, asked);
      let left = writes;
      world.registries.before = (call) => {
        if (!/^(DELETE|PUT|ATTACH)/.test(call)) return;
        if (left === 0) throw new HoubaError('RegistryUnavailable', 'cut short');
        left -= 1;
      };
      const before = shown('7');
      const cut = await run(world.steps.deleteTags, { ...asked, list }).catch((error: unknown) => error);
      world.registries.before = () => undefined;
      // As long as the tag shows the placeholder, nobody may give up.
      if (mirror().tags.has('7') && shown('7') !== before) {
        expect(cut).toMatchObject({ type: 'Interrupted', nonRetryable: false });
      }
      const { outcomes } = await run(world.steps.deleteTags, { ...asked, list });
      expect(outcomes).toMatchObject([GONE]);
      expect([...there(), ...mirror().tags]).toEqual([]);
      if (!(cut instanceof Error)) break;
    }
  });
});

describe('a placeholder', () => {
  const PUT = 'PUT registry.example/lib/redis:7';
  beforeEach(() => {
    world.registries.deletesTags = false;
  });

  it('gives way to the image again when its deletion fails', async () => {
    const digest = await place('7', upstreamIndex('seven'));
    let isPut = false;
    world.registries.before = (call) => {
      if (call === PUT) isPut = true;
      else if (isPut && call.startsWith('DELETE')) throw new HoubaError('Denied', 'not any more');
    };
    const { outcomes } = await remove(request('7'));
    expect(outcomes).toMatchObject([{ deleted: false, error: { type: 'Denied' } }]);
    expect(shown('7')).toBe(digest);
  });

  it('is put over nothing that somebody pushed meanwhile', async () => {
    await place('7', upstreamIndex('seven'));
    const theirs = storeImage(mirror(), { salt: 'theirs' });
    world.registries.before = (call) => {
      if (call.startsWith('ATTACH')) mirror().tags.set('7', theirs);
    };
    const { outcomes } = await remove(request('7'));
    expect(outcomes).toMatchObject([{ deleted: false, error: { type: 'PreconditionFailed' } }]);
    expect(shown('7')).toBe(theirs);
    expect(world.registries.writes).not.toContain(PUT);
  });

  it('is taken back when the registry does not delete any more at the next attempt', async () => {
    const digest = await place('7', upstreamIndex('seven'));
    const asked = request('7');
    const list = await run(world.steps.inspectDeletion, asked);
    let isPut = false;
    world.registries.before = (call) => {
      if (isPut && /^(DELETE|PUT)/.test(call)) throw new HoubaError('RegistryUnavailable', 'away');
      if (call === PUT) isPut = true;
    };
    await expect(run(world.steps.deleteTags, { ...asked, list })).rejects.toMatchObject({ type: 'Interrupted' });
    world.registries.before = () => undefined;
    expect(shown('7')).not.toBe(digest);
    world.registries.deletes = false;
    const { outcomes } = await run(world.steps.deleteTags, { ...asked, list });
    expect(outcomes).toMatchObject([{ deleted: false, error: { type: 'Unsupported' } }]);
    expect(shown('7')).toBe(digest);
  });
});

describe('a read that lags behind a deletion', () => {
  it('is asked again before the tag counts as kept', async () => {
    world = createWorld({ readBackMs: 5_000 });
    const digest = await place('7', upstreamIndex('seven'));
    const { headManifest, deleteTag } = world.registries.reader;
    let stale = 0;
    world.registries.reader.deleteTag = (...args) => {
      stale = 3;
      return deleteTag(...args);
    };
    world.registries.reader.headManifest = async (repository, reference, signal) => {
      if (reference !== '7' || stale-- <= 0) return headManifest(repository, reference, signal);
      return { digest, mediaType: 'application/vnd.oci.image.index.v1+json', size: 1 };
    };
    expect(await remove(request('7'))).toMatchObject({ outcomes: [{ tag: '7', ...GONE }] });
    expect(mirror().tags.has('7')).toBe(false);
  });
});

describe('what cannot be understood', () => {
  it('stays, when it hangs on what goes', async () => {
    const digest = await place('7', upstreamIndex('seven'));
    const [sbom] = (await world.registries.reader.listReferrers(DESTINATION, digest)).filter(
      ({ artifactType }) => artifactType === SPDX,
    );
    garble(sbom?.digest as Digest);
    await remove(request('7'));
    expect(there()).toEqual([sbom?.digest]);
  });

  it('forbids every deletion, when a tag shows it', async () => {
    await place('7', upstreamIndex('seven'));
    garble(await place('8', upstreamIndex('eight')));
    await expect(run(world.steps.inspectDeletion, request('7'))).rejects.toMatchObject({ type: 'Unsupported' });
  });

  function garble(digest: Digest): void {
    const { bytes } = mirror().manifests.get(digest) ?? expect.fail('not there');
    const getManifest = world.registries.reader.getManifest;
    world.registries.reader.getManifest = async (repository, reference, signal) =>
      reference === digest
        ? { digest, bytes, mediaType: 'application/x-something' }
        : getManifest(repository, reference, signal);
  }
});
