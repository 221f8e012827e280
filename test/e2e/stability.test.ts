import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlive } from '../../client/stack/processes.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import {
  createHoubaWithInstantSyft,
  type Houba,
  operationsOf,
  policyText,
  type RegctlReader,
  regctlReader,
  until,
} from '../support/stack.js';
import { alike, push } from '../support/upstream-images.js';

const WINDOW_MS = 20_000;

interface Wait {
  readonly reference: string;
  readonly digest: string;
  readonly phase: string;
  readonly due_at: string | null;
  readonly held: { readonly by: string; readonly reason: string } | null;
}

describe('the stability window on the embedded stack', () => {
  let upstream: RunningRegistry;
  let registry: RunningRegistry;
  let houba: Houba;
  let regctl: RegctlReader;

  beforeAll(async () => {
    upstream = await startOlareg({ inMemory: true });
    registry = await startOlareg();
    houba = await createHoubaWithInstantSyft(
      { up: { host: upstream.host, tls_verify: false }, main: { host: registry.host, tls_verify: false } },
      { HOUBA_STABILITY: '{"window":"20s"}' },
    );
    regctl = regctlReader(houba.folder, [registry.host, upstream.host]);
    await houba.up();
  });
  afterAll(async () => {
    await houba?.dispose();
    await registry?.stop();
    await upstream?.stop();
  });

  const placed = (name: string, tag = '1.0.0') => `${registry.host}/demo/${name}:${tag}`;
  const policy = (name: string, facts: Readonly<Record<string, unknown>> = {}) =>
    houba.policies({
      name,
      from: `${upstream.host}/${name}`,
      import: { tags: { aliases: ['latest'] }, ...facts },
      to: [`main:demo/${name}`],
    });

  async function waits(): Promise<Wait[]> {
    const { code, stdout, stderr } = await houba.run('waiting', '--output', 'json');
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout).waits;
  }

  /** Places a tag, moves it upstream, and lets a run see that. */
  async function moved(name: string, dir: string): Promise<{ before: string; readyAt: number; digest: string }> {
    await push(upstream.host, name, ['1.0.0'], alike(`${name} 1`));
    expect((await houba.reconcile(dir)).report.totals).toMatchObject({ imported: 1, held: 0 });
    const before = await regctl.digest(placed(name));
    await push(upstream.host, name, ['1.0.0'], alike(`${name} 2`));
    const { code, report } = await houba.reconcile(dir);
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ held: 1, updated: 0, failed: 0 });
    const [held] = operationsOf(report).filter(({ kind }) => kind === 'held');
    return { before, readyAt: Date.parse(held?.ready_at ?? ''), digest: held?.digest ?? '' };
  }

  const stack = () => JSON.parse(readFileSync(join(houba.home, 'stack.json'), 'utf8'));

  it('takes a moved tag over at its end, although the worker, then the server, was killed and restarted', async () => {
    const dir = policy('rolling');
    const began = Date.now();
    const { before, readyAt, digest } = await moved('rolling', dir);
    expect(readyAt).toBeGreaterThan(began + WINDOW_MS);
    const waiting = { reference: placed('rolling'), digest, phase: 'waiting', held: null };
    expect(await waits()).toMatchObject([waiting]);
    const status = async () => (await houba.run('status', `settle/${placed('rolling')}`)).stdout;
    expect(await status()).toMatch(/running[\s\S]*^waiting, due \d{4}-/m);

    const first = stack();
    process.kill(first.owner.pid, 'SIGKILL');
    await until(() => !isAlive(first.owner.pid, first.owner.identity), 'the end of the worker');
    await houba.up();
    const second = stack();
    expect(second.server).toEqual(first.server);

    // Its worker lives, and starts it again by itself.
    process.kill(second.server.pid, 'SIGKILL');
    await until(() => stack().server.pid !== second.server.pid, 'another server');
    expect(stack().owner).toEqual(second.owner);
    await until(async () => (await houba.run('waiting')).code === 0, 'the answer of the server');
    const back = Date.now();

    await until(async () => (await regctl.digest(placed('rolling'))) !== before, 'the takeover');
    expect(Date.now()).toBeGreaterThanOrEqual(readyAt);
    expect(Date.now()).toBeLessThan(Math.max(readyAt, back) + 20_000);
    const { annotations } = await regctl.manifest(placed('rolling'));
    expect(annotations).toMatchObject({
      'org.opencontainers.image.base.digest': digest,
      'io.houba.supersedes': before,
    });
    expect(annotations).not.toHaveProperty('io.houba.promoted.by');
    const after = await regctl.digest(placed('rolling'));
    await until(async () => (await regctl.digest(placed('rolling', 'latest'))) === after, 'the alias');
    await until(async () => (await waits()).length === 0, 'the end of the wait');
    expect(await status()).toContain(`taken ${digest}: it has stood still for 20s`);
    expect((await houba.reconcile(dir)).report.totals).toMatchObject({ held: 0, updated: 0, aliased: 0, skipped: 1 });
  });

  it('promotes a digest at once, with name and reason in the stamp', async () => {
    const { before, digest } = await moved('promoted', policy('promoted'));
    const stale = await houba.run('promote', `${placed('promoted')}@${'sha256:'.padEnd(71, '0')}`, '--reason', 'no');
    expect(stale.code).toBe(1);
    expect(stale.stderr).toContain(`upstream shows ${digest} by now`);

    const { code, stdout, stderr } = await houba.run(
      ...['promote', placed('promoted'), '--reason', 'fixes a leak', '--by', 'bob', '--output', 'json'],
    );
    expect(stderr).not.toContain('error');
    expect(code).toBe(0);
    const now = await regctl.digest(placed('promoted'));
    expect(now).not.toBe(before);
    expect(JSON.parse(stdout)).toMatchObject({
      schema_version: 1,
      reference: placed('promoted'),
      taken: { digest, out_digest: now, promoted: { by: 'bob', reason: 'fixes a leak' } },
    });
    expect((await regctl.manifest(placed('promoted'))).annotations).toMatchObject({
      'io.houba.promoted.by': 'bob',
      'io.houba.promoted.reason': 'fixes a leak',
      'org.opencontainers.image.base.digest': digest,
    });
    expect(houba.journal()).toContain('promoted by bob: fixes a leak');
  });

  it('holds a tag beyond its window, and releases it', async () => {
    const dir = policy('held');
    const { before, readyAt } = await moved('held', dir);
    expect((await houba.run('hold', placed('held'))).stdout).toMatch(/^holding .*held by hand\)$/m);
    expect((await houba.run('hold', placed('held'), '--reason', 'broken on arm64', '--by', 'bob')).code).toBe(0);
    expect(await waits()).toMatchObject([
      { phase: 'held', due_at: null, held: { by: 'bob', reason: 'broken on arm64' } },
    ]);
    await until(() => Date.now() > readyAt + 500, 'the end of the window');
    expect(await regctl.digest(placed('held'))).toBe(before);
    const { report } = await houba.reconcile(dir);
    expect(operationsOf(report).find(({ kind }) => kind === 'held')).toMatchObject({
      ready_at: null,
      reason: 'held by bob: broken on arm64',
    });
    expect((await houba.run('release', placed('held'))).code).toBe(0);
    await until(async () => (await regctl.digest(placed('held'))) !== before, 'the takeover');
  });

  it('ends when the tag has left the selection', async () => {
    await push(upstream.host, 'left', ['2.0.0'], alike('left 2'));
    const selecting = (includeRegex: string) => policy('left', { stability: { window: '1h' }, tags: { includeRegex } });
    const { before } = await moved('left', selecting('^1'));
    expect((await waits()).map(({ reference }) => reference)).toEqual([placed('left')]);
    await houba.reconcile(selecting('^2'));
    await until(async () => (await waits()).length === 0, 'the end of the wait');
    expect(await regctl.digest(placed('left'))).toBe(before);
  });

  it('holds new tags where the policy says so, and says of a dry run that nothing has begun', async () => {
    await push(upstream.host, 'new', ['1.0.0'], alike('new'));
    const dir = policy('new', { stability: { window: '1h', newTags: true } });
    const plan = JSON.parse((await houba.run('plan', dir, '--output', 'json')).stdout);
    expect(operationsOf(plan)).toMatchObject([{ kind: 'held', out_tag: '1.0.0', ready_at: null }]);
    expect(await waits()).toEqual([]);
    const { report } = await houba.reconcile(dir);
    expect(operationsOf(report)).toMatchObject([{ kind: 'held', ready_at: expect.any(String), out_digest: null }]);
    expect(await regctl.tags(`${registry.host}/demo/new`).catch(() => [])).toEqual([]);
    expect(JSON.parse((await houba.run('plan', dir, '--output', 'json')).stdout)).toMatchObject({
      totals: { held: 1, imported: 0 },
    });
    expect((await houba.run('promote', placed('new'), '--reason', 'needed today')).code).toBe(0);
    expect(await regctl.tags(`${registry.host}/demo/new`)).toEqual(['1.0.0', 'latest']);
  });

  it('ends when its policy is taken out of the folder, and goes on when another folder is run', async () => {
    const dir = policy('gone', { stability: { window: '1h' } });
    const before = (await moved('gone', dir)).before;
    const beside = { name: 'beside', from: `${upstream.host}/gone`, to: ['main:demo/beside'] };
    await houba.reconcile(houba.policies(beside));
    expect((await waits()).map(({ reference }) => reference)).toEqual([placed('gone')]);

    rmSync(join(dir, 'gone.yaml'));
    writeFileSync(join(dir, 'beside.yaml'), policyText(beside));
    expect((await houba.run('plan', dir)).code).toBe(0);
    expect((await waits()).length).toBe(1);
    await houba.reconcile(dir);
    await until(async () => (await waits()).length === 0, 'the end of the wait');
    expect(await regctl.digest(placed('gone'))).toBe(before);
  });

  it('says where to look when nothing is waited for', async () => {
    const { code, stderr } = await houba.run('promote', placed('nothing'), '--reason', 'no');
    expect(code).toBe(2);
    expect(stderr).toContain(`nothing is waited for at ${placed('nothing')}`);
    expect(stderr).toContain('houba waiting');
    expect((await houba.run('hold', `${registry.host}/demo/nothing`, '--reason', 'no')).code).toBe(3);
  });
});
