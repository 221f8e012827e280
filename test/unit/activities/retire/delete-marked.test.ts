import { beforeEach, describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import type { PolicySource } from '../../../../domain/durable/messages.js';
import type { Judgement, MarkedTag } from '../../../../domain/durable/retire.js';
import { HoubaError } from '../../../../domain/errors.js';
import { MARK_ARTIFACT_TYPE, type Mark, markAnnotations } from '../../../../domain/lifecycle/mark.js';
import type { UsageAnswer, UsageQuestion } from '../../../../domain/lifecycle/usage.js';
import { type ActivityWorld, createWorld, run, type WorldFacts } from '../../../support/activity-world.js';
import { DESTINATION, digestFor, placementOf, policyNamed } from '../../../support/durable-samples.js';
import { storeImage, storeIndex } from '../../../support/memory-registries.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };
const DAY = 86_400_000;
const WINDOW = 30 * DAY;

let world: ActivityWorld;
let answer: UsageAnswer;
let questions: UsageQuestion[];

function open(facts: WorldFacts = {}): void {
  world = createWorld({
    openOracle: () => ({
      ask: async (question) => {
        questions.push(question);
        return answer;
      },
    }),
    ...facts,
    settings: { purgeMinIdleMs: WINDOW, ...facts.settings },
  });
}

beforeEach(() => {
  answer = { kind: 'unseen', detail: '' };
  questions = [];
  open();
});

const source = () => world.registries.store(SOURCE);
const mirror = () => world.registries.store(DESTINATION);

/** An image of two platforms under houba's stamp. */
async function place(tag: string): Promise<Digest> {
  const baseDigest = storeIndex(source(), [
    { digest: storeImage(source(), { salt: `${tag} a` }), platform: 'linux/amd64' },
    { digest: storeImage(source(), { salt: `${tag} b`, architecture: 'arm64' }), platform: 'linux/arm64' },
  ]);
  source().tags.set(tag, baseDigest);
  const placement = placementOf('lib/redis', tag, { baseDigest });
  const inspection = await run(world.steps.inspectPlacement, placement);
  await run(world.steps.writeImage, { placement, inspection });
  const { destination } = placement;
  const published = { destination, tag, digest: inspection.stamped, expected: null, journal: {} };
  await run(world.steps.publishTag, published);
  return inspection.stamped;
}

function markOf(tag: string, days: number, facts: Partial<Mark> = {}): Mark {
  return {
    ...{ tag, state: 'pending-deletion', reason: 'dropped-from-selection', restored: null },
    markedAt: new Date(Date.now() - days * DAY).toISOString(),
    identity: { policy: 'redis', import: 'all', variant: 'default' },
    ...facts,
  };
}

async function mark(subject: Digest, made: Mark): Promise<Digest> {
  const artifact = { artifactType: MARK_ARTIFACT_TYPE, annotations: markAnnotations(made, 'io.houba') };
  return world.registries.regctl.putArtifact(DESTINATION, subject, artifact);
}

/** A placed tag with a mark so many days old. */
async function marked(tag: string, days = 31, facts: Partial<Mark> = {}): Promise<MarkedTag & { digest: Digest }> {
  const digest = await place(tag);
  await mark(digest, markOf(tag, days, facts));
  world.registries.writes.length = 0;
  return { destination: DESTINATION, tag, digest, policy: 'redis' };
}

const judge = (tag: MarkedTag): Promise<Judgement> => run(world.steps.judgeTag, tag);

async function failureOf(result: Promise<unknown>): Promise<{ type?: string; message: string }> {
  return result.then(
    () => expect.fail('it was expected to fail'),
    (error) => error,
  );
}

describe('a look at a marked tag', () => {
  it('waits until its idle window is over, and asks nobody before', async () => {
    const tag = await marked('7', 10);
    const said = await judge(tag);
    expect(said).toMatchObject({ act: 'wait', why: 'mark', digest: tag.digest });
    expect(said.act === 'wait' && said.untilMs - Date.now()).toBeGreaterThan(19.9 * DAY);
    expect(questions).toEqual([]);
  });

  it('asks for everything by which a runtime may know the image', async () => {
    const tag = await marked('7');
    expect(await judge(tag)).toMatchObject({ act: 'delete', digest: tag.digest, needsApproval: false });
    const original = source().tags.get('7') as Digest;
    const children = [...source().manifests.keys()].filter((digest) => digest !== original);
    expect(questions.map(({ digest }) => digest).sort()).toEqual([tag.digest, original, ...children].sort());
    expect(questions[0]).toMatchObject({
      image_ref: 'registry.example/lib/redis:7',
      identity: { policy: 'redis', import: 'all', variant: 'default' },
    });
    const since = Date.parse(questions[0]?.since ?? '');
    expect(Math.abs(Date.now() - WINDOW - since)).toBeLessThan(60_000);
  });

  it.each([
    ['seen', { kind: 'seen', atMs: Date.now(), detail: 'web-1' }],
    ['unknown', { kind: 'unknown', detail: 'it printed nothing' }],
  ] as [string, UsageAnswer][])('keeps it when the answer is %s', async (why, said) => {
    answer = said;
    expect(await judge(await marked('7'))).toMatchObject({ act: 'wait', why });
  });

  it('finds a tag without a digest by its name', async () => {
    const { digest, ...tag } = await marked('7');
    expect(await judge({ ...tag, digest: null })).toMatchObject({ act: 'delete', digest });
  });

  it.each<[string, (tag: MarkedTag & { digest: Digest }) => unknown, RegExp]>([
    ['gone', () => mirror().tags.delete('7'), /gone already/],
    ['moved', () => mirror().tags.set('7', storeImage(mirror(), { salt: 'other' })), /another digest/],
    ['restored', ({ digest }) => mark(digest, markOf('7', 1, { state: 'restored' })), /restored/],
  ])('ends it when the tag is %s', async (_, change, reason) => {
    const tag = await marked('7');
    await change(tag);
    expect(await judge(tag)).toMatchObject({ act: 'end', reason: expect.stringMatching(reason) });
    expect(questions).toEqual([]);
  });

  it('ends it for an image without the stamp, or with another policy’s mark', async () => {
    const digest = storeImage(mirror(), { salt: 'foreign' });
    mirror().tags.set('foreign', digest);
    await mark(digest, markOf('foreign', 90));
    const foreign = { destination: DESTINATION, tag: 'foreign', digest, policy: 'redis' };
    expect(await judge(foreign)).toMatchObject({ act: 'end', reason: expect.stringMatching('stamp') });
    const other = await marked('7', 31, { identity: { policy: 'other', import: '', variant: '' } });
    expect(await judge(other)).toMatchObject({ act: 'end', reason: expect.stringMatching('policy') });
  });

  it('deletes nothing where deletions are only planned, and nothing without a window', async () => {
    const tag = await marked('7');
    open({ settings: { dryRunDeletions: true } });
    const again = await marked('7');
    expect(await judge(again)).toMatchObject({ act: 'end', reason: expect.stringMatching('DRY_RUN') });
    open({ settings: { purgeMinIdleMs: null } });
    expect((await failureOf(judge(tag))).type).toBe('ConfigInvalid');
  });

  it('says when somebody has to approve', async () => {
    open({ settings: { purgeRequireApproval: true } });
    expect(await judge(await marked('7'))).toMatchObject({ act: 'delete', needsApproval: true });
  });
});

describe('the policies of the worker', () => {
  function policies(names: readonly string[], archive?: { keep: number; olderThanDays: number }): PolicySource[] {
    const policy = policyNamed('redis');
    const [entry] = policy.spec.imports;
    const tags = { names: [...names], includeRegex: '^never$' };
    const imports = [{ ...entry, name: 'all', tags, ...(archive && { archive }) }];
    return [
      { file: 'other.yaml', policy: policyNamed('other') },
      { file: 'redis.yaml', policy: { ...policy, spec: { ...policy.spec, imports } } },
    ];
  }

  function having(read: () => PolicySource[]): void {
    open({
      settings: { policyDir: '/policies' },
      roster: { main: { host: 'registry.example' } },
      readPolicies: async () => read(),
    });
  }

  it('keep a tag that one of them wants again', async () => {
    having(() => policies(['7']));
    expect(await judge(await marked('7'))).toMatchObject({ act: 'end', reason: 'a policy wants the tag' });
  });

  it('let a tag go that none of them wants', async () => {
    having(() => policies(['8']));
    expect(await judge(await marked('7'))).toMatchObject({ act: 'delete' });
  });

  it('keep a surplus tag that is in surplus no more', async () => {
    const mark = { reason: 'retention-excess' } as const;
    having(() => policies(['7'], { keep: 0, olderThanDays: 0 }));
    expect(await judge(await marked('7', 31, mark))).toMatchObject({ act: 'delete' });
    having(() => policies(['7'], { keep: 2, olderThanDays: 30 }));
    expect(await judge(await marked('7', 31, mark))).toMatchObject({ act: 'end', reason: 'a policy wants the tag' });
    having(() => policies([]));
    expect(await judge(await marked('7', 31, mark))).toMatchObject({ act: 'delete' });
  });

  it('keep every tag while they, or what upstream lists, cannot be read', async () => {
    having(() => {
      throw new HoubaError('PolicyInvalid', 'it is no policy');
    });
    const unreadable = await judge(await marked('7'));
    expect(unreadable).toMatchObject({ act: 'wait', why: 'unknown', reason: expect.stringMatching('no policy') });
    having(() => policies(['8']));
    const tag = await marked('7');
    source().tags.clear();
    expect(await judge(tag)).toMatchObject({
      act: 'wait',
      why: 'unknown',
      reason: expect.stringMatching('lists no tags'),
    });
  });
});

describe('a deletion', () => {
  async function remove(tag: MarkedTag & { digest: Digest }) {
    const list = await run(world.steps.listRetirement, tag);
    return run(world.steps.deleteMarked, { marked: tag, list, askedAtMs: Date.now(), facts: { approved_by: 'eve' } });
  }

  it('comes to an end after an interruption between any two requests, where the registry deletes no tags', async () => {
    world.registries.deletesTags = false;
    for (let writes = 0; ; writes++) {
      const tag = await marked('7');
      const list = await run(world.steps.listRetirement, tag);
      const request = { marked: tag, list, askedAtMs: Date.now(), facts: {} };
      let left = writes;
      world.registries.before = (call) => {
        if (!/^(DELETE|PUT|ATTACH)/.test(call)) return;
        if (left === 0) throw new HoubaError('RegistryUnavailable', 'cut short');
        left -= 1;
      };
      const cut = await run(world.steps.deleteMarked, request).catch((error: unknown) => error);
      world.registries.before = () => undefined;
      expect(await run(world.steps.deleteMarked, request)).toMatchObject({ retired: { leftBehind: [] } });
      expect([...mirror().tags, ...mirror().manifests]).toEqual([]);
      if (!(cut instanceof Error)) break;
    }
  });

  it('takes the tag first, then everything of it, and may run twice', async () => {
    const tag = await marked('7');
    const list = await run(world.steps.listRetirement, tag);
    expect(world.registries.writes).toEqual([]);
    const request = { marked: tag, list, askedAtMs: Date.now(), facts: { approved_by: 'eve' } };
    expect(await run(world.steps.deleteMarked, request)).toMatchObject({ retired: { leftBehind: [] } });
    expect([...mirror().tags, ...mirror().manifests]).toEqual([]);
    expect(world.registries.writes[0]).toBe('DELETE registry.example/lib/redis:7');
    expect(world.journal.findLast(({ event }) => event === 'operation')?.fields).toMatchObject({
      ...{ kind: 'deleted', policy: 'redis', out_tag: '7', applied: true, approved_by: 'eve' },
    });
    expect(await run(world.steps.deleteMarked, request)).toMatchObject({ retired: { leftBehind: [] } });
  });

  it('is brought to its end by a second attempt when the first stopped in the middle', async () => {
    const tag = await marked('7');
    const list = await run(world.steps.listRetirement, tag);
    world.registries.before = (call) => {
      if (call === `DELETE registry.example/lib/redis@${tag.digest}`)
        throw new HoubaError('RegistryUnavailable', 'away');
    };
    const request = { marked: tag, list, askedAtMs: Date.now(), facts: {} };
    await failureOf(run(world.steps.deleteMarked, request));
    expect(mirror().tags.has('7')).toBe(false);
    expect(mirror().manifests.size).toBeGreaterThan(0);
    world.registries.before = () => undefined;
    await run(world.steps.deleteMarked, request);
    expect([...mirror().manifests]).toEqual([]);
  });

  it('leaves another tag of the same digest with all it needs', async () => {
    const tag = await marked('7');
    mirror().tags.set('mine', tag.digest);
    const before = mirror().manifests.size;
    await remove(tag);
    expect([...mirror().tags.keys()]).toEqual(['mine']);
    expect(mirror().manifests.size).toBe(before - 1);
  });

  it('does not happen when somebody restored the tag since it was decided', async () => {
    const tag = await marked('7');
    await mark(tag.digest, markOf('7', 0, { state: 'restored' }));
    world.registries.writes.length = 0;
    expect(await remove(tag)).toMatchObject({ judgement: { act: 'end', reason: 'the tag was restored' } });
    expect(world.registries.writes).toEqual([]);
  });

  it('does not happen in a repository with a tag that cannot be read', async () => {
    const tag = await marked('7');
    await place('8');
    world.registries.before = (call) => {
      if (call === 'HEAD registry.example/lib/redis:8') throw new HoubaError('Denied', 'not for you');
    };
    world.registries.writes.length = 0;
    expect((await failureOf(run(world.steps.listRetirement, tag))).type).toBe('Denied');
    expect(world.registries.writes).toEqual([]);
  });

  it.each([
    ['an hour ago', () => ({ askedAtMs: Date.now() - 3_600_000 })],
    ['nobody knows when', () => ({})],
    ['before the clock was set back by an hour', () => ({ askedAtMs: Date.now() + 3_600_000 })],
  ])('waits for another answer when the oracle was asked %s, unless the tag is gone already', async (_, asked) => {
    const tag = await marked('7');
    const list = await run(world.steps.listRetirement, tag);
    const request = { marked: tag, list, ...asked(), facts: {} };
    expect(await run(world.steps.deleteMarked, request)).toMatchObject({
      judgement: { act: 'wait', why: 'unknown', reason: expect.stringMatching('too long ago') },
    });
    expect(world.registries.writes).toEqual([]);
    mirror().tags.delete('7');
    expect(await run(world.steps.deleteMarked, request)).toHaveProperty('retired');
  });

  it('waits while somebody writes to the repository', async () => {
    let busy: string | null = 'a run of the policy redis';
    open({ whoIsAtWork: async () => busy });
    const tag = await marked('7');
    const said = await remove(tag);
    expect(said).toMatchObject({
      judgement: { act: 'wait', why: 'unknown', reason: expect.stringMatching('at work') },
    });
    expect(mirror().tags.has('7')).toBe(true);
    const list = await run(world.steps.listRetirement, tag);
    mirror().tags.delete('7');
    const rest = { marked: tag, list, askedAtMs: Date.now(), facts: {} };
    expect((await failureOf(run(world.steps.deleteMarked, rest))).type).toBe('Interrupted');
    busy = null;
    await run(world.steps.deleteMarked, rest);
    expect([...mirror().manifests]).toEqual([]);
  });

  it('fails where the registry does not delete', async () => {
    const tag = await marked('7');
    Object.assign(world.registries, { deletesTags: false, deletes: false });
    expect((await failureOf(remove(tag))).type).toBe('Unsupported');
    expect(mirror().tags.has('7')).toBe(true);
  });
});

describe('a restore', () => {
  const word = { by: 'eve', reason: 'team-a pulls it', digest: null };
  const marks = (digest: Digest) => world.registries.reader.listReferrers(DESTINATION, digest);

  it('puts a mark that protects in the place of the other, first the one and then the other goes', async () => {
    const tag = await marked('7');
    expect(await run(world.steps.restoreTag, { marked: { ...tag, digest: null }, word })).toBe(tag.digest);
    const verbs = world.registries.writes.map((call) => call.split(' ')[0]);
    expect(verbs).toEqual(['ATTACH', 'DELETE']);
    const [left, ...more] = await marks(tag.digest);
    expect(more).toEqual([]);
    expect(left?.annotations).toMatchObject({
      'io.houba.lifecycle.state': 'restored',
      'io.houba.lifecycle.tag': '7',
      'io.houba.lifecycle.restored.by': 'eve',
    });
    expect(await judge(tag)).toMatchObject({ act: 'end', reason: 'the tag was restored' });
  });

  it('may run twice', async () => {
    const tag = await marked('7');
    for (const _ of [1, 2]) await run(world.steps.restoreTag, { marked: tag, word });
    expect(await marks(tag.digest)).toHaveLength(1);
    expect(world.journal.filter(({ event }) => event === 'tag.restored')).toHaveLength(1);
  });

  it('of another tag’s mark, another digest, or nothing is refused', async () => {
    const tag = await marked('7');
    mirror().tags.set('alias', tag.digest);
    const alias = { ...tag, tag: 'alias' };
    const refused = async (one: MarkedTag, digest: Digest | null = null) =>
      (await failureOf(run(world.steps.restoreTag, { marked: one, word: { ...word, digest } }))).message;
    expect(await refused(alias)).toMatch('no deletion mark');
    expect(await refused(tag, digestFor('other'))).toMatch('not sha256');
    expect(await refused({ ...tag, tag: 'absent' })).toMatch('there is no');
    expect(await marks(tag.digest)).toHaveLength(1);
  });

  it('is remembered, so that the next run need not look', async () => {
    const tag = await marked('7');
    const facts = { stamp: null, stampsBeside: [], sbomFormats: [], signedFormats: null, marks: [] };
    world.memory.rememberFacts(DESTINATION, tag.digest, facts);
    await run(world.steps.restoreTag, { marked: tag, word });
    expect(world.memory.facts(DESTINATION, tag.digest)?.marks).toMatchObject([{ mark: { state: 'restored' } }]);
  });
});
