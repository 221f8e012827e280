import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import {
  afterTaking,
  beginWait,
  exhausted,
  held,
  nextStep,
  observed,
  promoted,
  readNow,
  readyAtMs,
  released,
  type WaitSettings,
  type WaitState,
  waitSettings,
  withdrawn,
} from '../../../../domain/lifecycle/settle.js';
import { DAY, digest } from './samples.js';

const [PLACED, A, B, C] = [digest(1), digest(2), digest(3), digest(4)];
const SETTINGS: WaitSettings = { windowMs: 7 * DAY, maxWaitMs: 28 * DAY };
const BOB = { by: 'bob', reason: 'the changelog is harmless' };

const take = (taken: Digest) => ({ kind: 'take', digest: taken, promoted: null });

function step(state: WaitState, day: number, settings = SETTINGS) {
  return nextStep(state, settings, day * DAY);
}

/** A wait that saw these digests on these days. */
function saw(...moves: readonly [day: number, shown: Digest][]): WaitState {
  const [[day, first] = [0, A], ...others] = moves;
  return others.reduce((state, [at, shown]) => observed(state, shown, at * DAY), beginWait(first, day * DAY, PLACED));
}

describe('a moved digest', () => {
  it('is taken over when it has stood still for exactly the window', () => {
    const state = saw([0, A]);
    expect(readyAtMs(state, SETTINGS)).toBe(7 * DAY);
    expect(nextStep(state, SETTINGS, 7 * DAY - 1)).toEqual({ kind: 'wait', untilMs: 7 * DAY });
    expect(step(state, 7)).toEqual(take(A));
  });

  it('that moves inside its window starts over', () => {
    const state = saw([0, A], [6, B]);
    expect(step(state, 7)).toEqual({ kind: 'wait', untilMs: 13 * DAY });
    expect(step(state, 13)).toEqual(take(B));
  });

  it('counts from when it was first seen, however often it is seen again', () => {
    const state = saw([0, A], [1, A], [2, A], [6.9, A]);
    expect(readyAtMs(state, SETTINGS)).toBe(7 * DAY);
  });

  it('that comes back has not stood still', () => {
    expect(readyAtMs(saw([0, A], [3, B], [4, A]), SETTINGS)).toBe(11 * DAY);
  });

  it('is taken over at once without a window', () => {
    expect(step(saw([5, A]), 5, { windowMs: 0, maxWaitMs: 0 })).toEqual(take(A));
  });

  it('is not touched by news that come late', () => {
    const state = saw([0, A], [6, B]);
    expect(observed(state, A, 5 * DAY)).toBe(state);
  });

  it('follows the settings of today, not those it began with', () => {
    expect(step(saw([0, A]), 3, { windowMs: 2 * DAY, maxWaitMs: 28 * DAY })).toEqual(take(A));
  });

  it('that is back at what is placed ends the wait; the next move is a new one', () => {
    const back = saw([0, A], [20, PLACED]);
    expect(step(back, 20)).toEqual({ kind: 'end', because: 'returned' });
    const again = observed(back, B, 27 * DAY);
    expect(step(again, 29)).toEqual({ kind: 'wait', untilMs: 34 * DAY });
  });
});

describe('a clock that was set back', () => {
  it('hides no digest that is read again before the takeover', () => {
    const state = beginWait(A, 5 * DAY, PLACED);
    expect(observed(state, B, 4 * DAY)).toBe(state);
    const seen = readNow(state, B, 4 * DAY);
    expect(seen).toMatchObject({ digest: B, sinceMs: 5 * DAY });
    expect(step(seen, 11)).toEqual({ kind: 'wait', untilMs: 12 * DAY });
    expect(readNow(state, A, 4 * DAY)).toMatchObject({ digest: A, sinceMs: 5 * DAY });
  });
});

describe('waitSettings', () => {
  it.each([
    [null, SETTINGS],
    [{ windowMs: null, maxWaitMs: null }, SETTINGS],
    [
      { windowMs: 0, maxWaitMs: null },
      { windowMs: 0, maxWaitMs: 28 * DAY },
    ],
    [
      { windowMs: null, maxWaitMs: DAY },
      { windowMs: 7 * DAY, maxWaitMs: DAY },
    ],
  ])('take each from the import, %j, else from the fleet', (ofImport, expected) => {
    expect(waitSettings(ofImport, SETTINGS)).toEqual(expected);
  });
});

