import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBudget, waitAsked } from '../../../../adapters/registry/budget.js';
import { createRegistryReader, type RegistryReader } from '../../../../adapters/registry.js';
import { type FakeRegistry, startFakeRegistry } from '../../../support/fake-registry.js';
import { failure, fakeClock, readerOptions, rosterEntry, sha256 } from './support.js';

/** What happens when a registry is slow, limits, or breaks off. */

const HEAD = 'HEAD /v2/app/manifests/1';
const served = { headers: { 'docker-content-digest': sha256('x') } };

let fake: FakeRegistry;
let clock: ReturnType<typeof fakeClock>;
let reader: RegistryReader;
const head = (tag = '1', signal?: AbortSignal) => reader.headManifest({ host: fake.host, path: 'app' }, tag, signal);

function readWith(timeouts: { idleMs?: number; totalMs?: number }, concurrency = 4): void {
  reader = createRegistryReader(readerOptions([rosterEntry(fake.host)], { clock, timeouts, concurrency }));
}

beforeEach(async () => {
  fake = await startFakeRegistry();
  clock = fakeClock();
  readWith({});
});

afterEach(async () => {
  await reader.close();
  await fake.stop();
});

describe('a registry that limits', () => {
  it('costs only the wait it asks for: 429 twice, then served', async () => {
    fake.on(
      HEAD,
      { status: 429, headers: { 'retry-after': '2' } },
      { status: 429, headers: { 'retry-after': '5' } },
      served,
    );
    expect(await head()).toMatchObject({ digest: sha256('x') });
    expect(clock.waits).toEqual([2000, 5000]);
    expect(fake.requests).toHaveLength(3);
  });

  it('makes every request to it wait, also those that have not been refused', async () => {
    readWith({}, 1);
    fake.on(HEAD, { status: 429, headers: { 'retry-after': '7' } }, served);
    fake.on('HEAD /v2/app/manifests/2', () => {
      expect(clock.waits).toEqual([7000]);
      return served;
    });
    await Promise.all([head('1'), head('2')]);
  });

  it('for one repository rests that one; for a second one before anything went well, it rests as a whole', async () => {
    const at = (name: string) => ({ host: fake.host, path: name });
    const HOUR = { status: 429, headers: { 'retry-after': '3600' } };
    for (const name of ['one', 'two']) fake.on(`HEAD /v2/${name}/manifests/1`, HOUR);
    fake.on('HEAD /v2/well/manifests/1', served);
    const ask = (name: string) => reader.headManifest(at(name), '1');
    expect(await failure(ask('one'))).toMatchObject({ code: 'RateLimited' });
    expect(await ask('well')).not.toBeNull();
    expect(await failure(ask('one'))).toMatchObject({
      message: expect.stringContaining(`${fake.host}/one limits requests`),
    });
    expect(fake.requests).toHaveLength(2);
    expect(await failure(ask('two'))).toMatchObject({ code: 'RateLimited' });
    expect(await ask('well')).not.toBeNull();
    clock.advance(3_600_000);
    await failure(ask('one'));
    await failure(ask('two'));
    expect(await failure(ask('well'))).toMatchObject({
      message: expect.stringContaining(`${fake.host} limits requests`),
    });
  });

  it('for one repository keeps no slot from the others while that one rests', async () => {
    let end = () => {};
    let wake = () => {};
    const over = new Promise<void>((resolve) => {
      end = resolve;
    });
    const begun = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const wait = async (ms: number) => {
      wake();
      await over;
      clock.advance(ms);
    };
    await reader.close();
    reader = createRegistryReader(
      readerOptions([rosterEntry(fake.host)], { clock: { ...clock, wait }, concurrency: 1 }),
    );
    fake.on('HEAD /v2/one/manifests/1', { status: 429, headers: { 'retry-after': '20' } }, served);
    fake.on('HEAD /v2/well/manifests/1', served);
    const ask = (path: string) => reader.headManifest({ host: fake.host, path }, '1');
    const limited = ask('one');
    await begun;
    expect(await ask('well')).not.toBeNull();
    expect(fake.count('HEAD /v2/one/manifests/1')).toBe(1);
    end();
    expect(await limited).not.toBeNull();
  });

  it.each([
    ['an epoch', String(Date.UTC(2030, 0, 1) / 1000 + 600), 600_000],
    ['a date', new Date(Date.UTC(2030, 0, 1) + 600_000).toUTCString(), 600_000],
    ['a year', '31536000', 3_600_000],
    ['an epoch in milliseconds', String(Date.UTC(2030, 0, 1) + 600_000), 600_000],
    // The usual pause: a wait of nothing would be asked for again and again.
    ['a time that is over', new Date(0).toUTCString(), 8_000],
    ['nothing', '0', 8_000],
    ['nonsense with a number', 'soon 12', 8_000],
    ['a number below nothing', '-5', 8_000],
  ])('says until when as %s', async (_, retryAfter, waitMs) => {
    const date = new Date(clock.now()).toUTCString();
    fake.on(HEAD, { status: 429, headers: { date, 'retry-after': retryAfter } });
    expect(await failure(head())).toMatchObject({ code: 'RateLimited', retryAfterMs: waitMs });
  });

  it('is left to the durable layer when it wants a long rest, and is not asked again before', async () => {
    fake.on(HEAD, { status: 429, headers: { 'retry-after': '600' } }, served);
    expect(await failure(head())).toMatchObject({
      code: 'RateLimited',
      retryAfterMs: 600_000,
      facts: { registry: fake.host, status: 429 },
    });
    clock.advance(100_000);
    expect(await failure(head())).toMatchObject({ code: 'RateLimited', retryAfterMs: 500_000 });
    expect(fake.requests).toHaveLength(1);
    clock.advance(500_000);
    expect(await head()).not.toBeNull();
  });

  it('is left to the durable layer after four tries', async () => {
    fake.on(HEAD, { status: 429, headers: { 'retry-after': '1' } });
    expect(await failure(head())).toMatchObject({ code: 'RateLimited', retryAfterMs: 1000 });
    expect(fake.requests).toHaveLength(4);
  });

  it('is waited for a little longer each time when it does not say how long', async () => {
    fake.on(HEAD, { status: 429 }, { status: 429 }, served);
    await head();
    expect(clock.waits).toEqual([1000, 2000]);
  });

  it('is given a rest when it says that nothing remains', async () => {
    fake.on(HEAD, { headers: { ...served.headers, 'ratelimit-remaining': '0;w=60', 'ratelimit-reset': '9' } }, served);
    await head();
    await head();
    expect(clock.waits).toEqual([9000]);
  });

  it('is not given one while something remains, nor for a long window', async () => {
    const remaining = { headers: { ...served.headers, 'ratelimit-remaining': '7', 'ratelimit-reset': '9' } };
    const longWindow = { headers: { ...served.headers, 'ratelimit-remaining': '0', 'ratelimit-reset': '21600' } };
    fake.on(HEAD, remaining, longWindow, served);
    for (let each = 0; each < 3; each++) await head();
    expect(clock.waits).toEqual([]);
  });
});

