import { beforeEach, describe, expect, it } from 'vitest';
import { valueDigest } from '../../../../domain/canonical-json.js';
import { HoubaError } from '../../../../domain/errors.js';
import type { ItemPage, PlanItem } from '../../../../domain/plan/plan-item.js';
import type { PlanRequest } from '../../../../domain/plan/request.js';
import type { PlanPage } from '../../../../domain/plan/work.js';
import type { MirrorPolicy } from '../../../../domain/policy/schema.js';
import { type ActivityWorld, createWorld, run } from '../../../support/activity-world.js';
import { DESTINATION, NOW, OPTIONS, policyNamed } from '../../../support/durable-samples.js';
import { storeImage } from '../../../support/memory-registries.js';

type Import = MirrorPolicy['spec']['imports'][number];

const SOURCE = { host: 'upstream.example', path: 'library/redis' };
const MIRROR = 'registry.example/lib/redis';

let world: ActivityWorld;
beforeEach(() => {
  world = createWorld({ roster: { main: { host: 'registry.example' } } });
});

const source = () => world.registries.store(SOURCE);
const mirror = () => world.registries.store(DESTINATION);

function upstream(...tags: string[]): void {
  for (const tag of tags) source().tags.set(tag, storeImage(source(), { salt: tag }));
}

function policyWith(facts: Partial<Import> = {}): MirrorPolicy {
  const written = policyNamed('redis');
  return { ...written, spec: { ...written.spec, imports: [{ ...(written.spec.imports[0] as Import), ...facts }] } };
}

function planned(policy: MirrorPolicy, facts: Partial<PlanRequest>): Promise<PlanPage> {
  const start = { failed: [], first: true, waitsAfter: null };
  return run(world.steps.planPolicy, { policy, source: 'redis.yaml', options: OPTIONS, now: NOW, ...start, ...facts });
}

async function save(policy = policyWith(), after: string | null = null): Promise<ItemPage> {
  const page = await planned(policy, { options: { ...OPTIONS, dryRun: true }, save: { after } });
  if (page.saved === undefined) throw new Error('nothing was saved');
  return page.saved;
}

/** Holds a saved plan against the world; the policy may have become another one. */
function carry(saved: ItemPage, policy = policyWith(), facts: Partial<PlanRequest> = {}, was = policy) {
  const plan = { basis: saved.basis, policy: valueDigest(was), items: saved.items };
  return planned(policy, { ...facts, plan });
}

async function place(page: PlanPage): Promise<void> {
  for (const placement of page.placements) {
    const { destination, tag, current: expected, label } = placement;
    const inspection = await run(world.steps.inspectPlacement, placement);
    await run(world.steps.writeImage, { placement, inspection });
    const request = { destination, subject: inspection.stamped, carryFrom: null, timestamp: NOW, journal: null };
    await run(world.steps.attachSboms, request);
    const placed = { artifactType: label.artifactType, signed: false, stamp: null };
    const digest = inspection.stamped;
    await run(world.steps.publishTag, { destination, tag, digest, expected, journal: {}, placed });
  }
}

const told = (items: readonly PlanItem[]) => items.map(({ kind, tag }) => `${kind} ${tag}`);
const refusals = ({ settled }: PlanPage) =>
  settled.flatMap(({ operation: { kind, out_tag, error } }) => (error === null ? [] : [[`${kind} ${out_tag}`, error]]));

describe('a plan that is saved', () => {
  it('holds every item, and what decides the outcome', async () => {
    upstream('7.2.0', '7.2.1');
    const { items, basis, after } = await save(policyWith({ tags: { aliases: ['{major}'] } }));
    expect(told(items)).toEqual(['imported 7.2.0', 'aliased 7', 'imported 7.2.1']);
    expect(items[0]).toMatchObject({ repository: MIRROR, digest: source().tags.get('7.2.0'), current: null });
    expect(after).toBeNull();
    expect(basis).toEqual({
      settings: {
        HOUBA_LABEL_PREFIX: 'io.houba',
        HOUBA_SBOM_FORMATS: 'spdx-json',
        HOUBA_ATTEST_SIGNER: '',
        HOUBA_ATTEST_BUILDER_ID: '',
        HOUBA_BUILD_PLATFORM: 'linux/amd64',
      },
      transforms: {},
    });
  });

  it('comes in pages', async () => {
    const image = storeImage(source(), { salt: 'all' });
    for (let patch = 0; patch < 1_100; patch++) source().tags.set(`7.2.${patch}`, image);
    const first = await save();
    expect(first.items).toHaveLength(1_000);
    const second = await save(policyWith(), first.after);
    expect(second.items).toHaveLength(100);
    expect(second.after).toBeNull();
    expect(new Set([...first.items, ...second.items].map(({ tag }) => tag)).size).toBe(1_100);
  });
});

