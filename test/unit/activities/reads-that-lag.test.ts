import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PlacedTag } from '../../../activities/dependencies.js';
import type { Digest } from '../../../domain/digest.js';
import { READ_BACK } from '../../../domain/durable/retry.js';
import { NOTHING_SENT } from '../../../domain/errors.js';
import { MARK_ARTIFACT_TYPE, type Mark, markAnnotations, readMarks } from '../../../domain/lifecycle/mark.js';
import { type ParsedManifest, parseManifest } from '../../../domain/manifest.js';
import type { Placement } from '../../../domain/plan/work.js';
import { stampOf } from '../../../domain/stamp/stamp-of.js';
import { type ActivityWorld, createWorld, run } from '../../support/activity-world.js';
import { DESTINATION, digestFor, placementOf } from '../../support/durable-samples.js';
import { inNoTime, LAGS, letLag } from '../../support/lagging-reads.js';
import { storeImage, storeIndex } from '../../support/memory-registries.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };
const SPDX = 'application/spdx+json';
const DAY = 86_400_000;
const WINDOW = 30 * DAY;

let world: ActivityWorld;
let placed: PlacedTag[];

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'Date', 'performance'] });
  placed = [];
  world = createWorld({
    settings: { purgeMinIdleMs: WINDOW },
    readBackMs: READ_BACK.patienceMs,
    openOracle: () => ({ ask: async () => ({ kind: 'unseen', detail: '' }) }),
    placedSince: async (_, sinceMs) => placed.filter(({ endedAtMs }) => endedAtMs >= sinceMs),
  });
});
afterEach(() => {
  vi.useRealTimers();
});

const source = () => world.registries.store(SOURCE);
/** What the registry really holds, whatever its reads say. */
const truth = () => world.registries.store(DESTINATION);
const shown = (tag: string) => truth().tags.get(tag) ?? expect.fail(`there is no ${tag}`);
const step = <Input, Output>(one: (input: Input) => Promise<Output>, input: Input) => inNoTime(() => run(one, input));
const minutesPass = (count: number) => vi.setSystemTime(Date.now() + count * 60_000);

function parsed(digest: Digest): ParsedManifest {
  const { bytes, mediaType } = truth().manifests.get(digest) ?? expect.fail(`${digest} is gone`);
  return parseManifest(bytes, mediaType);
}

function referrersOf(subject: Digest) {
  return [...truth().manifests.keys()].flatMap((digest) => {
    const { subject: to, artifactType, annotations } = parsed(digest);
    return to?.digest === subject ? [{ digest, artifactType: artifactType ?? '', annotations }] : [];
  });
}

const marksOn = (digest: Digest) => readMarks(digest, referrersOf(digest), 'io.houba').map(({ mark }) => mark);

/** Expects that a tag shows an image with all its platforms, its stamp and the inventories that it was given. */
function expectWhole(tag: string): void {
  const digest = shown(tag);
  const image = parsed(digest);
  expect(stampOf(image, referrersOf(digest), tag, 'io.houba')).not.toBeNull();
  for (const child of image.kind === 'index' ? image.manifests : []) {
    parsed(child.digest);
    expect(referrersOf(child.digest).map(({ artifactType }) => artifactType)).toContain(SPDX);
  }
}

/** Two platforms, the second of which several images may share. */
function upstreamIndex(salt: string, shared = salt): Digest {
  return storeIndex(source(), [
    { digest: storeImage(source(), { salt: `${salt} amd64` }), platform: 'linux/amd64' },
    { digest: storeImage(source(), { salt: `${shared} arm64`, architecture: 'arm64' }), platform: 'linux/arm64' },
  ]);
}

