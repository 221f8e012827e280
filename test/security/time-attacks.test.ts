import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Digest } from '../../domain/digest.js';
import type { MarkedTag } from '../../domain/durable/retire.js';
import { MARK_ARTIFACT_TYPE, type Mark, markAnnotations } from '../../domain/lifecycle/mark.js';
import type { UsageAnswer, UsageQuestion } from '../../domain/lifecycle/usage.js';
import type { Placement, PlanPage } from '../../domain/plan/work.js';
import type { MirrorPolicy } from '../../domain/policy/schema.js';
import { type ActivityWorld, createWorld, run, type WorldFacts } from '../support/activity-world.js';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.js';
import { DESTINATION, NOW, OPTIONS, placementOf, policyNamed } from '../support/durable-samples.js';
import { storeImage, storeIndex } from '../support/memory-registries.js';
import { createPlayingOracle, UNSEEN } from '../support/playing-oracle.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import {
  createHoubaWithInstantSyft,
  type Houba,
  operationsOf,
  type PolicyOptions,
  type RegctlReader,
  regctlReader,
  until,
} from '../support/stack.js';
import { image, index, OCI, push, rawManifest, type TestImage } from '../support/upstream-images.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };
const DAY = 86_400_000;
const WINDOW = 30 * DAY;

let world: ActivityWorld;
let answer: (question: UsageQuestion) => UsageAnswer;
let questions: UsageQuestion[];

function open(facts: WorldFacts = {}): void {
  world = createWorld({
    roster: { main: { host: 'registry.example' } },
    openOracle: () => ({
      ask: async (question) => {
        questions.push(question);
        return answer(question);
      },
    }),
    ...facts,
    settings: { purgeMinIdleMs: WINDOW, maxDeletionShare: 1, ...facts.settings },
  });
}
beforeEach(() => {
  questions = [];
  answer = () => ({ kind: 'unseen', detail: '' });
  open();
});

const source = () => world.registries.store(SOURCE);
const mirror = () => world.registries.store(DESTINATION);

function upstreamIndex(salt: string): Digest {
  return storeIndex(source(), [
    { digest: storeImage(source(), { salt: `${salt} amd64` }), platform: 'linux/amd64' },
    { digest: storeImage(source(), { salt: `${salt} arm64`, architecture: 'arm64' }), platform: 'linux/arm64' },
  ]);
}

async function place(tag: string, salt = tag, facts: Partial<Placement> = {}): Promise<Digest> {
  const baseDigest = upstreamIndex(salt);
  source().tags.set(tag, baseDigest);
  const current = mirror().tags.get(tag) ?? null;
  const placement = placementOf('lib/redis', tag, { baseDigest, current, ...facts });
  const { destination } = placement;
  const inspection = await run(world.steps.inspectPlacement, placement);
  await run(world.steps.writeImage, { placement, inspection });
  const digest = inspection.stamped;
  const sboms = { destination, subject: digest, carryFrom: null, timestamp: NOW, journal: null };
  await run(world.steps.attachSboms, sboms);
  const placed = { artifactType: 'image', signed: false, stamp: null } as const;
  await run(world.steps.publishTag, { destination, tag, digest, expected: current, journal: {}, placed });
  return digest;
}

function markOf(tag: string, days: number, facts: Partial<Mark> = {}): Mark {
  return {
    ...{ tag, state: 'pending-deletion', reason: 'dropped-from-selection', restored: null },
    markedAt: new Date(Date.now() - days * DAY).toISOString(),
    identity: { policy: 'redis', import: 'all', variant: 'default' },
    ...facts,
  };
}

function mark(subject: Digest, made: Mark): Promise<Digest> {
  const artifact = { artifactType: MARK_ARTIFACT_TYPE, annotations: markAnnotations(made, 'io.houba') };
  return world.registries.regctl.putArtifact(DESTINATION, subject, artifact);
}

