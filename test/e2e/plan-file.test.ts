import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SavedPlan } from '../../domain/plan/held-plan/saved-plan.js';
import type { PlanItem } from '../../domain/plan/plan-item.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import {
  createHoubaWithInstantSyft,
  type Ended,
  type Houba,
  operationsOf,
  type PolicyOptions,
  policyText,
  type Reconciled,
  type RegctlReader,
  regctlReader,
} from '../support/stack.js';
import { alike, push } from '../support/upstream-images.js';

let upstream: RunningRegistry;
let registry: RunningRegistry;
let houba: Houba;
let regctl: RegctlReader;

beforeAll(async () => {
  upstream = await startOlareg({ inMemory: true });
  registry = await startOlareg({ inMemory: true });
  houba = await createHoubaWithInstantSyft({
    up: { host: upstream.host, tls_verify: false },
    main: { host: registry.host, tls_verify: false },
  });
  regctl = regctlReader(houba.folder, [registry.host, upstream.host]);
  await houba.up();
});
afterAll(async () => {
  await houba?.dispose();
  await registry?.stop();
  await upstream?.stop();
});

const file = () => join(houba.folder, 'plan.json');
const placed = (name: string) => `${registry.host}/demo/${name}`;

function policy(name: string, more: Partial<PolicyOptions> = {}): PolicyOptions {
  return { name, from: `${upstream.host}/${name}`, to: [`main:demo/${name}`], ...more };
}

async function plan(dir: string, ...args: readonly string[]): Promise<{ ended: Ended; saved: SavedPlan }> {
  const ended = await houba.run('plan', dir, '--out', file(), '--output', 'json', ...args);
  return { ended, saved: JSON.parse(readFileSync(file(), 'utf8')) as SavedPlan };
}

async function carryOut(...args: readonly string[]): Promise<Reconciled> {
  const ended = await houba.run('reconcile', '--plan', file(), '--output', 'json', ...args);
  if (ended.stdout === '') throw new Error(`no report (exit ${ended.code}): ${ended.stderr}`);
  return { ...ended, report: JSON.parse(ended.stdout) };
}

function told(items: readonly PlanItem[] | undefined): string[] {
  return (items ?? []).map(({ kind, tag }) => `${kind} ${tag}`);
}

async function exists(reference: string): Promise<boolean> {
  return regctl('manifest', 'head', reference).then(
    () => true,
    () => false,
  );
}

