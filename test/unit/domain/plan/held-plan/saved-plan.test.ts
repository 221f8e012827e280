import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import { groupOf, takeItems } from '../../../../../domain/plan/held-plan/item-pages.js';
import { itemsOf, sortItems, workOf } from '../../../../../domain/plan/held-plan/items-of-work.js';
import {
  formatSavedPlan,
  parseSavedPlan,
  planJsonSchema,
  type SavedPlan,
  type SavedPlanShape,
  toSavedPlan,
} from '../../../../../domain/plan/held-plan/saved-plan.js';
import type { PlanItem } from '../../../../../domain/plan/plan-item.js';
import type { PlannedWork } from '../../../../../domain/plan/work.js';
import { aliasOf, backfillOf, digestFor, NOW, placementOf, policyNamed } from '../../../../support/durable-samples.js';
import { target, variantWish } from '../samples.js';

const PATH = 'lib/redis';
const TARGETS = [target([variantWish('default', '', [])])];
const REPOSITORY = 'registry.example/lib/redis';

const mark = (tag: string | null, put: object | null) => ({
  ...{ kind: 'set' as const, position: { target: 0, variant: null }, baseDigest: digestFor('base') },
  ...{ destination: placementOf(PATH, '1').destination, tag, digest: digestFor(`placed ${tag}`), put: put as never },
});

const WORK: PlannedWork = {
  placements: [placementOf(PATH, '1.0', { aliases: [{ alias: 'latest', current: null }] })],
  backfills: [backfillOf(PATH, '0.9', { needs: ['sbom', 'attested'] })],
  aliases: [aliasOf(PATH, '0', '0.9')],
  waits: [waitOn('0.8', true), waitOn('0.7', false)],
  deletions: [
    {
      ...{ position: { target: 0, variant: null }, destination: placementOf(PATH, '1').destination },
      ...{ tag: '0.1', digest: digestFor('placed 0.1'), baseDigest: digestFor('0.1') },
    },
  ],
  marks: [mark('0.2', { reason: 'retention-excess' }), mark('0.3', null), mark(null, null)],
};

function waitOn(tag: string, listed: boolean) {
  const placement = placementOf(PATH, tag, { kind: 'updated', current: digestFor(`placed ${tag}`) });
  return {
    ...{ digest: digestFor(`moved ${tag}`), at: NOW, placed: digestFor(tag), placement },
    ...{ windowMs: 1, maxWaitMs: 2, listed, reason: null },
  };
}

const ITEMS = itemsOf(WORK, TARGETS);
const BASIS = { settings: { HOUBA_LABEL_PREFIX: 'io.houba' }, transforms: {} };
const PLAN = toSavedPlan('policies/', NOW, [
  { file: 'policies/redis.yaml', policy: policyNamed('redis'), basis: BASIS, items: ITEMS },
  { file: 'policies/idle.yaml', policy: policyNamed('idle'), basis: BASIS, items: [] },
]);

const told = (items: readonly PlanItem[]) => items.map(({ kind, tag }) => `${kind} ${tag}`);

describe('the items of a plan', () => {
  it('are every operation, in the order of tags, aliases with the image they are to show', () => {
    expect(told(ITEMS)).toEqual([
      'unmarked ',
      'aliased 0',
      'deleted 0.1',
      'marked 0.2',
      'unmarked 0.3',
      'held 0.8',
      'attested 0.9',
      'sbom 0.9',
      'aliased latest',
      'imported 1.0',
    ]);
    expect(ITEMS.at(-1)).toEqual({
      ...{ kind: 'imported', repository: REPOSITORY, tag: '1.0', import: 'v7', variant: 'default' },
      ...{ src_tag: '1.0', digest: digestFor('source 1.0'), current: null, reason: null },
    });
    expect(ITEMS.find(({ kind }) => kind === 'marked')).toMatchObject({ variant: null, reason: 'retention-excess' });
  });

  it('name the work that they were made from, and no other', () => {
    const named = (keep: (item: PlanItem) => boolean) => workOf(WORK, TARGETS, ITEMS.filter(keep));
    const { waits, ...rest } = named(() => true);
    expect(rest).toEqual({ ...WORK, waits: undefined });
    expect(waits).toEqual([WORK.waits[0]]);
    expect(named(({ tag }) => tag === '1.0').placements).toEqual([{ ...WORK.placements[0], aliases: [] }]);
    expect(named(({ kind }) => kind === 'sbom').backfills).toEqual([{ ...WORK.backfills[0], needs: ['sbom'] }]);
    expect(
      itemsOf(
        named(() => false),
        TARGETS,
      ),
    ).toEqual([]);
  });

  it('are taken page by page, what belongs to one tag together', () => {
    const items = fc.array(
      fc
        .record({ tag: fc.constantFrom('1', '2', '3'), alias: fc.constantFrom(null, 'x', 'y', 'z') })
        .map(({ tag, alias }): PlanItem => {
          const item = { ...(ITEMS.at(-1) as PlanItem), tag, src_tag: tag };
          return alias === null ? item : { ...item, kind: 'aliased', tag: alias, digest: null };
        }),
    );
    fc.assert(
      fc.property(items, fc.integer({ min: 1, max: 5 }), (unsorted, size) => {
        const all = sortItems(unsorted);
        const pages: (readonly PlanItem[])[] = [];
        for (let rest: readonly PlanItem[] = all; rest.length > 0; ) {
          const next = takeItems(rest, size);
          pages.push(next.page);
          rest = next.rest;
        }
        expect(pages.flat()).toEqual(all);
        const groups = pages.flatMap((page) => [...new Set(page.map(groupOf))]);
        expect(groups).toEqual([...new Set(groups)]);
      }),
    );
    expect(takeItems([], 3)).toEqual({ page: [], rest: [] });
  });
});

