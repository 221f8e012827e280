import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type CountingProxy, type Intercepted, startCountingProxy } from '../support/counting-proxy.js';
import { freePort, type RunningRegistry, startOlareg } from '../support/registries.js';
import {
  createHoubaWithInstantSyft,
  type Houba,
  operationsOf,
  type PolicyOptions,
  type Reconciled,
  type RegctlReader,
  regctlReader,
} from '../support/stack.js';
import { readOlaregStore } from '../support/storage.js';
import { image, push, rawManifest, sha256 } from '../support/upstream-images.js';

let upstream: RunningRegistry;
let registry: RunningRegistry;
let up: CountingProxy;
let main: CountingProxy;
let failing: CountingProxy;
let houba: Houba;
let regctl: RegctlReader;
/** These only wait most of their time: they run beside the others. */
let unreachable: Promise<Reconciled>;
let halfReachable: Promise<Reconciled>;
let broken: Promise<Reconciled>;

beforeAll(async () => {
  upstream = await startOlareg({ inMemory: true });
  registry = await startOlareg();
  up = await startCountingProxy(upstream.host);
  main = await startCountingProxy(registry.host);
  failing = await startCountingProxy(registry.host);
  failing.intercept = (request) => (isManifestPut(request, '1.0.0') ? { status: 500 } : null);
  const closed = `127.0.0.1:${await freePort()}`;
  houba = await createHoubaWithInstantSyft({
    up: { host: up.host, tls_verify: false },
    direct: { host: upstream.host, tls_verify: false },
    main: { host: main.host, tls_verify: false },
    quiet: { host: registry.host, tls_verify: false },
    failing: { host: failing.host, tls_verify: false },
    closed: { host: closed, tls_verify: false },
  });
  regctl = regctlReader(houba.folder, [registry.host, upstream.host]);
  await push(upstream.host, 'good', ['1.0.0'], image('good'));
  await houba.up();
  unreachable = houba.reconcile(
    houba.policies(
      { name: 'away', from: `${closed}/away`, to: ['quiet:demo/away'] },
      { name: 'fine', from: `${upstream.host}/good`, to: ['quiet:demo/fine'] },
    ),
  );
  halfReachable = houba.reconcile(
    houba.policies({ name: 'half', from: `${upstream.host}/good`, to: ['quiet:demo/half', 'closed:demo/half'] }),
  );
  broken = houba.reconcile(
    houba.policies({ name: 'broken', from: `${upstream.host}/good`, to: ['failing:demo/broken'] }),
  );
});
afterEach(() => {
  up.intercept = null;
  main.intercept = null;
});
afterAll(async () => {
  await houba?.dispose();
  await up?.stop();
  await main?.stop();
  await failing?.stop();
  await registry?.stop();
  await upstream?.stop();
});

/** One policy named like its repository, upstream and below `demo/`. */
function reconcile(name: string): Promise<Reconciled> {
  return houba.reconcile(houba.policies(policyOf(name)));
}

function policyOf(name: string, more: Partial<PolicyOptions> = {}): PolicyOptions {
  return { name, from: `${up.host}/${name}`, to: [`main:demo/${name}`], ...more };
}

/** Takes a moved tag at once. */
function reconcileNow(name: string): Promise<Reconciled> {
  return houba.reconcile(houba.policies(policyOf(name, { import: { tags: {}, stability: { window: 0 } } })));
}

/** After a run that works: what the tag shows. */
async function placed(name: string, tag = '1.0.0'): Promise<{ digest: string }> {
  expect((await reconcile(name)).code).toBe(0);
  return { digest: await regctl.digest(`${registry.host}/demo/${name}:${tag}`) };
}

/** What the destination holds of a repository, down to what no API lists. */
async function stored(name: string) {
  const { tags, manifests } = await readOlaregStore(registry, `demo/${name}`);
  const stamped = [...manifests].filter(([, it]) => it.annotations?.['io.houba.policy'] !== undefined);
  const referrers = [...manifests.values()].filter((it) => it.subject !== undefined);
  return { tags: [...tags.keys()], stamped: stamped.map(([digest]) => digest), referrers: referrers.length };
}

const isManifestPut = ({ method, path }: Intercepted, tag: string) =>
  method === 'PUT' && path.endsWith(`/manifests/${tag}`);

