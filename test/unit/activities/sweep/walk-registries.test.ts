import { beforeEach, describe, expect, it } from 'vitest';
import type { MarksPage } from '../../../../activities/retire/find-marks.js';
import type { FindRequest, RepositoriesPage } from '../../../../activities/sweep/walk-registries.js';
import type { Digest } from '../../../../domain/digest.js';
import { HoubaError } from '../../../../domain/errors.js';
import { type ActivityWorld, createWorld, run, type WorldFacts } from '../../../support/activity-world.js';
import { policyNamed } from '../../../support/durable-samples.js';
import { storeImage } from '../../../support/memory-registries.js';

const HOST = 'main.example';
let world: ActivityWorld;

function open(facts: WorldFacts = {}): void {
  world = createWorld({
    openOracle: () => ({ ask: async () => ({ kind: 'unseen', detail: '' }) }),
    ...facts,
    settings: { purgeMinIdleMs: 1_000, ...facts.settings },
  });
}
beforeEach(() => open());

const repository = (path: string) => ({ host: HOST, path });

function tagged(path: string, tag: string, salt = `${path} ${tag}`): Digest {
  const store = world.registries.store(repository(path));
  const digest = storeImage(store, { salt });
  store.tags.set(tag, digest);
  return digest;
}

const ALL: FindRequest = { registries: ['main'], repositories: null, cursor: null };
const find = (request: Partial<FindRequest> = {}): Promise<MarksPage> =>
  run(world.steps.findMarks, { ...ALL, ...request });
const list = (request: Partial<FindRequest> = {}): Promise<RepositoriesPage> =>
  run(world.steps.listRepositories, { ...ALL, ...request });

describe('opening a sweep', () => {
  const asked = { registry: null, repositories: null, apply: true, asks: true };
  const refused = async (more: object) => run(world.steps.openSweep, { ...asked, ...more }).catch((error) => error);

  it('needs an idle window and an oracle only where it asks', async () => {
    open({ settings: { purgeMinIdleMs: null } });
    expect((await refused({})).type).toBe('ConfigInvalid');
    expect(await refused({ asks: false })).toMatchObject({ mode: 'apply', registries: ['main'] });
    open({ openOracle: undefined as never });
    expect((await refused({})).message).toMatch('oracle');
  });

  it('refuses a registry or a repository that is not in the roster, and an empty roster', async () => {
    expect((await refused({ registry: 'nowhere' })).type).toBe('ConfigInvalid');
    expect((await refused({ repositories: ['other.example/a'] })).type).toBe('ConfigInvalid');
    expect(await refused({ repositories: [`${HOST}/a`] })).toMatchObject({ registries: ['main'] });
    open({ roster: {} });
    expect((await refused({})).type).toBe('ConfigInvalid');
  });

  it('leaves out an entry that is only a source, and refuses it by name', async () => {
    open({ roster: { main: {}, hub: { sourceOnly: true } } });
    expect(await refused({})).toMatchObject({ registries: ['main'] });
    expect(await refused({ registry: 'hub' })).toMatchObject({ type: 'ConfigInvalid' });
    expect(await refused({ repositories: ['hub.example/a'] })).toMatchObject({ type: 'ConfigInvalid' });
    open({ roster: { hub: { sourceOnly: true } } });
    expect((await refused({})).message).toMatch('every entry of HOUBA_REGISTRIES is only a source');
  });

  it('walks a place that another entry writes to, whatever the source is called', async () => {
    const host = 'one.example';
    open({ roster: { hub: { host, sourceOnly: true }, main: { host } } });
    expect(await refused({})).toMatchObject({ registries: ['main'] });
  });

  it('is dry when the worker says so, and looks at each place once', async () => {
    const host = 'one.example';
    open({
      settings: { dryRunDeletions: true },
      roster: { a: { host }, b: { host }, c: { host, namespace: 'team' } },
    });
    expect(await refused({})).toMatchObject({ mode: 'dry-run', registries: ['b', 'c'] });
  });
});

describe('a registry without a catalogue', () => {
  const none = (code: 'Unsupported' | 'RegistryUnavailable' = 'Unsupported') => {
    Object.assign(world.registries.reader, {
      listRepositories: async () => {
        throw new HoubaError(code, `${HOST} has no catalogue`);
      },
    });
  };
  const paths = ({ repositories }: RepositoriesPage) => repositories.map(({ path }) => path);

  it('is looked at where policies write to, and where this worker has been', async () => {
    open({
      settings: { policyDir: '/policies' },
      readPolicies: async () => [{ file: 'redis.yaml', policy: policyNamed('redis') }],
    });
    none();
    const facts = { stamp: null, stampsBeside: [], sbomFormats: [], signedFormats: null, marks: [] };
    world.memory.rememberFacts(repository('seen/before'), tagged('seen/before', '1'), facts);
    expect(paths(await list())).toEqual(['lib/redis', 'seen/before']);
    expect(world.journal).toMatchObject([{ event: 'catalogue.missing', fields: { repositories: 2 } }]);
  });

  it('is looked at where somebody names, and nowhere else', async () => {
    none();
    expect(paths(await list({ repositories: [`${HOST}/lib/x`, 'other.example/lib/y'] }))).toEqual(['lib/x']);
  });

  it('is an error when nothing is known of it, unless there are others', async () => {
    open({ roster: { main: {}, other: {} } });
    none();
    expect(await list()).toMatchObject({
      unread: [{ name: HOST, error: { message: expect.stringMatching('--repository') } }],
    });
    expect(await find()).toMatchObject({ settled: [{ image_ref: HOST, error: { type: 'Unsupported' } }] });
    const both = { registries: ['main', 'other'] };
    expect(await list(both)).toMatchObject({ unread: [] });
    expect(await find(both)).toMatchObject({
      settled: [
        { image_ref: HOST, error: null },
        { image_ref: 'other.example', error: null },
      ],
    });
  });

  it('is not one that does not answer', async () => {
    none('RegistryUnavailable');
    const facts = { stamp: null, stampsBeside: [], sbomFormats: [], signedFormats: null, marks: [] };
    world.memory.rememberFacts(repository('seen/before'), tagged('seen/before', '1'), facts);
    expect(await list()).toMatchObject({ repositories: [], unread: [{ error: { type: 'RegistryUnavailable' } }] });
  });
});

describe('a list of repositories', () => {
  it('comes in pages', async () => {
    for (let index = 0; index < 120; index++) tagged(`lib/r-${String(index).padStart(3, '0')}`, '1');
    const first = await list();
    expect(first.repositories).toHaveLength(100);
    const second = await list({ cursor: first.next });
    expect(second.repositories.map(({ path }) => path)[0]).toBe('lib/r-100');
    expect(second.repositories).toHaveLength(20);
    expect(second.next).toBeNull();
  });
});
