import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readTraits, type Trial } from '../../../../adapters/registry/traits.js';
import { type FakeRegistry, startFakeRegistry } from '../../../support/fake-registry.js';
import { imageManifest, MANIFEST_TYPE, readerOptions, rosterEntry, sha256 } from './support.js';

let fake: FakeRegistry;
beforeEach(async () => {
  fake = await startFakeRegistry();
});
afterEach(() => fake.stop());

const IMAGE = imageManifest();
const DIGEST = sha256(IMAGE);
const LIST = DIGEST.replace(':', '-');
const EMPTY_LIST = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}';
/** What it is asked to delete. */
const NOWHERE = `/v2/team/app/manifests/sha256:${'0'.repeat(64)}`;
const errorOf = (code: string) => JSON.stringify({ errors: [{ code }] });

/** A registry by the book, with one image. */
function byTheBook(): void {
  fake.on('GET /v2/team/app/tags/list', { body: '{"name":"team/app","tags":["1"]}' });
  fake.on('HEAD /v2/team/app/manifests/1', {
    headers: { 'content-type': MANIFEST_TYPE, 'docker-content-digest': DIGEST },
  });
  fake.on(`GET /v2/team/app/referrers/${DIGEST}`, { body: EMPTY_LIST });
  fake.on(`GET /v2/team/app/manifests/${LIST}`, { status: 404 });
  fake.on(`DELETE ${NOWHERE}`, { status: 404, body: errorOf('MANIFEST_UNKNOWN') });
}

function traits(trial: Trial | null = null) {
  const options = readerOptions([rosterEntry(fake.host)], {});
  return readTraits(options, { host: fake.host, path: 'team/app' }, trial, AbortSignal.timeout(10_000));
}

describe('what is read of a registry', () => {
  it('by the book', async () => {
    byTheBook();
    expect(await traits()).toEqual({ deletion: 'likely', referrers: 'api', showsSubject: false });
    expect(fake.requests.filter(({ method }) => !['GET', 'HEAD', 'DELETE'].includes(method))).toEqual([]);
  });

  it.each([
    ['405', { status: 405 }, 'refused'],
    ['404, by its code', { status: 404, body: errorOf('UNSUPPORTED') }, 'refused'],
    ['202 for what it does not have', { status: 202 }, 'untrue'],
    ['403', { status: 403, body: errorOf('DENIED') }, 'denied'],
  ])('a deletion is answered with %s', async (_, answer, deletion) => {
    byTheBook();
    fake.on(`DELETE ${NOWHERE}`, answer);
    expect(await traits()).toMatchObject({ deletion });
  });

  it.each([
    ['404', { status: 404, body: '404 page not found' }],
    ['501', { status: 501 }],
    ['a page for people', { headers: { 'content-type': 'text/html' }, body: '<html>' }],
  ])('the referrers API answers %s', async (_, answer) => {
    byTheBook();
    fake.on(`GET /v2/team/app/referrers/${DIGEST}`, answer);
    expect(await traits()).toMatchObject({ referrers: 'tag', showsSubject: false });
  });

  it('shows the image under the tag of its list', async () => {
    byTheBook();
    fake.on(`GET /v2/team/app/manifests/${LIST}`, { headers: { 'content-type': MANIFEST_TYPE }, body: IMAGE });
    expect(await traits()).toMatchObject({ showsSubject: true });
  });

  it('shows an image under such a tag where there is a list of evidence already', async () => {
    byTheBook();
    const listOfIt = sha256(EMPTY_LIST).replace(':', '-');
    fake.on(`GET /v2/team/app/manifests/${LIST}`, { body: EMPTY_LIST });
    expect(await traits()).toMatchObject({ showsSubject: false });
    fake.on(`GET /v2/team/app/manifests/${listOfIt}`, { body: EMPTY_LIST });
    expect(await traits()).toMatchObject({ showsSubject: true });
  });

  it('is asked for the list of a list, and no further', async () => {
    byTheBook();
    const another = `${EMPTY_LIST}\n`;
    const tagOf = (list: string) => `GET /v2/team/app/manifests/${sha256(list).replace(':', '-')}`;
    fake.on(`GET /v2/team/app/manifests/${LIST}`, { body: EMPTY_LIST });
    fake.on(tagOf(EMPTY_LIST), { body: another });
    expect(await traits()).toMatchObject({ showsSubject: false });
    expect(fake.requests.map(({ method, path }) => `${method} ${path}`)).not.toContain(tagOf(another));
  });

  it('says less of a repository that is not there', async () => {
    byTheBook();
    fake.on('GET /v2/team/app/tags/list', { status: 404, body: errorOf('NAME_UNKNOWN') });
    fake.on(`GET ${NOWHERE.replace('manifests', 'referrers')}`, { status: 404, body: errorOf('NAME_UNKNOWN') });
    expect(await traits()).toEqual({ deletion: 'likely', referrers: null, showsSubject: null });
  });
});

describe('what is written to find out', () => {
  /** Writes one manifest, and deletes it or says so. */
  const writing = (outcome: 'deleted' | 'unsupported', isGone: boolean): Trial => ({
    write: async () => DIGEST,
    remove: async () => {
      fake.on(`HEAD /v2/team/app/manifests/${DIGEST}`, isGone ? { status: 404 } : shown());
      return outcome;
    },
  });
  const shown = () => ({ headers: { 'content-type': MANIFEST_TYPE, 'docker-content-digest': DIGEST } });

  it.each([
    ['is gone', writing('deleted', true), 'works'],
    ['is not deleted', writing('unsupported', false), 'refused'],
    ['is there still', writing('deleted', false), 'untrue'],
  ])('%s', async (_, trial, deletion) => {
    byTheBook();
    expect(await traits(trial)).toMatchObject({ deletion });
  });

  it('does not stay where the rest cannot be read', async () => {
    byTheBook();
    fake.on(`GET /v2/team/app/referrers/${DIGEST}`, { status: 403, body: errorOf('DENIED') });
    const removed: string[] = [];
    const trial: Trial = {
      write: async () => DIGEST,
      remove: async (_, digest) => {
        removed.push(digest);
        return 'deleted';
      },
    };
    await expect(traits(trial)).rejects.toMatchObject({ code: 'Denied' });
    expect(removed).toEqual([DIGEST]);
  });
});
