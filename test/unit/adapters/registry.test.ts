import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRegistryReader, type RegistryReader } from '../../../adapters/registry.js';
import type { Digest } from '../../../domain/digest.js';
import { type FakeRegistry, startFakeRegistry } from '../../support/fake-registry.js';
import {
  descriptor,
  failure,
  fakeClock,
  INDEX_TYPE,
  imageManifest,
  MANIFEST_TYPE,
  readerOptions,
  rosterEntry,
  sha256,
} from './registry/support.js';

let fake: FakeRegistry;
let reader: RegistryReader;
const repository = () => ({ host: fake.host, path: 'team/app' });

beforeEach(async () => {
  fake = await startFakeRegistry();
  reader = createRegistryReader(readerOptions([rosterEntry(fake.host)], { clock: fakeClock() }));
});

afterEach(async () => {
  await reader.close();
  await fake.stop();
});

describe('listTags', () => {
  const page = (...tags: unknown[]) => pageOf(tags);
  const pageOf = (tags: unknown[]) => JSON.stringify({ name: 'team/app', tags });

  it('follows Link through all pages and leaves out what is no tag, and repeats', async () => {
    fake.on('GET /v2/team/app/tags/list?n=1000', {
      headers: { link: '</v2/team/app/tags/list?n=1000&last=b>; rel="next"' },
      body: page('a', 'b', '../etc', 7, '-x'),
    });
    fake.on('GET /v2/team/app/tags/list?n=1000&last=b', {
      headers: { link: `<${fake.url}/v2/team/app/tags/list?last=c>; foo=bar; rel=next` },
      body: page('b', 'c'),
    });
    fake.on('GET /v2/team/app/tags/list?last=c', { headers: { link: '<x>; rel="prev"' }, body: '{"name":"team/app"}' });
    expect(await reader.listTags(repository())).toEqual(['a', 'b', 'c']);
    expect(reader.requestCounts()).toEqual(new Map([[`GET ${fake.host}`, 3]]));
    expect(fake.requests[0]?.headers['user-agent']).toBe('houba/0.0.0-test');
  });

  it('answers null for a repository that the registry does not know', async () => {
    fake.on('GET /v2/team/app/tags/list', { status: 404, body: '{"errors":[{"code":"NAME_UNKNOWN"}]}' });
    expect(await reader.listTags(repository())).toBeNull();
  });

  it('fails when a later page is gone, rather than leave tags out', async () => {
    fake.on('GET /v2/team/app/tags/list?n=1000', { headers: { link: '</v2/gone>; rel="next"' }, body: page('a') });
    expect(await failure(reader.listTags(repository()))).toMatchObject({ code: 'NotFound' });
  });

  it.each([
    ['another server', 'https://inner.example:5000/v2/team/app/tags/list?last=a'],
    ['another port', 'http://127.0.0.1:1/v2/team/app/tags/list?last=a'],
    ['https on the same port', () => `https://${fake.host}/v2/team/app/tags/list?last=a`],
    ['itself with credentials', () => `http://user@${fake.host}/v2/team/app/tags/list?last=a`],
  ])('follows a Link to %s by its path, on the server it came from', async (_, target) => {
    const link = `<${typeof target === 'string' ? target : target()}>; rel="next"`;
    fake.on('GET /v2/team/app/tags/list?n=1000', { headers: { link }, body: page('a0', 'a') });
    fake.on('GET /v2/team/app/tags/list?last=a', { body: page('b') });
    expect(await reader.listTags(repository())).toEqual(['a0', 'a', 'b']);
    expect(reader.requestCounts()).toEqual(new Map([[`GET ${fake.host}`, 2]]));
    expect(fake.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, undefined]);
  });

  it('follows a Link over http and https alone', async () => {
    fake.on('GET /v2/team/app/tags/list', { headers: { link: '<file:///etc/passwd>; rel="next"' }, body: page('a') });
    expect(await failure(reader.listTags(repository()))).toMatchObject({ code: 'Unsupported' });
    expect(fake.requests).toHaveLength(1);
  });

  /** A list that is served in pages of at most `size`, after `last`, without a Link. */
  const servePages = (tags: readonly string[], { size = 1000, knowsLast = true, knowsSize = true } = {}) =>
    fake.on('GET /v2/team/app/tags/list', ({ path }) => {
      const query = new URL(path, fake.url).searchParams;
      const from = knowsLast ? tags.indexOf(query.get('last') ?? '') + 1 : 0;
      const most = knowsSize ? Math.min(size, Number(query.get('n') ?? size)) : size;
      return { body: pageOf(tags.slice(from, from + most)) };
    });
  const many = (count: number) => Array.from({ length: count }, (_, at) => `2.0.${at}`);

  it.each([
    ['a full page', 1501, {}, 2],
    ['pages of the length asked for', 2000, {}, 3],
    ['shorter pages, of a size that registries cut at', 135, { size: 50 }, 3],
    ['a whole list of such a size, where `last` means nothing', 50, { knowsLast: false }, 2],
    ['a short page', 37, {}, 1],
    ['a longer page than asked for, whole', 1501, { size: 5000, knowsSize: false }, 2],
    ['a longer one of a registry that knows no pages', 1501, { size: 5000, knowsSize: false, knowsLast: false }, 2],
  ])('asks on after %s without a Link', async (_, count, how, requests) => {
    servePages(many(count), how);
    expect(await reader.listTags(repository())).toEqual(many(count));
    expect(fake.requests).toHaveLength(requests);
  });

  it('fails where a full page is all that a registry serves, and its Link is missing', async () => {
    servePages(many(1501), { knowsLast: false });
    expect(await failure(reader.listTags(repository()))).toMatchObject({
      code: 'Unsupported',
      message: expect.stringContaining('repeat themselves'),
    });
  });

  it.each(['/v2/team/app/tags/list?last=b; rel="next"', '<http://[>; rel="next"'])(
    'asks on after the last tag where the Link cannot be read: %s',
    async (link) => {
      fake.on('GET /v2/team/app/tags/list?n=1000', { headers: { link }, body: page('a', 'b') });
      fake.on('GET /v2/team/app/tags/list?n=1000&last=b', { body: page('c') });
      expect(await reader.listTags(repository())).toEqual(['a', 'b', 'c']);
    },
  );

  it('fails when a linked page brings nothing new', async () => {
    fake.on('GET /v2/team/app/tags/list?n=1000', { headers: { link: '</v2/more>; rel="next"' }, body: page('a', 'b') });
    fake.on('GET /v2/more', { headers: { link: '</v2/yet-more>; rel="next"' }, body: page('b', 'a') });
    expect(await failure(reader.listTags(repository()))).toMatchObject({ code: 'Unsupported' });
  });

  it.each([400, 405, 406, 413, 414, 416, 422, 501])(
    'asks for less where a page of a thousand is answered with %i',
    async (status) => {
      fake.on('GET /v2/team/app/tags/list?n=1000', { status });
      fake.on('GET /v2/team/app/tags/list?n=100', { body: page('a') });
      expect(await reader.listTags(repository())).toEqual(['a']);
      for (const query of ['?n=100', '']) fake.on(`GET /v2/team/app/tags/list${query}`, { status });
      expect(await failure(reader.listTags(repository()))).toMatchObject({ code: 'Unsupported', facts: { status } });
    },
  );

  it.each([404, 500])('asks without a size where a page of a thousand is answered with %i alone', async (status) => {
    fake.on('GET /v2/team/app/tags/list', ({ path }) => (path.includes('n=') ? { status } : { body: page('a') }));
    expect(await reader.listTags(repository())).toEqual(['a']);
    fake.on('GET /v2/team/app/tags/list', { status });
    if (status === 404) expect(await reader.listTags(repository())).toBeNull();
    else expect(await failure(reader.listTags(repository()))).toMatchObject({ code: 'RegistryUnavailable' });
  });

  it('takes a failure for no sign that a repository is not there', async () => {
    fake.on('GET /v2/team/app/tags/list', ({ path }) => ({ status: path.includes('n=') ? 500 : 404 }));
    expect(await failure(reader.listTags(repository()))).toMatchObject({ code: 'RegistryUnavailable' });
  });

  it.each([
    ['below /v2', 'tags/list?last='],
    ['without /v2', '/team/app/tags/list?last='],
    ['with the path that it has inside', 'https://inner/artifactory/api/docker/x/v2/team/app/tags/list?last='],
    ['that is not there', '/v2/gone?last='],
    ['that is this page', '?n=1000'],
    ['to nothing', ''],
    ['longer than eight thousand characters', `/v2/team/app/tags/list?x=${'x'.repeat(9_000)}&last=`],
  ])('reads on to the end after a Link %s', async (_, target) => {
    fake.on('GET /v2/team/app/tags/list', ({ path }) => {
      const last = new URL(path, fake.url).searchParams.get('last');
      const link = `<${target === '' || target === '?n=1000' ? target : `${target}a3`}>; rel="next"`;
      return last === null ? { headers: { link }, body: page('a1', 'a2', 'a3') } : { body: page('b') };
    });
    expect(await reader.listTags(repository())).toEqual(['a1', 'a2', 'a3', 'b']);
  });

  it.each([
    ['a Link says nothing of what it is', { link: '</v2/team/app/tags/list?last=a3>' }],
    ['no Link follows on pages with one', {}],
  ])('asks on where %s', async (_, second) => {
    const pages = new Map([
      ['', { headers: { link: '<?last=a1>; rel="next"' }, body: page('a0', 'a1') }],
      ['?last=a1', { headers: second, body: page('a2', 'a3') }],
      ['?n=1000&last=a3', { body: page('a4') }],
    ]);
    fake.on(
      'GET /v2/team/app/tags/list',
      ({ path }) => pages.get(path.split('list')[1]?.replace(/^\?n=1000$/, '') ?? '') ?? { status: 400 },
    );
    expect(await reader.listTags(repository())).toEqual(['a0', 'a1', 'a2', 'a3', 'a4']);
  });

  it('counts entries that are no names for the length of a page', async () => {
    const full = [null, ...many(999)];
    fake.on('GET /v2/team/app/tags/list', ({ path }) => ({ body: path.includes('last') ? page('z') : pageOf(full) }));
    expect(await reader.listTags(repository())).toEqual([...many(999), 'z']);
  });

  it('goes on after an empty page that names a next one', async () => {
    fake.on('GET /v2/team/app/tags/list?n=1000', { headers: { link: '<?last=a>; rel="next"' }, body: page('a0', 'a') });
    fake.on('GET /v2/team/app/tags/list?last=a', { headers: { link: '<?last=b>; rel="next"' }, body: page() });
    fake.on('GET /v2/team/app/tags/list?last=b', { body: page('c') });
    expect(await reader.listTags(repository())).toEqual(['a0', 'a', 'c']);
  });

  it('ends when Links lead in a circle', async () => {
    fake.on('GET /v2/team/app/tags/list', {
      headers: { link: '</v2/team/app/tags/list?n=1000>; rel="next"' },
      body: page('a'),
    });
    expect(await failure(reader.listTags(repository()))).toMatchObject({ code: 'Unsupported' });
  });

  it.each(['<html>', '[]', '{"tags":"a"}', 'null'])('does not take %s for an empty list', async (body) => {
    fake.on('GET /v2/team/app/tags/list', { body });
    expect(await failure(reader.listTags(repository()))).toMatchObject({ code: 'RegistryUnavailable' });
  });

  it('refuses more tags than any repository has', async () => {
    const tags = Array.from({ length: 200_001 }, (_, index) => `t${index}`);
    fake.on('GET /v2/team/app/tags/list', { body: pageOf(tags) });
    expect(await failure(reader.listTags(repository()))).toMatchObject({ code: 'Unsupported' });
  });
});

