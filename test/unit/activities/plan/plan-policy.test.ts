import { CancelledFailure } from '@temporalio/common';
import { beforeEach, describe, expect, it } from 'vitest';
import type { PlacedTag } from '../../../../activities/dependencies.js';
import type { Cosign } from '../../../../adapters/cosign.js';
import type { Digest } from '../../../../domain/digest.js';
import { HoubaError } from '../../../../domain/errors.js';
import { MARK_ARTIFACT_TYPE } from '../../../../domain/lifecycle/mark.js';
import type { PlanRequest } from '../../../../domain/plan/request.js';
import { type Backfill, type Placement, type PlanPage, placementFacts } from '../../../../domain/plan/work.js';
import type { MirrorPolicy } from '../../../../domain/policy/schema.js';
import { type ActivityWorld, activityEnvironment, createWorld, run } from '../../../support/activity-world.js';
import { DESTINATION, NOW, OPTIONS, policyNamed } from '../../../support/durable-samples.js';
import { storeImage } from '../../../support/memory-registries.js';

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
  const start = { failed: [], first: true, waitsAfter: null };
  return { policy, source: 'redis.yaml', options: OPTIONS, now: NOW, ...start, ...facts };
}

function plan(policy = policyWith(), facts: Partial<PlanRequest> = {}): Promise<PlanPage> {
  return run(world.steps.planPolicy, request(policy, facts));
}