describe('the maximum wait', () => {
  const restless = saw([0, A], [3, B], [7, C], [10, A], [13, B], [17, C], [20, A], [23, B], [27, C]);

  it('ends an endless restart: the digest that stood longest is to be taken, of equal ones the newest', () => {
    expect(step(restless, 27.9)).toEqual({ kind: 'wait', untilMs: 28 * DAY });
    // B stood 4 days three times, the others at most 3.
    expect(step(restless, 28)).toEqual({ kind: 'choose', among: [B, A, C] });
    expect(step(saw([0, A], [6, B], [12, C], [18, A], [24, B]), 28)).toEqual({ kind: 'choose', among: [A, C, B] });
  });

  it('counts what stands now for as long as it has stood', () => {
    expect(step(saw([0, A], [5, B], [10, A], [15, B], [19, C], [22, A]), 28)).toEqual({
      kind: 'choose',
      among: [A, B, C],
    });
  });

  it('does not prevent a digest that has settled at that very time', () => {
    expect(step(saw([0, A], [5, B], [11, A], [16, B], [21, C]), 28)).toEqual(take(C));
  });

  it('may be shorter than the window', () => {
    expect(step(saw([0, A]), 1, { windowMs: 7 * DAY, maxWaitMs: DAY })).toEqual({ kind: 'choose', among: [A] });
  });

  it('without a digest that can be fetched starts again and asks for a human', () => {
    const state = exhausted(restless, 28 * DAY);
    expect(state.needsHuman).toBe(true);
    expect(observed(state, A, 29 * DAY).needsHuman).toBe(false);
    expect(observed(state, B, 29 * DAY).needsHuman).toBe(false);
    expect(step(state, 28)).toEqual({ kind: 'wait', untilMs: 34 * DAY });
    expect(step(observed(state, A, 33 * DAY), 40)).toEqual(take(A));
    expect(step(observed(observed(state, A, 34 * DAY - 1), B, 40 * DAY), 56)).toEqual(take(B));
  });

  it('chooses from what is left when upstream never stands still', () => {
    let state = beginWait(digest(1000), 0, PLACED);
    for (let hour = 1; hour <= 600; hour++) state = observed(state, digest(1000 + hour), hour * 3_600_000);
    expect(state.earlier.length).toBeLessThanOrEqual(100);
    expect(JSON.stringify(state).length).toBeLessThan(32 * 1024);
    expect(step(state, 28)).toMatchObject({ kind: 'choose' });
  });
});

describe('a human', () => {
  it('promotes: exactly the digest that was looked at is taken at once, also when upstream has moved on, or while held', () => {
    const state = observed(promoted(held(saw([0, A]), BOB), A, BOB), B, 2 * DAY);
    expect(step(state, 2)).toEqual({ kind: 'take', digest: A, promoted: BOB });
  });

  it('holds: nothing happens until the release, and a digest that has settled meanwhile is taken then', () => {
    const state = held(saw([0, A]), BOB);
    expect(readyAtMs(state, SETTINGS)).toBeNull();
    expect(step(state, 90)).toEqual({ kind: 'wait', untilMs: null });
    expect(step(released(state), 90)).toEqual(take(A));
    expect(step(released(state), 3)).toEqual({ kind: 'wait', untilMs: 7 * DAY });
  });

  it('holds the tag, not the digest', () => {
    const moved = observed(held(saw([0, A]), BOB), B, DAY);
    expect(step(moved, 90)).toEqual({ kind: 'wait', untilMs: null });
    const backAndAway = observed(observed(moved, PLACED, 2 * DAY), A, 3 * DAY);
    expect(step(backAndAway, 90)).toEqual({ kind: 'wait', untilMs: null });
  });
});