describe('listTagsToWrite', () => {
  const challenge = { 'www-authenticate': '' };
  const token = (scopes: readonly string[]) => scopes.join(' ');

  /** A registry that knows its repository only with a token for pushing, which `grants` says whether anybody gets. */
  function isNew(grants: boolean): void {
    challenge['www-authenticate'] = `Bearer realm="${fake.url}/token"`;
    fake.on('GET /token', ({ path }) => {
      const scope = token(new URL(path, fake.url).searchParams.getAll('scope'));
      return scope.includes('push') && !grants
        ? { status: 401 }
        : { body: JSON.stringify({ token: scope.replaceAll(/\W/g, '_') }) };
    });
    const denied = { status: 401, headers: challenge };
    const answer = ({ headers }: { headers: Record<string, unknown> }) =>
      String(headers.authorization).includes('push') ? { status: 404 } : denied;
    for (const each of ['GET /v2/team/app/tags/list', 'HEAD /v2/team/app/manifests/1.0']) fake.on(each, answer);
  }

  it('finds a repository that is not there yet with a token for pushing, and reads it so from then on', async () => {
    isNew(true);
    expect(await reader.listTagsToWrite(repository())).toBeNull();
    expect(await reader.headManifest(repository(), '1.0')).toBeNull();
  });

  it('says to create it first where no such token is given', async () => {
    isNew(false);
    const error = await failure(reader.listTagsToWrite(repository()));
    expect([error.code, error.hint]).toEqual(['Unauthorized', expect.stringContaining('create it first')]);
  });
});