const doomed = (tag: string): MarkedTag & { digest: Digest } => {
  const digest = mirror().tags.get(tag) ?? expect.fail(`no ${tag}`);
  return { destination: DESTINATION, tag, digest, policy: 'redis' };
};

async function retire(tag: string) {
  const marked = doomed(tag);
  const list = await run(world.steps.listRetirement, marked);
  return run(world.steps.deleteMarked, { marked, list, askedAtMs: Date.now(), facts: {} });
}

async function failureOf(result: Promise<unknown>): Promise<{ type?: string; message: string }> {
  return result.then(
    () => expect.fail('it was expected to fail'),
    (error) => error,
  );
}

function policyOf(names: readonly string[], more: object = {}): MirrorPolicy {
  const written = policyNamed('redis');
  const [entry] = written.spec.imports;
  const imports = [{ ...entry, name: 'all', tags: { names: [...names], includeRegex: '^never$' } }];
  return { ...written, spec: { ...written.spec, imports, ...more } } as MirrorPolicy;
}

function plan(policy: MirrorPolicy, facts: object = {}): Promise<PlanPage> {
  const start = { failed: [], first: true, waitsAfter: null, ...facts };
  const now = new Date().toISOString();
  return run(world.steps.planPolicy, { policy, source: 'redis.yaml', options: OPTIONS, now, ...start });
}

describe('the oracle', () => {
  it('is asked for what the tag showed before as well, which goes with it', async () => {
    const old = await place('7', 'old');
    await place('7', 'new', { kind: 'updated' });
    await mark(doomed('7').digest, markOf('7', 31));
    await run(world.steps.judgeTag, doomed('7'));
    expect(questions.map(({ digest }) => digest)).toContain(old);
  });
});

describe('a purge', () => {
  it('never takes what does not bear the stamp, be it what a tag of houba’s showed before', async () => {
    const foreign = storeImage(mirror(), { salt: 'somebody else’s' });
    mirror().tags.set('7', foreign);
    await place('7');
    await mark(doomed('7').digest, markOf('7', 31));
    await retire('7');
    expect(mirror().tags.has('7')).toBe(false);
    expect(mirror().manifests.has(foreign)).toBe(true);
  });

  it('leaves the platforms of a wanted image alone, also when upstream named one a signature of another', async () => {
    await place('8');
    const child = [...mirror().manifests.keys()].find((d) => d === storeImage(source(), { salt: '8 amd64' })) as Digest;
    await place('7');
    const base = source().tags.get('7') as Digest;
    mirror().tags.set(`${base.replace(':', '-')}.sig`, child);
    await mark(doomed('7').digest, markOf('7', 31));
    await retire('7');
    expect(mirror().manifests.has(child)).toBe(true);
  });

  it('does nothing in a repository whose list lacks the tag', async () => {
    await place('7');
    mirror().tags.set('mine', doomed('7').digest);
    await mark(doomed('7').digest, markOf('7', 31));
    const { reader } = world.registries;
    for (const lie of [null, []]) {
      Object.assign(reader, { listTags: async () => lie });
      const failure = await retire('7').catch((error: Error) => error);
      expect(failure).toBeInstanceOf(Error);
    }
    expect(mirror().tags.has('7')).toBe(true);
  });

  it('takes nothing from another tag that the registry forgets to list once the deletion has begun', async () => {
    await place('7');
    mirror().tags.set('mine', doomed('7').digest);
    await mark(doomed('7').digest, markOf('7', 31));
    const marked = doomed('7');
    const list = await run(world.steps.listRetirement, marked);
    Object.assign(world.registries.reader, { listTags: async () => null });
    const request = { marked, list, askedAtMs: Date.now(), facts: {} };
    for (const _ of [1, 2]) expect((await failureOf(run(world.steps.deleteMarked, request))).type).toBe('Interrupted');
    expect(mirror().manifests.has(marked.digest)).toBe(true);
  });

  it('takes the tag for what a GET shows, whatever a HEAD says', async () => {
    await place('7');
    const digest = doomed('7').digest;
    await mark(digest, markOf('7', 31));
    const list = await run(world.steps.listRetirement, doomed('7'));
    const marked = doomed('7');
    const { reader } = world.registries;
    const { headManifest } = reader;
    mirror().tags.set('7', storeImage(mirror(), { salt: 'new' }));
    Object.assign(reader, {
      headManifest: async (repository: never, reference: string, signal: never) =>
        headManifest(repository, reference === '7' ? digest : reference, signal),
    });
    await run(world.steps.deleteMarked, { marked, list, askedAtMs: Date.now(), facts: {} }).catch(() => undefined);
    expect(mirror().tags.has('7')).toBe(true);
  });

  it('is not wedged by a mark with another policy beside the right one', async () => {
    const digest = await place('7');
    await mark(digest, markOf('7', 60, { identity: { policy: 'other', import: '', variant: '' } }));
    await mark(digest, markOf('7', 31));
    const page = await run(world.steps.findMarks, { registries: ['main'], repositories: null, cursor: null });
    const [found] = page.found;
    const list = await run(world.steps.listRetirement, { ...doomed('7'), policy: found?.policy ?? '' });
    const result = await run(world.steps.deleteMarked, {
      marked: { ...doomed('7'), policy: found?.policy ?? '' },
      list,
      askedAtMs: Date.now(),
      facts: {},
    });
    expect(result).toHaveProperty('retired');
  });
});