/** Brings an image to a tag, or undoes it, as the workflow does. */
async function place(tag: string, baseDigest: Digest, facts: Partial<Placement> = {}): Promise<Digest | null> {
  const current = truth().tags.get(tag) ?? null;
  source().tags.set(tag, baseDigest);
  const planned = placementOf('lib/redis', tag, { baseDigest, current, ...facts });
  const created = new Date().toISOString();
  const placement = { ...planned, label: { ...planned.label, created, ...facts.label } };
  const { destination, label } = placement;
  let inspection: Awaited<ReturnType<typeof world.steps.inspectPlacement>> | null = null;
  let sent = false;
  try {
    inspection = await step(world.steps.inspectPlacement, placement);
    const { stamped: digest, revision } = inspection;
    await step(world.steps.writeImage, { placement, inspection });
    const sboms = { destination, subject: digest, carryFrom: null, timestamp: created, journal: null };
    await step(world.steps.attachSboms, sboms);
    const beside = placement.stampTo === 'referrer';
    const stamp = beside ? await step(world.steps.putStamp, { placement, digest, revision }) : null;
    const evidence = { artifactType: 'image', signed: false, stamp } as const;
    sent = true;
    await step(world.steps.publishTag, {
      ...{ destination, tag, digest, expected: current, journal: {}, placed: evidence },
    });
    const old = { destination, tag, subjects: [digest], keep: stamp };
    if (beside) await step(world.steps.dropOldStamps, old);
    placed = placed.filter((one) => one.tag !== tag);
    placed.push({ tag, policy: label.policy, baseDigest, endedAtMs: Date.now() });
    return digest;
  } catch (error) {
    const facts = (error as { details?: [object] }).details?.[0] ?? {};
    if (inspection === null || (sent && !Object.hasOwn(facts, NOTHING_SENT))) return null;
    const digest = inspection.stamped;
    if (placement.stampTo === 'referrer' && inspection.stampThere !== true) {
      await step(world.steps.removeStamp, { placement, digest, revision: inspection.revision });
    }
    if (!inspection.stampedPresent && digest !== baseDigest) {
      await step(world.steps.removeWritten, { destination, digest });
    }
    return null;
  }
}

function deletion(tag: string, digest: Digest) {
  return { destination: DESTINATION, policy: 'redis', tags: [{ tag, digest, journal: {} }] };
}

/** Deletes a tag; what it says was deleted has to be gone. */
async function remove(tag: string, digest: Digest): Promise<boolean> {
  const request = deletion(tag, digest);
  const list = await step(world.steps.inspectDeletion, request);
  const { outcomes } = await step(world.steps.deleteTags, { ...request, list });
  const deleted = outcomes[0]?.deleted ?? false;
  if (deleted) expect([...truth().tags.keys()]).not.toContain(tag);
  return deleted;
}

/** Repeats a step as Temporal does, while reads contradict each other. */
async function retried<Result>(once: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await once();
    } catch (error) {
      const { type } = error as { type?: string };
      if (attempt === 10 || !['RegistryUnavailable', 'Interrupted'].includes(type ?? '')) throw error;
    }
  }
}

function markOf(tag: string, facts: Partial<Mark> = {}): Mark {
  return {
    ...{ tag, state: 'pending-deletion', reason: 'dropped-from-selection', restored: null },
    markedAt: new Date(Date.now()).toISOString(),
    identity: { policy: 'redis', import: 'all', variant: 'default' },
    ...facts,
  };
}

const old = { markedAt: new Date(Date.now() - 31 * DAY).toISOString() };

async function attachMark(digest: Digest, mark: Mark): Promise<void> {
  const artifact = { artifactType: MARK_ARTIFACT_TYPE, annotations: markAnnotations(mark, 'io.houba') };
  await world.registries.regctl.putArtifact(DESTINATION, digest, artifact);
}

async function retire(tag: string, digest: Digest) {
  const marked = { destination: DESTINATION, tag, digest, policy: 'redis' };
  const list = await step(world.steps.listRetirement, marked);
  return step(world.steps.deleteMarked, { marked, list, askedAtMs: Date.now(), facts: {} });
}