describe('a plan that is carried out', () => {
  it('is what planning anew comes to, and nothing beside it', async () => {
    upstream('7.2.0');
    const saved = await save();
    upstream('7.4.0');
    const page = await carry(saved);
    expect(page.placements.map(({ tag }) => tag)).toEqual(['7.2.0']);
    expect(page).toMatchObject({ settled: [], counted: [], error: null, pending: 1, waitsAfter: null });
  });

  it('refuses an item whose source moved, or is gone, and counts what is done', async () => {
    upstream('7.0.0', '7.2.0', '7.4.0', '7.6.0');
    const saved = await save();
    source().tags.set('7.2.0', storeImage(source(), { salt: 'moved' }));
    source().tags.delete('7.4.0');
    await place(await carry({ ...saved, items: saved.items.filter(({ tag }) => tag === '7.0.0') }));
    const page = await carry(saved);
    expect(page.placements.map(({ tag }) => tag)).toEqual(['7.6.0']);
    expect(page.counted).toEqual([{ position: { target: 0, variant: 0 }, kind: 'skipped', count: 1 }]);
    expect(refusals(page)).toEqual([
      [
        'imported 7.2.0',
        {
          type: 'PreconditionFailed',
          message: expect.stringContaining(
            `${MIRROR}:7.2.0 is no longer as it was planned: its source digest was ${saved.items[1]?.digest}, and is`,
          ),
          exit_code: 1,
        },
      ],
      ['imported 7.4.0', expect.objectContaining({ message: expect.stringContaining('and it is gone') })],
    ]);
    expect(world.journal.filter(({ event }) => event === 'operation.failed')).toHaveLength(2);
  });

  it('reports a wait that has moved on, and does not fail for it: there was nothing to carry out', async () => {
    upstream('7.2.0');
    await place(await planned(policyWith(), {}));
    source().tags.set('7.2.0', storeImage(source(), { salt: 'moved' }));
    const saved = await save();
    expect(told(saved.items)).toEqual(['held 7.2.0']);
    source().tags.set('7.2.0', storeImage(source(), { salt: 'moved again' }));
    const page = await carry(saved);
    expect(page.waits ?? []).toEqual([]);
    expect(page.settled.map(({ operation }) => operation)).toMatchObject([
      { kind: 'held', error: null, reason: expect.stringContaining('is no longer as it was planned') },
    ]);
  });

  it('refuses an item whose tag somebody wrote', async () => {
    upstream('7.2.0');
    const saved = await save();
    const theirs = storeImage(mirror(), { salt: 'theirs' });
    mirror().tags.set('7.2.0', theirs);
    const page = await carry(saved);
    expect(page.placements).toEqual([]);
    expect(refusals(page)).toEqual([
      ['imported 7.2.0', expect.objectContaining({ message: expect.stringContaining(`and shows ${theirs}`) })],
    ]);
  });

  it('refuses everything when the policy or a setting is another one', async () => {
    upstream('7.2.0');
    const saved = await save();
    const other = await carry(saved, policyWith({ vendor: 'Example' }), {}, policyWith());
    expect(other.placements).toEqual([]);
    expect(refusals(other)).toHaveLength(1);
    Object.assign(world.settings, { prefix: 'com.example' });
    const message = expect.stringContaining('HOUBA_LABEL_PREFIX was "io.houba", and is "com.example"');
    expect(refusals(await carry(saved))).toEqual([['imported 7.2.0', expect.objectContaining({ message })]]);
  });

  it('says why an item is not done whose destination cannot be read', async () => {
    upstream('7.2.0');
    const both = [{ registry: 'main', project: 'lib', repository: 'redis' }];
    const policy = policyWith({ destinations: [...both, { registry: 'main', project: 'lib', repository: 'copy' }] });
    const saved = await save(policy);
    expect(saved.items).toHaveLength(2);
    world.registries.before = (call) => {
      if (call.startsWith('TAGS registry.example/lib/copy')) throw new HoubaError('Denied', 'not yours');
    };
    const page = await carry(saved, policy);
    expect(page.placements).toHaveLength(1);
    expect(page.error).toMatchObject({ type: 'Denied' });
    expect(refusals(page)).toEqual([['imported 7.2.0', expect.objectContaining({ type: 'Denied' })]]);
  });

  it('says so when a destination is none of the policy’s any more', async () => {
    upstream('7.2.0');
    const { items, basis } = await save();
    const elsewhere = items.map((item) => ({ ...item, repository: 'registry.example/lib/old' }));
    const page = await carry({ items: elsewhere, basis, after: null });
    expect(page).toMatchObject({ placements: [], settled: [] });
    expect(page.error?.message).toContain('one item of the plan refused: registry.example/lib/old is no destination');
  });

  it('is only shown in a dry run, and where the worker writes nothing', async () => {
    upstream('7.2.0');
    const saved = await save();
    const shown = [{ kind: 'imported', out_tag: '7.2.0', applied: false, error: null }];
    const dry = await carry(saved, policyWith(), { options: { ...OPTIONS, dryRun: true } });
    expect(dry.placements).toEqual([]);
    expect(dry.settled.map(({ operation }) => operation)).toMatchObject(shown);
    Object.assign(world.settings, { dryRunTags: true });
    const still = await carry(saved);
    expect(still.placements).toEqual([]);
    expect(still.settled.map(({ operation }) => operation)).toMatchObject(shown);
  });
});

