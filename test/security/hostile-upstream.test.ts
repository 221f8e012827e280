import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.js';
import { type FakeRegistry, startFakeRegistry } from '../support/fake-registry.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import {
  createHoubaWithInstantSyft,
  type Houba,
  operationsOf,
  type Reconciled,
  type RegctlReader,
  regctlReader,
} from '../support/stack.js';
import { image, index, push, rawManifest, sha256, type TestImage } from '../support/upstream-images.js';

const LOGIN = { username: 'alice', password: 'wonderland' };
const AUTHORIZATION = `Basic ${Buffer.from('alice:wonderland').toString('base64')}`;

let upstream: RunningRegistry;
let registry: RunningRegistry;
let up: CountingProxy;
let elsewhere: FakeRegistry;
let outside: FakeRegistry;
let houba: Houba;
let regctl: RegctlReader;

beforeAll(async () => {
  upstream = await startOlareg({ basicAuth: LOGIN, inMemory: true });
  registry = await startOlareg();
  up = await startCountingProxy(upstream.host);
  elsewhere = await startFakeRegistry();
  outside = await startFakeRegistry();
  houba = await createHoubaWithInstantSyft({
    up: { host: up.host, tls_verify: false, ...LOGIN },
    elsewhere: { host: elsewhere.host.replace('127.0.0.1', 'localhost'), tls_verify: false },
    main: { host: registry.host, tls_verify: false },
  });
  regctl = regctlReader(houba.folder, [registry.host]);
  await houba.up();
});
afterEach(() => {
  up.intercept = null;
});
afterAll(async () => {
  await houba?.dispose();
  for (const each of [up, elsewhere, outside, registry, upstream]) await each?.stop();
});

const put = (name: string, served: TestImage) =>
  push(upstream.host, name, ['1.0.0'], served, { authorization: AUTHORIZATION });

function policy(name: string, from = `${up.host}/${name}`): string {
  return houba.policies({ name, from, to: [`main:demo/${name}`] });
}

const placed = async (name: string) => regctl.tags(`${registry.host}/demo/${name}`).catch(() => []);

function expectNotPlaced(name: string, { code, report }: Reconciled, type: string) {
  const errors = [report.policies[0]?.error, ...operationsOf(report).map(({ error }) => error)];
  expect(errors.filter((error) => error !== null).map((error) => error?.type)).toEqual([type]);
  expect(code).toBeGreaterThan(0);
  return expect(placed(name)).resolves.toEqual([]);
}

describe('credentials stay with the registry they are for', () => {
  it('when it redirects a blob to another server', async () => {
    const sound = image('redirected');
    await put('redirected', sound);
    for (const blob of sound.blobs) {
      elsewhere.on(`GET /${sha256(blob)}`, { body: blob, headers: { 'content-type': 'application/octet-stream' } });
    }
    up.intercept = ({ method, path, headers }) => {
      const digest = /\/blobs\/(sha256:[0-9a-f]{64})$/.exec(path)?.[1];
      if (method !== 'GET' || digest === undefined || headers.authorization === undefined) return null;
      return { status: 307, headers: { location: `${elsewhere.url.replace('127.0.0.1', 'localhost')}/${digest}` } };
    };
    const { report } = await houba.reconcile(policy('redirected'));
    expect(report.totals).toMatchObject({ imported: 1, failed: 0 });
    // Go's HTTP client, which regctl uses, knows servers by name alone: hence localhost here.
    expect(elsewhere.requests.length).toBeGreaterThanOrEqual(sound.blobs.length);
    for (const { headers } of elsewhere.requests) expect(headers).not.toHaveProperty('authorization');
  });

  it('when its next page of tags is on another server', async () => {
    await put('paged', image('paged'));
    const next = `<${outside.url}/v2/paged/tags/list?n=1000>; rel="next"`;
    up.intercept = ({ path, headers }) =>
      path.includes('/tags/list') && headers.authorization !== undefined
        ? { status: 200, headers: { link: next }, body: JSON.stringify({ name: 'paged', tags: ['1.0.0'] }) }
        : null;
    const result = await houba.reconcile(policy('paged'));
    expect(result.code).toBeGreaterThan(0);
    expect(outside.requests).toEqual([]);
    expect(await placed('paged')).toEqual([]);
  });
});