describe('headManifest', () => {
  it('takes no page for people for a manifest', async () => {
    const page = { headers: { 'content-type': 'text/html' }, body: '<html>' };
    for (const method of ['HEAD', 'GET']) fake.on(`${method} /v2/team/app/manifests/1.0`, page);
    for (const read of [reader.headManifest, reader.headListed]) {
      expect(await failure(read(repository(), '1.0'))).toMatchObject({
        code: 'RegistryUnavailable',
        message: expect.stringContaining('1.0 with a web page'),
      });
    }
  });

  it('answers digest, type and size from the headers, with one HEAD', async () => {
    const digest = sha256('x');
    const headers = {
      'docker-content-digest': digest,
      'content-type': `${MANIFEST_TYPE}; charset=utf-8`,
      'content-length': '77',
    };
    fake.on('HEAD /v2/team/app/manifests/1.0', { headers });
    expect(await reader.headManifest(repository(), '1.0')).toEqual({ digest, mediaType: MANIFEST_TYPE, size: 77 });
    expect(reader.requestCounts()).toEqual(new Map([[`HEAD ${fake.host}`, 1]]));
    expect(fake.requests[0]?.headers.accept).toContain(INDEX_TYPE);
  });

  it('counts the requests of each signal by themselves, redirects included', async () => {
    const [mine, theirs] = [new AbortController().signal, new AbortController().signal];
    const blob = Buffer.from('blob');
    fake.on(`GET /v2/team/app/blobs/${sha256('blob')}`, {
      status: 307,
      headers: { location: `http://${fake.host}/store` },
    });
    fake.on('GET /store', { body: blob });
    await reader.getBlob(repository(), sha256('blob'), 100, mine);
    await reader.headManifest(repository(), '1.0', theirs);
    await reader.headManifest(repository(), '1.0');
    expect([mine, theirs, new AbortController().signal].map(reader.requestsUnder)).toEqual([2, 1, 0]);
  });

  it('answers null for what is absent', async () => {
    expect(await reader.headManifest(repository(), '1.0')).toBeNull();
  });

  it.each([{}, { 'docker-content-digest': 'sha256:abc' }])(
    'reads the manifest where HEAD gives no digest',
    async (headers) => {
      const body = imageManifest();
      fake.on('HEAD /v2/team/app/manifests/1.0', { headers });
      fake.on('GET /v2/team/app/manifests/1.0', { headers: { 'content-type': MANIFEST_TYPE }, body });
      expect(await reader.headManifest(repository(), '1.0')).toEqual({
        digest: sha256(body),
        mediaType: MANIFEST_TYPE,
        size: body.length,
        byGet: true,
      });
    },
  );

  it.each([405, 501])('reads the manifest where HEAD is answered with %i', async (status) => {
    const body = imageManifest();
    fake.on('HEAD /v2/team/app/manifests/1.0', { status });
    fake.on('GET /v2/team/app/manifests/1.0', { headers: { 'content-type': MANIFEST_TYPE }, body });
    expect(await reader.headManifest(repository(), '1.0')).toMatchObject({ digest: sha256(body) });
    expect(await reader.headManifest(repository(), '2.0')).toBeNull();
  });

  it('refuses another digest than the one asked for', async () => {
    fake.on(`HEAD /v2/team/app/manifests/${sha256('a')}`, { headers: { 'docker-content-digest': sha256('b') } });
    expect(await failure(reader.headManifest(repository(), sha256('a')))).toMatchObject({ code: 'DigestMismatch' });
  });

  it('sends nothing for a reference that is neither a tag nor a digest', async () => {
    expect(await failure(reader.headManifest(repository(), '../../x'))).toMatchObject({ code: 'ReferenceInvalid' });
    expect(fake.requests).toEqual([]);
  });
});

