import { WorkflowUpdateFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, it } from 'vitest';
import type { Digest } from '../../domain/digest.js';
import { placementId, settleId } from '../../domain/durable/ids.js';
import { QUEUES } from '../../domain/durable/names.js';
import type { Observed, SettleResult, WaitDecision, WaitStatus, Withdrawal } from '../../domain/durable/settle.js';
import { HoubaError } from '../../domain/errors.js';
import type { settleTag } from '../../workflows/index.js';
import { DESTINATION, digestFor } from '../support/durable-samples.js';
import { createGate, HAPPY, stampedDigest, untilCancelled } from '../support/fake-steps.js';
import { DAY, HOUR, observationOf, observe, PLACED } from '../support/wait-samples.js';
import { historyOf, openStage, payloadSizes, type Stage } from '../support/workflow-env.js';

const [A, B, C] = ['a', 'b', 'c'].map((name) => digestFor(name)) as [Digest, Digest, Digest];
const SHOWN = digestFor('shown');
/** The server's clock goes on a little while messages travel. */
const MOMENT = 5_000;

let stage: Stage;
let start: number;
/** What the source tag shows, and what the output tag's stamp records, at this moment. */
let upstream: Digest | null;
let placed: Digest;
/** What can be fetched no more. */
let lost: Set<Digest>;

beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'));
});
afterAll(() => stage.close());
beforeEach(async () => {
  upstream = A;
  placed = PLACED;
  lost = new Set();
  play();
  start = await stage.now();
});

/** A world in which what upstream shows is what a wait sees when it looks again. */
function play(fakes: Parameters<Stage['play']>[0] = {}): void {
  stage.play({
    lookAgain: async ({ aliases, candidates }) => ({
      ...{ upstream, current: SHOWN, placed, aliases },
      fetchable: candidates.filter((digest) => !lost.has(digest)),
    }),
    ...fakes,
  });
}

/** One tag's wait, as runs and people see it. */
function waitFor(tag: string, facts: Parameters<typeof observationOf>[4] = {}) {
  const workflowId = settleId({ ...DESTINATION, path: 'lib/settle' }, tag);
  const handle = stage.client.workflow.getHandle<typeof settleTag>(workflowId);
  const observation = (digest: Digest, atMs: number) => observationOf('lib/settle', tag, digest, atMs, facts);
  return {
    workflowId,
    handle,
    /** A run sees that upstream shows this. */
    async sees(digest: Digest, atMs?: number): Promise<Observed> {
      upstream = digest;
      return observe(stage, observation(digest, atMs ?? (await stage.now())));
    },
    says: (update: 'promote' | 'hold' | 'release', digest: Digest, by = 'bob') =>
      handle.executeUpdate<WaitStatus, [WaitDecision]>(update, { args: [{ by, reason: 'looked at it', digest }] }),
    status: () => handle.query<WaitStatus>('status'),
    withdraw: (atMs: number, folder?: string) =>
      handle.signal<[Withdrawal]>('withdrawn', {
        at: new Date(atMs).toISOString(),
        ...(folder === undefined ? {} : { folder }),
      }),
    result: (): Promise<SettleResult> => handle.result(),
    /** Still waiting? */
    waits: async () => (await handle.describe()).status.name === 'RUNNING',
  };
}

/** What was placed and when, in days since the test began. */
function takeovers(): { digest: Digest; day: number }[] {
  return stage.inputs('inspectPlacement').map(({ baseDigest, label }) => ({
    digest: baseDigest,
    day: (Date.parse(label.created) - start) / DAY,
  }));
}

function expectTaken(digest: Digest, day: number): void {
  expect(takeovers()).toHaveLength(1);
  const [taken] = takeovers();
  expect(taken?.digest).toBe(digest);
  expect(taken?.day).toBeGreaterThanOrEqual(day);
  expect(taken?.day).toBeLessThan(day + MOMENT / DAY);
}

const days = (count: number) => stage.pass(count * DAY);