describe.each(Object.entries(LAGS))('reads that %s', (_, lag) => {
  // A replica may say of what was just written that it is not there: that fails a placement, and nothing is lost.
  const mayFail = lag.replica === true;
  const lags = () => letLag(world.registries, truth(), lag)();
  /** Places an image beside what is tested, which such a replica must not fail. */
  async function placeMeanwhile(...args: Parameters<typeof place>): Promise<void> {
    const begin = letLag(world.registries, truth(), lag);
    if (!mayFail) begin();
    expect(await place(...args)).not.toBeNull();
    begin();
  }

  it.each(['annotations', 'referrer'] as const)('do not undo what a tag shows, stamped by %s', async (stampTo) => {
    lags();
    for (const salt of ['one', 'two', 'three']) {
      const digest = await place('7', upstreamIndex(salt), { stampTo });
      if (digest !== null) expect(shown('7')).toBe(digest);
      else expect(mayFail).toBe(true);
      if (truth().tags.has('7')) expectWhole('7');
    }
  });

  it('do not undo what another placement has just published', async () => {
    await placeMeanwhile('7', upstreamIndex('one'), { stampTo: 'referrer' });
    await step(world.steps.removeWritten, { destination: DESTINATION, digest: shown('7') });
    expectWhole('7');
  });

  it('do not take from a tag what another that is deleted shares with it', async () => {
    const before = await place('6', upstreamIndex('six', 'both'));
    minutesPass(5);
    await placeMeanwhile('7', upstreamIndex('seven', 'both'));
    expect(await remove('6', before as Digest)).toBe(true);
    expectWhole('7');
  });

  it('do not delete what a tag has shown for a moment', async () => {
    const before = await place('7', upstreamIndex('one'));
    minutesPass(5);
    await placeMeanwhile('7', upstreamIndex('two'), { kind: 'updated' });
    expect(await remove('7', before as Digest)).toBe(false);
    expectWhole('7');
  });

  it('delete a tag that was placed a moment ago, and nothing is left', async () => {
    await placeMeanwhile('7', upstreamIndex('one'));
    const request = deletion('7', shown('7'));
    // Where the tag is not listed yet, nothing is deleted.
    const list = await step(world.steps.inspectDeletion, request).catch((error) => {
      expect(error).toMatchObject({ type: 'RegistryUnavailable' });
      return null;
    });
    if (list !== null) await retried(() => step(world.steps.deleteTags, { ...request, list }));
    if (!truth().tags.has('7')) expect([...truth().manifests.keys()]).toEqual([]);
  });

  it('do not lose a mark that is replaced, nor a word that restores', async () => {
    const digest = (await place('7', upstreamIndex('one'))) as Digest;
    await attachMark(digest, markOf('7', { ...old, reason: 'retention-excess' }));
    minutesPass(5);
    lags();
    const put = markOf('7');
    expect(await step(world.steps.setMark, { destination: DESTINATION, tag: '7', digest, put, journal: {} })).toBe(
      true,
    );
    expect(marksOn(digest)).toContainEqual(put);
    const marked = { destination: DESTINATION, tag: '7', digest, policy: 'redis' };
    const word = { by: 'bob', reason: 'needed', digest };
    await step(world.steps.restoreTag, { marked, word });
    expect(marksOn(digest)).toContainEqual(expect.objectContaining({ state: 'restored' }));
    expect(await retire('7', digest)).toMatchObject({ judgement: { act: 'end' } });
    expectWhole('7');
  });

  it('retire a marked tag, and nothing that another tag has shown for a moment', async () => {
    const digest = (await place('6', upstreamIndex('six', 'both'))) as Digest;
    await attachMark(digest, markOf('6', old));
    minutesPass(5);
    await placeMeanwhile('7', upstreamIndex('seven', 'both'));
    expect(await retire('6', digest)).toEqual({ retired: { leftBehind: [] } });
    expect([...truth().tags.keys()]).not.toContain('6');
    expectWhole('7');
  });

  it('do not retire a tag that shows another image since a moment', async () => {
    const digest = (await place('7', upstreamIndex('one'))) as Digest;
    await attachMark(digest, markOf('7', old));
    minutesPass(5);
    await placeMeanwhile('7', upstreamIndex('two'), { kind: 'updated' });
    await retire('7', digest).catch((error) => expect(error).toMatchObject({ type: 'PreconditionFailed' }));
    expectWhole('7');
  });

  it('collect what is superseded, and nothing that a tag has shown for a moment', async () => {
    const first = await movedLongAgo('7');
    await placeMeanwhile('8', upstreamIndex('eight', 'both'));
    await placeMeanwhile('7', upstreamIndex('three'), { kind: 'updated' });
    const request = { repository: DESTINATION, keep: 2, olderThanDays: 30, now: new Date().toISOString(), apply: true };
    const planned = await step(world.steps.planCollection, request);
    expect(planned.manifests).toContain(first);
    await step(world.steps.collect, { repository: DESTINATION, planned });
    expect(truth().manifests.has(first)).toBe(false);
    expectWhole('7');
    expectWhole('8');
  });
});

/** HEAD and GET of a reference find nothing for a while. @param onHead called by each such HEAD */
function hideFor(ms: number, hidden: string, onHead: () => void = () => {}): void {
  const until = performance.now() + ms;
  const isHidden = (reference: string) => reference === hidden && performance.now() < until;
  const { reader } = world.registries;
  const { headManifest, getManifest } = reader;
  Object.assign(reader, {
    headManifest: async (...[repository, reference, signal]: Parameters<typeof headManifest>) => {
      if (!isHidden(reference)) return headManifest(repository, reference, signal);
      onHead();
      return null;
    },
    getManifest: async (...[repository, reference, signal]: Parameters<typeof getManifest>) =>
      isHidden(reference) ? null : getManifest(repository, reference, signal),
  });
}