describe('the source', () => {
  it('that its registry does not know fails with NotFound', async () => {
    // Some say so; others, as olareg does, list nothing.
    up.intercept = ({ path }) => (path.includes('/tags/list') ? { status: 404 } : null);
    const { code, report } = await reconcile('unknown');
    expect(code).toBe(2);
    expect(report.policies[0]?.error).toMatchObject({ type: 'NotFound', exit_code: 2 });
    expect(report.policies[0]?.error?.message).toContain(`${up.host}/unknown`);
  });

  it('that lists nothing is an error, and what was mirrored from it stays', async () => {
    await push(upstream.host, 'emptied', ['1.0.0'], image('emptied'));
    expect((await reconcile('emptied')).code).toBe(0);
    const list = JSON.stringify({ name: 'emptied', tags: [] });
    up.intercept = ({ path }) => (path.includes('/tags/list') ? { status: 200, body: list } : null);
    const { code, report } = await reconcile('emptied');
    expect(code).toBe(1);
    expect(report.policies[0]?.error?.type).toBe('PreconditionFailed');
    expect(operationsOf(report)).toEqual([]);
    expect((await stored('emptied')).tags).toEqual(['1.0.0']);
  });

  it('that answers 429 twice costs only the wait it asks for', async () => {
    await push(upstream.host, 'busy', ['1.0.0'], image('busy'));
    const times: number[] = [];
    up.intercept = ({ path }) => {
      if (!path.includes('/tags/list')) return null;
      times.push(Date.now());
      return times.length <= 2 ? { status: 429, headers: { 'retry-after': '1' } } : null;
    };
    const { code, report } = await reconcile('busy');
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ imported: 1, failed: 0 });
    expect(times).toHaveLength(3);
    const [first = 0, , third = 0] = times;
    expect(third - first).toBeGreaterThanOrEqual(1990);
    expect(third - first).toBeLessThan(5000);
  });

  it('that limits the copy itself is waited for as well', async () => {
    await push(upstream.host, 'thrifty', ['1.0.0'], image('thrifty'));
    let refused = 0;
    up.intercept = ({ method, path }) => {
      if (method !== 'GET' || !path.includes('/blobs/') || refused >= 2) return null;
      refused += 1;
      return { status: 429, headers: { 'retry-after': '1' } };
    };
    const { code, report } = await reconcile('thrifty');
    expect(refused).toBe(2);
    expect(report.totals).toMatchObject({ imported: 1, failed: 0 });
    expect(code).toBe(0);
  });

  it('that moves a tag between plan and copy is not taken half', async () => {
    await push(upstream.host, 'moving', ['1.0.0'], image('moving 1'));
    let heads = 0;
    up.intercept = async ({ method, path }) => {
      if (method === 'HEAD' && path.endsWith('/manifests/1.0.0') && ++heads === 2) {
        await push(upstream.host, 'moving', ['1.0.0'], image('moving 2'));
      }
      return null;
    };
    const { code, report } = await reconcile('moving');
    expect(code).toBe(1);
    expect(operationsOf(report)[0]?.error).toMatchObject({ type: 'PreconditionFailed' });
    expect(await regctl.tags(`${registry.host}/demo/moving`).catch(() => [])).toEqual([]);
  });
});

