import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeCertificate, type TestCertificate } from '../../../support/certificates.js';
import { type FakeRegistry, startFakeRegistry } from '../../../support/fake-registry.js';
import { failure, type OpenRegistries, openRegistries, rosterEntry, sha256 } from './support.js';

const digest = sha256('blob');
const blobPath = `/v2/team/app/blobs/${digest}`;
const USER = { username: 'alice', password: 'wonder:land' };
const BASIC = `Basic ${Buffer.from('alice:wonder:land').toString('base64')}`;

let { fake, other, read, close } = {} as OpenRegistries;
beforeEach(async () => {
  ({ fake, other, read, close } = await openRegistries());
});
afterEach(() => close());

const repository = () => ({ host: fake.host, path: 'team/app' });

describe('redirects', () => {
  it('follows one to another server without the Authorization', async () => {
    fake.on(`GET ${blobPath}`, ({ headers }) =>
      headers.authorization === undefined
        ? { status: 401, headers: { 'www-authenticate': 'Basic' } }
        : { status: 307, headers: { location: `${other.url}/storage?sig=1` } },
    );
    other.on('GET /storage?sig=1', { body: 'blob' });
    const reader = read([rosterEntry(fake.host, USER), rosterEntry(other.host)]);
    expect(Buffer.from(await reader.getBlob(repository(), digest, 10)).toString()).toBe('blob');
    expect(other.requests[0]?.headers.authorization).toBeUndefined();
  });

  it('keeps the Authorization on the registry itself', async () => {
    fake.on(`GET ${blobPath}`, ({ headers }) =>
      headers.authorization === undefined
        ? { status: 401, headers: { 'www-authenticate': 'Basic' } }
        : { status: 302, headers: { location: '/elsewhere' } },
    );
    fake.on('GET /elsewhere', ({ headers }) => ({ body: headers.authorization === BASIC ? 'blob' : '' }));
    const reader = read([rosterEntry(fake.host, USER)]);
    expect(Buffer.from(await reader.getBlob(repository(), digest, 10)).toString()).toBe('blob');
    const sent = fake.requests.filter(({ path }) => path === '/elsewhere');
    expect(sent.map(({ headers }) => headers.authorization)).toEqual([BASIC]);
  });

  it('does not answer a challenge of the server it was sent to', async () => {
    fake.on(`GET ${blobPath}`, { status: 307, headers: { location: `${other.url}/storage` } });
    other.on('GET /storage', { status: 401, headers: { 'www-authenticate': 'Basic' } });
    const reader = read([rosterEntry(fake.host, USER), rosterEntry(other.host, USER)]);
    expect(await failure(reader.getBlob(repository(), digest, 10))).toMatchObject({ code: 'Unauthorized' });
    expect(other.requests).toHaveLength(1);
  });

  it('reads the next page where a listing was redirected to, still without credentials', async () => {
    fake.on('GET /v2/team/app/tags/list', { status: 302, headers: { location: `${other.url}/v2/real/tags/list` } });
    other.on('GET /v2/real/tags/list', {
      headers: { link: '</v2/real/tags/list?p=2>; rel="next"' },
      body: '{"tags":["a"]}',
    });
    other.on('GET /v2/real/tags/list?p=2', { body: '{"tags":["b"]}' });
    const reader = read([rosterEntry(fake.host), rosterEntry(other.host)]);
    expect(await reader.listTags(repository())).toEqual(['a', 'b']);
  });

  it('goes to no private server that the roster does not name', async () => {
    fake.on(`GET ${blobPath}`, { status: 307, headers: { location: 'https://127.0.0.1:1/storage' } });
    expect(await failure(read([rosterEntry(fake.host)]).getBlob(repository(), digest, 10))).toMatchObject({
      code: 'Denied',
    });
  });

  it.each([
    ['plain HTTP outside the roster', () => `${other.url}/storage`],
    ['another scheme', () => 'file:///etc/passwd'],
    ['credentials in the address', () => 'https://a:b@storage.example/'],
    ['what is no address', () => 'http://['],
  ])('refuses one to %s', async (_, location) => {
    fake.on(`GET ${blobPath}`, { status: 307, headers: { location: location() } });
    expect(await failure(read([rosterEntry(fake.host)]).getBlob(repository(), digest, 10))).toMatchObject({
      code: 'Denied',
    });
    expect(other.requests).toEqual([]);
  });

  it('ends after five', async () => {
    fake.on(`GET ${blobPath}`, { status: 307, headers: { location: blobPath } });
    expect(await failure(read([rosterEntry(fake.host)]).getBlob(repository(), digest, 10))).toMatchObject({
      code: 'Denied',
    });
    expect(fake.requests).toHaveLength(6);
  });
});