describe('a plan in a file', () => {
  let saved: SavedPlan;
  let dir: string;
  let moved: string;

  it('holds what a run would do, and nothing is done', async () => {
    for (const tag of ['1.0.0', '1.1.0', '1.2.0']) await push(upstream.host, 'app', [tag], alike(`app ${tag}`));
    dir = houba.policies(policy('app', { import: { tags: { aliases: ['latest'] } } }));
    const { ended, ...rest } = await plan(dir, '--detailed-exitcode');
    saved = rest.saved;
    expect(ended.code).toBe(10);
    expect(ended.stderr).toContain('4 items of 1 policy');
    expect(JSON.parse(ended.stdout)).toMatchObject({ mode: 'dry-run', totals: { imported: 3, aliased: 1 } });
    expect(saved).toMatchObject({ schema_version: 1, directory: dir, policies: [{ name: 'app' }] });
    expect(told(saved.policies[0]?.items)).toEqual([
      'imported 1.0.0',
      'imported 1.1.0',
      'aliased latest',
      'imported 1.2.0',
    ]);
    expect(saved.policies[0]?.items[0]).toMatchObject({
      repository: placed('app'),
      digest: await regctl.digest(`${upstream.host}/app:1.0.0`),
      current: null,
    });
    expect(await exists(`${placed('app')}:1.0.0`)).toBe(false);
  });

  it('is carried out as it is: what moved since is refused, what is new is left alone', async () => {
    await push(upstream.host, 'app', ['1.1.0'], alike('app 1.1.0 moved'));
    moved = await regctl.digest(`${upstream.host}/app:1.1.0`);
    await push(upstream.host, 'app', ['1.3.0'], alike('app 1.3.0'));
    await push(upstream.host, 'app', ['0.9.0'], alike('app 0.9.0'));
    const { code, report } = await carryOut();
    expect(code).toBe(1);
    expect(report.status).toBe('partial');
    // The newest takes the alias, so the plan's no longer holds.
    expect(report.totals).toMatchObject({ imported: 2, aliased: 0, failed: 2, skipped: 0 });
    const refused = operationsOf(report).filter(({ error }) => error !== null);
    expect(refused.map(({ kind, out_tag }) => `${kind} ${out_tag}`)).toEqual(['imported 1.1.0', 'aliased latest']);
    const [tag, alias] = refused.map(({ error }) => error);
    expect(tag).toMatchObject({ type: 'PreconditionFailed', exit_code: 1 });
    expect(tag?.message).toContain(`its source digest was ${saved.policies[0]?.items[1]?.digest}, and is ${moved}`);
    expect(alias?.message).toContain('its source tag was 1.2.0, and is 1.3.0');
    expect((await regctl.tags(placed('app'))).filter((name) => !name.startsWith('sha256-')).sort()).toEqual([
      '1.0.0',
      '1.2.0',
    ]);
  });

  it('finds done what it did, and refuses the same again, a second time', async () => {
    const { code, report } = await carryOut();
    expect(code).toBe(1);
    expect(report.totals).toMatchObject({ imported: 0, skipped: 2, failed: 2 });
    expect((await regctl.tags(placed('app'))).length).toBe(2);
  });

  it('is refused whole when its policy is another one, or gone', async () => {
    const { saved: fresh } = await plan(dir);
    expect(told(fresh.policies[0]?.items)).toContain('imported 0.9.0');
    const text = { ...policy('app', { import: { tags: { aliases: ['newest'] } } }) };
    writeFileSync(join(dir, 'app.yaml'), policyText(text));
    const changed = await carryOut();
    expect(changed.code).toBe(1);
    expect(changed.report.status).toBe('failed');
    expect(operationsOf(changed.report)[0]?.error?.message).toContain('the policy was sha256:');
    writeFileSync(join(dir, 'other.yaml'), policyText(policy('other')));
    renameSync(join(dir, 'app.yaml'), join(dir, 'app.txt'));
    const gone = await carryOut();
    expect(operationsOf(gone.report)[0]?.error?.message).toContain(`the policy app is not in ${dir} now`);
    expect(await exists(`${placed('app')}:0.9.0`)).toBe(false);
  });

  it('is refused when a setting that decides the outcome is another one', async () => {
    renameSync(join(dir, 'app.txt'), join(dir, 'app.yaml'));
    const { saved: fresh } = await plan(dir, '--policy', 'app');
    const [first] = fresh.policies;
    if (first === undefined) throw new Error('the plan is empty');
    const settings = { ...first.basis.settings, HOUBA_LABEL_PREFIX: 'com.example' };
    const other = { ...fresh, policies: [{ ...first, basis: { ...first.basis, settings } }] };
    writeFileSync(file(), JSON.stringify(other));
    const { code, report } = await carryOut();
    expect(code).toBe(1);
    expect(operationsOf(report)[0]?.error?.message).toContain(
      'HOUBA_LABEL_PREFIX was "com.example", and is "io.houba"',
    );
  });

  it('shows what of it still holds, with --dry-run, and takes what its own copy of the policies says elsewhere', async () => {
    await plan(dir, '--policy', 'app');
    renameSync(dir, `${dir}-away`);
    const { code, report, stderr } = await carryOut('--dry-run');
    expect(code).toBe(0);
    expect(stderr).toContain(`${dir} is not here`);
    expect(report).toMatchObject({ mode: 'dry-run', totals: { imported: 3, aliased: 1, failed: 0 } });
    expect(operationsOf(report).every(({ applied }) => !applied)).toBe(true);
    const whole = await carryOut();
    expect(whole.code).toBe(0);
    expect(whole.report.totals).toMatchObject({ imported: 3, aliased: 1, failed: 0 });
    expect((await houba.reconcile(`${dir}-away`, '--policy', 'app')).report.totals).toMatchObject({ skipped: 5 });
  });
});