describe('bytes that are not what they should be are not let in', () => {
  const cases: readonly { name: string; type: string; prepare: (name: string) => Promise<void> }[] = [
    {
      name: 'a manifest whose bytes are not its digest',
      type: 'DigestMismatch',
      prepare: async (name) => {
        const sound = image(name);
        await push(upstream.host, name, ['1.0.0'], sound);
        up.intercept = ({ method, path }) =>
          method === 'GET' && path.endsWith(`/manifests/${sound.digest}`)
            ? { status: 200, headers: { 'content-type': sound.mediaType }, body: image('another').bytes }
            : null;
      },
    },
    {
      name: 'a layer whose bytes are not its digest',
      type: 'DigestMismatch',
      prepare: async (name) => {
        const sound = image(name);
        await push(upstream.host, name, ['1.0.0'], sound);
        const layer = sound.blobs[1] as Buffer;
        const forged = Buffer.from(layer);
        forged[forged.length - 1] = (forged[forged.length - 1] as number) ^ 1;
        up.intercept = ({ method, path }) =>
          method === 'GET' && path.endsWith(`/blobs/${sha256(layer)}`) ? { status: 200, body: forged } : null;
      },
    },
    {
      name: 'an index that is an image too',
      type: 'Unsupported',
      prepare: async (name) => {
        const sound = image(name);
        const both = { ...JSON.parse(sound.bytes.toString('utf8')), manifests: [] };
        await serve(name, rawManifest(both, sound.mediaType, sound.blobs));
      },
    },
    {
      name: 'a manifest that is served as something else than it says',
      type: 'Unsupported',
      prepare: async (name) => {
        const sound = image(name);
        await serve(name, { ...sound, mediaType: 'application/vnd.docker.distribution.manifest.v2+json' });
      },
    },
    {
      name: 'a manifest larger than 4 MiB',
      type: 'Unsupported',
      prepare: async (name) => {
        const sound = image(name);
        const large = { ...JSON.parse(sound.bytes.toString('utf8')), annotations: { a: 'x'.repeat(5 * 1024 * 1024) } };
        await serve(name, rawManifest(large, sound.mediaType, sound.blobs));
      },
    },
  ];

  /** As a registry would that checks nothing. */
  async function serve(name: string, served: { bytes: Buffer; digest: string; mediaType: string }): Promise<void> {
    const headers = { 'content-type': served.mediaType, 'docker-content-digest': served.digest };
    up.intercept = ({ path }) => {
      if (path.includes('/tags/list')) return { status: 200, body: JSON.stringify({ name, tags: ['1.0.0'] }) };
      return path.includes('/manifests/') ? { status: 200, headers, body: served.bytes } : null;
    };
  }

  it.each(cases.map((entry, number) => ({ ...entry, repository: `bad-${number}` })))('$name', async (entry) => {
    await entry.prepare(entry.repository);
    const { code, report } = await reconcile(entry.repository);
    expect(operationsOf(report)).toMatchObject([{ applied: false, error: { type: entry.type } }]);
    expect(code).toBe(entry.type === 'DigestMismatch' ? 2 : 1);
    expect(await regctl.tags(`${registry.host}/demo/${entry.repository}`).catch(() => [])).toEqual([]);
  });
});

