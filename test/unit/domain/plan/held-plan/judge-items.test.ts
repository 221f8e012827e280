import { describe, expect, it } from 'vitest';
import { type FreshPlan, judgeItems, type Sight } from '../../../../../domain/plan/held-plan/judge-items.js';
import type { PlanItem, PlannedItems } from '../../../../../domain/plan/plan-item.js';
import { digestFor } from '../../../../support/durable-samples.js';
import { A, B, OTHER, PLACED } from '../samples.js';

const POLICY = digestFor('policy');
const BASIS = { settings: { HOUBA_LABEL_PREFIX: 'io.houba' }, transforms: { 'v7/eu': 'sha256:1' } };

function item(facts: Partial<PlanItem> = {}): PlanItem {
  return {
    kind: 'imported',
    repository: 'registry.example/lib/redis',
    tag: '7.2.0',
    import: 'v7',
    variant: 'default',
    src_tag: '7.2.0',
    digest: A,
    current: null,
    reason: null,
    ...facts,
  };
}

function saved(items: readonly PlanItem[], facts: Partial<PlannedItems> = {}): PlannedItems {
  return { basis: BASIS, policy: POLICY, items, ...facts };
}

function fresh(items: readonly PlanItem[], sight: Partial<Sight> = {}, facts: Partial<FreshPlan> = {}): FreshPlan {
  const nothing: Sight = {
    ...{ current: undefined, source: undefined, placed: null, aim: null },
    ...{ marked: false, forbidden: null },
  };
  return { basis: BASIS, policy: POLICY, items, look: () => ({ ...nothing, ...sight }), ...facts };
}

const judge = (was: PlanItem, now: readonly PlanItem[], sight: Partial<Sight> = {}, facts: Partial<FreshPlan> = {}) =>
  judgeItems(saved([was]), fresh(now, sight, facts));

const why = (...args: Parameters<typeof judge>) => judge(...args).refused[0]?.why;