describe('marks in a plan', () => {
  const narrow = policyWith({ tags: { includeRegex: '^7\\.4' } });

  beforeEach(async () => {
    Object.assign(world.settings, { maxDeletionShare: 1 });
    upstream('7.0.0', '7.2.0', '7.4.0');
    await place(await planned(policyWith(), {}));
  });

  it('are made as planned, once, and no others', async () => {
    const saved = await save(narrow);
    expect(told(saved.items)).toEqual(['marked 7.0.0', 'marked 7.2.0']);
    expect(saved.items[0]).toMatchObject({ variant: null, reason: 'dropped-from-selection' });
    const one = { ...saved, items: saved.items.slice(0, 1) };
    const page = await carry(one, narrow);
    expect(page.marks?.map(({ tag }) => tag)).toEqual(['7.0.0']);
    for (const { destination, tag, digest, put } of page.marks ?? []) {
      await run(world.steps.setMark, { destination, tag, digest, put, journal: {} });
    }
    const again = await carry(saved, narrow);
    expect(again.marks?.map(({ tag }) => tag)).toEqual(['7.2.0']);
    expect(again.counted).toEqual([{ position: { target: 0, variant: null }, kind: 'skipped', count: 1 }]);
  });

  it('are refused when they are more than one run may take away', async () => {
    const saved = await save(narrow);
    Object.assign(world.settings, { maxDeletionShare: 0.1 });
    const page = await carry(saved, narrow);
    expect(page.marks).toEqual([]);
    const message = expect.stringContaining('--allow-mass-deletion');
    expect(refusals(page)).toEqual([
      ['marked 7.0.0', expect.objectContaining({ message })],
      ['marked 7.2.0', expect.objectContaining({ message })],
    ]);
  });

  it('are only shown where the worker deletes nothing', async () => {
    const saved = await save(narrow);
    Object.assign(world.settings, { dryRunDeletions: true });
    const page = await carry(saved, narrow);
    expect(page.marks).toEqual([]);
    expect(page.settled.map(({ operation: { kind, applied } }) => [kind, applied])).toEqual([
      ['marked', false],
      ['marked', false],
    ]);
  });

  it('are cleared as planned, of which nobody is told', async () => {
    for (const { destination, tag, digest, put } of (await planned(narrow, {})).marks ?? []) {
      await run(world.steps.setMark, { destination, tag, digest, put, journal: {} });
    }
    const saved = await save();
    expect(told(saved.items)).toEqual(['unmarked 7.0.0', 'unmarked 7.2.0']);
    const page = await carry(saved);
    expect(page.marks?.map(({ tag, put }) => [tag, put])).toEqual([
      ['7.0.0', null],
      ['7.2.0', null],
    ]);
    expect(page.settled).toEqual([]);
  });
});