describe('a plan of what is there', () => {
  it('holds updates that wait, new stamps and marks, and carries them out', async () => {
    for (const tag of ['1.0.0', '1.1.0', '2.0.0', '3.0.0'])
      await push(upstream.host, 'svc', [tag], alike(`svc ${tag}`));
    await houba.reconcile(houba.policies(policy('svc')));
    await push(upstream.host, 'svc', ['3.0.0'], alike('svc 3.0.0 moved'));
    const owners = ['group:default/svc'];
    const dir = houba.policies(policy('svc', { import: { tags: { includeRegex: '^[123]\\.0' }, owners } }));
    const { saved } = await plan(dir);
    expect(told(saved.policies[0]?.items)).toEqual([
      'restamped 1.0.0',
      'marked 1.1.0',
      'restamped 2.0.0',
      'restamped 3.0.0',
    ]);
    // Somebody takes one item out: what is not in the plan is not done.
    const [first] = saved.policies;
    const items = first?.items.filter(({ tag }) => tag !== '2.0.0');
    writeFileSync(file(), JSON.stringify({ ...saved, policies: [{ ...first, items }] }));
    const { code, report } = await carryOut();
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ marked: 1, failed: 0, skipped: 0 });
    const manifest = async (tag: string) => (await regctl.manifest(`${placed('svc')}:${tag}`)).annotations;
    expect(await manifest('1.0.0')).toMatchObject({ 'io.houba.owners': owners[0] });
    expect(await manifest('2.0.0')).not.toHaveProperty('io.houba.owners');
    const again = await carryOut();
    expect(again.code).toBe(0);
    expect(again.report.totals).toMatchObject({ marked: 0, restamped: 0, failed: 0 });
  });

  it('holds tags that wait, which go on waiting', async () => {
    await push(upstream.host, 'rolling', ['1.0.0'], alike('rolling 1'));
    const dir = houba.policies(policy('rolling'));
    await houba.reconcile(dir);
    const before = await regctl.digest(`${placed('rolling')}:1.0.0`);
    await push(upstream.host, 'rolling', ['1.0.0'], alike('rolling 2'));
    await push(upstream.host, 'rolling', ['2.0.0'], alike('rolling new'));
    const { saved } = await plan(dir);
    expect(told(saved.policies[0]?.items)).toEqual(['held 1.0.0', 'imported 2.0.0']);
    const { code, report } = await carryOut();
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ held: 1, imported: 1, updated: 0, failed: 0 });
    expect(operationsOf(report).find(({ kind }) => kind === 'held')?.ready_at).toEqual(expect.any(String));
    expect(await regctl.digest(`${placed('rolling')}:1.0.0`)).toBe(before);
  });

  it('may be empty', async () => {
    await push(upstream.host, 'idle', ['1.0.0'], alike('idle'));
    const idle = houba.policies(policy('idle'));
    await houba.reconcile(idle);
    const { ended, saved } = await plan(idle, '--detailed-exitcode');
    expect(ended.code).toBe(0);
    expect(saved.policies).toEqual([]);
    const { code, report } = await carryOut();
    expect([code, report.status, report.policies]).toEqual([0, 'ok', []]);
  });
});

describe('a file that is not the plan it was', () => {
  const refused = async (text: string) => {
    writeFileSync(file(), text);
    const { code, stderr, stdout } = await houba.run('reconcile', '--plan', file());
    expect([code, stdout]).toEqual([3, '']);
    return stderr;
  };

  it('is refused before anything is done, and says where', async () => {
    await push(upstream.host, 'whole', ['1.0.0'], alike('whole'));
    const dir = houba.policies(policy('whole'));
    const { saved } = await plan(dir);
    const [own] = saved.policies;
    if (own === undefined) throw new Error('the plan is empty');
    const [item] = own.items;
    const other = `sha256:${'0'.repeat(64)}`;
    const tampered = (change: object) => JSON.stringify({ ...saved, policies: [{ ...own, ...change }] });

    expect(await refused('not json')).toContain('plan.json: not JSON');
    expect(await refused('{"kind":"else"}')).toContain('document: not a plan of houba');
    expect(await refused(JSON.stringify({ ...saved, schema_version: 2 }))).toContain('schema_version: 2 is not known');
    expect(await refused(tampered({ items: [{ ...item, digest: other }] }))).toContain(
      'policies[0].items[0]: was changed since it was planned',
    );
    expect(await refused(tampered({ items: [{ ...item, kind: 'erased' }] }))).toContain('policies[0].items[0].kind');
    const document = structuredClone(own.policy) as { spec: { source: { repository: string } } };
    document.spec.source.repository = 'somewhere/else';
    expect(await refused(tampered({ policy: document }))).toContain('policies[0].policy: was changed');
    expect(await exists(`${placed('whole')}:1.0.0`)).toBe(false);
  });

  it('is not there', async () => {
    const { code, stderr } = await houba.run('reconcile', '--plan', join(houba.folder, 'none.json'));
    expect(code).toBe(3);
    expect(stderr).toContain('none.json cannot be read (ENOENT)');
    const nothing = await houba.run('reconcile');
    expect([nothing.code, nothing.stderr]).toEqual([64, expect.stringContaining("option '--plan'")]);
    const both = await houba.run('reconcile', houba.folder, '--plan', file());
    expect([both.code, both.stderr]).toEqual([64, expect.stringContaining('leave the folder out')]);
  });
});
