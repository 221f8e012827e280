import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import {
  createHoubaWithInstantSyft,
  type Houba,
  leftIn,
  operationsOf,
  type Reconciled,
  type RegctlReader,
  regctlReader,
} from '../support/stack.js';
import { image, push } from '../support/upstream-images.js';
import { type CosignKey, type StockCosign, stockCosign } from '../support/upstream-signer.js';

let upstream: RunningRegistry;
let registry: RunningRegistry;
let houba: Houba;
let regctl: RegctlReader;
let stock: StockCosign;
let theirs: CosignKey;
let another: CosignKey;

beforeAll(async () => {
  upstream = await startOlareg({ inMemory: true });
  registry = await startOlareg({ inMemory: true });
  houba = await createHoubaWithInstantSyft({
    up: { host: upstream.host, tls_verify: false },
    main: { host: registry.host, tls_verify: false },
  });
  regctl = regctlReader(houba.folder, [upstream.host, registry.host]);
  stock = await stockCosign(join(houba.folder, 'cosign'));
  [theirs, another] = await Promise.all([stock.makeKey('theirs'), stock.makeKey('another')]);
  for (const tag of ['1.0.0', '1.1.0', '1.2.0', '1.3.0', '1.4.0']) {
    await push(upstream.host, 'library/box', [tag], image(`box ${tag}`));
  }
  await stock.sign(theirs, await source('1.0.0'), 'bundle');
  await stock.sign(theirs, await source('1.1.0'), 'tag');
  await stock.sign(another, await source('1.2.0'), 'bundle');
  // 1.3.0 is not signed, and 1.4.0 bears what was made for 1.1.0.
  const moved = signatureTag(await source('1.4.0'));
  const repository = `${upstream.host}/library/box`;
  await regctl('image', 'copy', `${repository}:${signatureTag(await source('1.1.0'))}`, `${repository}:${moved}`);
  await houba.up();
});

afterAll(async () => {
  await houba?.dispose();
  await registry?.stop();
  await upstream?.stop();
});

async function source(tag: string): Promise<string> {
  const repository = `${upstream.host}/library/box`;
  return `${repository}@${await regctl.digest(`${repository}:${tag}`)}`;
}

function policies(owner: string): string {
  return houba.policies({
    name: 'box',
    from: `${upstream.host}/library/box`,
    import: { verifyUpstream: { key: theirs.publicPem }, owners: [owner] },
    to: ['main:demo/box'],
  });
}

function signatureTag(pinned: string): string {
  return `${pinned.slice(pinned.indexOf('@') + 1).replace(':', '-')}.sig`;
}

describe('a policy that demands the signature of upstream', () => {
  let first: Reconciled;
  beforeAll(async () => {
    first = await houba.reconcile(policies('group:default/caching'));
  });

  it('imports what is signed, in either form, and says so in the stamp', async () => {
    for (const tag of ['1.0.0', '1.1.0']) {
      const { annotations = {} } = await regctl.manifest(`${registry.host}/demo/box:${tag}`);
      expect(annotations['io.houba.upstream.verified']).toMatch(/^sha256:[0-9a-f]{64}$/);
    }
    expect(first.report.totals).toMatchObject({ imported: 2, failed: 3 });
  });

  it.each([
    ['signed by another key', '1.2.0', /it is by another key/],
    ['not signed', '1.3.0', /is not signed/],
    ['bearing the signature of another image', '1.4.0', /a signature of another digest, sha256:/],
  ])('refuses what is %s, with the reason, and writes nothing of it', async (_, tag, reason) => {
    const operation = operationsOf(first.report).find((one) => one.out_tag === tag);
    expect(operation).toMatchObject({ applied: false, error: { type: 'SignatureInvalid', exit_code: 1 } });
    expect(operation?.error?.message).toMatch(reason);
    expect(operation?.error?.message).toContain(await source(tag));
    expect(await regctl.tags(`${registry.host}/demo/box`)).not.toContain(tag);
    const digest = (await source(tag)).split('@')[1];
    await expect(regctl('manifest', 'head', `${registry.host}/demo/box@${digest}`)).rejects.toThrow();
    expect(first.code).toBe(1);
  });

  it('brings nothing back in whose signature has vanished since, and asks not again for what is in', async () => {
    for (const { digest } of await regctl.artifacts(await source('1.0.0'))) {
      await regctl('manifest', 'delete', '--referrers', `${upstream.host}/library/box@${digest}`);
    }
    await regctl('tag', 'delete', `${registry.host}/demo/box:1.0.0`);
    await regctl('tag', 'delete', `${upstream.host}/library/box:${signatureTag(await source('1.1.0'))}`);
    const { report } = await houba.reconcile(policies('group:default/platform'));
    const operation = (tag: string) => operationsOf(report).find((one) => one.out_tag === tag);
    expect(operation('1.0.0')).toMatchObject({
      kind: 'imported',
      applied: false,
      error: { type: 'SignatureInvalid', message: expect.stringContaining('is not signed') },
    });
    expect(operation('1.1.0')).toMatchObject({ kind: 'restamped', applied: true });
    const { annotations = {} } = await regctl.manifest(`${registry.host}/demo/box:1.1.0`);
    expect(annotations['io.houba.upstream.verified']).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it('takes in what has been signed meanwhile', async () => {
    for (const tag of ['1.0.0', '1.2.0', '1.3.0', '1.4.0']) await stock.sign(theirs, await source(tag), 'bundle');
    const dir = policies('group:default/platform');
    const { code, report, stderr } = await houba.reconcile(dir);
    expect(code, stderr).toBe(0);
    expect(report.totals).toMatchObject({ imported: 4, restamped: 0, failed: 0 });
    expect((await houba.reconcile(dir)).report.totals).toMatchObject({ imported: 0, restamped: 0, failed: 0 });
  });

  it('leaves nothing in the work folder', async () => {
    await houba.down();
    expect(leftIn(houba.workDir)).toEqual([]);
  });
});
