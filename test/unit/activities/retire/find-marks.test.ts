import { beforeEach, describe, expect, it } from 'vitest';
import type { MarksPage } from '../../../../activities/retire/find-marks.js';
import type { FindRequest } from '../../../../activities/sweep/walk-registries.js';
import type { Digest } from '../../../../domain/digest.js';
import { HoubaError } from '../../../../domain/errors.js';
import { MARK_ARTIFACT_TYPE } from '../../../../domain/lifecycle/mark.js';
import { type ActivityWorld, createWorld, run } from '../../../support/activity-world.js';
import { storeImage } from '../../../support/memory-registries.js';

const HOST = 'main.example';
let world: ActivityWorld;
beforeEach(() => {
  world = createWorld();
});

const repository = (path: string) => ({ host: HOST, path });

function tagged(path: string, tag: string, salt = `${path} ${tag}`): Digest {
  const store = world.registries.store(repository(path));
  const digest = storeImage(store, { salt });
  store.tags.set(tag, digest);
  return digest;
}

/** @param named the tag that the mark names; null: none */
async function mark(path: string, subject: Digest, named: string | null, state = 'pending-deletion'): Promise<void> {
  await world.registries.regctl.putArtifact(repository(path), subject, {
    artifactType: MARK_ARTIFACT_TYPE,
    annotations: {
      'io.houba.lifecycle.state': state,
      'io.houba.lifecycle.marked-at': '2026-01-01T00:00:00Z',
      'io.houba.policy': 'redis',
      ...(named === null ? {} : { 'io.houba.lifecycle.tag': named }),
    },
  });
}

async function markedTag(path: string, tag: string): Promise<void> {
  await mark(path, tagged(path, tag), tag);
}

const find = (request: Partial<FindRequest> = {}): Promise<MarksPage> =>
  run(world.steps.findMarks, { registries: ['main'], repositories: null, cursor: null, ...request });
const names = ({ found }: MarksPage) => found.map(({ destination, tag }) => `${destination.path}:${tag}`);

describe('a walk for marks', () => {
  it('finds every tag that a pending mark on its digest names, and no other', async () => {
    await markedTag('lib/a', '1');
    tagged('lib/a', 'unmarked');
    tagged('lib/a', 'alias', 'lib/a 1');
    await mark('lib/b', tagged('lib/b', 'restored'), 'restored', 'restored');
    await mark('lib/b', tagged('lib/b', 'noted'), null, 'superseded');
    await markedTag('lib/c', '9');
    const page = await find();
    expect(names(page)).toEqual(['lib/a:1', 'lib/c:9']);
    expect(page.found[0]).toMatchObject({ policy: 'redis', destination: { registry: 'main', host: HOST } });
    expect(page).toMatchObject({ settled: [], next: null });
  });

  it('tells of a mark that names no tag, which never purges', async () => {
    await mark('lib/a', tagged('lib/a', 'old'), null);
    expect(await find()).toMatchObject({
      found: [],
      settled: [{ image_ref: `${HOST}/lib/a:old`, decision: 'protect', reason: expect.stringMatching('names no tag') }],
    });
  });

  it('goes on where a full page ended, in the middle of a repository too', async () => {
    for (let index = 0; index < 130; index++) await markedTag('lib/a', `t-${String(index).padStart(3, '0')}`);
    await markedTag('lib/b', '1');
    const first = await find();
    expect(first.found).toHaveLength(100);
    expect(first.next).toEqual({ registry: 'main', path: 'lib/a', tag: 't-099' });
    const second = await find({ cursor: first.next });
    expect(names(second)[0]).toBe('lib/a:t-100');
    expect(names(second).at(-1)).toBe('lib/b:1');
    expect(second).toMatchObject({ next: null });
    expect(new Set([...names(first), ...names(second)]).size).toBe(131);
  });

  it('reports a repository that cannot be read, and goes on', async () => {
    await markedTag('lib/a', '1');
    await markedTag('lib/b', '1');
    world.registries.before = (call) => {
      if (call === `TAGS ${HOST}/lib/a`) throw new HoubaError('Denied', 'not for you');
    };
    const page = await find();
    expect(names(page)).toEqual(['lib/b:1']);
    expect(page.settled).toMatchObject([
      { image_ref: `${HOST}/lib/a`, digest: null, decision: 'uncertain', error: { type: 'Denied', exit_code: 2 } },
    ]);
  });

  it('stays inside the namespace of its registry', async () => {
    world = createWorld({ roster: { main: { namespace: 'team' } } });
    await markedTag('team/a', '1');
    await markedTag('other/a', '1');
    await markedTag('teams/a', '1');
    expect(names(await find())).toEqual(['team/a:1']);
  });
});