async function refusalOf(update: Promise<unknown>): Promise<unknown> {
  const error = await update.then(
    () => new Error('it was expected to be refused'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(WorkflowUpdateFailedError);
  const { cause } = error as WorkflowUpdateFailedError;
  return cause instanceof ApplicationFailure ? [cause.type, cause.message] : cause;
}

describe('a moved tag', () => {
  it('is taken over at exactly the end of the window', async () => {
    const wait = waitFor('latest');
    const { readyAt } = await wait.sees(A, start);
    expect(Date.parse(readyAt ?? '')).toBe(start + 7 * DAY);
    await stage.pass(7 * DAY - 60_000);
    expect(takeovers()).toEqual([]);
    const result = await wait.result();
    expectTaken(A, 7);
    expect(result).toEqual({
      outcome: 'taken',
      digest: A,
      outDigest: stampedDigest('lib/settle:latest'),
      because: 'it has stood still for 7d',
      promoted: null,
    });
  });

  it('that moves again on day 6 is taken over on day 13', async () => {
    const wait = waitFor('moved-twice');
    await wait.sees(A, start);
    await days(6);
    const { readyAt } = await wait.sees(B, start + 6 * DAY);
    expect(Date.parse(readyAt ?? '')).toBe(start + 13 * DAY);
    await days(6.9);
    expect(takeovers()).toEqual([]);
    await wait.result();
    expectTaken(B, 13);
  });

  it('that moves every 3 days is taken over at the maximum wait: what stood longest, of equal ones the newest', async () => {
    const wait = waitFor('restless');
    const digests = Array.from({ length: 10 }, (_, index) => digestFor(`restless ${index}`));
    for (const [index, digest] of digests.entries()) {
      await wait.sees(digest, start + 3 * index * DAY);
      if (index < 9) await days(3);
    }
    await days(1.001);
    // Day 27 saw the tenth, which has stood for one day; the ninth is the newest of those that stood for three.
    expectTaken(digests[8] as Digest, 28);
    const why = 'the maximum wait of 28d is over, and of what can be fetched it stood longest';
    expect(stage.inputs('publishTag')[0]?.journal).toMatchObject({ digest: digests[8], reason: why });

    // What upstream shows is waited for as before, and the reports of the runs that see it say what became of the other.
    const { readyAt, reason } = await wait.sees(digests[9] as Digest, start + 28.01 * DAY);
    expect(Date.parse(readyAt ?? '')).toBe(start + 34 * DAY);
    expect(reason).toBe(`${digests[8]} was taken over: ${why}; upstream has moved on since`);
    play();
    placed = digests[8] as Digest;
    expect((await wait.result()).digest).toBe(digests[9]);
    expectTaken(digests[9] as Digest, 34);
  });

  it('that moved without a run seeing it starts over, for a timer is a hint', async () => {
    const wait = waitFor('unseen');
    await wait.sees(A, start);
    upstream = B;
    await days(7.5);
    expect(takeovers()).toEqual([]);
    expect(await wait.status()).toMatchObject({ phase: 'waiting', digest: B });
    await wait.result();
    expectTaken(B, 14);
  });

  it('is placed as the latest run would: over what the tag shows now, with the aliases that still go with it', async () => {
    const aliases = [
      { alias: '7', current: null },
      { alias: 'gone-its-way', current: null },
    ];
    play({
      lookAgain: async ({ candidates }) => ({
        ...{ upstream, current: digestFor('restamped'), placed, aliases: ['7'], fetchable: candidates },
      }),
    });
    const begun = waitFor('as-latest', { placement: { sign: true } });
    await begun.sees(A, start);
    await days(1);
    await waitFor('as-latest', { placement: { aliases } }).sees(A, start + DAY);
    await begun.result();
    const [placement] = stage.inputs('inspectPlacement');
    expect(placement).toMatchObject({ kind: 'updated', sign: false, current: digestFor('restamped') });
    expect(placement?.aliases).toEqual([{ alias: '7', current: digestFor('restamped') }]);
    expect(stage.inputs('publishTag').map(({ tag, expected }) => [tag, expected])).toEqual([
      ['as-latest', digestFor('restamped')],
      ['7', digestFor('restamped')],
    ]);
    expectTaken(A, 7);
  });

  it('is waited for by the settings of today', async () => {
    await waitFor('settings').sees(A, start);
    await days(1);
    const shorter = waitFor('settings', { windowMs: 2 * DAY });
    const { readyAt } = await shorter.sees(A, start + DAY);
    expect(Date.parse(readyAt ?? '')).toBe(start + 2 * DAY);
    await shorter.result();
    expectTaken(A, 2);
  });

  it('without a window is taken over at once', async () => {
    const wait = waitFor('windowless', { windowMs: 0, maxWaitMs: 0 });
    await wait.sees(A, start);
    expect((await wait.result()).outcome).toBe('taken');
    expectTaken(A, 0);
  });

  it('that is new is imported when it has stood still', async () => {
    placed = A;
    play({
      lookAgain: async ({ candidates }) => ({
        upstream,
        current: null,
        placed: null,
        aliases: [],
        fetchable: candidates,
      }),
    });
    const wait = waitFor('new', { placed: null, placement: { kind: 'imported', current: null } });
    await wait.sees(A, start);
    await wait.result();
    expect(stage.inputs('inspectPlacement')[0]).toMatchObject({
      kind: 'imported',
      current: null,
      settled: expect.any(String),
    });
    expectTaken(A, 7);
  });
});

describe('a wait ends without effect', () => {
  it('when upstream shows again what is placed', async () => {
    const wait = waitFor('back');
    await wait.sees(A, start);
    upstream = PLACED;
    expect(await wait.result()).toMatchObject({ outcome: 'returned', digest: null, outDigest: null });
    expect(stage.order()).toEqual(['lookAgain']);
  });

  it('when somebody else has placed what it waits for', async () => {
    const wait = waitFor('placed-elsewhere');
    await wait.sees(A, start);
    placed = A;
    expect((await wait.result()).outcome).toBe('returned');
    expect(takeovers()).toEqual([]);
  });

  it('when the tag has left the selection, at once', async () => {
    const wait = waitFor('withdrawn');
    await wait.sees(A, start);
    await wait.withdraw(start + HOUR);
    expect((await wait.result()).outcome).toBe('withdrawn');
    expect(stage.order()).toEqual([]);
  });

  it('when its policy is gone, at the word of the folder whose run saw it last', async () => {
    const wait = waitFor('folder', { folder: '/srv/one' });
    await wait.sees(A, start);
    const nobodys = waitFor('no-folder');
    await nobodys.sees(A, start);
    expect(await wait.status()).toMatchObject({ folder: '/srv/one', seenAt: expect.any(String) });
    await wait.withdraw(start + HOUR, '/srv/two');
    await nobodys.withdraw(start + HOUR, '/srv/one');
    expect([await wait.status(), await nobodys.status()]).toMatchObject([{ phase: 'waiting' }, { phase: 'waiting' }]);
    await wait.withdraw(start + HOUR, '/srv/one');
    await nobodys.withdraw(start + HOUR);
    expect((await wait.result()).outcome).toBe('withdrawn');
    expect((await nobodys.result()).outcome).toBe('withdrawn');
  });

  it('at the word of a run, also when an earlier one had a clock that was years ahead', async () => {
    const wait = waitFor('years-ahead');
    await wait.sees(A, start + 4_000 * DAY);
    expect(await wait.sees(B, start + HOUR)).toMatchObject({ reason: null });
    expect(await wait.status()).toMatchObject({ digest: B });
    await wait.withdraw((await stage.now()) + HOUR);
    expect(await wait.result()).toMatchObject({ outcome: 'withdrawn' });
  });

  it('but not at the word of a run that is older than the last observation', async () => {
    const wait = waitFor('withdrawn-late');
    await stage.pass(2 * HOUR);
    await wait.sees(A, start + HOUR);
    await wait.withdraw(start + HOUR);
    expect(await wait.waits()).toBe(true);
    await wait.withdraw(start + 2 * HOUR);
    expect((await wait.result()).outcome).toBe('withdrawn');
  });
});

describe('a person', () => {
  it('ends a wait at once by promoting the digest, with name and reason in the stamp and the journal', async () => {
    const wait = waitFor('promoted');
    await wait.sees(A, start);
    const status = await wait.says('promote', A);
    expect(status.attempt).toBe(1);
    expect(await wait.result()).toMatchObject({
      outcome: 'taken',
      digest: A,
      because: 'promoted by bob: looked at it',
      promoted: { by: 'bob', reason: 'looked at it' },
    });
    expectTaken(A, 0);
    expect(stage.inputs('inspectPlacement')[0]?.promoted).toEqual({ by: 'bob', reason: 'looked at it' });
    expect(stage.inputs('publishTag')[0]?.journal).toMatchObject({
      reason: 'promoted by bob: looked at it',
      promoted_by: 'bob',
      promoted_reason: 'looked at it',
    });
  });

  it('is refused who decides about a digest that is shown no more, or gives no reason', async () => {
    const wait = waitFor('stale');
    await wait.sees(A, start);
    await wait.sees(B, start + 1000);
    expect(await refusalOf(wait.says('promote', A))).toEqual([
      'PreconditionFailed',
      `upstream shows ${B} by now, not ${A}`,
    ]);
    expect(await refusalOf(wait.says('promote', B, ' '))).toEqual(['ConfigInvalid', expect.stringContaining('a name')]);
    expect(await refusalOf(wait.says('release', B))).toEqual(['PreconditionFailed', 'it is not held']);
    expect(await wait.status()).toMatchObject({ phase: 'waiting', digest: B, promoted: null });
    await wait.withdraw(start + HOUR);
  });

  it('holds a tag for as long as it takes; released, it is taken over when its time has come', async () => {
    const wait = waitFor('held');
    await wait.sees(A, start);
    expect(await wait.says('hold', A)).toMatchObject({ dueAt: null, held: { by: 'bob', reason: 'looked at it' } });
    await days(30);
    expect(takeovers()).toEqual([]);
    expect(await wait.status()).toMatchObject({ phase: 'held', dueAt: null });
    expect(await wait.sees(A, start + 30 * DAY)).toEqual({ readyAt: null, reason: 'held by bob: looked at it' });
    await wait.says('release', A, 'alice');
    await wait.result();
    expectTaken(A, 30);
  });

  it('who releases a tag before its time stands in the reports until it is taken over', async () => {
    const wait = waitFor('released');
    await wait.sees(A, start);
    await wait.says('hold', A);
    await wait.says('release', A, 'alice');
    expect((await wait.sees(A, start + HOUR)).reason).toBe('released by alice: looked at it');
    await wait.result();
    expectTaken(A, 7);
  });

  it('has the last word: who holds a tag after a promotion that failed is not overruled by its next attempt', async () => {
    const wait = waitFor('held-after');
    await wait.sees(A, start);
    play({
      writeImage: async () => {
        throw new HoubaError('Denied', 'the registry refuses');
      },
    });
    expect(await wait.says('promote', A)).toMatchObject({ taken: null, lastError: expect.stringContaining('refuses') });
    play();
    expect(await wait.says('hold', A)).toMatchObject({ promoted: null, held: { by: 'bob' } });
    await days(30);
    expect(takeovers()).toEqual([]);
    await wait.withdraw(await stage.now());
  });

  it('may promote a digest and find upstream moving on: that one is taken, and the other is waited for', async () => {
    const wait = waitFor('moving-on');
    await wait.sees(A, start);
    const gate = createGate();
    play({
      lookAgain: async ({ candidates }) => {
        await gate.hold(null);
        return { upstream: B, current: SHOWN, placed, aliases: [], fetchable: candidates };
      },
    });
    const promotion = wait.says('promote', A);
    await gate.reached;
    gate.open();
    const status = await promotion;
    expect(takeovers().map(({ digest }) => digest)).toEqual([A]);
    expect(status).toMatchObject({ digest: B, promoted: null });
    placed = A;
    upstream = B;
    play();
    expect(await wait.result()).toMatchObject({ outcome: 'taken', digest: B });
    expectTaken(B, 7);
  });
});

describe('a placement that fails', () => {
  it('keeps the wait, shows why, and is tried again after an hour', async () => {
    const wait = waitFor('failing');
    let attempts = 0;
    play({
      writeImage: async () => {
        attempts += 1;
        if (attempts < 3) throw new HoubaError('Denied', 'the registry refuses');
      },
    });
    await wait.sees(A, start);
    await days(7.02);
    expect(await wait.status()).toMatchObject({ phase: 'retrying', attempt: 1, lastError: 'the registry refuses' });
    expect((await wait.sees(A, start + 7.02 * DAY)).reason).toBe('the registry refuses');
    expect(stage.order()).toContain('removeWritten');
    expect((await wait.result()).outcome).toBe('taken');
    const tried = takeovers().map(({ day }) => Math.round((day - 7) * 24));
    expect(tried).toEqual([0, 1, 2]);
  });

  it('is tried again at once when somebody promotes the tag', async () => {
    const wait = waitFor('failing-promoted');
    let broken = true;
    play({
      writeImage: async () => {
        if (broken) throw new HoubaError('Denied', 'the registry refuses');
      },
    });
    await wait.sees(A, start);
    await days(7.001);
    expect(await wait.says('promote', A)).toMatchObject({ attempt: 2, lastError: 'the registry refuses' });
    broken = false;
    await wait.says('promote', A);
    expect((await wait.result()).promoted).toEqual({ by: 'bob', reason: 'looked at it' });
    expect(takeovers()).toHaveLength(3);
    for (const { day } of takeovers()) expect(day).toBeLessThan(7 + 1 / 24);
  });

  it('because another run places the tag is no failure for good', async () => {
    const wait = waitFor('taken-id');
    const gate = createGate();
    play({ writeImage: async () => gate.hold(undefined) });
    const { placement } = observationOf('lib/settle', 'taken-id', B, start);
    const other = await stage.client.workflow.start('placeImage', {
      ...{ args: [placement], taskQueue: QUEUES.flow, workflowId: placementId(placement.destination, 'taken-id') },
    });
    await gate.reached;
    await wait.sees(A, start);
    expect(await wait.says('promote', A)).toMatchObject({
      lastError: expect.stringContaining('another run is at work'),
    });
    gate.open();
    await other.result();
    await wait.says('promote', A);
    expect((await wait.result()).digest).toBe(A);
  });

  it('when the world cannot be looked at is none at all: nothing is placed', async () => {
    const wait = waitFor('blind');
    let blind = true;
    play({
      lookAgain: async (request, context) => {
        if (blind) throw new HoubaError('Denied', 'upstream refuses');
        return { ...(await HAPPY.lookAgain(request, context)), upstream, current: SHOWN, placed };
      },
    });
    await wait.sees(A, start);
    await days(7.01);
    expect(takeovers()).toEqual([]);
    expect(await wait.status()).toMatchObject({ phase: 'retrying', lastError: 'upstream refuses' });
    blind = false;
    await wait.result();
    expectTaken(A, 7 + 1 / 24);
  });

  it('waits while the source tag is gone', async () => {
    const wait = waitFor('gone');
    await wait.sees(A, start);
    upstream = null;
    await days(8);
    expect(await wait.status()).toMatchObject({ lastError: 'the source no longer serves the tag' });
    expect(takeovers()).toEqual([]);
    await wait.withdraw(start + 8 * DAY);
    expect((await wait.result()).outcome).toBe('withdrawn');
  });
});

describe('the maximum wait', () => {
  it('takes the next best where what stood longest can be fetched no more', async () => {
    const wait = waitFor('next-best', { maxWaitMs: 10 * DAY });
    await wait.sees(A, start);
    await days(5);
    await wait.sees(B, start + 5 * DAY);
    await days(3);
    await wait.sees(C, start + 8 * DAY);
    lost.add(A);
    await days(2.001);
    expectTaken(B, 10);
    await wait.withdraw(start + 10.1 * DAY);
    await wait.result();
  });

  it('takes what stood longest of equal ones the newest, exactly at its end', async () => {
    const wait = waitFor('ties', { windowMs: 7 * DAY, maxWaitMs: 9 * DAY });
    for (const [index, digest] of [A, B, C].entries()) {
      await wait.sees(digest, start + 3 * index * DAY);
      if (index < 2) await days(3);
    }
    await days(2.99);
    expect(takeovers()).toEqual([]);
    // Each has stood for three days.
    await wait.result();
    expectTaken(C, 9);
  });

  it('takes what can still be fetched although the source tag is gone', async () => {
    const wait = waitFor('tag-gone', { maxWaitMs: 10 * DAY });
    await wait.sees(A, start);
    await days(5);
    await wait.sees(B, start + 5 * DAY);
    upstream = null;
    lost.add(B);
    await days(5.001);
    expectTaken(A, 10);
    await wait.withdraw(start + 10.1 * DAY);
    await wait.result();
  });

  it('with nothing that can be fetched goes on, and asks for a human until upstream shows something', async () => {
    const wait = waitFor('nothing-left', { windowMs: 7 * DAY, maxWaitMs: 5 * DAY });
    const attributes = async () => (await wait.handle.describe()).searchAttributes;
    await wait.sees(A, start);
    upstream = null;
    lost.add(A);
    await days(5.001);
    expect(await wait.waits()).toBe(true);
    expect(takeovers()).toEqual([]);
    expect(await attributes()).toMatchObject({ HoubaNeedsHuman: [true] });
    expect(await wait.status()).toMatchObject({
      phase: 'waiting',
      lastError: 'the maximum wait of 5d is over, and nothing that upstream showed can be fetched any more',
    });
    const { readyAt } = await wait.sees(B, start + 5.1 * DAY);
    expect(Date.parse(readyAt ?? '') - start).toBeGreaterThanOrEqual(10 * DAY);
    await days(0.1);
    expect(await attributes()).toMatchObject({ HoubaNeedsHuman: [false] });
    await wait.result();
    expectTaken(B, 10);
  });
});

describe('a long wait', () => {
  it('of hourly runs continues as new in time, and forgets nothing', async () => {
    const wait = waitFor('long', { windowMs: 60 * DAY, maxWaitMs: 90 * DAY });
    await wait.sees(A, start);
    await wait.says('hold', A);
    const first = (await wait.handle.describe()).runId;
    for (let hour = 1; (await wait.handle.describe()).runId === first; hour++) {
      await wait.sees(A, start + hour * HOUR);
      if (hour > 1_000) expect.fail('it never continues as new');
    }
    const events = await historyOf(stage.client.workflow.getHandle(wait.workflowId, first));
    expect(events.length).toBeLessThan(2_000);
    expect(Math.max(...payloadSizes(events))).toBeLessThan(32 * 1024);
    expect(await wait.status()).toMatchObject({ digest: A, held: { by: 'bob' }, standsSince: expect.any(String) });
    await wait.says('release', A);
    await wait.result();
    expectTaken(A, 60);
  });

  it('of a week of hourly runs takes less than 1,000 events', async () => {
    const wait = waitFor('a-week', { windowMs: 8 * DAY });
    await wait.sees(A, start);
    for (let hour = 1; hour <= 168; hour++) await wait.sees(A, start + hour * HOUR);
    expect((await historyOf(wait.handle)).length).toBeLessThan(1_000);
    await wait.withdraw(start + 9 * DAY);
    await wait.result();
  });
});

describe('a cancelled wait', () => {
  it('takes its placement along, which takes back what it has written', async () => {
    const wait = waitFor('cancelled', { windowMs: 0 });
    const gate = createGate();
    play({ attachSboms: (_, context) => gate.hold(null).then(() => untilCancelled(context)) });
    await wait.sees(A, start);
    await gate.reached;
    gate.open();
    await wait.handle.cancel();
    await expect(wait.result()).rejects.toThrow();
    expect((await wait.handle.describe()).status.name).toBe('CANCELLED');
    expect(stage.order()).toContain('removeWritten');
    expect(stage.order()).not.toContain('publishTag');
  });
});
