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
    ['to another server', 'https://evil.example/v2/team/app/tags/list?last=a'],
    ['to another port', 'http://127.0.0.1:1/v2/'],
    ['to https on the same port', () => `https://${fake.host}/v2/`],
    ['to nothing that can be read', 'http://['],
    ['with credentials in it', () => `http://user@${fake.host}/v2/`],
  ])('refuses a Link that leads %s', async (_, target) => {
    const link = `<${typeof target === 'string' ? target : target()}>; rel="next"`;
    fake.on('GET /v2/team/app/tags/list', { headers: { link }, body: page('a') });
    expect(await failure(reader.listTags(repository()))).toMatchObject({ code: 'Denied' });
    expect(fake.requests).toHaveLength(1);
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

describe('headManifest', () => {
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
      });
    },
  );

  it('refuses another digest than the one asked for', async () => {
    fake.on(`HEAD /v2/team/app/manifests/${sha256('a')}`, { headers: { 'docker-content-digest': sha256('b') } });
    expect(await failure(reader.headManifest(repository(), sha256('a')))).toMatchObject({ code: 'DigestMismatch' });
  });

  it('sends nothing for a reference that is neither a tag nor a digest', async () => {
    expect(await failure(reader.headManifest(repository(), '../../x'))).toMatchObject({ code: 'ReferenceInvalid' });
    expect(fake.requests).toEqual([]);
  });
});

describe('getManifest', () => {
  const body = imageManifest();
  const headers = { 'content-type': MANIFEST_TYPE };

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

  it('refuses a list that is no index', async () => {
    const body = imageManifest();
    fake.on(`GET /v2/team/app/referrers/${subject}`, { headers: { 'content-type': MANIFEST_TYPE }, body });
    expect(await failure(reader.listReferrers(repository(), subject))).toMatchObject({ code: 'Unsupported' });
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