describe('headListed', () => {
  it('asks by GET where a listed tag is denied to HEAD, and the host by GET from then on', async () => {
    const [one, two] = [imageManifest(), imageManifest({ annotations: { two: '' } })];
    fake.on('GET /v2/team/app/manifests/1.0', { headers: { 'content-type': MANIFEST_TYPE }, body: one });
    fake.on('GET /v2/team/app/manifests/2.0', { headers: { 'content-type': MANIFEST_TYPE }, body: two });
    expect(await reader.headListed(repository(), '1.0')).toMatchObject({ digest: sha256(one) });
    expect(await reader.headListed(repository(), '2.0')).toMatchObject({ digest: sha256(two) });
    expect(await reader.headListed(repository(), '3.0')).toBeNull();
    expect(fake.requests.map(({ method }) => method)).toEqual(['HEAD', 'GET', 'HEAD', 'GET', 'GET']);
  });

  it('goes on asking by HEAD where one answer alone was wrong, for a GET may count as a pull', async () => {
    const found = { headers: { 'docker-content-digest': sha256(imageManifest()) } };
    fake.on('HEAD /v2/team/app/manifests/1.0', { status: 404 }, found);
    fake.on('GET /v2/team/app/manifests/1.0', { headers: { 'content-type': MANIFEST_TYPE }, body: imageManifest() });
    for (let asked = 1; asked <= 2; asked++) expect(await reader.headListed(repository(), '1.0')).not.toBeNull();
    expect(fake.requests.map(({ method }) => method)).toEqual(['HEAD', 'GET', 'HEAD', 'HEAD']);
  });

  it('believes HEAD of a tag that GET does not find either, and goes on asking by HEAD', async () => {
    expect(await reader.headListed(repository(), '1.0')).toBeNull();
    fake.on('HEAD /v2/team/app/manifests/2.0', { headers: { 'docker-content-digest': sha256('x') } });
    expect(await reader.headListed(repository(), '2.0')).toMatchObject({ digest: sha256('x') });
    expect(fake.requests.map(({ method }) => method)).toEqual(['HEAD', 'GET', 'HEAD']);
  });
});