describe('a registry in trouble', () => {
  it('is asked again after 503, as it says, and after 500', async () => {
    fake.on(HEAD, { status: 503, headers: { 'retry-after': '4' } }, { status: 500 }, served);
    expect(await head()).not.toBeNull();
    expect(clock.waits).toEqual([4000, 2000]);
  });

  it('is unavailable after four tries, with what it said, made safe to print', async () => {
    fake.on('GET /v2/', { status: 502, body: '<h1>\u001b[2J\u202ebad gateway</h1>' });
    const error = await failure(reader.ping(fake.host));
    expect(error).toMatchObject({ code: 'RegistryUnavailable', facts: { registry: fake.host, status: 502 } });
    expect(error.message).toContain(`${fake.host} answered 502 to GET /v2/: <h1>\\x1b[2J\\u{202e}bad gateway</h1>`);
    expect(fake.requests).toHaveLength(4);
  });

  it('is asked again at once when a kept connection turns out closed', async () => {
    fake.on(HEAD, served, { cut: 'headers' }, served);
    await head();
    expect(await head()).not.toBeNull();
    expect(clock.waits).toEqual([]);
    expect(fake.requests).toHaveLength(3);
  });

  it('is unavailable when it breaks off every time, or nobody listens', async () => {
    fake.on(HEAD, { cut: 'headers' });
    expect(await failure(head())).toMatchObject({ code: 'RegistryUnavailable', facts: { error: 'ECONNRESET' } });
    expect(fake.requests).toHaveLength(4);
    await fake.stop();
    const error = await failure(head());
    expect(error).toMatchObject({ code: 'RegistryUnavailable', facts: { error: 'ECONNREFUSED' } });
    expect(error.hint).toContain('nothing listens');
  });

  it.each([{ idleMs: 60 }, { totalMs: 20, idleMs: 30 }])(
    'is unavailable when it says nothing (%j)',
    async (timeouts) => {
      readWith(timeouts);
      fake.on(HEAD, { silent: true });
      expect(await failure(head())).toMatchObject({ code: 'RegistryUnavailable', facts: { error: 'timeout' } });
    },
  );

  it.each([
    [403, 'Denied'],
    [401, 'Unauthorized'],
    [400, 'Unsupported'],
    [410, 'Unsupported'],
  ])('is asked once when it answers %i, which is %s', async (status, code) => {
    fake.on(HEAD, { status });
    expect(await failure(head())).toMatchObject({ code });
    expect(fake.requests).toHaveLength(1);
  });
});