describe('a run', () => {
  it('marks nothing that upstream still serves, though its list does not name it', async () => {
    for (const tag of ['7', '8']) await place(tag);
    const { listTags } = world.registries.reader;
    Object.assign(world.registries.reader, {
      listTags: async (repository: typeof SOURCE, signal: AbortSignal) =>
        repository.host === SOURCE.host ? ['8'] : listTags(repository, signal),
    });
    const page = await plan(policyOf(['7', '8']));
    expect(page.marks).toEqual([]);
  });

  it('clears the mark that somebody else put on a wanted tag, though it remembers the tag without', async () => {
    const digest = await place('7');
    await plan(policyOf(['7']));
    await mark(digest, markOf('7', 31));
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + DAY / 4 });
    try {
      expect((await plan(policyOf(['7']))).marks).toHaveLength(1);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('marks', () => {
  it('beside the one that protects a restored tag do not take it along', async () => {
    const digest = await place('7');
    await mark(digest, markOf('7', 1, { state: 'restored', restored: { by: 'eve', reason: 'needed' } }));
    await mark(digest, markOf('7', 1));
    source().tags.set('8', upstreamIndex('8'));
    for (const one of (await plan(policyOf(['8']))).marks ?? [])
      await run(world.steps.setMark, { ...one, journal: {} });
    expect((await plan(policyOf(['8']))).marks).toEqual([]);
  });

  it('that are forged with an earlier time do not shorten the wait', async () => {
    const digest = await place('7');
    await mark(digest, markOf('7', 1));
    await mark(digest, markOf('7', 20_000));
    source().tags.set('8', upstreamIndex('8'));
    for (const one of (await plan(policyOf(['8']))).marks ?? [])
      await run(world.steps.setMark, { ...one, journal: {} });
    expect(await run(world.steps.judgeTag, doomed('7'))).toMatchObject({ act: 'wait', why: 'mark' });
  });

  it('that are forged with a time to come do not keep the tag for ever', async () => {
    const digest = await place('7');
    await mark(digest, markOf('7', 0, { markedAt: '9999-12-31T23:59:59Z' }));
    source().tags.set('8', upstreamIndex('8'));
    const page = await plan(policyOf(['8']), { first: true });
    for (const one of page.marks ?? []) await run(world.steps.setMark, { ...one, journal: {} });
    const said = await run(world.steps.judgeTag, doomed('7'));
    expect(said.act === 'wait' && said.untilMs).toBeLessThan(Date.now() + 31 * DAY);
  });
});

describe('a look again', () => {
  it('takes the source tag for what a GET shows', async () => {
    await place('7');
    const shown = source().tags.get('7') as Digest;
    const hidden = upstreamIndex('hidden');
    const { headManifest } = world.registries.reader;
    Object.assign(world.registries.reader, {
      headManifest: async (repository: typeof SOURCE, reference: string, signal: AbortSignal) =>
        headManifest(repository, repository.host === SOURCE.host && reference === '7' ? hidden : reference, signal),
    });
    const look = await run(world.steps.lookAgain, {
      ...{ source: SOURCE, sourceTag: '7', destination: DESTINATION, tag: '7', aliases: [], candidates: [hidden] },
    });
    expect(look.upstream).toBe(shown);
  });
});

describe('upstream’s evidence', () => {
  it('that a signature tag brings does not pass for a mark of ours', async () => {
    const base = upstreamIndex('7');
    const annotations = markAnnotations(markOf('7', 60), 'io.houba');
    const forged = await world.registries.regctl.putArtifact(SOURCE, base, {
      artifactType: MARK_ARTIFACT_TYPE,
      annotations,
    });
    source().tags.set(`${base.replace(':', '-')}.att`, forged);
    Object.assign(world.registries.reader, { listReferrers: async () => [] });
    const failure = await failureOf(
      run(world.steps.keepEvidence, { source: SOURCE, digest: base, destination: DESTINATION }),
    );
    expect(failure.type).toBe('PreconditionFailed');
  });
});

describe('with real registries', () => {
  let upstream: RunningRegistry;
  let registry: RunningRegistry;
  let up: CountingProxy;
  let main: CountingProxy;
  let houba: Houba;
  let regctl: RegctlReader;

  beforeAll(async () => {
    // Without the referrers API, as many are: what refers to an image is found by tags alone.
    upstream = await startDistribution();
    registry = await startOlareg();
    up = await startCountingProxy(upstream.host);
    main = await startCountingProxy(registry.host);
    houba = await createHoubaWithInstantSyft(
      { main: { host: main.host, tls_verify: false }, up: { host: up.host, tls_verify: false } },
      { HOUBA_PURGE_MIN_IDLE: '1s', HOUBA_MAX_DELETION_SHARE: '1' },
    );
    const oracle = createPlayingOracle(houba.folder);
    oracle.says(UNSEEN);
    houba.env.HOUBA_USAGE_ORACLE_CMD = oracle.command;
    regctl = regctlReader(houba.folder, [registry.host]);
    await houba.up();
  });
  afterEach(() => {
    up.intercept = null;
    main.intercept = null;
  });
  afterAll(async () => {
    await houba?.dispose();
    for (const each of [up, main, registry, upstream]) await each?.stop();
  });

  function policy(name: string, names: readonly string[], more: Partial<PolicyOptions> = {}): string {
    const tags = { names, includeRegex: '^never$' };
    const to = [`main:demo/${name}`];
    return houba.policies({ name, from: `${up.host}/${name}`, to, ...more, import: { tags, ...more.import } });
  }

  const placed = (name: string) => `${registry.host}/demo/${name}`;
  const platforms = (text: string) => [
    image(`${text} a`),
    image(`${text} b`, { platform: { os: 'linux', architecture: 'arm64' } }),
  ];

  describe('upstream', () => {
    it('takes no part of one image away by calling it the signature of another', async () => {
      const wanted = index(platforms('wanted'));
      const dropped = index(platforms('dropped'));
      await push(upstream.host, 'named', ['2.0.0'], wanted);
      await push(upstream.host, 'named', ['1.0.0'], dropped);
      const [child] = wanted.children as [TestImage];
      await push(upstream.host, 'named', [`${dropped.digest.replace(':', '-')}.sig`], child);
      const kept = { deletionMode: 'purge', import: { keepUpstreamEvidence: true } };
      const both = await houba.reconcile(policy('named', ['1.0.0', '2.0.0'], kept));
      expect(both.report.totals).toMatchObject({ imported: 2, failed: 0 });
      const one = await houba.reconcile(policy('named', ['2.0.0'], kept));
      expect(one.report.totals).toMatchObject({ deleted: 1, failed: 0 });
      await regctl('image', 'copy', `${placed('named')}:2.0.0`, `ocidir://${houba.folder}/named:2`);
      await regctl.digest(`${placed('named')}@${child.digest}`);
    });

    it('makes no mark of ours by way of a signature tag', async () => {
      const served = image('marked upstream');
      await push(upstream.host, 'forged', ['1.0.0'], served);
      const empty = Buffer.from('{}');
      const subject = { mediaType: OCI.manifest, digest: served.digest, size: served.bytes.length };
      const descriptor = {
        mediaType: 'application/vnd.oci.empty.v1+json',
        size: 2,
        digest: rawManifest(empty, '').digest,
      };
      const mark = {
        ...{ schemaVersion: 2, mediaType: OCI.manifest, artifactType: MARK_ARTIFACT_TYPE, subject },
        ...{ config: descriptor, layers: [descriptor] },
        annotations: { 'io.houba.lifecycle.state': 'restored', 'io.houba.lifecycle.tag': '1.0.0' },
      };
      await push(
        upstream.host,
        'forged',
        [`${served.digest.replace(':', '-')}.att`],
        rawManifest(mark, OCI.manifest, [empty]),
      );
      const { report } = await houba.reconcile(
        policy('forged', ['1.0.0'], { import: { stamp: 'referrer', keepUpstreamEvidence: true } }),
      );
      expect(operationsOf(report).map(({ error }) => error?.type)).toEqual(['PreconditionFailed']);
      expect(await regctl.tags(placed('forged')).catch(() => [])).toEqual([]);
    });

    it('lets nothing go by a list of tags that breaks off early', async () => {
      for (const tag of ['1.0.0', '2.0.0']) await push(upstream.host, 'short', [tag], image(`short ${tag}`));
      const purge = policy('short', ['1.0.0', '2.0.0'], { deletionMode: 'purge' });
      expect((await houba.reconcile(purge)).report.totals).toMatchObject({ imported: 2 });
      up.intercept = ({ path }) =>
        path.includes('/tags/list') ? { status: 200, body: JSON.stringify({ name: 'short', tags: ['2.0.0'] }) } : null;
      const { code, report } = await houba.reconcile(purge);
      expect(code).toBe(1);
      expect(report.totals).toMatchObject({ deleted: 0, failed: 1 });
      expect(operationsOf(report)[0]?.error?.message).toContain('does not list its tag, but serves it');
      expect((await regctl.tags(placed('short'))).sort()).toEqual(['1.0.0', '2.0.0']);
    });
  });

  describe('a destination', () => {
    it('that lists no tags for a moment loses none', async () => {
      for (const tag of ['keep', 'drop']) await push(upstream.host, 'empty', [tag], index(platforms('empty')));
      await houba.reconcile(policy('empty', ['keep', 'drop']));
      expect((await houba.reconcile(policy('empty', ['keep']))).report.totals).toMatchObject({ marked: 1 });
      let listings = 0;
      main.intercept = ({ path }) => {
        if (!path.includes('/demo/empty/tags/list') || ++listings === 1) return null;
        return { status: 200, body: JSON.stringify({ name: 'demo/empty', tags: null }) };
      };
      const since = Date.now();
      await until(() => Date.now() > since + 1_100, 'the end of the idle window');
      const { stdout } = await houba.run(
        'purge',
        '--apply',
        '--output',
        'json',
        '--repository',
        `${main.host}/demo/empty`,
      );
      expect(listings).toBeGreaterThan(1);
      const { outcomes } = JSON.parse(stdout);
      expect(outcomes).toMatchObject([{ applied: false, decision: 'uncertain' }]);
      expect((await regctl.tags(placed('empty'))).sort()).toEqual(['drop', 'keep']);
      await regctl('image', 'copy', `${placed('empty')}:keep`, `ocidir://${houba.folder}/empty:keep`);
    });
  });
});
