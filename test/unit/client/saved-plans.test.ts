import { describe, expect, it } from 'vitest';
import { collectPlan, planInputs } from '../../../client/saved-plans.js';
import type { HoubaClient, Outcome } from '../../../client/sdk.js';
import { valueDigest } from '../../../domain/canonical-json.js';
import { toSavedPlan } from '../../../domain/plan/held-plan/saved-plan.js';
import type { ItemPage, PlanItem } from '../../../domain/plan/plan-item.js';
import type { PolicyInput } from '../../../domain/plan/request.js';
import { digestFor, fleetInput, NOW, OPTIONS, policyNamed, sourceNamed } from '../../support/durable-samples.js';

const BASIS = { settings: {}, transforms: {} };
const ASKED = { shard: { index: 0, count: 1 }, only: null, options: OPTIONS };

function items(name: string, count: number): PlanItem[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{ kind: 'imported' as const, repository: `registry.example/lib/${name}`, tag: `1.${10_000 + index}` },
    ...{ import: 'all', variant: 'default', src_tag: '1', digest: digestFor(`${index}`), current: null, reason: null },
  }));
}

function planOf(counts: Readonly<Record<string, number>>) {
  const policies = Object.entries(counts).map(([name, count]) => {
    return { file: `${name}.yaml`, policy: policyNamed(name), basis: BASIS, items: items(name, count) };
  });
  return toSavedPlan('policies', NOW, policies);
}

describe('a plan', () => {
  it('is collected page by page, without what could not be planned', async () => {
    const all = items('large', 25);
    const page = (from: number): ItemPage => {
      const after = from + 10 < all.length ? `${from + 10}` : null;
      return { items: all.slice(from, from + 10), basis: BASIS, after };
    };
    const asked: PolicyInput[] = [];
    const client = {
      planItems: async (input: PolicyInput) => {
        asked.push(input);
        return page(Number(input.save?.after));
      },
    } as unknown as HoubaClient;
    const saved = new Map([
      ['large', page(0)],
      ['idle', { items: [], basis: BASIS, after: null }],
    ]);
    const outcome = { saved } as unknown as Outcome;
    const plan = await collectPlan(client, fleetInput(['large', 'failed', 'idle']), outcome, 'dir', new Date(0));
    expect(plan).toMatchObject({ directory: 'dir', created: '1970-01-01T00:00:00.000+00:00' });
    expect(plan.policies.map(({ name, items: { length } }) => [name, length])).toEqual([['large', 25]]);
    expect(asked.map(({ save, source }) => [save?.after, source])).toEqual([
      ['10', 'large.yaml'],
      ['20', 'large.yaml'],
    ]);
  });

  it('is found by the name of its policy, whatever that is: without it all of the policy would be carried out', () => {
    const name = '__proto__';
    const planned = { file: 'x.yaml', policy: policyNamed(name), basis: BASIS, items: items('a', 1) };
    const [input] = planInputs(toSavedPlan('policies', NOW, [planned]), null, ASKED);
    const sent = JSON.parse(JSON.stringify(input)) as typeof input;
    expect(Object.keys(sent.plans ?? {})).toEqual([name]);
    expect(sent.plans?.[name]?.items).toHaveLength(1);
  });

  it('is carried out by one run, or by several if it is large', () => {
    const [one, ...none] = planInputs(planOf({ a: 3, b: 2 }), null, ASKED);
    expect(none).toEqual([]);
    expect(one.policies?.map(({ policy }) => policy.metadata.name)).toEqual(['a', 'b']);
    expect(one.plans?.a).toEqual({ basis: BASIS, policy: valueDigest(policyNamed('a')), items: items('a', 3) });

    const parts = planInputs(planOf({ a: 1_500, b: 3_000, c: 1 }), null, ASKED);
    const sizes = parts.map(({ plans }) =>
      Object.fromEntries(Object.entries(plans ?? {}).map(([name, plan]) => [name, plan.items.length])),
    );
    expect(sizes).toEqual([{ a: 1_500, b: 500 }, { b: 2_000 }, { b: 500, c: 1 }]);
    expect(parts.map(({ policies }) => policies?.length)).toEqual([2, 1, 2]);
    expect(parts.flatMap(({ plans }) => plans?.b?.items ?? [])).toEqual(items('b', 3_000));
  });

  it('of nothing is one run of nothing', () => {
    expect(planInputs(planOf({}), null, ASKED)).toEqual([{ ...ASKED, policies: [], plans: {} }]);
  });

  it('is held against the policies as they are now, and refused where one is gone', () => {
    const changed = { ...sourceNamed('a'), policy: { ...policyNamed('a'), kind: 'MirrorPolicy' as const } };
    const [input] = planInputs(planOf({ a: 1, b: 1 }), [{ ...changed, file: 'new.yaml' }], ASKED);
    expect(input.policies?.map(({ file }) => file)).toEqual(['new.yaml', 'b.yaml']);
    expect(input.plans?.a?.refusal).toBeUndefined();
    expect(input.plans?.b?.refusal).toBe('the policy b is not in policies now');
  });

  it('may be carried out for one policy alone, which has to be in it', () => {
    const plan = planOf({ a: 1, b: 1 });
    const [input] = planInputs(plan, null, { ...ASKED, only: 'b' });
    expect(Object.keys(input.plans ?? {})).toEqual(['b']);
    expect(input.only).toBeNull();
    expect(() => planInputs(plan, null, { ...ASKED, only: 'c' })).toThrow('nothing to do for a policy named "c"');
  });
});
