import { describe, expect, it } from 'vitest';
import type { FleetInput } from '../../../../domain/durable/messages.js';
import type { MirrorPolicy } from '../../../../domain/policy/schema.js';
import { createWorld, run, type WorldFacts } from '../../../support/activity-world.js';
import { fleetInput, OPTIONS, policyNamed, sourceNamed } from '../../../support/durable-samples.js';

function open(input: FleetInput, facts: WorldFacts = {}) {
  const world = createWorld(facts);
  return run(world.steps.openFleet, input).then((fleet) => ({ fleet, journal: world.journal }));
}

const failing = (input: FleetInput, facts?: WorldFacts) => open(input, facts).catch((error) => error);

describe('opening a fleet', () => {
  it('takes the policies that came with it', async () => {
    const { fleet, journal } = await open(fleetInput(['a', 'b']));
    expect(fleet).toEqual({ own: ['a', 'b'], policies: null, dryRun: false, concurrency: 4 });
    expect(journal).toEqual([{ event: 'run.started', fields: { policy_count: 2, mode: 'apply' } }]);
  });

  it('reads the policies of the worker when none came along', async () => {
    const read: string[] = [];
    const readPolicies = async (path: string) => {
      read.push(path);
      return [sourceNamed('a')];
    };
    const { fleet } = await open(fleetInput([], { policies: null }), {
      settings: { policyDir: '/policies' },
      readPolicies,
    });
    expect(read).toEqual(['/policies']);
    expect(fleet).toMatchObject({ own: ['a'], policies: [sourceNamed('a')], folder: '/policies' });
  });

  it('needs POLICY_DIR for that', async () => {
    expect(await failing(fleetInput([], { policies: null }))).toMatchObject({
      type: 'ConfigInvalid',
      message: expect.stringContaining('POLICY_DIR'),
    });
  });

  it('shares the policies out among the shards, each to one', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const shards = [0, 1, 2].map((index) => open(fleetInput(names, { shard: { index, count: 3 } })));
    const own = (await Promise.all(shards)).flatMap(({ fleet }) => fleet.own);
    expect(own.sort()).toEqual(names);
  });

  it('lets a destination that no registry can hold fail its own policy alone', async () => {
    const long = policyNamed('long');
    const [entry] = long.spec.imports;
    const destinations = [{ project: 'p'.repeat(200), repository: 'r'.repeat(60) }];
    const policy = { ...long, spec: { ...long.spec, imports: [{ ...entry, destinations }] } } as MirrorPolicy;
    const policies = [sourceNamed('good'), { file: 'long.yaml', policy }];
    expect((await open(fleetInput([], { policies }))).fleet.own).toEqual(['good', 'long']);
  });

  it('works on one policy when asked to', async () => {
    expect((await open(fleetInput(['a', 'b'], { only: 'b' }))).fleet.own).toEqual(['b']);
  });

  it.each([
    [['redis', 'valkey'], 'no policy is named "redsi" (did you mean redis?)'],
    [[], 'no policy is named "redsi" (the set has: none)'],
  ])('knows no other than the set %j', async (names, message) => {
    expect(await failing(fleetInput(names, { only: 'redsi' }))).toMatchObject({ type: 'ConfigInvalid', message });
  });

  it.each([{ dryRunTags: true }, { dryRunDeletions: true }])(
    'is a dry run where the worker says so: %j',
    async (settings) => {
      const { fleet, journal } = await open(fleetInput(['a']), { settings });
      expect(fleet.dryRun).toBe(true);
      expect(journal[0]?.fields).toMatchObject({ mode: 'dry-run' });
    },
  );

  it('takes the concurrency of the run, else that of the worker', async () => {
    const asked = fleetInput(['a'], { options: { ...OPTIONS, concurrency: 9 } });
    expect((await open(asked)).fleet.concurrency).toBe(9);
    expect((await open(fleetInput(['a']), { settings: { maxConcurrency: 6 } })).fleet.concurrency).toBe(6);
  });
});

describe('a policy set', () => {
  const writingTo = (name: string, repository: string): MirrorPolicy => {
    const policy = policyNamed(name);
    const destinations = [{ registry: 'main', project: 'lib', repository }];
    return { ...policy, spec: { ...policy.spec, imports: [{ name: 'all', tags: {}, destinations }] } };
  };
  const set = (...policies: MirrorPolicy[]): FleetInput =>
    fleetInput([], { policies: policies.map((policy, index) => ({ file: `${index}.yaml`, policy })) });

  it('has one owner a repository, also across shards', async () => {
    const input = set(writingTo('a', 'redis'), writingTo('b', 'redis'));
    expect(await failing({ ...input, shard: { index: 0, count: 2 } })).toMatchObject({
      type: 'PolicyInvalid',
      message: expect.stringContaining('main.example/lib/redis is written by a and b'),
    });
  });

  it('has one policy a name', async () => {
    expect(await failing(set(writingTo('a', 'one'), writingTo('a', 'two')))).toMatchObject({
      type: 'PolicyInvalid',
      message: '1.yaml: the name a is taken by 0.yaml',
    });
  });

  it('names registries of the roster', async () => {
    expect(await failing(set(writingTo('a', 'one')), { roster: { other: {} } })).toMatchObject({
      type: 'ConfigInvalid',
    });
  });

  it('is checked again whoever sent it', async () => {
    const broken = { ...policyNamed('a'), spec: { ...policyNamed('a').spec, imports: [] } };
    expect(await failing(set(broken))).toMatchObject({
      type: 'PolicyInvalid',
      message: expect.stringMatching(/^0\.yaml: spec\.imports: /),
    });
  });
});