describe('an item of a plan', () => {
  it('is carried out when planning anew comes to the very same', () => {
    expect(judge(item(), [item()])).toEqual({ agreed: [item()], done: [], refused: [] });
  });

  it.each<[string, PlanItem, readonly PlanItem[], Partial<Sight>, string]>([
    ['its source digest', item(), [item({ digest: B })], {}, `its source digest was ${A}, and is ${B}`],
    ['what its tag shows', item(), [item({ current: PLACED })], {}, `the tag showed nothing, and shows ${PLACED}`],
    [
      'what its tag shows, as it was seen',
      item(),
      [item()],
      { current: OTHER },
      `the tag showed nothing, and shows ${OTHER}`,
    ],
    ['its import', item(), [item({ import: 'all' })], {}, 'its import was v7, and is all'],
    ['its variant', item(), [item({ variant: null })], {}, 'its variant was default, and is none'],
    [
      'the reason of a mark',
      item({ kind: 'marked', current: A, reason: 'dropped-from-selection' }),
      [item({ kind: 'marked', current: A, reason: 'retention-excess' })],
      {},
      'the reason was dropped-from-selection, and is retention-excess',
    ],
    [
      'the tag that an alias points to',
      item({ kind: 'aliased', tag: '7', digest: A }),
      [item({ kind: 'aliased', tag: '7', digest: B, src_tag: '7.2.1' })],
      {},
      `what it is to show was ${A}, and is ${B}; its source tag was 7.2.0, and is 7.2.1`,
    ],
    ['what is to be done', item(), [item({ kind: 'held' })], {}, 'it is to be held now'],
    [
      'its source, which is gone',
      item(),
      [],
      { current: null, source: null },
      `its source digest was ${A}, and it is gone; nothing is to be done about it now`,
    ],
    [
      'its source, with a tag that somebody wrote',
      item({ kind: 'held', current: PLACED }),
      [],
      { current: OTHER, source: B, placed: B },
      `the tag showed ${PLACED}, and shows ${OTHER}; its source digest was ${A}, and is ${B}; nothing is to be done about it now`,
    ],
    ['what may be done', item({ kind: 'deleted', current: A }), [], { forbidden: 'too many' }, 'too many'],
  ])('is refused when it differs in %s', (_, was, now, sight, told) => {
    expect(why(was, now, sight)).toBe(told);
  });

  it('is refused with all others when the policy or a setting is another one', () => {
    const both = saved([item(), item({ tag: '7.4.0' })]);
    const other = digestFor('other');
    const policies = judgeItems(both, fresh(both.items, {}, { policy: other }));
    expect(policies.refused.map(({ why: told }) => told)).toEqual(
      Array(2).fill(`the policy was ${POLICY}, and is ${other}`),
    );
    const settings = { HOUBA_LABEL_PREFIX: 'com.example' };
    expect(why(item(), [item()], {}, { basis: { ...BASIS, settings } })).toBe(
      'HOUBA_LABEL_PREFIX was "io.houba", and is "com.example"',
    );
    expect(why(item(), [item()], {}, { basis: { ...BASIS, settings: {} } })).toBe(
      'HOUBA_LABEL_PREFIX was "io.houba", and is not among the settings',
    );
    expect(judgeItems(saved([item()], { refusal: 'gone' }), fresh([item()])).refused).toEqual([
      { item: item(), why: 'gone' },
    ]);
  });

  it('is refused when the transform of its own variant is another one', () => {
    const transforms = { 'v7/eu': 'sha256:2', 'v7/us': 'sha256:3' };
    const now = { basis: { ...BASIS, transforms } };
    expect(why(item({ variant: 'eu' }), [item({ variant: 'eu' })], {}, now)).toBe(
      'the transform of v7/eu was sha256:1, and is sha256:2',
    );
    expect(why(item({ variant: 'us' }), [item({ variant: 'us' })], {}, now)).toBe(
      'the transform of v7/us was none, and is sha256:3',
    );
    expect(why(item({ variant: 'eu' }), [], {}, { basis: { ...BASIS, transforms: {} } })).toContain('and is none');
    expect(judge(item(), [item()], {}, now).agreed).toHaveLength(1);
    // Evidence of what stands there already is not made by the transform.
    const sbom = item({ kind: 'sbom', variant: 'eu' });
    expect(judge(sbom, [sbom], {}, now).agreed).toEqual([sbom]);
  });

  it.each<[string, PlanItem, Partial<Sight>]>([
    ['imported', item(), { current: PLACED, placed: A }],
    ['updated', item({ kind: 'updated', current: OTHER }), { current: PLACED, placed: A }],
    ['restamped', item({ kind: 'restamped', current: OTHER }), { current: PLACED, placed: A }],
    ['taken over after its wait', item({ kind: 'held', current: OTHER }), { current: PLACED, placed: A }],
    ['aliased', item({ kind: 'aliased', tag: '7' }), { current: PLACED, aim: PLACED }],
    ['deleted', item({ kind: 'deleted', current: PLACED }), { current: null }],
    ['inventoried', item({ kind: 'sbom', current: PLACED }), { current: PLACED, placed: A }],
    ['signed', item({ kind: 'attested', current: PLACED }), { current: PLACED, placed: A }],
    ['marked', item({ kind: 'marked', current: PLACED }), { current: PLACED, marked: true }],
  ])('is done when its tag is %s as it was wanted', (_, was, sight) => {
    expect(judge(was, [], sight)).toEqual({ agreed: [], done: [was], refused: [] });
  });

  it.each<[string, PlanItem, Partial<Sight>]>([
    ['a tag of another image', item(), { current: PLACED, placed: B }],
    ['a tag that somebody deleted', item(), { current: null }],
    ['a stamp that stayed', item({ kind: 'restamped', current: OTHER }), { current: OTHER, placed: null }],
    ['an alias that shows something else', item({ kind: 'aliased', tag: '7' }), { current: OTHER, aim: PLACED }],
    ['evidence of another image', item({ kind: 'sbom', current: PLACED }), { current: OTHER, placed: A }],
    ['a mark that somebody took back', item({ kind: 'marked', current: PLACED }), { current: PLACED }],
  ])('is refused, not done, for %s', (_, was, sight) => {
    expect(judge(was, [], sight)).toMatchObject({ done: [], refused: [{ item: was }] });
  });

  it('says nothing of a mark that is cleared already: no report tells of that', () => {
    expect(judge(item({ kind: 'unmarked', current: A }), [])).toMatchObject({ refused: [] });
  });

  it('is an alias that is refused with the tag it was to show', () => {
    const alias = item({ kind: 'aliased', tag: '7', digest: null });
    const both = saved([item(), alias]);
    expect(judgeItems(both, fresh([item(), alias])).agreed).toEqual([item(), alias]);
    const moved = judgeItems(both, fresh([item({ digest: B }), alias]));
    expect(moved.agreed).toEqual([]);
    expect(moved.refused.map(({ why: told }) => told)).toEqual([
      expect.stringContaining('its source digest'),
      'the tag 7.2.0 that it is to show is not placed by this plan',
    ]);
  });
});