describe('a tag', () => {
  it('that leaves the selection ends its wait, and goes on when it is seen again before that', () => {
    const state = withdrawn(saw([0, A]));
    expect(step(state, 8)).toEqual({ kind: 'end', because: 'withdrawn' });
    expect(step(observed(state, A, 8 * DAY), 8)).toEqual(take(A));
    expect(step(observed(state, B, 8 * DAY), 8)).toMatchObject({ kind: 'wait' });
  });

  it('that is new waits like any other', () => {
    expect(step(beginWait(A, 0, null), 6)).toEqual({ kind: 'wait', untilMs: 7 * DAY });
  });

  it('goes on waiting for what upstream shows by now, since it was first seen', () => {
    const state = saw([0, A], [20, B], [26, C]);
    expect(afterTaking(state, C)).toBeNull();
    const next = afterTaking(state, A) as WaitState;
    expect(next).toMatchObject({ placed: A, digest: C, sinceMs: 26 * DAY, startedMs: 26 * DAY, earlier: [] });
    expect(step(next, 28)).toEqual({ kind: 'wait', untilMs: 33 * DAY });
  });
});

interface Takeover {
  readonly at: number;
  readonly digest: Digest;
}

type Move = readonly [at: number, shown: Digest];

/** Drives the state as a workflow does: by messages, and by a timer after which upstream is asked again. */
function drive(moves: readonly Move[], settings: WaitSettings, end: number): Takeover[] {
  const takeovers: Takeover[] = [];
  let placed = PLACED;
  let state: WaitState | null = null;
  let now = 0;
  let next = 0;
  while (now <= end) {
    for (; next < moves.length && (moves[next] as Move)[0] <= now; next++) {
      const [at, shown] = moves[next] as Move;
      if (state !== null) state = observed(state, shown, at);
      else if (shown !== placed) state = beginWait(shown, at, placed);
    }
    const todo = state === null ? null : nextStep(state, settings, now);
    if (state !== null && (todo?.kind === 'take' || todo?.kind === 'choose')) {
      placed = todo.kind === 'take' ? todo.digest : (todo.among[0] as Digest);
      takeovers.push({ at: now, digest: placed });
      state = afterTaking(state, placed);
      continue;
    }
    if (todo?.kind === 'end') {
      state = null;
      continue;
    }
    const timer = todo?.kind === 'wait' ? (todo.untilMs ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY;
    now = Math.min(timer, moves[next]?.[0] ?? Number.POSITIVE_INFINITY);
  }
  return takeovers;
}

/** The same by definition: at every tick, look at everything upstream ever showed. */
function byDefinition(moves: readonly Move[], { windowMs, maxWaitMs }: WaitSettings, end: number): Takeover[] {
  const shownAt = (tick: number): Digest => moves.findLast(([at]) => at <= tick)?.[1] ?? PLACED;
  const takeovers: Takeover[] = [];
  let placed = PLACED;
  let began: number | null = null;
  for (let tick = 0; tick <= end; tick++) {
    const shown = shownAt(tick);
    if (shown === placed) {
      began = null;
      continue;
    }
    began ??= tick;
    const stretches = new Map<Digest, { long: number; until: number }>();
    let since: number = began;
    for (let at = began; at <= tick; at++) {
      if (at > began && shownAt(at) !== shownAt(at - 1)) since = at;
      const nextDiffers = at === tick || shownAt(at + 1) !== shownAt(at);
      if (!nextDiffers) continue;
      const until = at === tick ? tick : at + 1;
      const best = stretches.get(shownAt(at));
      if (best === undefined || until - since >= best.long) stretches.set(shownAt(at), { long: until - since, until });
    }
    let taken: Digest | null = null;
    if (tick - since >= windowMs) taken = shown;
    else if (tick - began >= maxWaitMs) {
      const [best] = [...stretches].sort(([, a], [, b]) => b.long - a.long || b.until - a.until);
      taken = best?.[0] ?? null;
    }
    if (taken === null) continue;
    takeovers.push({ at: tick, digest: taken });
    placed = taken;
    began = shown === taken ? null : since;
  }
  return takeovers;
}

describe('any history of moves', () => {
  it('leads to the takeovers that the definition gives', () => {
    const move = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.constantFrom(PLACED, A, B, C));
    fc.assert(
      fc.property(
        fc.array(move, { maxLength: 25 }),
        fc.integer({ min: 1, max: 15 }),
        fc.integer({ min: 1, max: 40 }),
        (steps, windowMs, maxWaitMs) => {
          let at = 0;
          const moves = steps.map(([gap, shown]): Move => {
            at += gap;
            return [at, shown];
          });
          const end = at + 100;
          const settings = { windowMs, maxWaitMs };
          expect(drive(moves, settings, end)).toEqual(byDefinition(moves, settings, end));
        },
      ),
      { numRuns: 2_000 },
    );
  });
});