describe('a plan file', () => {
  it('is read as it was written, with an item a line', () => {
    const text = formatSavedPlan(PLAN);
    expect(parseSavedPlan('plan.json', text)).toEqual(PLAN);
    expect(JSON.parse(text)).toEqual(PLAN);
    expect(text.split('\n').filter((line) => line.includes('"seal"'))).toHaveLength(ITEMS.length);
    expect(text.endsWith('}\n')).toBe(true);
  });

  it('leaves out policies with nothing to do, and may be empty', () => {
    expect(PLAN.policies.map(({ name }) => name)).toEqual(['redis']);
    const empty = toSavedPlan('policies/', NOW, []);
    expect(parseSavedPlan('plan.json', formatSavedPlan(empty))).toEqual(empty);
  });

  it('may have items taken out of it', () => {
    const [policy] = PLAN.policies;
    const fewer = { ...PLAN, policies: [{ ...policy, items: policy?.items.slice(0, 1) }] };
    expect(parseSavedPlan('plan.json', JSON.stringify(fewer)).policies[0]?.items).toHaveLength(1);
  });

  type Change = (
    plan: {
      -readonly [Key in keyof SavedPlan]: unknown;
    },
  ) => void;
  const first = (plan: Parameters<Change>[0]) =>
    (plan.policies as Record<string, unknown>[])[0] as Record<string, unknown> & {
      items: Record<string, unknown>[];
    };

  it.each<[string, Change, string]>([
    ['of somebody else', (plan) => Object.assign(plan, { document: 'terraform' }), 'document: not a plan of houba'],
    ['of another version', (plan) => Object.assign(plan, { schema_version: 2 }), 'schema_version: 2 is not known'],
    ['with an unknown key', (plan) => Object.assign(plan, { extra: 1 }), 'Unrecognized key: "extra"'],
    ['with a date that is none', (plan) => Object.assign(plan, { created: 'today' }), 'created: '],
    [
      'with a digest that is none',
      (plan) => Object.assign(first(plan), { digest: 'x' }),
      'policies[0].digest: not a digest',
    ],
    [
      'with another item',
      (plan) => Object.assign(first(plan).items[2] as object, { tag: '9.9' }),
      'policies[0].items[2]: was changed since it was planned',
    ],
    [
      'with an item of another plan',
      (plan) => first(plan).items.push({ ...first(plan).items[0], tag: '5' }),
      `policies[0].items[${ITEMS.length}]: was changed since it was planned`,
    ],
    [
      'with another policy',
      (plan) => Object.assign(first(plan), { policy: policyNamed('other') }),
      'policies[0].policy: was changed since it was planned',
    ],
    [
      'with a policy that is none',
      (plan) => Object.assign(first(plan), { policy: { kind: 'MirrorPolicy' } }),
      'policies[0].policy: the required key "apiVersion" is missing',
    ],
    ['with another name', (plan) => Object.assign(first(plan), { name: 'x' }), 'policies[0].name: is not that of the'],
    [
      'with a policy twice',
      (plan) => (plan.policies as unknown[]).push(first(plan)),
      'policies[1].name: stands in the plan twice',
    ],
  ])('%s is refused, and says where', (_, change, message) => {
    const plan = structuredClone(PLAN) as unknown as Parameters<Change>[0];
    change(plan);
    const refusal = () => parseSavedPlan('plan.json', JSON.stringify(plan));
    expect(refusal).toThrow(expect.objectContaining({ code: 'ConfigInvalid' }));
    expect(refusal).toThrow(message);
    expect(refusal).toThrow('plan.json: ');
  });

  it('that is no JSON, or no object, is refused', () => {
    for (const text of ['', '[', 'null', '[]', '"plan"']) {
      expect(() => parseSavedPlan('plan.json', text)).toThrow('plan.json: ');
    }
  });

  it('tells some mistakes of very many', () => {
    const [policy] = PLAN.policies;
    const items = Array.from({ length: 50 }, () => ({ ...policy?.items[0], tag: 'other' }));
    const text = JSON.stringify({ ...PLAN, policies: [{ ...policy, items }] });
    expect(() => parseSavedPlan('plan.json', text)).toThrow(/50 mistakes:.*and 30 more/s);
  });
});

type Frozen<T> = T extends object ? { readonly [Key in keyof T]: Frozen<T[Key]> } : T;

describe('the JSON Schema of a plan file', () => {
  it('is the one that is published; `houba schema plan` prints it', () => {
    const published = JSON.parse(readFileSync('docs/reference/plan.schema.json', 'utf8'));
    expect(published).toEqual(planJsonSchema());
  });

  it('describes exactly the type, but for the policy, which has a schema of its own', () => {
    type Shape = Frozen<Omit<z.infer<typeof SavedPlanShape>, 'policies'>>;
    expectTypeOf<Shape>().toEqualTypeOf<Frozen<Omit<SavedPlan, 'policies'>>>();
    type Item = z.infer<typeof SavedPlanShape>['policies'][number]['items'][number];
    expectTypeOf<keyof Item>().toEqualTypeOf<keyof SavedPlan['policies'][number]['items'][number]>();
  });

  it('accepts a plan and refuses one with a field nobody knows', () => {
    const validate = new Ajv2020({ strict: true, formats: { 'date-time': true } }).compile(planJsonSchema());
    expect(validate(PLAN), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...PLAN, surprise: 1 })).toBe(false);
    expect(validate({ ...PLAN, policies: [{ ...PLAN.policies[0], digest: 'x' }] })).toBe(false);
  });
});