describe('hosts outside the roster', () => {
  it.each(['127.0.0.1:5000', '10.0.0.1', '169.254.169.254', '[::1]:5000', 'localhost:5000', '127.1:5000'])(
    'refuses %s',
    async (host) => {
      expect(await failure(read([]).listTags({ host, path: 'a' }))).toMatchObject({ code: 'Denied' });
    },
  );

  it('refuses the roster host on another port', async () => {
    const reader = read([rosterEntry(fake.host)]);
    expect(await failure(reader.ping(other.host))).toMatchObject({ code: 'Denied' });
    expect(other.requests).toEqual([]);
  });

  it('lets through those that are allowed by name', async () => {
    const error = await failure(read([], { allowHosts: [fake.host] }).ping(fake.host));
    // It is spoken to, in TLS, which this server does not understand.
    expect(error).toMatchObject({ code: 'RegistryUnavailable' });
    expect(error.hint).toContain('plain HTTP');
  });
});

describe('TLS', () => {
  let folder: string;
  let certificate: TestCertificate;
  let secure: FakeRegistry;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'houba-tls-'));
    certificate = await makeCertificate(folder);
    secure = await startFakeRegistry(certificate);
    secure.on('GET /v2/', { body: '{}' });
  });

  afterAll(async () => {
    await secure.stop();
    await rm(folder, { recursive: true });
  });

  it('trusts the CA that the roster names', async () => {
    const reader = read([rosterEntry(secure.host, { tlsVerify: true, caCert: certificate.caFile })]);
    await expect(reader.ping(secure.host)).resolves.toBeUndefined();
    expect(secure.requests.map(({ method, path }) => `${method} ${path}`)).toEqual(['GET /v2/']);
  });

  it('trusts no other, and says what to do', async () => {
    const error = await failure(read([rosterEntry(secure.host, { tlsVerify: true })]).ping(secure.host));
    expect(error).toMatchObject({ code: 'RegistryUnavailable' });
    expect(error.hint).toContain('ca_cert');
  });

  it('reads a CA that was replaced, without a restart', async () => {
    const later = await makeCertificate(await mkdtemp(join(folder, 'later-')));
    const caFile = join(folder, 'ca-of-the-roster.pem');
    await copyFile(certificate.caFile, caFile);
    const host = await startFakeRegistry(certificate);
    const reader = read([rosterEntry(host.host, { tlsVerify: true, caCert: caFile })]);
    host.on('GET /v2/', { body: '{}', headers: { connection: 'close' } });
    await reader.ping(host.host);
    host.useCertificate(later);
    const error = await failure(reader.ping(host.host));
    expect(error).toMatchObject({ code: 'RegistryUnavailable', hint: expect.stringContaining('no restart is needed') });
    await copyFile(later.caFile, caFile);
    await Promise.all([reader.ping(host.host), reader.ping(host.host)]);
    expect(host.count('GET /v2/')).toBe(3);
    await host.stop();
  });

  it('says which CA file cannot be read', async () => {
    const entry = rosterEntry(secure.host, { tlsVerify: true, caCert: join(folder, 'none.pem') });
    const error = await failure(read([entry]).ping(secure.host));
    expect(error).toMatchObject({ code: 'ConfigInvalid' });
    expect(error.message).toContain('none.pem');
  });

  it('follows no redirect from https to http, not even into the roster', async () => {
    secure.on('GET /v2/team/app/blobs/x', {});
    secure.on(`GET ${blobPath}`, { status: 307, headers: { location: `${other.url}/storage` } });
    const entry = rosterEntry(secure.host, { tlsVerify: true, caCert: certificate.caFile });
    const reader = read([entry, rosterEntry(other.host)]);
    const error = await failure(reader.getBlob({ host: secure.host, path: 'team/app' }, digest, 10));
    expect(error).toMatchObject({ code: 'Denied' });
    expect(other.requests).toEqual([]);
  });

  it('takes no plain HTTP realm from an https registry', async () => {
    const answer = { status: 401, headers: { 'www-authenticate': `Bearer realm="${other.url}/token"` } };
    secure.on('GET /v2/_catalog', answer);
    const entry = rosterEntry(secure.host, { tlsVerify: true, caCert: certificate.caFile, ...USER });
    expect(await failure(read([entry, rosterEntry(other.host)]).listRepositories(secure.host))).toMatchObject({
      code: 'Denied',
    });
    expect(other.requests).toEqual([]);
  });
});
