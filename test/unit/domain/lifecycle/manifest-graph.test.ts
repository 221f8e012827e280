import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import {
  type ManifestGraph,
  type StoredManifest,
  unneededManifests,
} from '../../../../domain/lifecycle/manifest-graph.js';
import { digest } from './samples.js';

type Links = Partial<Record<'children' | 'referrers' | 'originals' | 'supersedes', readonly number[]>> & {
  subject?: number;
};

/** A repository by small numbers; referrers know their subject by themselves. */
function graphOf(manifests: Readonly<Record<number, Links>>): ManifestGraph {
  const graph = new Map<Digest, StoredManifest>();
  const digests = (numbers: readonly number[] = []) => numbers.map(digest);
  for (const [number, links] of Object.entries(manifests)) {
    const subject = Object.entries(manifests).find(([, { referrers }]) => referrers?.includes(Number(number)))?.[0];
    graph.set(digest(Number(number)), {
      digest: digest(Number(number)),
      children: digests(links.children),
      referrers: digests(links.referrers),
      subject:
        links.subject !== undefined ? digest(links.subject) : subject === undefined ? null : digest(Number(subject)),
      originals: digests(links.originals),
      supersedes: digests(links.supersedes),
    });
  }
  return graph;
}

function unneeded(graph: ManifestGraph, unwanted: number[], kept: number[], threads?: 'followed' | 'cut'): number[] {
  return unneededManifests(graph, unwanted.map(digest), kept.map(digest), threads).map(numberOf);
}

function numberOf(one: Digest): number {
  return Number.parseInt(one.slice(7), 16);
}

/** An index 1 of platforms 2 and 3 with evidence everywhere, its original 10 of the same platforms. */
const MULTI = {
  1: { children: [2, 3], referrers: [20, 21], originals: [10] },
  2: { referrers: [22] },
  3: { referrers: [23] },
  10: { children: [2, 3], referrers: [24] },
  20: {},
  21: {},
  22: {},
  23: {},
  24: {},
};

describe('unneededManifests', () => {
  it('takes everything that only the unwanted tag held', () => {
    expect(unneeded(graphOf(MULTI), [1], []).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 10, 20, 21, 22, 23, 24]);
  });

  it('takes nothing of a digest that another tag shows', () => {
    expect(unneeded(graphOf(MULTI), [1], [1])).toEqual([]);
  });

  it('keeps the platforms that another index has, with their evidence', () => {
    const graph = graphOf({ ...MULTI, 5: { children: [2] } });
    expect(unneeded(graph, [1], [5]).toSorted((a, b) => a - b)).toEqual([1, 3, 10, 20, 21, 23, 24]);
  });

  it('keeps an original that another stamp names', () => {
    const graph = graphOf({ ...MULTI, 5: { children: [2, 3], originals: [10] } });
    expect(unneeded(graph, [1], [5]).toSorted((a, b) => a - b)).toEqual([1, 20, 21]);
  });

  it('keeps the subject of a tagged artifact', () => {
    const graph = graphOf({ 1: {}, 30: { subject: 1 } });
    expect(unneeded(graph, [1], [30])).toEqual([]);
  });

  it('keeps evidence that hangs on something kept', () => {
    const graph = graphOf({ 1: { referrers: [20] }, 20: {} });
    expect(unneeded(graph, [20], [1])).toEqual([]);
  });

  it('takes the superseded of an unwanted tag, but not what another thread holds', () => {
    const graph = graphOf({ 1: { supersedes: [2] }, 2: { supersedes: [3] }, 3: {}, 5: { supersedes: [3] } });
    expect(unneeded(graph, [1], [5])).toEqual([2, 1]);
    expect(unneeded(graph, [1], [])).toEqual([3, 2, 1]);
  });

  it('with the threads cut, a successor holds nothing and is not left by what goes', () => {
    const graph = graphOf({ 1: { supersedes: [2] }, 2: { supersedes: [3], referrers: [20] }, 3: {}, 20: {} });
    expect(unneeded(graph, [2], [1, 3], 'cut')).toEqual([20, 2]);
  });

  it('never takes what was not read', () => {
    expect(unneeded(graphOf({ 1: { children: [2], originals: [10] } }), [1, 99], [])).toEqual([1]);
  });

  it('takes referrers before their subject, indexes before their children, originals and the superseded first', () => {
    const order = unneeded(graphOf({ ...MULTI, 1: { ...MULTI[1], supersedes: [30] }, 30: { children: [2] } }), [1], []);
    const before = (first: number, second: number) => expect(order.indexOf(first)).toBeLessThan(order.indexOf(second));
    for (const [first, second] of [
      [20, 1],
      [21, 1],
      [22, 2],
      [24, 10],
      [1, 2],
      [10, 3],
      [30, 2],
      [10, 1],
      [30, 1],
    ]) {
      before(first as number, second as number);
    }
  });

  it('comes to an end when stamps beside the images go round in a circle, or name their own image', () => {
    const graph = graphOf({ 1: { supersedes: [2], originals: [1] }, 2: { supersedes: [1] } });
    expect(unneeded(graph, [1], []).toSorted()).toEqual([1, 2]);
  });

  it('never takes anything that something kept reaches, and takes each once', () => {
    const links = fc.record({
      children: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 2 }),
      referrers: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 2 }),
      originals: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 1 }),
      supersedes: fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 1 }),
    });
    const some = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 4 });
    fc.assert(
      fc.property(fc.array(links, { minLength: 10, maxLength: 10 }), some, some, (all, unwanted, kept) => {
        const graph = graphOf(Object.fromEntries(all.entries()));
        const taken = unneeded(graph, unwanted, kept);
        expect(new Set(taken).size).toBe(taken.length);
        const needed = new Set(kept);
        for (const number of needed) {
          const { children, referrers, originals, supersedes } = all[number] as (typeof all)[number];
          for (const next of [...children, ...referrers, ...originals, ...supersedes]) needed.add(next);
          const subject = graph.get(digest(number))?.subject;
          if (subject != null) needed.add(numberOf(subject));
        }
        for (const number of taken) expect(needed).not.toContain(number);
        for (const number of unwanted) expect(needed.has(number) || taken.includes(number)).toBe(true);
      }),
    );
  });
});
