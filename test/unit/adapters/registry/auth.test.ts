import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { failure, type OpenRegistries, openRegistries, rosterEntry, sha256 } from './support.js';

const digest = sha256('blob');
const USER = { username: 'alice', password: 'wonder:land' };
const BASIC = `Basic ${Buffer.from('alice:wonder:land').toString('base64')}`;

let { fake, other, clock, read, close } = {} as OpenRegistries;
beforeEach(async () => {
  ({ fake, other, clock, read, close } = await openRegistries());
});
afterEach(() => close());

const repository = () => ({ host: fake.host, path: 'team/app' });

describe('Basic', () => {
  const guarded = ({ headers }: { headers: { authorization?: string } }) =>
    headers.authorization === BASIC
      ? { headers: { 'docker-content-digest': digest } }
      : { status: 401, headers: { 'www-authenticate': 'Basic realm="here"' } };

  it('sends the credentials once it is asked for them, and from then on', async () => {
    fake.on('HEAD /v2/team/app/manifests/1', guarded);
    fake.on('HEAD /v2/team/app/manifests/2', guarded);
    const reader = read([rosterEntry(fake.host, USER)]);
    await reader.headManifest(repository(), '1');
    await reader.headManifest(repository(), '2');
    expect(fake.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, BASIC, BASIC]);
  });

  it('says Unauthorized, without the credentials in it, when they are refused or there are none', async () => {
    fake.on('GET /v2/', {
      status: 401,
      headers: { 'www-authenticate': 'Basic realm="here"' },
      body: '{"errors":[{"code":"UNAUTHORIZED","message":"no\\u001b[31m entry"}]}',
    });
    for (const entry of [rosterEntry(fake.host, USER), rosterEntry(fake.host)]) {
      const error = await failure(read([entry]).ping(fake.host));
      expect(error).toMatchObject({
        code: 'Unauthorized',
        facts: { registry: fake.host, status: 401, code: 'UNAUTHORIZED' },
      });
      expect(error.message).toContain('no\\x1b[31m entry');
      expect(JSON.stringify(error) + error.message).not.toContain('wonder');
    }
    expect(fake.requests).toHaveLength(3);
  });

  it('gives up on a challenge it does not know', async () => {
    fake.on('GET /v2/', { status: 401, headers: { 'www-authenticate': 'Negotiate' } });
    expect(await failure(read([rosterEntry(fake.host, USER)]).ping(fake.host))).toMatchObject({ code: 'Unauthorized' });
  });
});