describe('getManifest', () => {
  const body = imageManifest();
  const headers = { 'content-type': MANIFEST_TYPE };

  it.each(['text/plain', 'application/json', 'application/octet-stream', undefined])(
    'takes the type from the document when it is served as %s',
    async (type) => {
      const bodies = [
        imageManifest(),
        imageManifest({ mediaType: null }),
        JSON.stringify({ schemaVersion: 2, manifests: [] }),
      ];
      for (const [at, each] of bodies.entries()) {
        fake.on(`GET /v2/team/app/manifests/${at}`, {
          headers: type === undefined ? {} : { 'content-type': type },
          body: each,
        });
      }
      const types = await Promise.all(
        bodies.map(async (_, at) => (await reader.getManifest(repository(), `${at}`))?.mediaType),
      );
      expect(types).toEqual([MANIFEST_TYPE, MANIFEST_TYPE, INDEX_TYPE]);
      expect(fake.requests.map(({ headers: sent }) => sent['accept-encoding'])).toEqual([
        'identity',
        'identity',
        'identity',
      ]);
    },
  );

  it('gives the bytes with the digest they have', async () => {
    fake.on('GET /v2/team/app/manifests/1.0', { headers: { ...headers, 'docker-content-digest': sha256(body) }, body });
    const manifest = await reader.getManifest(repository(), '1.0');
    expect(manifest).toMatchObject({ digest: sha256(body), mediaType: MANIFEST_TYPE });
    expect(Buffer.from(manifest?.bytes ?? []).toString()).toBe(body);
  });

  it('computes the digest where the registry gives none', async () => {
    fake.on('GET /v2/team/app/manifests/1.0', { headers, body });
    expect(await reader.getManifest(repository(), '1.0')).toMatchObject({ digest: sha256(body) });
  });

  it('checks sha512 as well', async () => {
    const digest = `sha512:${'0'.repeat(128)}` as Digest;
    fake.on(`GET /v2/team/app/manifests/${digest}`, { headers, body });
    expect(await failure(reader.getManifest(repository(), digest))).toMatchObject({ code: 'DigestMismatch' });
  });

  it('answers null for what is absent', async () => {
    expect(await reader.getManifest(repository(), '1.0')).toBeNull();
  });

  it.each(['sha256:abc', sha256('other')])('refuses bytes that are not the %s they are said to be', async (said) => {
    fake.on('GET /v2/team/app/manifests/1.0', { headers: { ...headers, 'docker-content-digest': said }, body });
    expect(await failure(reader.getManifest(repository(), '1.0'))).toMatchObject({ code: 'DigestMismatch' });
  });

  it.each(['', 'garbage', `sha384:${'a'.repeat(96)}`])(
    'hashes them itself where the digest is said to be %j',
    async (said) => {
      fake.on('GET /v2/team/app/manifests/1.0', { headers: { ...headers, 'docker-content-digest': said }, body });
      expect(await reader.getManifest(repository(), '1.0')).toMatchObject({ digest: sha256(body) });
    },
  );

  it.each([(digest: string) => `"${digest}"`, (digest: string) => digest.toUpperCase()])(
    'knows a digest that is written otherwise: %s',
    async (write) => {
      const said = { headers: { ...headers, 'docker-content-digest': write(sha256(body)) }, body };
      for (const method of ['GET', 'HEAD']) fake.on(`${method} /v2/team/app/manifests/1.0`, said);
      expect(await reader.getManifest(repository(), '1.0')).toMatchObject({ digest: sha256(body) });
      expect(await reader.headManifest(repository(), '1.0')).toMatchObject({ digest: sha256(body) });
      expect(fake.count('GET /v2/team/app/manifests/1.0')).toBe(1);
    },
  );

  it('reads what was compressed although nobody asked for it, by whichever bytes the digest fits', async () => {
    const digest = sha256(body);
    const packed = gzipSync(body);
    const compressed = { headers: { ...headers, 'content-encoding': 'gzip' }, body: packed };
    for (const reference of ['1.0', digest, sha256(packed)]) {
      fake.on(`GET /v2/team/app/manifests/${reference}`, compressed);
    }
    expect(await reader.getManifest(repository(), '1.0')).toMatchObject({ digest });
    expect((await reader.getManifest(repository(), digest))?.bytes.toString()).toBe(body);
    expect(await reader.getManifest(repository(), sha256(packed))).toMatchObject({ bytes: packed });
    fake.on('GET /v2/team/app/tags/list', {
      headers: { 'content-encoding': 'gzip' },
      body: gzipSync('{"tags":["a"]}'),
    });
    expect(await reader.listTags(repository())).toEqual(['a']);
  });

  it('bounds what a compressed answer comes to', async () => {
    const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024, 0x20));
    fake.on('GET /v2/team/app/manifests/1.0', { headers: { ...headers, 'content-encoding': 'gzip' }, body: bomb });
    expect((await reader.getManifest(repository(), '1.0'))?.bytes.length).toBe(bomb.length);
  });

  it('refuses bytes that are not the digest that was asked for', async () => {
    fake.on(`GET /v2/team/app/manifests/${sha256('asked')}`, { headers, body });
    expect(await failure(reader.getManifest(repository(), sha256('asked')))).toMatchObject({ code: 'DigestMismatch' });
  });

  it('refuses a manifest of more than 4 MiB, announced or not', async () => {
    const body = Buffer.alloc(4 * 1024 * 1024 + 1);
    for (const length of [{}, { 'content-length': undefined, 'transfer-encoding': 'chunked' }]) {
      fake.on('GET /v2/team/app/manifests/1.0', { headers: length, body });
      expect(await failure(reader.getManifest(repository(), '1.0'))).toMatchObject({ code: 'Unsupported' });
    }
  });
});