/** Carries out a placement as its workflow does. */
async function place(placement: Placement): Promise<void> {
  const { destination, tag, current: expected, label, sign: signed } = placement;
  const { artifactType } = label;
  const inspection = await run(world.steps.inspectPlacement, placement);
  const { stamped: digest, revision } = inspection;
  await run(world.steps.writeImage, { placement, inspection });
  if (artifactType === 'image') {
    const request = { destination, subject: digest, carryFrom: null, timestamp: NOW, journal: null };
    await run(world.steps.attachSboms, request);
  }
  const facts = placementFacts(placement);
  if (signed) {
    await run(world.steps.signEvidence, { destination, tag, subject: digest, artifactType, facts, journal: null });
  }
  const beside = placement.stampTo === 'referrer';
  const stamp = beside ? await run(world.steps.putStamp, { placement, digest, revision }) : null;
  const placed = { artifactType, signed, stamp };
  await run(world.steps.publishTag, { destination, tag, digest, expected, journal: {}, placed });
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

const DAY = 86_400_000;

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
          platforms: null,
          transform: null,
          stampTo: 'annotations',
          keepUpstreamEvidence: false,
          verifyUpstream: null,
          upstreamVerified: null,
          sign: false,
          promoted: null,
          label: {
            created: NOW,
            artifactType: 'image',
            policy: 'redis',
            import: 'all',
            variant: 'default',
            owners: ['group:default/caching'],
            vendor: 'Example',
            platforms: null,
          },
        },
      ],
      backfills: [],
      aliases: [],
      deletions: [],
      marks: [],
      refused: [],
      waits: [],
      waitsAfter: null,
      pending: 1,
      cut: 0,
      notes: [],
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
    const policy = policyWith({ tags: { aliases: ['{major}', '{major}.{minor}', 'latest'] } });
    await converge(policy);
    await plan(policy, { options: { ...OPTIONS, recheck: true } });
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

  it('places nothing again that was just placed, although the list does not show it yet', async () => {
    const placed: PlacedTag[] = [];
    world = createWorld({ roster: ROSTER, placedSince: async () => placed });
    upstream('7.2.0', '7.2.1');
    await converge();
    const before = { ...mirror(), tags: new Map() };
    world.registries.shows = (store, read) => (store === mirror() && read === 'list' ? before : store);
    expect((await plan()).placements).toHaveLength(2);
    for (const tag of ['7.2.0', '7.2.1']) {
      const baseDigest = source().tags.get(tag) as Digest;
      placed.push({ tag, policy: 'redis', baseDigest, endedAtMs: Date.now() });
    }
    expect((await plan()).placements).toEqual([]);
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

  it('demands upstream’s signature of what comes in, and keeps on a restamp what was verified then', async () => {
    upstream('7.2.0');
    const signed = policyWith({ verifyUpstream: { key: '/etc/cosign.pub' }, keepUpstreamEvidence: true });
    const { placements } = await plan(signed);
    expect(placements).toMatchObject([
      { verifyUpstream: { key: '/etc/cosign.pub' }, upstreamVerified: null, keepUpstreamEvidence: true },
    ]);
    await place({ ...(placements[0] as Placement), upstreamVerified: 'sha256:key' });
    expect((await plan({ ...signed, spec: policyWith({ vendor: 'New' }).spec })).placements).toMatchObject([
      { kind: 'restamped', verifyUpstream: null, upstreamVerified: 'sha256:key' },
    ]);
  });

  it('notes what only GET resolves at the source, once', async () => {
    upstream('7.2.0');
    expect((await plan()).notes).toEqual([]);
    let asked = 0;
    const nothing = { ...source(), tags: new Map() };
    // To every HEAD, and to no GET that follows it.
    world.registries.shows = (store, read) =>
      store === source() && read === 'tag' && asked++ % 2 === 0 ? nothing : store;
    const note = expect.stringMatching(/^upstream\.example\/library\/redis: one tag was resolved by GET, .* pulls$/);
    expect((await plan()).notes).toEqual([note]);
    expect((await plan(policyWith(), { first: false })).notes).toEqual([]);
  });

  it('holds a tag that moved upstream', async () => {
    upstream('7.2.0');
    await converge();
    const placed = source().tags.get('7.2.0');
    source().tags.set('7.2.0', storeImage(source(), { salt: 'moved' }));
    const before = Date.now();
    const page = await plan();
    // A run may take hours before it looks: what it says counts from then.
    expect(Date.parse(page.waits?.[0]?.at ?? '')).toBeGreaterThanOrEqual(before);
    expect(page).toMatchObject({ pending: 0, settled: [], placements: [], waitsAfter: null });
    expect(page.waits).toMatchObject([
      {
        digest: source().tags.get('7.2.0'),
        placed,
        windowMs: 7 * DAY,
        maxWaitMs: 28 * DAY,
        listed: true,
        reason: null,
        placement: {
          kind: 'updated',
          position: FIRST,
          source: SOURCE,
          baseDigest: source().tags.get('7.2.0'),
          current: mirror().tags.get('7.2.0'),
          promoted: null,
        },
      },
    ]);
    expect(world.journal.map(({ event }) => event)).toEqual(['policy.started']);
    expect(page.waits?.[0]).not.toHaveProperty('folder');
    expect((await plan(policyWith(), { folder: '/policies' })).waits).toMatchObject([{ folder: '/policies' }]);
  });

  it('takes a moved tag over at once where the policy has no window, from the source that the policy names now', async () => {
    upstream('7.2.0');
    await converge();
    const moved = storeImage(source(), { salt: 'moved' });
    source().tags.set('7.2.0', moved);
    const page = await plan(policyWith({ stability: { window: '0' } }));
    expect(page.placements).toMatchObject([{ kind: 'updated', source: SOURCE, baseDigest: moved }]);
    expect(page.waits).toEqual([]);
  });

  it('holds a new tag only where the policy says so', async () => {
    upstream('7.2.0');
    const page = await plan(policyWith({ stability: { newTags: true, window: '2d' } }));
    expect(page).toMatchObject({
      placements: [],
      waits: [{ placed: null, windowMs: 2 * DAY, listed: true, placement: { kind: 'imported', current: null } }],
    });
  });

  it('tells the waits once, a page after the other, whatever else there is to do', async () => {
    upstream('7.2.0', '7.2.1');
    await converge();
    for (const tag of ['7.2.0', '7.2.1']) source().tags.set(tag, storeImage(source(), { salt: `moved ${tag}` }));
    const tags = (page: PlanPage) => page.waits?.map(({ placement }) => placement.tag);
    expect(tags(await plan())).toEqual(['7.2.0', '7.2.1']);
    expect(tags(await plan(policyWith(), { first: false, waitsAfter: `${MIRROR}:7.2.0` }))).toEqual(['7.2.1']);
    const { waitsAfter: _, ...through } = request(policyWith(), { first: false });
    expect((await run(world.steps.planPolicy, through)).waits).toBeUndefined();
  });

  it('keeps who promoted a digest for as long as that digest is placed', async () => {
    upstream('7.2.0');
    const [placement] = (await plan()).placements;
    const promoted = { by: 'bob', reason: 'the fix is needed' };
    await place({ ...(placement as Placement), promoted });
    expect((await plan(policyWith({ vendor: 'New' }))).placements).toMatchObject([{ kind: 'restamped', promoted }]);
    source().tags.set('7.2.0', storeImage(source(), { salt: 'moved' }));
    expect((await plan()).waits).toMatchObject([{ placement: { promoted: null } }]);
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
        artifactType: 'image',
        needs: ['sbom'],
        facts: {
          policy: 'redis',
          import: 'all',
          variant: 'default',
          source: SOURCE,
          sourceTag: '7.2.0',
          baseDigest: source().tags.get('7.2.0'),
          created: NOW,
          platforms: null,
          transform: null,
          stampTo: 'annotations',
          upstreamVerified: null,
        },
      },
    ]);
  });

  it('asks for no inventory of what is no image', async () => {
    upstream('7.2.0');
    const policy = policyWith({}, { artifactType: 'generic' });
    await converge(policy);
    expect(await plan(policy, { options: { ...OPTIONS, recheck: true } })).toMatchObject({ pending: 0 });
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

describe('tags that left the selection', () => {
  const less = policyWith({ tags: { includeRegex: '^7\\.2\\.[01]$' } });
  beforeEach(async () => {
    upstream('7.2.0', '7.2.1', '7.2.2');
    await converge();
  });

  /** Carries out what a page has to say about marks. */
  async function mark({ marks = [] }: PlanPage): Promise<void> {
    for (const { destination, tag, digest, put } of marks) {
      await run(world.steps.setMark, { destination, tag, digest, put, journal: {} });
    }
  }

  it('are to be marked, with the source’s digest for the report', async () => {
    const page = await plan(less);
    expect(page).toMatchObject({ settled: [], deletions: [], refused: [], pending: 1 });
    const digest = mirror().tags.get('7.2.2');
    const baseDigest = source().tags.get('7.2.2');
    const position = { target: 0, variant: null };
    expect(page.marks).toMatchObject([{ kind: 'set', position, destination: DESTINATION, digest, baseDigest }]);
    expect(page.marks?.[0]?.put).toMatchObject({ tag: '7.2.2', reason: 'dropped-from-selection', markedAt: NOW });
    expect(world.registries.writes).toEqual([]);
  });

  it('are marked once, which costs nothing to know afterwards, and unmarked when they are wanted again', async () => {
    await mark(await plan(less));
    expect(await plan(less)).toMatchObject({ marks: [], pending: 0 });
    world.registries.reads.length = 0;
    expect(await plan(less)).toMatchObject({ marks: [], pending: 0 });
    expect(world.registries.reads.filter((call) => !/^(HEAD|TAGS)/.test(call))).toEqual([]);
    const again = await plan();
    expect(again.marks).toMatchObject([{ kind: 'clear', tag: '7.2.2', put: null }]);
    await mark(again);
    expect(await plan()).toMatchObject({ marks: [], pending: 0 });
  });

  it('are not marked twice when another worker has done so', async () => {
    const page = await plan(less);
    const { facts } = world.memory;
    world.memory.facts = () => undefined;
    await mark(page);
    world.memory.facts = facts;
    expect(await plan(less)).toMatchObject({ marks: [], pending: 0 });
  });

  it('are deleted at once in mode purge, unless somebody restored them', async () => {
    await mark(await plan(less));
    const purging: MirrorPolicy = { ...less, spec: { ...less.spec, deletionMode: 'purge' } };
    const digest = mirror().tags.get('7.2.2') as Digest;
    expect(await plan(purging)).toMatchObject({ deletions: [{ tag: '7.2.2', digest }], marks: [], pending: 1 });
    const [old] = await readMarks(digest);
    const annotations = {
      'io.houba.lifecycle.state': 'restored',
      'io.houba.lifecycle.tag': '7.2.2',
      'io.houba.policy': 'redis',
    };
    await world.registries.regctl.putArtifact(DESTINATION, digest, { artifactType: MARK_ARTIFACT_TYPE, annotations });
    await world.registries.regctl.deleteManifest(DESTINATION, old as Digest);
    expect(await plan(purging)).toMatchObject({ deletions: [], marks: [], pending: 0 });
  });

  async function readMarks(subject: Digest): Promise<Digest[]> {
    const referrers = await world.registries.reader.listReferrers(DESTINATION, subject);
    return referrers.filter(({ artifactType }) => artifactType === MARK_ARTIFACT_TYPE).map(({ digest }) => digest);
  }

  it('are an error when more would go than one run may take away, for the whole of the run', async () => {
    const policy = policyWith({ tags: { includeRegex: '^7\\.2\\.0$' } });
    const page = await plan(policy);
    expect(page).toMatchObject({ marks: [], refused: [MIRROR], pending: 0 });
    expect(page.settled.map(({ operation }) => [operation.kind, operation.error?.type])).toEqual([
      ['marked', 'PreconditionFailed'],
      ['marked', 'PreconditionFailed'],
    ]);
    expect(page.settled[0]?.operation.error?.message).toMatch(/^2 of 3 managed tags of registry.example\/lib\/redis/);
    const later = await plan(policy, { first: false, refused: [MIRROR] });
    expect(later).toMatchObject({ settled: [], marks: [], refused: [MIRROR] });
    const allowed = await plan(policy, { options: { ...OPTIONS, allowMassDeletion: true } });
    expect(allowed).toMatchObject({ settled: [], marks: [{ tag: '7.2.1' }, { tag: '7.2.2' }], refused: [] });
  });

  it('that failed before in this run are left for the next', async () => {
    expect(await plan(less, { failed: [`${MIRROR}:7.2.2`] })).toMatchObject({ marks: [], pending: 0 });
  });

  it.each([
    ['a dry run', {}, { options: { ...OPTIONS, dryRun: true } }],
    ['HOUBA_DRY_RUN_DELETIONS', { dryRunDeletions: true }, {}],
  ])('are only told of by %s', async (_, settings, facts) => {
    Object.assign(world.settings, settings);
    for (const [mode, kind] of [
      ['mark', 'marked'],
      ['purge', 'deleted'],
    ] as const) {
      const policy: MirrorPolicy = { ...less, spec: { ...less.spec, deletionMode: mode } };
      const page = await plan(policy, facts);
      expect(page).toMatchObject({ marks: [], deletions: [], pending: 0 });
      const operation = { kind, out_tag: '7.2.2', applied: false, error: null };
      expect(page.settled).toMatchObject([{ position: { target: 0, variant: null }, operation }]);
      expect(world.journal.at(-1)?.fields).toMatchObject({ kind, variant: '', dest: MIRROR });
      expect(await plan(policy, { ...facts, first: false })).toMatchObject({ settled: [] });
    }
  });
});

describe('surplus tags', () => {
  it('are marked after what left the selection, which comes after everything else', async () => {
    upstream('7.2.0', '7.2.1', '7.2.2', '7.3.0');
    await converge();
    upstream('7.4.0');
    const tags = { includeRegex: '^7\\.[24]\\.[01]$' };
    const archive = { keep: 0, olderThanDays: 1 };
    const facts = { now: '2026-06-03T00:00:00.000+00:00', options: { ...OPTIONS, allowMassDeletion: true } };
    const page = await plan(policyWith({ tags, archive }), facts);
    expect(page.placements).toMatchObject([{ tag: '7.4.0' }]);
    expect(page.marks?.map(({ tag, put }) => [tag, put?.reason])).toEqual([
      ['7.2.2', 'dropped-from-selection'],
      ['7.3.0', 'dropped-from-selection'],
      ['7.2.0', 'retention-excess'],
      ['7.2.1', 'retention-excess'],
    ]);
    expect(page.pending).toBe(5);
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
    expect(page).toMatchObject({ placements: [], backfills: [], aliases: [], pending: 0, cut: 0 });
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

describe('a rebuild', () => {
  const ZONE = [{ setTimezone: { zone: 'Europe/Rome' } }];
  const CERTS = [{ injectCA: { certs: ['corp'] } }];
  const resources = {
    caCert: (name: string) => {
      throw new HoubaError('ConfigInvalid', `there is no certificate ${name}`);
    },
    packageMirror: () => ({ apt: null, apk: null }),
  };
  const variants = [
    { name: 'eu', suffix: '-eu', transform: ZONE },
    { name: 'plain', suffix: '' },
  ];

  beforeEach(() => {
    world = createWorld({ roster: ROSTER, settings: { buildPlatform: 'linux/arm64' }, tools: { resources } });
    upstream('7.2.0');
  });

  /** As if it had been built; the steps that build are tested with BuildKit. */
  async function build(placement: Placement): Promise<void> {
    const current = storeImage(mirror(), { salt: `built ${placement.tag}` });
    const stamping: Placement = { ...placement, kind: 'restamped', current };
    const inspection = await run(world.steps.inspectPlacement, stamping);
    await run(world.steps.writeImage, { placement: stamping, inspection });
    const request = { destination: DESTINATION, subject: inspection.stamped, carryFrom: null, journal: null };
    await run(world.steps.attachSboms, { ...request, timestamp: NOW });
    mirror().tags.set(placement.tag, inspection.stamped);
  }

  it('names its steps, its version and its platforms; the stamp names only platforms that the policy does', async () => {
    const { placements } = await plan(policyWith({ variants }));
    const [eu, plain] = placements;
    expect(eu).toMatchObject({
      tag: '7.2.0-eu',
      platforms: ['linux/arm64'],
      transform: {
        steps: [{ name: 'setTimezone', params: { zone: 'Europe/Rome' } }],
        version: expect.stringMatching(/^sha256:/),
      },
      label: { platforms: null },
    });
    expect(plain).toMatchObject({ tag: '7.2.0', platforms: null, transform: null });
    const named = await plan(policyWith({ variants, platforms: ['linux/amd64', 'linux/arm64'] }));
    expect(named.placements.map(({ platforms, label }) => [platforms, label.platforms])).toEqual([
      [
        ['linux/amd64', 'linux/arm64'],
        ['linux/amd64', 'linux/arm64'],
      ],
      [
        ['linux/amd64', 'linux/arm64'],
        ['linux/amd64', 'linux/arm64'],
      ],
    ]);
  });

  it('tells its steps when it is only planned', async () => {
    const page = await plan(policyWith({ variants }), { options: { ...OPTIONS, dryRun: true } });
    expect(page.settled.map(({ operation }) => [operation.out_tag, operation.transform_steps])).toEqual([
      ['7.2.0-eu', ['setTimezone']],
      ['7.2.0', null],
    ]);
    expect(world.journal.map(({ fields }) => fields.transform_steps)).toEqual([undefined, ['setTimezone'], undefined]);
  });

  it.each([
    ['a step that does not exist', [{ injectCa: {} }], 'PolicyInvalid'],
    ['parameters that are not its own', [{ setTimezone: { zone: 'UTC', more: 1 } }], 'PolicyInvalid'],
    ['a certificate that is not configured', CERTS, 'ConfigInvalid'],
  ])('is refused before anything is read: %s', async (_, transform, type) => {
    expect(await failing(policyWith({ transform }))).toMatchObject({ type });
    expect(world.registries.reads).toEqual([]);
  });

  it('is refused when it could not be recognised again', async () => {
    world = createWorld({ roster: ROSTER, settings: { prefix: '' }, tools: { resources } });
    expect(await failing(policyWith({ transform: ZONE }))).toMatchObject({ type: 'PolicyInvalid' });
  });

  describe('that is there', () => {
    const recorded = () => source().tags.get('7.2.0') as Digest;
    const moved = () => source().tags.set('7.2.0', storeImage(source(), { salt: 'moved' }));
    const other = policyWith({ transform: [{ setTimezone: { zone: 'Asia/Tokyo' } }] });
    let base: Digest;

    beforeEach(async () => {
      for (const placement of (await plan(policyWith({ transform: ZONE }))).placements) await build(placement);
      base = recorded();
      moved();
      world.registries.reads.length = 0;
    });

    it('is rebuilt at once when its steps change, from the recorded digest', async () => {
      const { placements } = await plan(other);
      expect(placements).toMatchObject([
        { kind: 'updated', baseDigest: base, current: mirror().tags.get('7.2.0'), transform: { steps: [{}] } },
      ]);
    });

    it('asks for that digest once, here and then at the source, and for no other', async () => {
      await plan(other);
      const asked = world.registries.reads.filter((call) => call.includes(`@${base}`));
      expect(asked).toEqual([`HEAD ${MIRROR}@${base}`, `HEAD upstream.example/library/redis@${base}`]);
    });

    it('is found at a source that answers no HEAD', async () => {
      const { headManifest } = world.registries.reader;
      world.registries.reader.headManifest = async (repository, reference, signal) =>
        reference === base ? null : headManifest(repository, reference, signal);
      expect(await plan(other)).toMatchObject({ placements: [{ baseDigest: base }], pending: 1 });
    });

    it('is held, and says why, when nobody serves the recorded digest any more', async () => {
      source().manifests.delete(base);
      const page = await plan(other);
      expect(page).toMatchObject({ placements: [], pending: 0, settled: [] });
      // What upstream shows now will do, once it has stood still.
      expect(page.waits).toMatchObject([
        { placement: { tag: '7.2.0' }, listed: true, reason: expect.stringContaining(base) },
      ]);
    });

    it('is left to its placement when a registry does not say', async () => {
      world.registries.before = (call) => {
        if (call.includes(`@${base}`)) throw new HoubaError('RegistryUnavailable', 'nobody answers');
      };
      expect(await plan(other)).toMatchObject({ placements: [{ baseDigest: base }], pending: 1 });
    });

    it('is restamped in place, for the platforms that it has, whatever is built for now', async () => {
      const { placements } = await plan(policyWith({ transform: ZONE, vendor: 'New' }));
      expect(placements).toMatchObject([
        { kind: 'restamped', baseDigest: base, platforms: null, label: { platforms: null, vendor: 'New' } },
      ]);
    });
  });
});

describe('a stamp beside the image', () => {
  const policy = policyWith({ stamp: 'referrer', tags: { aliases: ['latest'] } });

  beforeEach(async () => {
    upstream('7.2.0');
    source().tags.set('7.2', source().tags.get('7.2.0') as Digest);
    await converge(policy);
  });

  it('is recognised, for each tag of an image by itself; an alias of it is nobody’s', async () => {
    expect(mirror().tags.get('latest')).toBe(source().tags.get('7.2.0'));
    for (const recheck of [true, false]) {
      const page = await plan(policy, { options: { ...OPTIONS, recheck } });
      expect(page).toMatchObject({ pending: 0, settled: [] });
      expect(page.counted).toEqual([{ position: FIRST, kind: 'skipped', count: 2 }]);
    }
  });

  it('costs nothing when it is remembered', async () => {
    await plan(policy);
    expect(world.registries.reads.filter((call) => !/^(HEAD|TAGS)/.test(call))).toEqual([]);
  });

  it('goes onto the manifest when the policy says so, and back', async () => {
    const onto = policyWith({ tags: { aliases: ['latest'] } });
    const { placements } = await plan(onto);
    expect(placements.map(({ kind, tag, stampTo }) => [kind, tag, stampTo])).toEqual([
      ['restamped', '7.2', 'annotations'],
      ['restamped', '7.2.0', 'annotations'],
    ]);
    await converge(onto);
    expect(await plan(onto)).toMatchObject({ pending: 0 });
    expect((await plan(policy)).placements).toMatchObject([
      { kind: 'restamped', stampTo: 'referrer' },
      { kind: 'restamped', stampTo: 'referrer' },
    ]);
  });

  it('left behind by an alias that is not wanted any more is none: it is never taken away', async () => {
    const page = await plan(policyWith({ stamp: 'referrer' }), { options: { ...OPTIONS, recheck: true } });
    expect(page.settled).toEqual([]);
    const less = policyWith({ stamp: 'referrer', tags: { includeRegex: '^7\\.2\\.0$' } });
    expect((await plan(less)).marks).toMatchObject([{ kind: 'set', tag: '7.2' }]);
  });
});

describe('signing', () => {
  const cosign = { signStatement: async (statement: Uint8Array) => statement } as unknown as Cosign;
  const recheck = { options: { ...OPTIONS, recheck: true } };
  const signer = (name: 'key' | 'keyless' | '', settings: object = {}) =>
    createWorld({
      roster: ROSTER,
      settings: { attest: { signer: name, builderId: '' }, ...settings },
      tools: { cosign },
    });

  beforeEach(() => {
    world = signer('key');
    upstream('7.2.0');
  });

  /** Takes away what hangs on the tag and is of this artifact type. */
  async function lose(artifactType: string, predicateType?: string): Promise<void> {
    const placed = mirror().tags.get('7.2.0') as Digest;
    for (const { digest, ...one } of await world.registries.reader.listReferrers(DESTINATION, placed)) {
      const type = one.annotations['dev.sigstore.bundle.predicateType'];
      if (one.artifactType !== artifactType || (predicateType !== undefined && type !== predicateType)) continue;
      mirror().manifests.delete(digest);
    }
    world.registries.reads.length = 0;
  }
  const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

  it('is asked of every placement, and then of nothing', async () => {
    expect((await plan()).placements).toMatchObject([{ sign: true }]);
    await converge();
    expect(await plan()).toMatchObject({ pending: 0 });
    expect(world.registries.reads.filter((call) => !/^(HEAD|TAGS)/.test(call))).toEqual([]);
    expect(await plan(policyWith(), recheck)).toMatchObject({ pending: 0 });
    expect(world.registries.reads.filter((call) => call.startsWith('REFERRERS'))).toHaveLength(1);
  });

  it.each([
    ['one statement', () => lose(BUNDLE, 'https://slsa.dev/provenance/v1'), ['attested']],
    ['an inventory', () => lose('application/spdx+json'), ['sbom']],
    ['everything', () => lose(BUNDLE).then(() => lose('application/spdx+json')), ['sbom', 'attested']],
  ] as const)('is made good where something was lost: %s', async (_, losing, needs) => {
    await converge();
    await losing();
    const page = await plan(policyWith(), recheck);
    expect(page.backfills).toMatchObject([{ tag: '7.2.0', needs, facts: { policy: 'redis', created: NOW } }]);
    expect(page.pending).toBe(1);
    expect(page.counted).toEqual([]);
    const dry = await plan(policyWith(), { options: { ...OPTIONS, recheck: true, dryRun: true } });
    expect(dry.settled.map(({ operation }) => operation.kind)).toEqual(needs);
  });

  it('is made good once, for each tag of an image by itself', async () => {
    const policy = policyWith({ stamp: 'referrer' });
    source().tags.set('7.2', source().tags.get('7.2.0') as Digest);
    await converge(policy);
    await lose(BUNDLE);
    const page = await plan(policy, recheck);
    expect(page.backfills.map(({ tag, needs }) => [tag, needs])).toEqual([
      ['7.2', ['attested']],
      ['7.2.0', ['attested']],
    ]);
    const sign = async ({ destination, tag, subject, artifactType, facts }: Backfill) =>
      run(world.steps.signEvidence, { destination, tag, subject, artifactType, facts, journal: {} });
    await sign(page.backfills[0] as Backfill);
    expect((await plan(policy)).backfills.map(({ tag }) => tag)).toEqual(['7.2.0']);
    await sign(page.backfills[1] as Backfill);
    expect(await plan(policy)).toMatchObject({ pending: 0 });
  });

  it('is made good for what is no image as well', async () => {
    const policy = policyWith({}, { artifactType: 'generic' });
    await converge(policy);
    expect(await plan(policy, recheck)).toMatchObject({ pending: 0 });
    await lose(BUNDLE);
    expect((await plan(policy, recheck)).backfills).toMatchObject([{ artifactType: 'generic', needs: ['attested'] }]);
  });
});

describe('what cannot be done', () => {
  it('is refused before anything is written: a registry outside the roster', async () => {
    upstream('7.2.0');
    const destinations = [{ registry: 'nowhere', project: 'lib', repository: 'redis' }];
    expect(await failing(policyWith({ destinations }))).toMatchObject({ type: 'ConfigInvalid' });
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