describe('an aborted signal', () => {
  it('ends requests that are under way and those that wait for their turn, with its reason', async () => {
    readWith({}, 2);
    const abort = new AbortController();
    let arrived = 0;
    const silent = () => {
      arrived++;
      if (arrived === 2) abort.abort(new Error('enough'));
      return { silent: true };
    };
    fake.on(HEAD, silent);
    const all = await Promise.allSettled(Array.from({ length: 5 }, () => head('1', abort.signal)));
    expect(all.map((each) => each.status === 'rejected' && String(each.reason))).toEqual(
      Array(5).fill('Error: enough'),
    );
    expect(fake.requests).toHaveLength(2);
    fake.on('HEAD /v2/app/manifests/2', served);
    expect(await head('2')).not.toBeNull();
  });

  it('sends nothing when it was aborted before', async () => {
    await expect(head('1', AbortSignal.abort(new Error('early')))).rejects.toThrow('early');
    expect(fake.requests).toEqual([]);
  });

  it('ends the wait that a limit asked for', async () => {
    reader = createRegistryReader(readerOptions([rosterEntry(fake.host)]));
    const abort = new AbortController();
    fake.on(HEAD, () => {
      setImmediate(() => abort.abort(new Error('no time')));
      return { status: 429, headers: { 'retry-after': '20' } };
    });
    await expect(head('1', abort.signal)).rejects.toThrow('no time');
  });
});

describe('closing', () => {
  it('ends what is under way', async () => {
    fake.on(HEAD, () => {
      setImmediate(() => reader.close());
      return { silent: true };
    });
    expect(await failure(head())).toMatchObject({ code: 'Interrupted' });
  });
});

describe('createBudget', () => {
  it('gives at most so many slots, and passes one on to who waits longest', async () => {
    const budget = createBudget('h', 2, clock);
    expect(budget.enter(undefined)).toBeUndefined();
    expect(budget.enter(undefined)).toBeUndefined();
    const order: string[] = [];
    const first = budget.enter(undefined)?.then(() => order.push('first'));
    const second = budget.enter(undefined)?.then(() => order.push('second'));
    budget.leave();
    await first;
    budget.leave();
    await second;
    expect(order).toEqual(['first', 'second']);
  });
});

describe('waitAsked', () => {
  const now = Date.UTC(2030, 0, 1);
  it.each([
    [{ 'retry-after': '3' }, 3000],
    [{ 'retry-after': '0' }, null],
    [{ 'retry-after': '-5' }, null],
    [{ 'retry-after': '1e30' }, null],
    [{ 'retry-after': 'soon 12' }, null],
    [{ 'retry-after': '30, 60' }, 30_000],
    [{ 'retry-after': String(now + 5_000) }, 5_000],
    [{ 'retry-after': '0', 'ratelimit-reset': '20' }, 20_000],
    [{ 'retry-after': '2030-01-01T00:00:10Z' }, 10_000],
    [{ 'ratelimit-reset': '2030-01-01T00:00:10Z' }, 10_000],
    [{ 'ratelimit-reset': '20;w=60' }, 20_000],
    [{ 'retry-after': '0.5' }, 500],
    [{ 'retry-after': 'Tue, 01 Jan 2030 00:00:10 GMT' }, 10_000],
    [{ 'retry-after': 'Tue, 01 Jan 2019 00:00:10 GMT' }, null],
    // Its clock is an hour behind ours, or ahead of it.
    [{ date: 'Mon, 31 Dec 2029 23:00:00 GMT', 'retry-after': 'Mon, 31 Dec 2029 23:00:20 GMT' }, 20_000],
    [{ date: 'Tue, 01 Jan 2030 01:00:00 GMT', 'ratelimit-reset': String(now / 1000 + 3_605) }, 5_000],
    [{ 'retry-after': 'soon' }, null],
    [{ 'retry-after': '99999999' }, 3_600_000],
    [{ 'ratelimit-reset': '20' }, 20_000],
    [{ 'x-ratelimit-reset': String(now / 1000 + 5) }, 5000],
    [{ 'ratelimit-reset': 'x' }, null],
    [{}, null],
  ])('reads %j as %s ms', (headers, expected) => {
    expect(waitAsked(headers, now)).toBe(expected);
  });
});