describe('getBlob', () => {
  const digest = sha256('blob');

  it('gives the bytes of the digest', async () => {
    fake.on(`GET /v2/team/app/blobs/${digest}`, { body: 'blob' });
    expect(Buffer.from(await reader.getBlob(repository(), digest, 10)).toString()).toBe('blob');
  });

  it('refuses other bytes, too many bytes and half of the bytes', async () => {
    fake.on(`GET /v2/team/app/blobs/${digest}`, { body: 'blub' });
    expect(await failure(reader.getBlob(repository(), digest, 10))).toMatchObject({ code: 'DigestMismatch' });
    expect(await failure(reader.getBlob(repository(), digest, 3))).toMatchObject({ code: 'Unsupported' });
    fake.on(`GET /v2/team/app/blobs/${digest}`, { body: 'blob', cut: 'body' });
    expect(await failure(reader.getBlob(repository(), digest, 10))).toMatchObject({ code: 'RegistryUnavailable' });
  });

  it('says when there is no such blob', async () => {
    expect(await failure(reader.getBlob(repository(), digest, 10))).toMatchObject({ code: 'NotFound' });
  });
});

describe('listReferrers', () => {
  const subject = sha256('subject');
  const tag = subject.replace(':', '-');
  const sbom = { ...descriptor('sbom', MANIFEST_TYPE), artifactType: 'application/spdx+json', annotations: { a: 'b' } };
  const bare = descriptor('bare', MANIFEST_TYPE);
  const index = (...manifests: object[]) => ({
    headers: { 'content-type': INDEX_TYPE },
    body: JSON.stringify({ schemaVersion: 2, mediaType: INDEX_TYPE, manifests }),
  });

  it('reads the referrers API, all pages', async () => {
    const more = '</v2/team/app/referrers/x?page=2>; rel="next"';
    fake.on(`GET /v2/team/app/referrers/${subject}`, {
      ...index(sbom),
      headers: { 'content-type': INDEX_TYPE, link: more },
    });
    fake.on('GET /v2/team/app/referrers/x', index(bare));
    expect(await reader.listReferrers(repository(), subject)).toEqual([
      sbom,
      { ...bare, artifactType: '', annotations: {} },
    ]);
  });

  it('reads the type of a referrer that the API lists without one', async () => {
    const about = { mediaType: MANIFEST_TYPE, digest: subject, size: 7 };
    const text = imageManifest({ artifactType: 'a/b', subject: about, annotations: { by: 'us' } });
    const untold = { ...descriptor(text, MANIFEST_TYPE), artifactType: null, annotations: null };
    fake.on(`GET /v2/team/app/referrers/${subject}`, index(untold));
    fake.on(`GET /v2/team/app/manifests/${sha256(text)}`, { headers: { 'content-type': MANIFEST_TYPE }, body: text });
    const found = { ...descriptor(text, MANIFEST_TYPE), artifactType: 'a/b', annotations: { by: 'us' } };
    expect(await reader.listReferrers(repository(), subject, { artifactType: 'a/b' })).toEqual([found]);
  });

  it.each([
    ['compressed', (text: string) => ({ headers: { 'content-encoding': 'gzip' }, body: gzipSync(text) })],
    ['of an empty type', (text: string) => ({ body: text.replace(INDEX_TYPE, '') })],
  ])('does not take a list that is %s for none', async (_, serve) => {
    fake.on(`GET /v2/team/app/referrers/${subject}`, serve(index(sbom).body));
    expect(await reader.listReferrers(repository(), subject)).toEqual([sbom]);
  });

  it.each([
    ['calls itself something else', (text: string) => text.replace(INDEX_TYPE, 'application/x-list'), 'calls itself'],
    ['has an entry without a size', (text: string) => text.replace(/"size":\d+,/, ''), 'manifests.0.size'],
  ])('names the list that cannot be read: it %s', async (_, change, why) => {
    fake.on(`GET /v2/team/app/referrers/${subject}`, { body: change(index(sbom).body) });
    const error = await failure(reader.listReferrers(repository(), subject));
    expect(error).toMatchObject({ code: 'Unsupported', hint: expect.any(String) });
    expect(error.message).toContain(`the list of referrers of ${fake.host}/team/app@${subject}: unusable manifest`);
    expect(error.message).toContain(why);
  });

  it('asks for an artifact type, and filters itself where the registry did not', async () => {
    const wanted = 'application/spdx+json';
    fake.on(`GET /v2/team/app/referrers/${subject}?artifactType=application%2Fspdx%2Bjson`, index(bare, sbom));
    expect(await reader.listReferrers(repository(), subject, { artifactType: wanted })).toEqual([sbom]);
  });

  it('goes to the tag where there is no API, and believes the manifests rather than the index', async () => {
    const about = { mediaType: MANIFEST_TYPE, digest: subject, size: 7 };
    const real = imageManifest({ artifactType: 'application/spdx+json', subject: about, annotations: { by: 'us' } });
    const old = imageManifest({ subject: about });
    const stranger = imageManifest({ artifactType: 'application/spdx+json', subject: bare });
    const lie = { artifactType: 'application/x-lie', annotations: { by: 'a liar' } };
    const listed = [real, old, stranger, real].map((text) => ({ ...descriptor(text, MANIFEST_TYPE), ...lie }));
    fake.on(`GET /v2/team/app/manifests/${tag}`, index(...listed, descriptor('gone', MANIFEST_TYPE)));
    for (const text of [real, old, stranger]) {
      fake.on(`GET /v2/team/app/manifests/${sha256(text)}`, { headers: { 'content-type': MANIFEST_TYPE }, body: text });
    }
    const found = await reader.listReferrers(repository(), subject);
    expect(found).toEqual([
      {
        digest: sha256(real),
        artifactType: 'application/spdx+json',
        mediaType: MANIFEST_TYPE,
        size: real.length,
        annotations: { by: 'us' },
      },
      {
        digest: sha256(old),
        artifactType: 'application/vnd.oci.image.config.v1+json',
        mediaType: MANIFEST_TYPE,
        size: old.length,
        annotations: {},
      },
    ]);
    expect(await reader.listReferrers(repository(), subject, { artifactType: 'application/x-lie' })).toEqual([]);
  });

  it.each([404, 405])('finds none where there is neither API (%i) nor tag', async (status) => {
    fake.on(`GET /v2/team/app/referrers/${subject}`, { status });
    expect(await reader.listReferrers(repository(), subject)).toEqual([]);
    expect(fake.count(`GET /v2/team/app/manifests/${tag}`)).toBe(1);
  });

  it.each([
    ['a page for people', 'text/html', '<html>'],
    ['a manifest that is no index', MANIFEST_TYPE, imageManifest()],
    ['something in JSON', 'application/json', '{"message":"no such page"}'],
  ])('goes by the tag where the API answers %s', async (_, type, body) => {
    fake.on(`GET /v2/team/app/referrers/${subject}`, { headers: { 'content-type': type }, body });
    expect(await reader.listReferrers(repository(), subject)).toEqual([]);
    expect(fake.count(`GET /v2/team/app/manifests/${tag}`)).toBe(1);
  });

  it.each(['application/json', 'text/plain', 'text/html'])('reads an index that is served as %s', async (type) => {
    const listed = descriptor('x', MANIFEST_TYPE);
    fake.on(`GET /v2/team/app/referrers/${subject}`, { ...index(listed), headers: { 'content-type': type } });
    expect((await reader.listReferrers(repository(), subject)).map(({ digest }) => digest)).toEqual([listed.digest]);
  });

  it.each([{ manifests: null }, { mediaType: null, manifests: null, annotations: null, subject: null }])(
    'takes null for an empty list: %j',
    async (body) => {
      fake.on(`GET /v2/team/app/referrers/${subject}`, { body: JSON.stringify({ schemaVersion: 2, ...body }) });
      expect(await reader.listReferrers(repository(), subject)).toEqual([]);
      expect(fake.requests).toHaveLength(1);
    },
  );

  it('tells an error whose fields are null', async () => {
    const body = '{"errors":[{"code":"DENIED","message":null,"detail":null}]}';
    fake.on(`GET /v2/team/app/referrers/${subject}`, { status: 403, body });
    expect(await failure(reader.listReferrers(repository(), subject))).toMatchObject({
      ...{ code: 'Denied', message: expect.stringMatching(/^127.* answered 403 DENIED to GET /) },
    });
  });

  it('remembers for a while that a host has no API, but not where it knows the repository or the image not', async () => {
    fake.on(`GET /v2/team/app/referrers/${subject}`, { status: 404, body: '{"errors":[{"code":"NAME_UNKNOWN"}]}' });
    for (let asked = 1; asked <= 2; asked++) {
      await reader.listReferrers(repository(), subject);
      expect(fake.count(`GET /v2/team/app/referrers/${subject}`)).toBe(asked);
    }
    fake.on(`GET /v2/team/app/referrers/${subject}`, { status: 405 });
    for (let asked = 1; asked <= 2; asked++) await reader.listReferrers(repository(), subject);
    expect(fake.count(`GET /v2/team/app/referrers/${subject}`)).toBe(4);
  });

  it.each([
    ['405', { status: 405 }],
    ['a page for people', { headers: { 'content-type': 'text/html' }, body: '<html>' }],
  ])('does not believe that there is no API when one answer says so: %s', async (_, wrong) => {
    const listed = descriptor('x', MANIFEST_TYPE);
    fake.on(`GET /v2/team/app/referrers/${subject}`, wrong, index(listed));
    for (let asked = 1; asked <= 2; asked++) {
      expect((await reader.listReferrers(repository(), subject)).map(({ digest }) => digest)).toEqual([listed.digest]);
    }
  });

  it('does not take a later page for people for the end of the list, nor for the lack of an API', async () => {
    const listed = index(descriptor('x', MANIFEST_TYPE));
    const headers = { ...listed.headers, link: '</v2/more>; rel="next"' };
    fake.on(`GET /v2/team/app/referrers/${subject}`, { ...listed, headers });
    fake.on('GET /v2/more', { headers: { 'content-type': 'text/html' }, body: '<html>log in</html>' });
    expect(await failure(reader.listReferrers(repository(), subject))).toMatchObject({ code: 'RegistryUnavailable' });
    expect(fake.count(`GET /v2/team/app/manifests/${tag}`)).toBe(0);
  });

  it.each([401, 403])('does not take %i for “none”', async (status) => {
    fake.on(`GET /v2/team/app/referrers/${subject}`, { status });
    const error = await failure(reader.listReferrers(repository(), subject));
    expect([error.code, error.hint]).toEqual([status === 401 ? 'Unauthorized' : 'Denied', expect.any(String)]);
  });

  it('does not take a page for people under the tag for “none”', async () => {
    const page = { headers: { 'content-type': 'text/html' }, body: '<html>log in</html>' };
    fake.on(`GET /v2/team/app/referrers/${subject}`, page);
    fake.on(`GET /v2/team/app/manifests/${tag}`, page);
    expect(await failure(reader.listReferrers(repository(), subject))).toMatchObject({ code: 'Unsupported' });
  });

  it('takes no list for what is shown under the tag: the subject itself, or another image', async () => {
    const image = imageManifest();
    for (const digest of [subject, sha256(image)]) {
      const name = digest.replace(':', '-');
      fake.on(`GET /v2/team/app/manifests/${name}`, { headers: { 'content-type': MANIFEST_TYPE }, body: image });
      expect(await reader.listReferrers(repository(), digest)).toEqual([]);
    }
  });

  it('refuses more than a thousand', async () => {
    const many = Array.from({ length: 600 }, (_, each) => descriptor(String(each), MANIFEST_TYPE));
    const link = '</v2/more>; rel="next"';
    fake.on(`GET /v2/team/app/referrers/${subject}`, {
      ...index(...many),
      headers: { 'content-type': INDEX_TYPE, link },
    });
    fake.on('GET /v2/more', index(...many));
    expect(await failure(reader.listReferrers(repository(), subject))).toMatchObject({ code: 'Unsupported' });
  });
});

describe('listRepositories and ping', () => {
  it('walks the catalogue', async () => {
    const link = '</v2/_catalog?last=a>; rel="next"';
    fake.on('GET /v2/_catalog?n=1000', { headers: { link }, body: '{"repositories":["a"]}' });
    fake.on('GET /v2/_catalog?last=a', { body: '{"repositories":["team/b"]}' });
    expect(await reader.listRepositories(fake.host)).toEqual(['a', 'team/b']);
  });

  it('says where there is no catalogue', async () => {
    expect(await failure(reader.listRepositories(fake.host))).toMatchObject({ code: 'Unsupported' });
  });

  it('knows a registry from another server', async () => {
    expect(await failure(reader.ping(fake.host))).toMatchObject({ code: 'NotFound' });
    fake.on('GET /v2/', { body: '{}' });
    await reader.ping(fake.host);
  });
});
