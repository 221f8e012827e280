import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { request } from '../support/http.js';
import {
  BUNDLE_PATH,
  createRebuildWorld,
  debianBase,
  pemOf,
  type RebuildWorld,
  TYPES,
} from '../support/rebuild-world.js';
import { startOlareg } from '../support/registries.js';
import { createHoubaWithInstantSyft, operationsOf } from '../support/stack.js';
import { orphansOf, readOlaregStore } from '../support/storage.js';
import { json, push, type TestImage } from '../support/upstream-images.js';
import type { CosignKey } from '../support/upstream-signer.js';

const INJECT = [{ injectCA: { certs: ['corp'] } }];

let world: RebuildWorld;
let theirs: CosignKey;
let other: CosignKey;

beforeAll(async () => {
  world = await createRebuildWorld(startOlareg, {}, createHoubaWithInstantSyft);
  await world.houba.up();
  [theirs, other] = await Promise.all([world.stock.makeKey('theirs'), world.stock.makeKey('other')]);
});
afterAll(() => world?.stop());

function policy(name: string, facts: object): string {
  return world.houba.policies({
    name,
    from: `${world.upstream.host}/lib/${name}`,
    to: [`main:demo/${name}`],
    import: { verifyUpstream: { key: theirs.publicPem }, ...facts },
  });
}

function source(name: string, image: TestImage): string {
  return `${world.upstream.host}/lib/${name}@${image.digest}`;
}

/** What upstream itself attached to the digest, as the destination has it. */
async function keptOf(repository: string, image: TestImage) {
  const found = await world.artifacts(world.at(`${repository}@${image.digest}`), TYPES.bundle);
  return found.filter(({ annotations }) => annotations['io.houba.operation'] === undefined);
}

async function stockAccepts(key: CosignKey, reference: string): Promise<void> {
  const plain = ['--allow-http-registry', '--allow-insecure-registry'];
  await world.stock('verify', `--key=${key.publicFile}`, '--insecure-ignore-tlog=true', ...plain, reference);
}

describe('a rebuild of what upstream has signed', () => {
  let base: TestImage;
  const dir = () => policy('signed', { transform: INJECT, keepUpstreamEvidence: true });
  beforeAll(async () => {
    base = await debianBase('signed');
    await push(world.upstream.host, 'lib/signed', ['1.0.0'], base);
    await world.stock.sign(theirs, source('signed', base), 'bundle');
    await world.stock.sign(theirs, source('signed', base), 'tag');
    expect((await world.reconcile(dir())).totals).toMatchObject({ imported: 1 });
  });

  it('says by whom, and is signed by us', async () => {
    const { annotations } = await world.regctl.manifest(world.at('demo/signed:1.0.0'));
    expect(annotations).toMatchObject({
      'io.houba.upstream.verified': expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      'org.opencontainers.image.base.digest': base.digest,
      'io.houba.transform.steps': 'injectCA',
    });
    await world.statements(TYPES.transform, world.at('demo/signed:1.0.0'));
    expect(await world.fileIn(world.at('demo/signed:1.0.0'), BUNDLE_PATH)).toContain(pemOf(world.certificateFile));
  });

  it('leaves upstream’s original beside it, with its signatures, which stock cosign accepts there', async () => {
    const original = await world.regctl(
      'manifest',
      'get',
      world.at(`demo/signed@${base.digest}`),
      '--format',
      'raw-body',
    );
    expect(original).toBe(base.bytes.toString('utf8'));
    expect(await keptOf('demo/signed', base)).toHaveLength(1);
    expect(await world.regctl.tags(world.at('demo/signed'))).toContain(`${base.digest.replace(':', '-')}.sig`);
    await stockAccepts(theirs, world.at(`demo/signed@${base.digest}`));
    await expect(stockAccepts(other, world.at(`demo/signed@${base.digest}`))).rejects.toThrow();
  });

  it('is found as it is by the next run', async () => {
    expect((await world.reconcile(dir(), '--recheck')).totals).toMatchObject({ skipped: 1, attested: 0 });
    expect(world.proxy.writes()).toEqual([]);
  });

  it('is rebuilt from the original that was kept, when upstream has none any more', async () => {
    const moved = await debianBase('signed-moved');
    await push(world.upstream.host, 'lib/signed', ['1.0.0'], moved);
    await world.stock.sign(theirs, source('signed', moved), 'bundle');
    const { status } = await request(`http://${world.upstream.host}/v2/lib/signed/manifests/${base.digest}`, {
      method: 'DELETE',
    });
    expect(status).toBe(202);
    const zoned = policy('signed', {
      transform: [...INJECT, { setTimezone: { zone: 'Asia/Tokyo' } }],
      keepUpstreamEvidence: true,
    });
    const [operation] = operationsOf(await world.reconcile(zoned));
    expect(operation).toMatchObject({ kind: 'updated', out_tag: '1.0.0', digest: base.digest, applied: true });
    expect(await world.fileIn(world.at('demo/signed:1.0.0'), '/etc/timezone')).toBe('Asia/Tokyo');
  });
});