describe('an address inside that the roster does not name', () => {
  it('is not asked as a source', async () => {
    const result = await houba.reconcile(policy('inside', `${outside.host}/inside`));
    await expectNotPlaced('inside', result, 'Denied');
    expect(outside.requests).toEqual([]);
  });

  it('is not asked when a source redirects there', async () => {
    await put('lured', image('lured'));
    up.intercept = ({ method, path, headers }) =>
      method === 'GET' && path.includes('/manifests/') && headers.authorization !== undefined
        ? { status: 307, headers: { location: `${outside.url}/secret` } }
        : null;
    const result = await houba.reconcile(policy('lured'));
    await expectNotPlaced('lured', result, 'Denied');
    expect(outside.requests).toEqual([]);
  });

  it('is not asked for layers that a manifest says are there', async () => {
    const sound = image('foreign');
    const manifest = JSON.parse(sound.bytes.toString('utf8'));
    const layer = {
      ...manifest.layers[0],
      mediaType: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
      urls: [`${outside.url}/layer`],
    };
    await put('foreign', rawManifest({ ...manifest, layers: [layer] }, sound.mediaType, sound.blobs));
    await expectNotPlaced('foreign', await houba.reconcile(policy('foreign')), 'Unsupported');
    expect(outside.requests).toEqual([]);
  });
});

describe('what a registry says is data', () => {
  it('an error body cannot steer a terminal', async () => {
    up.intercept = ({ path }) =>
      path.includes('/tags/list')
        ? {
            status: 403,
            body: '\u001b[2J\u001b]0;owned\u0007{"errors":[{"message":"\u001b[31mred\u001b[0m\r\nfake: line"}]}',
          }
        : null;
    const { code, stdout, stderr } = await houba.run('reconcile', policy('painted'), '--output', 'text');
    expect(code).toBe(2);
    expect(stdout).toContain('Denied');
    for (const text of [stdout, stderr, houba.journal()]) expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    expect(stdout).not.toMatch(/^fake/m);
  });

  it('names that are no tags are not used', async () => {
    await put('named', image('named'));
    const tags = ['1.0.0', '../../etc/passwd', '--help', 'a b', '1.0.0\n1.0.1', 'x'.repeat(129), '$(reboot)'];
    up.intercept = ({ path, headers }) =>
      path.includes('/tags/list') && headers.authorization !== undefined
        ? { status: 200, body: JSON.stringify({ name: 'named', tags }) }
        : null;
    const { report } = await houba.reconcile(
      houba.policies({
        name: 'named',
        from: `${up.host}/named`,
        import: { tags: { semverOnly: false } },
        to: ['main:demo/named'],
      }),
    );
    expect(report.totals).toMatchObject({ imported: 1, failed: 0 });
    expect(await placed('named')).toEqual(['1.0.0']);
  });

  it('annotations named like parts of every object are only annotations', async () => {
    const sound = image('proto');
    const text = sound.bytes.toString('utf8').replace(/}$/, ',"annotations":{"__proto__":"x","constructor":"y"}}');
    await put('proto', rawManifest(Buffer.from(text), sound.mediaType, sound.blobs));
    const { report } = await houba.reconcile(policy('proto'));
    expect(report.totals).toMatchObject({ imported: 1, failed: 0 });
    const raw = await regctl('manifest', 'get', `${registry.host}/demo/proto:1.0.0`, '--format', 'raw-body');
    expect(raw).toContain('"__proto__":"x"');
    expect(raw).toContain('"constructor":"y"');
  });
});

describe('a document that two readers could understand differently is refused', () => {
  it('an index nested deeper than anything real', async () => {
    let nested = image('deep');
    for (let depth = 0; depth < 6; depth++) nested = index([nested]);
    await put('deep', nested);
    await expectNotPlaced('deep', await houba.reconcile(policy('deep')), 'Unsupported');
  });

  it('a digest in a header that is none', async () => {
    await put('headed', image('headed'));
    const bytes = image('headed').bytes;
    up.intercept = ({ method, path, headers }) =>
      path.includes('/manifests/') && headers.authorization !== undefined
        ? {
            status: 200,
            headers: { 'content-type': image('headed').mediaType, 'docker-content-digest': 'sha256:../../../etc' },
            body: method === 'HEAD' ? '' : bytes,
          }
        : null;
    await expectNotPlaced('headed', await houba.reconcile(policy('headed')), 'DigestMismatch');
  });
});

it('a policy can write only where the roster says', async () => {
  const dir = houba.policies({ name: 'loose', from: `${up.host}/loose`, to: ['nowhere:demo/loose'] });
  const { code, stderr } = await houba.run('reconcile', dir);
  expect(code).toBe(3);
  expect(stderr).toContain('"nowhere" is not in the roster');
});