describe('the destination', () => {
  it('that refuses the tag is left as it was, but for the original', async () => {
    await push(upstream.host, 'refused', ['1.0.0'], image('refused'));
    main.intercept = (request) => (isManifestPut(request, '1.0.0') ? { status: 403 } : null);
    const { code, report } = await reconcile('refused');
    expect(code).toBe(2);
    expect(operationsOf(report)).toMatchObject([{ kind: 'imported', applied: false, error: { type: 'Denied' } }]);
    expect(await stored('refused')).toEqual({ tags: [], stamped: [], referrers: 0 });
  });

  it('that cannot delete keeps what was written, and report and journal name it', async () => {
    await push(upstream.host, 'undeletable', ['1.0.0'], image('undeletable'));
    main.intercept = (request) =>
      isManifestPut(request, '1.0.0') ? { status: 403 } : request.method === 'DELETE' ? { status: 405 } : null;
    const { code, report } = await reconcile('undeletable');
    expect(code).toBe(2);
    expect(operationsOf(report)).toMatchObject([{ applied: false, error: { type: 'Denied' } }]);
    const { tags, stamped, referrers } = await stored('undeletable');
    expect({ tags, stamped: stamped.length, referrers }).toEqual({ tags: [], stamped: 1, referrers: 1 });
    expect(operationsOf(report)[0]?.error?.message).toContain(stamped[0]);
    const lines = houba
      .journal()
      .split('\n')
      .filter((line) => line.includes('"left.behind"'));
    expect(lines.some((line) => line.includes(stamped[0] as string))).toBe(true);
  });

  it('whose reads lag behind a push takes the update, and no tag vanishes', async () => {
    const before = image('lagging 1');
    await push(upstream.host, 'lagging', ['1.0.0'], before);
    const name = 'demo/lagging';
    const { digest: shownBefore } = await placed('lagging');
    const moved = image('lagging 2');
    await push(upstream.host, 'lagging', ['1.0.0'], moved);
    let staleUntil = 0;
    main.intercept = (request) => {
      if (isManifestPut(request, '1.0.0')) staleUntil = Date.now() + 1_500;
      const isRead = request.method === 'HEAD' && request.path.endsWith(`${name}/manifests/1.0.0`);
      if (!isRead || Date.now() > staleUntil) return null;
      const type = 'application/vnd.oci.image.manifest.v1+json';
      return { status: 200, headers: { 'content-type': type, 'docker-content-digest': shownBefore } };
    };
    const { code, report } = await reconcileNow('lagging');
    expect(operationsOf(report)).toMatchObject([{ kind: 'updated', applied: true, error: null }]);
    expect(code).toBe(0);
    const { tags, stamped, referrers } = await stored('lagging');
    expect({ tags, stamped: stamped.length, referrers }).toEqual({ tags: ['1.0.0'], stamped: 2, referrers: 2 });
    expect(await regctl.digest(`${registry.host}/${name}:1.0.0`)).not.toBe(shownBefore);
  });

  it.each([
    ['as if nothing were there', 404],
    ['that it is done, and does nothing', 202],
  ])('that answers every deletion %s keeps its tag, and the run says so', async (_, status) => {
    const name = `undying-${status}`;
    await push(upstream.host, name, ['1.0.0'], image(`${name} 1`));
    await push(upstream.host, name, ['1.0.1'], image(`${name} 2`));
    const { digest: shownBefore } = await placed(name, '1.0.1');
    main.intercept = ({ method }) => (method === 'DELETE' ? { status } : null);
    const policy = policyOf(name, { deletionMode: 'purge', import: { tags: { includeRegex: '^1\\.0\\.0$' } } });
    const { code, report } = await houba.reconcile(houba.policies(policy));
    const error = { type: 'Unsupported', message: expect.stringContaining('does not delete tags') };
    expect(operationsOf(report)).toMatchObject([{ kind: 'deleted', out_tag: '1.0.1', applied: false, error }]);
    expect(code).toBe(1);
    expect(await regctl.digest(`${registry.host}/demo/${name}:1.0.1`)).toBe(shownBefore);
  });

  it('whose tag somebody else moves during the run keeps what they put there', async () => {
    await push(upstream.host, 'contested', ['1.0.0'], image('contested'));
    const theirs = image('theirs');
    main.intercept = async ({ method, path }) => {
      // The SBOM is on its way: the plan is made, the tag not yet moved.
      if (method === 'POST' && path.includes('/blobs/uploads/')) {
        await push(registry.host, 'demo/contested', ['1.0.0'], theirs);
      }
      return null;
    };
    const { code, report } = await reconcile('contested');
    expect(code).toBe(1);
    expect(operationsOf(report)).toMatchObject([{ applied: false, error: { type: 'PreconditionFailed' } }]);
    expect(await regctl.digest(`${registry.host}/demo/contested:1.0.0`)).toBe(theirs.digest);
    expect(await stored('contested')).toEqual({ tags: ['1.0.0'], stamped: [], referrers: 0 });
  });
});

describe('what stays away for long enough to be given up on', () => {
  it('keeps what it was sent for a tag without an answer, and the report names it: the tag may show it', async () => {
    const { code, report } = await broken;
    expect(code).toBe(2);
    expect(operationsOf(report)).toMatchObject([{ applied: false, error: { type: 'RegistryUnavailable' } }]);
    const { tags, stamped, referrers } = await stored('broken');
    expect({ tags, stamped: stamped.length, referrers }).toEqual({ tags: [], stamped: 1, referrers: 1 });
    expect(operationsOf(report)[0]?.error?.message).toContain(`its tag may show ${stamped[0]}, which stays`);
  });

  it('fails its own policy and no other', async () => {
    const { code, report, ms } = await unreachable;
    expect(code).toBe(2);
    expect(report.status).toBe('partial');
    const [away, fine] = report.policies;
    expect(away).toMatchObject({ name: 'away', status: 'failed', error: { type: 'RegistryUnavailable' } });
    expect(fine).toMatchObject({ name: 'fine', status: 'ok', totals: { imported: 1 } });
    expect(ms).toBeLessThan(90_000);
  });

  it('fails its own destination and no other', async () => {
    const { code, report } = await halfReachable;
    expect(code).toBe(2);
    expect(report.policies[0]).toMatchObject({
      error: { type: 'RegistryUnavailable' },
      totals: { imported: 1, failed: 0 },
    });
    expect(report.policies[0]?.status).not.toBe('ok');
    expect(await regctl.tags(`${registry.host}/demo/half`)).toContain('1.0.0');
  });
});
