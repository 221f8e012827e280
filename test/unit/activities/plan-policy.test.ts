import { CancelledFailure } from '@temporalio/common';
import { beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../../domain/digest.js';
import type { Placement, PlanPage, PlanRequest } from '../../../domain/durable/placement.js';
import type { MirrorPolicy } from '../../../domain/policy/schema.js';
import { HoubaError } from '../../../domain/report/errors.js';
import { type ActivityWorld, activityEnvironment, createWorld, run } from '../../support/activity-world.js';
import { DESTINATION, NOW, OPTIONS, policyNamed } from '../../support/durable-samples.js';
import { storeImage } from '../../support/memory-registries.js';

type Import = MirrorPolicy['spec']['imports'][number];

const SOURCE = { host: 'upstream.example', path: 'library/redis' };
const MIRROR = 'registry.example/lib/redis';
const ROSTER = { main: { host: 'registry.example' } };
const FIRST = { target: 0, variant: 0 };

let world: ActivityWorld;
beforeEach(() => {
  world = createWorld({ roster: ROSTER });
});

const source = () => world.registries.store(SOURCE);
const mirror = () => world.registries.store(DESTINATION);

/** Gives the source these tags, each with an image of its own. */
function upstream(...tags: string[]): void {
  for (const tag of tags) source().tags.set(tag, storeImage(source(), { salt: tag }));
}

function policyWith(facts: Partial<Import> = {}, spec: Partial<MirrorPolicy['spec']> = {}): MirrorPolicy {
  const written = policyNamed('redis');
  return {
    ...written,
    spec: { ...written.spec, imports: [{ ...(written.spec.imports[0] as Import), ...facts }], ...spec },
  };
}

function request(policy: MirrorPolicy, facts: Partial<PlanRequest> = {}): PlanRequest {
  return { policy, source: 'redis.yaml', options: OPTIONS, now: NOW, failed: [], first: true, ...facts };
}

function plan(policy = policyWith(), facts: Partial<PlanRequest> = {}): Promise<PlanPage> {
  return run(world.steps.planPolicy, request(policy, facts));
}

/** Carries out a placement as its workflow does. */
async function place(placement: Placement): Promise<void> {
  const { destination, tag, current: expected } = placement;
  const inspection = await run(world.steps.inspectPlacement, placement);
  const digest = inspection.stamped;
  await run(world.steps.writeImage, { placement, inspection });
  await run(world.steps.attachSboms, { destination, subject: digest, carryFrom: null, timestamp: NOW, journal: null });
  await run(world.steps.publishTag, { destination, tag, digest, expected, journal: {} });
  for (const { alias, current } of placement.aliases) {
    await run(world.steps.publishTag, { destination, tag: alias, digest, expected: current, journal: {} });
  }
}

async function converge(policy = policyWith()): Promise<void> {
  for (const placement of (await plan(policy)).placements) await place(placement);
  world.journal.length = 0;
  world.registries.reads.length = 0;
  world.registries.writes.length = 0;
}

const failing = (policy = policyWith(), facts: Partial<PlanRequest> = {}) =>
  plan(policy, facts).catch((error) => error);

describe('a plan', () => {
  it('says how to place what is not there yet', async () => {
    upstream('7.2.0');
    const page = await plan(policyWith({ owners: ['group:default/caching'], vendor: 'Example' }));
    expect(page).toEqual({
      targets: [{ dest_repo: MIRROR, variants: [{ name: 'default', suffix: '' }] }],
      settled: [],
      counted: [],
      placements: [
        {
          kind: 'imported',
          position: FIRST,
          source: SOURCE,
          sourceTag: '7.2.0',
          baseDigest: source().tags.get('7.2.0'),
          destination: DESTINATION,
          tag: '7.2.0',
          current: null,
          aliases: [],
          label: {
            created: NOW,
            artifactType: 'image',
            policy: 'redis',
            import: 'all',
            variant: 'default',
            owners: ['group:default/caching'],
            vendor: 'Example',
          },
        },
      ],
      backfills: [],
      aliases: [],
      pending: 1,
      cut: 0,
      error: null,
      concurrency: 4,
    });
    expect(world.registries.writes).toEqual([]);
  });

  it('is empty once everything is there', async () => {
    upstream('7.2.0', '7.2.1');
    await converge();
    const page = await plan();
    expect(page).toMatchObject({ placements: [], backfills: [], aliases: [], pending: 0 });
    expect(page.counted).toEqual([{ position: FIRST, kind: 'skipped', count: 2 }]);
  });

  it('asks for one HEAD a tag and side when everything is remembered', async () => {
    upstream('7.2.0', '7.2.1', '7.2.2');
    await converge();
    await plan();
    const verbs = world.registries.reads.map((call) => call.split(' ')[0]);
    expect(verbs.filter((verb) => verb === 'HEAD')).toHaveLength(6);
    expect(verbs.filter((verb) => verb === 'TAGS')).toHaveLength(2);
    expect(verbs).toHaveLength(8);
  });

  it('looks closer when the memory is lost, and then remembers; a recheck looks every time', async () => {
    upstream('7.2.0');
    await converge();
    await plan(policyWith(), { options: { ...OPTIONS, recheck: true } });
    expect(world.registries.reads.filter((call) => call.startsWith('REFERRERS'))).toHaveLength(1);
    const { memory } = world;
    const facts = memory.facts;
    memory.facts = () => undefined;
    await plan();
    expect(world.registries.reads.filter((call) => call.startsWith('REFERRERS'))).toHaveLength(2);
    memory.facts = facts;
    await plan();
    expect(world.registries.reads.filter((call) => call.startsWith('REFERRERS'))).toHaveLength(2);
  });

  it('looks once at a digest that several tags show', async () => {
    upstream('7.2.0', '7.2.1');
    await converge(policyWith({ tags: { aliases: ['{major}', '{major}.{minor}', 'latest'] } }));
    await plan(policyWith(), { options: { ...OPTIONS, recheck: true } });
    expect(world.registries.reads.filter((call) => call.startsWith('REFERRERS'))).toHaveLength(2);
  });

  it('passes over tags that hold evidence, and tags that end between the list and the look', async () => {
    upstream('7.2.0');
    await converge();
    mirror().tags.set(`sha256-${'0'.repeat(64)}`, mirror().tags.get('7.2.0') as Digest);
    mirror().tags.set('ghost', `sha256:${'0'.repeat(64)}` as Digest);
    await plan();
    const heads = world.registries.reads.filter((call) => call.startsWith(`HEAD ${MIRROR}`));
    expect(heads).toEqual([`HEAD ${MIRROR}:7.2.0`, `HEAD ${MIRROR}:ghost`]);
  });

  it('never takes an image without a stamp for its own', async () => {
    upstream('7.2.0');
    const foreign = storeImage(mirror(), { salt: 'somebody else' });
    mirror().tags.set('7.2.0', foreign).set('theirs', foreign);
    const page = await plan();
    expect(page.placements).toMatchObject([{ kind: 'imported', tag: '7.2.0', current: foreign }]);
    expect(page.settled).toEqual([]);
    expect(await plan()).toMatchObject({ placements: [{ current: foreign }] });
  });

  it('places again, from the recorded digest, what another owner or import shall have', async () => {
    upstream('7.2.0');
    await converge();
    const recorded = source().tags.get('7.2.0');
    source().tags.set('7.2.0', storeImage(source(), { salt: 'moved' }));
    const later = '2027-01-01T00:00:00.000+00:00';
    const { placements } = await plan(policyWith({ owners: ['group:default/new'] }), { now: later });
    expect(placements).toMatchObject([
      {
        kind: 'restamped',
        source: SOURCE,
        sourceTag: '7.2.0',
        baseDigest: recorded,
        current: mirror().tags.get('7.2.0'),
        label: { created: NOW, owners: ['group:default/new'] },
      },
    ]);
  });

  it('holds a tag that moved upstream', async () => {
    upstream('7.2.0');
    await converge();
    source().tags.set('7.2.0', storeImage(source(), { salt: 'moved' }));
    const page = await plan();
    expect(page.pending).toBe(0);
    expect(page.settled).toMatchObject([
      {
        position: FIRST,
        operation: {
          kind: 'held',
          out_tag: '7.2.0',
          digest: source().tags.get('7.2.0'),
          out_digest: mirror().tags.get('7.2.0'),
          applied: false,
          error: null,
        },
      },
    ]);
    expect(world.journal.map(({ event, fields }) => [event, fields.kind])).toEqual([
      ['policy.started', undefined],
      ['operation', 'held'],
    ]);
  });

  it('reports a tag that the source lists but does not serve', async () => {
    upstream('7.2.0', '7.2.1');
    source().manifests.delete(source().tags.get('7.2.1') as Digest);
    const page = await plan();
    expect(page.placements.map(({ tag }) => tag)).toEqual(['7.2.0']);
    expect(page.settled).toMatchObject([{ operation: { out_tag: '7.2.1', error: { type: 'NotFound' } } }]);
    expect(world.journal.at(-1)).toMatchObject({
      event: 'operation.failed',
      fields: { dest: MIRROR, variant: 'default', out_tag: '7.2.1', error_type: 'NotFound', exit_code: 2 },
    });
  });

  it('fills up the inventories of tags that stay', async () => {
    world = createWorld({ roster: ROSTER, settings: { sbomFormats: ['spdx-json', 'cyclonedx-json'] } });
    upstream('7.2.0');
    await converge();
    const placed = mirror().tags.get('7.2.0') as Digest;
    const [referrer] = await world.registries.reader.listReferrers(DESTINATION, placed);
    mirror().manifests.delete(referrer?.digest as Digest);
    const page = await plan(policyWith(), { options: { ...OPTIONS, recheck: true } });
    expect(page.backfills).toEqual([
      {
        position: FIRST,
        destination: DESTINATION,
        tag: '7.2.0',
        sourceTag: '7.2.0',
        sourceDigest: source().tags.get('7.2.0'),
        subject: placed,
        created: NOW,
      },
    ]);
  });

  it('asks for no inventory of what is no image', async () => {
    upstream('7.2.0');
    const policy = policyWith({}, { artifactType: 'generic' });
    for (const placement of (await plan(policy)).placements) {
      const inspection = await run(world.steps.inspectPlacement, placement);
      await run(world.steps.writeImage, { placement, inspection });
      mirror().tags.set(placement.tag, inspection.stamped);
    }
    expect(await plan(policy)).toMatchObject({ pending: 0 });
  });

  it('moves an alias with its tag, or alone when the tag stays', async () => {
    upstream('7.2.0');
    const policy = policyWith({ tags: { aliases: ['{major}'] } });
    expect((await plan(policy)).placements).toMatchObject([{ tag: '7.2.0', aliases: [{ alias: '7', current: null }] }]);
    await converge(policy);
    mirror().tags.set('7', storeImage(mirror(), { salt: 'old' }));
    const page = await plan(policy);
    expect(page.placements).toEqual([]);
    expect(page.aliases).toEqual([
      {
        position: FIRST,
        destination: DESTINATION,
        alias: '7',
        outTag: '7.2.0',
        digest: mirror().tags.get('7.2.0'),
        current: mirror().tags.get('7'),
      },
    ]);
  });
});

describe('unwanted tags', () => {
  beforeEach(async () => {
    upstream('7.2.0', '7.2.1', '7.2.2');
    await converge();
  });

  it('are reported as planned, and left alone', async () => {
    const page = await plan(policyWith({ tags: { includeRegex: '^7\\.2\\.[01]$' } }));
    expect(page.settled).toMatchObject([
      {
        position: { target: 0, variant: null },
        operation: { kind: 'marked', out_tag: '7.2.2', applied: false, error: null },
      },
    ]);
    expect(world.journal.at(-1)?.fields).toMatchObject({ kind: 'marked', variant: '', dest: MIRROR });
    expect(world.registries.writes).toEqual([]);
  });

  it('are an error when more would go than one run may take away', async () => {
    const policy = policyWith({ tags: { includeRegex: '^7\\.2\\.0$' } });
    const page = await plan(policy);
    expect(page.settled.map(({ operation }) => operation.error?.type)).toEqual([
      'PreconditionFailed',
      'PreconditionFailed',
    ]);
    expect(page.settled[0]?.operation.error?.message).toMatch(/^2 of 3 managed tags of registry.example\/lib\/redis/);
    const allowed = await plan(policy, { options: { ...OPTIONS, allowMassDeletion: true } });
    expect(allowed.settled.map(({ operation }) => operation.error)).toEqual([null, null]);
  });
});

describe('pages', () => {
  it('hold 200 of what is to be done, and say how much there is', async () => {
    upstream(...Array.from({ length: 250 }, (_, index) => `1.${index}`));
    const page = await plan();
    expect(page.placements).toHaveLength(200);
    expect(page.pending).toBe(250);
  });

  it('leave out what failed before, and what was reported on the first', async () => {
    upstream('7.2.0', '7.2.1');
    await converge();
    upstream('7.2.2', '7.2.3');
    source().tags.set('7.2.0', storeImage(source(), { salt: 'moved' }));
    const page = await plan(policyWith(), { first: false, failed: [`${MIRROR}:7.2.2`] });
    expect(page.placements.map(({ tag }) => tag)).toEqual(['7.2.3']);
    expect(page).toMatchObject({ pending: 1, settled: [], counted: [] });
    expect(world.journal).toEqual([]);
  });
});

describe('a dry run', () => {
  it.each([
    ['asked for', {}, { options: { ...OPTIONS, dryRun: true } }],
    ['set on the worker', { dryRunTags: true }, {}],
  ])('%s reports everything as planned and asks for nothing', async (_, settings, facts) => {
    world = createWorld({ roster: ROSTER, settings });
    upstream('7.2.0');
    const page = await plan(policyWith({ tags: { aliases: ['{major}'] } }), facts);
    expect(page).toMatchObject({ placements: [], backfills: [], aliases: [], pending: 1, cut: 0 });
    expect(page.settled.map(({ operation }) => [operation.kind, operation.out_tag, operation.applied])).toEqual([
      ['imported', '7.2.0', false],
      ['aliased', '7', false],
    ]);
  });

  it('reports inventories to fill up and aliases to move as well', async () => {
    upstream('7.2.0');
    const policy = policyWith({ tags: { aliases: ['{major}'] } });
    await converge(policy);
    mirror().tags.delete('7');
    for (const { digest } of await world.registries.reader.listReferrers(
      DESTINATION,
      mirror().tags.get('7.2.0') as Digest,
    )) {
      mirror().manifests.delete(digest);
    }
    const page = await plan(policy, { options: { ...OPTIONS, dryRun: true, recheck: true } });
    expect(page.settled.map(({ operation }) => operation.kind)).toEqual(['sbom', 'aliased']);
  });

  it('lists 5,000 operations, failures first, and counts the rest; the journal has all', async () => {
    for (let index = 0; index < 5_003; index++) source().tags.set(`1.${index}`, `sha256:${'0'.repeat(64)}` as Digest);
    const image = storeImage(source(), {});
    for (let index = 0; index < 5_002; index++) source().tags.set(`1.${index}`, image);
    const page = await plan(policyWith(), { options: { ...OPTIONS, dryRun: true } });
    expect(page.settled).toHaveLength(5_000);
    expect(page.settled[0]?.operation).toMatchObject({ out_tag: '1.5002', error: { type: 'NotFound' } });
    expect(page.counted).toEqual([{ position: FIRST, kind: 'imported', count: 3 }]);
    expect(page.cut).toBe(3);
    expect(world.journal).toHaveLength(5_004);
  });
});

describe('a source', () => {
  it('that its registry does not know is an error, never an empty wish', async () => {
    expect(await failing()).toMatchObject({ type: 'NotFound', nonRetryable: true });
  });

  it('without tags is one as well', async () => {
    source();
    expect(await failing()).toMatchObject({ type: 'PreconditionFailed' });
  });

  it('that cannot be read fails the plan', async () => {
    upstream('7.2.0');
    world.registries.before = (call) => {
      if (call === 'HEAD upstream.example/library/redis:7.2.0') throw new HoubaError('Unauthorized', 'who are you');
    };
    expect(await failing()).toMatchObject({ type: 'Unauthorized' });
  });
});

describe('a destination that cannot be read', () => {
  const destinations = ['dr', 'main'].map((registry) => ({ registry, project: 'lib', repository: 'redis' }));
  let away: (call: string) => void;

  beforeEach(() => {
    world = createWorld({ roster: { ...ROSTER, dr: { host: 'dr.example' } } });
    upstream('7.2.0');
    away = (call) => {
      if (call.includes('dr.example')) throw new HoubaError('RegistryUnavailable', 'nobody answers');
    };
  });

  it('is reported, and the others are planned', async () => {
    world.registries.before = away;
    const page = await plan(policyWith({ destinations }));
    expect(page.error).toEqual({ type: 'RegistryUnavailable', message: 'nobody answers', exit_code: 2 });
    expect(page.placements).toMatchObject([{ destination: { host: 'registry.example' } }]);
    expect(page.pending).toBe(1);
  });

  it('keeps its place, so that every page means the same target', async () => {
    const whole = await plan(policyWith({ destinations }));
    world.registries.before = away;
    const part = await plan(policyWith({ destinations }));
    expect(part.targets).toEqual(whole.targets);
    expect(part.placements).toEqual(whole.placements.filter(({ destination }) => destination.registry === 'main'));
  });

  it('fails the plan when there is no other', async () => {
    world.registries.before = (call) => {
      if (call.startsWith('TAGS registry.example')) throw new HoubaError('Denied', 'no');
    };
    expect(await failing()).toMatchObject({ type: 'Denied' });
  });
});

describe('what cannot be done', () => {
  it.each([
    ['a step that does not exist', policyWith({ transform: [{ injectCa: {} }] }), 'PolicyInvalid'],
    ['a rebuild', policyWith({ transform: [{ injectCA: { certs: ['corp'] } }] }), 'Unsupported'],
    [
      'a registry outside the roster',
      policyWith({ destinations: [{ registry: 'nowhere', project: 'lib', repository: 'redis' }] }),
      'ConfigInvalid',
    ],
  ])('is refused before anything is written: %s', async (_, policy, type) => {
    upstream('7.2.0');
    expect(await failing(policy)).toMatchObject({ type });
  });

  it('is signing, yet', async () => {
    world = createWorld({ roster: ROSTER, settings: { signer: 'key' } });
    upstream('7.2.0');
    expect(await failing()).toMatchObject({ type: 'Unsupported', message: expect.stringContaining('not yet') });
  });
});

describe('a survey', () => {
  it('says how far it is with its heartbeats, and ends when it is cancelled', async () => {
    upstream('7.2.0', '7.2.1');
    const environment = activityEnvironment({ heartbeatTimeoutMs: 30 });
    const beats: unknown[] = [];
    environment.on('heartbeat', (details) => {
      beats.push(details);
      if (details !== undefined) environment.cancel();
    });
    let looks = 0;
    world.registries.before = (call, signal) =>
      call.startsWith('HEAD') && ++looks === 2
        ? new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
        : undefined;
    const options = { ...OPTIONS, concurrency: 1 };
    const planning = run(world.steps.planPolicy, request(policyWith(), { options }), environment);
    await expect(planning).rejects.toBeInstanceOf(CancelledFailure);
    expect(beats.at(-1)).toEqual({ looked: 1 });
  });

  it('that is cancelled at a destination is no failure of that destination', async () => {
    upstream('7.2.0');
    const environment = activityEnvironment();
    world.registries.before = (call) => {
      if (!call.startsWith('TAGS registry.example')) return;
      environment.cancel();
      throw new HoubaError('RegistryUnavailable', 'cut');
    };
    await expect(run(world.steps.planPolicy, request(policyWith()), environment)).rejects.toBeInstanceOf(
      CancelledFailure,
    );
  });

  it('has no more requests in flight than allowed, in each repository', async () => {
    upstream(...Array.from({ length: 20 }, (_, index) => `1.${index}`));
    let flying = 0;
    let most = 0;
    world.registries.before = async (call) => {
      if (!call.startsWith('HEAD upstream')) return;
      most = Math.max(most, ++flying);
      await new Promise((resolve) => setImmediate(resolve));
      flying -= 1;
    };
    await plan(policyWith(), { options: { ...OPTIONS, concurrency: 3 } });
    expect(most).toBe(3);
  });
});