/** Places a tag, and moves it a day later, which is sixty days ago. @returns what it showed first */
async function movedLongAgo(tag: string): Promise<Digest> {
  const first = (await place(tag, upstreamIndex('one', 'both'))) as Digest;
  vi.setSystemTime(Date.now() + DAY);
  await place(tag, upstreamIndex('two'), { kind: 'updated' });
  vi.setSystemTime(Date.now() + 60 * DAY);
  return first;
}

describe('a registry that does not serve for a while what another tag shows', () => {
  /** Two tags that share a platform, placed long ago; `tag` and `digest` reads of the second are answered by 404. */
  async function hide(kind: 'tag' | 'digest', ms: number): Promise<Digest> {
    const before = (await place('6', upstreamIndex('six', 'both'))) as Digest;
    await place('7', upstreamIndex('seven', 'both'));
    minutesPass(5);
    hideFor(ms, kind === 'tag' ? '7' : shown('7'));
    return before;
  }

  it.each(['tag', 'digest'] as const)('is asked again before anything goes that it may need: by %s', async (kind) => {
    expect(await remove('6', await hide(kind, 20_000))).toBe(true);
    expectWhole('7');
  });

  it('deletes nothing that may be needed as long as nobody can tell', async () => {
    const before = await hide('digest', 10 * 60_000);
    await expect(remove('6', before)).rejects.toMatchObject({
      type: 'Interrupted',
      message: expect.stringMatching(/lib\/redis:7 shows sha256:.*, which is not there/),
    });
    expectWhole('7');
  });
});

it('a listed name that leads nowhere is waited for once', async () => {
  const [six, five] = [await place('6', upstreamIndex('six')), await place('5', upstreamIndex('five'))];
  minutesPass(5);
  truth().tags.set('dangling', digestFor('nowhere'));
  const begun = Date.now();
  expect(await remove('6', six as Digest)).toBe(true);
  const first = Date.now() - begun;
  expect(first).toBeGreaterThanOrEqual(READ_BACK.patienceMs);
  expect(await remove('5', five as Digest)).toBe(true);
  expect(Date.now() - begun - first).toBeLessThan(READ_BACK.patienceMs / 10);
});

it('a tag is not called deleted when one read finds it and another does not', async () => {
  const digest = (await place('7', upstreamIndex('one'))) as Digest;
  const { getManifest } = world.registries.reader;
  world.registries.reader.getManifest = async (repository, reference, signal) =>
    reference === '7' ? null : getManifest(repository, reference, signal);
  await expect(remove('7', digest)).rejects.toMatchObject({ type: 'RegistryUnavailable' });
  expectWhole('7');
});

describe('a clock that is set back an hour', () => {
  it('makes no deletion wait for longer than a read may lag', async () => {
    const before = (await place('6', upstreamIndex('six'))) as Digest;
    await place('7', upstreamIndex('seven'));
    // Somebody else has moved the tag since.
    truth().tags.set('7', storeImage(truth(), { salt: 'theirs' }));
    minutesPass(-60);
    const begun = performance.now();
    expect(await remove('6', before)).toBe(true);
    expect(performance.now() - begun).toBeLessThan(3 * READ_BACK.patienceMs);
  });

  it('ends no wait for a tag that is not served', async () => {
    const before = (await place('6', upstreamIndex('six', 'both'))) as Digest;
    await place('7', upstreamIndex('seven', 'both'));
    minutesPass(5);
    let heads = 0;
    // The first look lists what may go, the second one begins the wait.
    hideFor(20_000, '7', () => {
      if (++heads === 2) minutesPass(60);
    });
    expect(await remove('6', before)).toBe(true);
    expectWhole('7');
  });
});

it('a tag that was seen to go an hour ago is waited for like any other', async () => {
  const first = await movedLongAgo('5');
  await place('5', upstreamIndex('three'), { kind: 'updated' });
  const seven = (await place('7', upstreamIndex('seven', 'both'))) as Digest;
  minutesPass(5);
  expect(await remove('7', seven)).toBe(true);
  await place('7', upstreamIndex('seven', 'both'));
  minutesPass(60);
  const request = { repository: DESTINATION, keep: 2, olderThanDays: 30, now: new Date().toISOString(), apply: true };
  const planned = await step(world.steps.planCollection, request);
  expect(planned.manifests).toContain(first);
  hideFor(20_000, '7');
  await step(world.steps.collect, { repository: DESTINATION, planned });
  expect(truth().manifests.has(first)).toBe(false);
  expectWhole('7');
});