describe('Bearer', () => {
  const challenge = (realm: string, scope = 'repository:team/app:pull') =>
    `Bearer realm="${realm}/token",service="registry.test",scope="${scope}"`;

  /** A registry that wants the token `token-<n>`, and a token service that counts them up. */
  function guard(lifeSeconds: number, scope?: string) {
    let issued = 0;
    fake.on('GET /token', () => {
      issued++;
      return { body: JSON.stringify({ token: `token-${issued}`, expires_in: lifeSeconds }) };
    });
    for (const request of [
      'HEAD /v2/team/app/manifests/1',
      'HEAD /v2/team/two/manifests/1',
      'GET /v2/team/app/tags/list',
    ]) {
      fake.on(request, ({ headers }) =>
        headers.authorization === `Bearer token-${issued}` && issued > 0
          ? { headers: { 'docker-content-digest': digest }, body: '{"tags":[]}' }
          : { status: 401, headers: { 'www-authenticate': challenge(fake.url, scope) } },
      );
    }
    return () => issued;
  }

  it('fetches one token for a scope, however many requests want it at once', async () => {
    const issued = guard(300);
    const reader = read([rosterEntry(fake.host, USER)]);
    await Promise.all(Array.from({ length: 20 }, () => reader.headManifest(repository(), '1')));
    expect(issued()).toBe(1);
    const [asked] = fake.requests.filter(({ path }) => path.startsWith('/token'));
    expect(asked?.path).toBe('/token?service=registry.test&scope=repository%3Ateam%2Fapp%3Apull');
    expect(asked?.headers.authorization).toBe(BASIC);
  });

  it('fetches the token of another repository before the request, knowing the way', async () => {
    const issued = guard(300);
    const reader = read([rosterEntry(fake.host)]);
    await reader.headManifest(repository(), '1');
    await reader.headManifest({ host: fake.host, path: 'team/two' }, '1');
    expect(issued()).toBe(2);
    expect(fake.count('HEAD /v2/team/two/manifests/1')).toBe(1);
    const tokens = fake.requests.filter(({ path }) => path.startsWith('/token'));
    expect(tokens.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
  });

  it('renews a token shortly before it expires', async () => {
    const issued = guard(300);
    const reader = read([rosterEntry(fake.host)]);
    await reader.headManifest(repository(), '1');
    clock.advance(239_000);
    await reader.headManifest(repository(), '1');
    expect(issued()).toBe(1);
    clock.advance(2_000);
    await reader.headManifest(repository(), '1');
    expect(issued()).toBe(2);
  });

  it('asks for a further scope when the registry wants one', async () => {
    guard(300, 'repository:team/app:metadata_read');
    await read([rosterEntry(fake.host)]).listTags(repository());
    const [asked] = fake.requests.filter(({ path }) => path.startsWith('/token'));
    expect(new URL(asked?.path ?? '', 'http://x').searchParams.getAll('scope')).toEqual([
      'repository:team/app:pull',
      'repository:team/app:metadata_read',
    ]);
  });

  it.each([
    { token: null, access_token: 'given', expires_in: null },
    { token: '', access_token: 'given', expires_in: 'soon' },
    { token: 'given', access_token: null, issued_at: null },
  ])('takes a token where other fields are null or of no use: %j', async (answer) => {
    fake.on('GET /v2/', ({ headers }) =>
      headers.authorization === 'Bearer given'
        ? {}
        : { status: 401, headers: { 'www-authenticate': `Bearer realm="${fake.url}/token",service=s` } },
    );
    fake.on('GET /token', { body: JSON.stringify(answer) });
    await read([rosterEntry(fake.host)]).ping(fake.host);
    expect(fake.requests.at(-1)?.headers.authorization).toBe('Bearer given');
  });

  it('trades an identity token for an access token', async () => {
    fake.on('GET /v2/', ({ headers }) =>
      headers.authorization === 'Bearer traded'
        ? {}
        : { status: 401, headers: { 'www-authenticate': `Bearer realm="${fake.url}/token",service=s` } },
    );
    fake.on('POST /token', { body: '{"access_token":"traded"}' });
    const folder = await mkdtemp(join(tmpdir(), 'houba-auth-'));
    const file = join(folder, 'auth.json');
    await writeFile(file, JSON.stringify({ auths: { [fake.host]: { identitytoken: 'refresh-me' } } }));
    await read([rosterEntry(fake.host)], { authFiles: [file] }).ping(fake.host);
    const asked = fake.requests.find(({ method }) => method === 'POST');
    expect(asked?.body).toBe('grant_type=refresh_token&client_id=houba&refresh_token=refresh-me&service=s');
    await rm(folder, { recursive: true });
  });

  it.each([
    ['refuses', { status: 401 }, 'Unauthorized'],
    ['redirects', { status: 302, headers: { location: 'https://evil.example/' } }, 'Unauthorized'],
    ['answers without a token', { body: '{}' }, 'RegistryUnavailable'],
    ['answers with what is no header', { body: '{"token":"a\\r\\nb"}' }, 'RegistryUnavailable'],
    ['answers with a page', { body: '<html>' }, 'RegistryUnavailable'],
  ])('says so when the token service %s', async (_, reply, code) => {
    fake.on('GET /v2/', { status: 401, headers: { 'www-authenticate': challenge(fake.url) } });
    fake.on('GET /token', reply);
    expect(await failure(read([rosterEntry(fake.host, USER)]).ping(fake.host))).toMatchObject({ code });
    expect(fake.requests).toHaveLength(2);
  });

  it('says Unauthorized when the token is refused, after one', async () => {
    fake.on('GET /v2/', { status: 401, headers: { 'www-authenticate': challenge(fake.url) } });
    fake.on('GET /token', { body: '{"token":"t"}' });
    expect(await failure(read([rosterEntry(fake.host)]).ping(fake.host))).toMatchObject({ code: 'Unauthorized' });
    expect(fake.count('GET /token')).toBe(1);
  });

  it.each([
    [{ token: 5, access_token: 'T' }],
    [{ token: null, access_token: 'T', expires_in: null }],
    [{ token: 'T', expires_in: 0 }],
    [{ token: 'T', expires_in: -5 }],
    [{ token: 'T', expires_in: 1e300 }],
    [{ token: 'T', expires_in: '300' }],
  ])('takes the token of %j, once for several requests', async (body) => {
    fake.on('GET /token', { status: 201, body: JSON.stringify(body) });
    fake.on('GET /v2/', ({ headers }) =>
      headers.authorization === 'Bearer T' ? {} : { status: 401, headers: { 'www-authenticate': challenge(fake.url) } },
    );
    const reader = read([rosterEntry(fake.host)]);
    for (const _ of [1, 2, 3]) await reader.ping(fake.host);
    expect(fake.count('GET /token')).toBe(1);
  });

  it.each([
    ['the first of two', (realm: string) => [challenge(realm), 'Bearer error="invalid_token"'], 'Bearer T'],
    ['the one with a realm', (realm: string) => ['Bearer error="invalid_token"', challenge(realm)], 'Bearer T'],
    ['Basic where Bearer has no realm', () => ['Bearer error="invalid_token"', 'Basic realm="r"'], 'Basic dTpw'],
  ])('of several challenges takes %s', async (_, challenges, expected) => {
    fake.on('GET /token', { body: '{"token":"T"}' });
    fake.on('GET /v2/', ({ headers }) =>
      headers.authorization === undefined ? { status: 401, headers: { 'www-authenticate': challenges(fake.url) } } : {},
    );
    await read([rosterEntry(fake.host, { username: 'u', password: 'p' })]).ping(fake.host);
    expect(fake.requests.at(-1)?.headers.authorization).toBe(expected);
  });

  it('waits for a token service that limits', async () => {
    const issued = guard(300);
    const limited = { status: 429, headers: { 'retry-after': '3' } };
    fake.on('GET /token', limited, { body: '{"token":"token-0"}' });
    expect(issued()).toBe(0);
    expect(await failure(read([rosterEntry(fake.host)]).headManifest(repository(), '1'))).toMatchObject({
      code: 'Unauthorized',
    });
    expect(clock.waits).toEqual([3000]);
  });

  it.each(['ftp://x/token', 'not a url', 'https://user:pw@auth.example/token', ''])(
    'sends credentials to no realm like %j',
    async (realm) => {
      fake.on('GET /v2/', { status: 401, headers: { 'www-authenticate': `Bearer realm="${realm}"` } });
      expect(await failure(read([rosterEntry(fake.host, USER)]).ping(fake.host))).toMatchObject({ code: 'Denied' });
    },
  );

  it('ends the wait for a token when the signal is aborted', async () => {
    const abort = new AbortController();
    fake.on('GET /v2/', { status: 401, headers: { 'www-authenticate': challenge(fake.url) } });
    fake.on('GET /token', () => {
      abort.abort(new Error('enough'));
      return { silent: true };
    });
    await expect(read([rosterEntry(fake.host)]).ping(fake.host, abort.signal)).rejects.toThrow('enough');
  });

  it('asks no private realm that the roster does not name', async () => {
    fake.on('GET /v2/', { status: 401, headers: { 'www-authenticate': challenge(other.url) } });
    expect(await failure(read([rosterEntry(fake.host, USER)]).ping(fake.host))).toMatchObject({ code: 'Denied' });
    expect(other.requests).toEqual([]);
  });
});