describe('a rebuild of what upstream has not signed as it should', () => {
  it.each<[string, (name: string, image: TestImage) => Promise<void>, RegExp]>([
    ['unsigned', async () => {}, /is not signed/],
    ['strange', (name, image) => world.stock.sign(other, source(name, image), 'bundle'), /by another key/],
    ['older', (name, image) => world.stock.sign(other, source(name, image), 'tag'), /by another key/],
    ['tampered', tamper, /no valid signature|is not signed/],
  ])(
    '%s: is refused with the reason before anything is built, and nothing is written',
    async (name, prepare, reason) => {
      const image = await debianBase(name);
      await push(world.upstream.host, `lib/${name}`, ['1.0.0'], image);
      await prepare(name, image);
      world.proxy.reset();
      const { code, report } = await world.houba.reconcile(
        policy(name, { transform: INJECT, keepUpstreamEvidence: true }),
      );
      expect(code).toBe(1);
      const [operation] = operationsOf(report);
      expect(operation).toMatchObject({ applied: false, error: { type: 'SignatureInvalid', exit_code: 1 } });
      expect(operation?.error?.message).toMatch(reason);
      expect(world.proxy.writes()).toEqual([]);
    },
  );
});

/** The image under the tag is changed after it was signed, and the signature is put on what it is now. */
async function tamper(name: string, image: TestImage): Promise<void> {
  await world.stock.sign(theirs, source(name, image), 'bundle');
  const [bundle] = await world.regctl.artifacts(source(name, image));
  const changed = {
    ...image,
    bytes: json({ ...JSON.parse(image.bytes.toString('utf8')), annotations: { evil: 'yes' } }),
  };
  await push(world.upstream.host, `lib/${name}`, ['1.0.0'], changed);
  const now = await world.regctl.digest(`${world.upstream.host}/lib/${name}:1.0.0`);
  const repository = `${world.upstream.host}/lib/${name}`;
  const manifest = JSON.parse(
    await world.regctl('manifest', 'get', `${repository}@${bundle?.digest}`, '--format', 'raw-body'),
  );
  const { mediaType, size } = { mediaType: image.mediaType, size: changed.bytes.length };
  const moved = json({ ...manifest, subject: { mediaType, size, digest: now } });
  const { status } = await request(`http://${world.upstream.host}/v2/lib/${name}/manifests/moved`, {
    method: 'PUT',
    headers: { 'content-type': manifest.mediaType },
    body: moved,
  });
  expect(status).toBe(201);
  expect(await world.regctl.artifacts(`${repository}@${now}`)).toHaveLength(1);
}

describe('a copy that keeps what upstream says', () => {
  it('has it beside the original, and its own beside the stamped one', async () => {
    const image = await debianBase('kept');
    await push(world.upstream.host, 'lib/kept', ['1.0.0'], image);
    await world.stock.sign(theirs, source('kept', image), 'bundle');
    await world.stock.attest(theirs, source('kept', image), 'https://example.org/review/v1', { reviewed: true });
    const dir = policy('kept', { keepUpstreamEvidence: true });
    expect((await world.reconcile(dir)).totals).toMatchObject({ imported: 1 });
    expect(await keptOf('demo/kept', image)).toHaveLength(2);
    await stockAccepts(theirs, world.at(`demo/kept@${image.digest}`));
    for (const type of ['slsaprovenance1', 'spdxjson', TYPES.transform]) {
      await world.statements(type, world.at('demo/kept:1.0.0'));
    }
    expect((await world.reconcile(dir, '--recheck')).totals).toMatchObject({ skipped: 1, attested: 0 });
    expect(world.proxy.writes()).toEqual([]);
  });

  it('without being asked to, it is not brought along', async () => {
    const image = await debianBase('bare');
    await push(world.upstream.host, 'lib/bare', ['1.0.0'], image);
    await world.stock.sign(theirs, source('bare', image), 'bundle');
    await world.stock.sign(theirs, source('bare', image), 'tag');
    await world.reconcile(policy('bare', {}));
    expect(await keptOf('demo/bare', image)).toEqual([]);
    expect(await world.regctl.tags(world.at('demo/bare'))).toEqual(['1.0.0']);
  });

  it('nothing is left over', async () => {
    for (const repository of ['demo/signed', 'demo/kept', 'demo/bare']) {
      const left = orphansOf(await readOlaregStore(world.registry, repository));
      expect(left, repository).toEqual([]);
    }
  });
});
