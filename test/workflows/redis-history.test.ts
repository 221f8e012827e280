import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { packageRoot } from '../../config/programs.js';
import type { Digest } from '../../domain/digest.js';
import { settleId } from '../../domain/durable/ids.js';
import type { WaitStatus, Withdrawal } from '../../domain/durable/settle.js';
import { DESTINATION, digestFor } from '../support/durable-samples.js';
import { until } from '../support/stack.js';
import { DAY, observationOf, observe } from '../support/wait-samples.js';
import { openStage, type Stage } from '../support/workflow-env.js';

/** What a tag showed in the evening of a day, counted from the first of the history; null: it was dropped. */
interface Move {
  readonly day: number;
  readonly id: string | null;
}

type History = ReadonlyMap<string, readonly Move[]>;

interface Takeover {
  readonly tag: string;
  readonly id: string;
  readonly day: number;
}

const MINUTE = 60_000;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage(inject('workflowBundle'));
});
afterAll(() => stage.close());

/**
 * When each digest has to be taken over, told from the whole history at once: no state, no timers. What a tag shows
 * first is imported at once and is no takeover.
 */
function expectedTakeovers(tag: string, moves: readonly Move[], windowDays: number, maxWaitDays: number): Takeover[] {
  const taken: Takeover[] = [];
  let placed = moves[0]?.id ?? null;
  let waitFrom: number | null = null;
  let stood: { id: string; days: number; until: number }[] = [];
  moves.slice(1).forEach(({ day, id }, index) => {
    const next = moves[index + 2]?.day ?? Number.POSITIVE_INFINITY;
    if (id === null || id === placed) {
      waitFrom = null;
      stood = [];
      return;
    }
    waitFrom ??= day;
    let from = day;
    for (;;) {
      const settled = from + windowDays;
      const atMost: number = waitFrom + maxWaitDays;
      if (settled <= next && settled <= atMost) {
        taken.push({ tag, id, day: settled });
        placed = id;
        waitFrom = null;
        stood = [];
        return;
      }
      if (atMost > next) {
        stood.push({ id, days: next - from, until: next });
        return;
      }
      const best = [...stood, { id, days: atMost - from, until: atMost }].sort(
        (a, b) => b.days - a.days || b.until - a.until,
      )[0] as { id: string };
      taken.push({ tag, id: best.id, day: atMost });
      placed = best.id;
      stood = [];
      if (best.id === id) {
        waitFrom = null;
        return;
      }
      // What upstream shows now is waited for since it has shown it.
      waitFrom = day;
      from = day;
    }
  });
  return taken;
}

/** Lets the history pass day by day, as runs would see it. @returns what was taken over */
async function replay(history: History, path: string, windowDays: number, maxWaitDays: number): Promise<Takeover[]> {
  const shown = new Map<string, Digest | null>();
  const placed = new Map<string, Digest>();
  const ids = new Map<Digest, string>();
  const taken: Takeover[] = [];
  const start = await stage.now();
  const lookedAt = new Map<string, number>();
  stage.play({
    lookAgain: async ({ tag, candidates }) => {
      // A moment later, when the wait reads the answer.
      lookedAt.set(tag, (await stage.now()) + 5_000);
      const world = { upstream: shown.get(tag) ?? null, current: digestFor('shown'), placed: placed.get(tag) ?? null };
      return { ...world, aliases: [], fetchable: candidates };
    },
    publishTag: async ({ tag, journal }) => {
      placed.set(tag, journal.digest as Digest);
      return true;
    },
  });
  const settings = { windowMs: windowDays * DAY, maxWaitMs: maxWaitDays * DAY };
  const handleOf = (tag: string) => stage.client.workflow.getHandle(settleId({ ...DESTINATION, path }, tag));
  /** The tags that wait, and when each is due; 0: it has not been asked since it was told of a move. */
  const waiting = new Map<string, number>();

  /** Waits until a wait has done all that was due by now, and notes when it is due next. */
  async function catchUp(tag: string): Promise<void> {
    const now = await stage.now();
    await until(async () => {
      const { phase, dueAt } = await handleOf(tag).query<WaitStatus>('status');
      const due = Date.parse(dueAt ?? '');
      waiting.set(tag, due);
      if (phase === 'waiting' && due > now) return true;
      return (await handleOf(tag).describe()).status.name !== 'RUNNING' && waiting.delete(tag);
    }, `the wait of ${tag}`);
  }

  /** Lets time pass until everything that is due by then has been done. */
  async function passUntil(then: number): Promise<void> {
    for (;;) {
      const now = await stage.now();
      await Promise.all([...waiting].filter(([, due]) => due <= now).map(([tag]) => catchUp(tag)));
      const next = Math.min(then, ...waiting.values());
      await stage.pass(Math.max(1, next - (await stage.now())));
      if (next === then) return;
    }
  }

  const days = [...new Set([...history.values()].flat().map(({ day }) => day))].sort((a, b) => a - b);
  for (const day of [...days, (days.at(-1) ?? 0) + maxWaitDays + windowDays + 1]) {
    await passUntil(start + day * DAY + 30 * MINUTE);
    for (const [tag, moves] of history) {
      const move = moves.find((one) => one.day === day);
      if (move === undefined) continue;
      const digest = move.id === null ? null : digestFor(`${tag} ${move.id}`);
      shown.set(tag, digest);
      if (digest !== null) ids.set(digest, move.id as string);
      // A run that saw a tag before its wait looked at it would come late.
      const at = Math.max(lookedAt.get(tag) ?? 0, start + day * DAY);
      if (digest === null || digest === placed.get(tag)) {
        // A run waits for such a tag no more.
        if (waiting.has(tag)) {
          await handleOf(tag).signal<[Withdrawal]>('withdrawn', { at: new Date(at + 1).toISOString() });
          await until(async () => (await handleOf(tag).describe()).status.name !== 'RUNNING');
          waiting.delete(tag);
        }
      } else if (!placed.has(tag)) {
        placed.set(tag, digest);
      } else {
        await observe(stage, observationOf(path, tag, digest, at, { ...settings, placed: placed.get(tag) ?? null }));
        waiting.set(tag, 0);
      }
    }
  }
  for (const { tag, baseDigest, label } of stage.inputs('inspectPlacement')) {
    const day = Math.round((Date.parse(label.created) - start) / DAY);
    taken.push({ tag, id: ids.get(baseDigest) ?? baseDigest, day });
    // A takeover is never early, and late only by what messages take.
    const late = Date.parse(label.created) - (start + day * DAY);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(5 * MINUTE);
  }
  return taken;
}

const inOrder = (taken: readonly Takeover[]) =>
  taken.map(({ tag, id, day }) => `${String(day).padStart(4, '0')} ${tag} ${id}`).sort();

function daysSince(first: string, date: string): number {
  return (Date.parse(date) - Date.parse(first)) / DAY;
}

/** Moves of a few tags as nobody planned them: often and seldom, back to what was, dropped and there again. */
function madeUpHistory(): History {
  let state = 20_200_102;
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const history = new Map<string, readonly Move[]>();
  for (const [tag, longest] of Object.entries({ latest: 12, stable: 25, nightly: 4, '7': 40, '7.2': 60 })) {
    const moves: Move[] = [];
    for (let day = random(5); day < 400; day += 1 + random(longest)) {
      const back = moves.length > 2 && random(10) === 0 ? (moves[moves.length - 2]?.id ?? null) : `${tag}-${day}`;
      const id = moves.length > 0 && random(30) === 0 ? null : back;
      if (moves.at(-1)?.id !== id) moves.push({ day, id });
    }
    history.set(tag, moves);
  }
  return history;
}

interface Change {
  readonly date: string;
  readonly set: Readonly<Record<string, readonly string[]>>;
  readonly dropped: readonly string[];
}

/** The whole history, from beside the project, as far as tags of it move often. */
function wholeHistory(file: string, leastMoves: number): History {
  const changes = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Change);
  const first = changes[0]?.date ?? '';
  const moves = new Map<string, Move[]>();
  const add = (tag: string, move: Move) => {
    const before = (moves.get(tag) ?? []).filter(({ day }) => day < move.day);
    moves.set(tag, before.at(-1)?.id === move.id ? before : [...before, move]);
  };
  for (const { date, set, dropped } of changes) {
    const day = daysSince(first, date);
    for (const [id, tags] of Object.entries(set)) for (const tag of tags) add(tag, { day, id });
    for (const tag of dropped) add(tag, { day, id: null });
  }
  return new Map([...moves].filter(([, list]) => list.length >= leastMoves));
}

/** As `tools/test.mjs --fast` says. */
const isFast = process.env.TEST_FAST !== undefined;
const BESIDE = join(packageRoot(), '..', 'shared', 'cases', 'timeline-redis.jsonl');

async function expectSame(history: History, path: string, window: number, most: number): Promise<void> {
  const expected = [...history].flatMap(([tag, moves]) => expectedTakeovers(tag, moves, window, most));
  const taken = await replay(history, path, window, most);
  expect(inOrder(taken)).toEqual(inOrder(expected));
  expect(taken.length).toBeGreaterThan(40);
}

describe('moves are taken over when a simple computation says so', () => {
  it.each([
    [7, 28],
    [21, 42],
  ])('a made-up year, %d days, at most %d', async (window, most) => {
    await expectSame(madeUpHistory(), `lib/made-up-${window}`, window, most);
  });

  it.skipIf(!existsSync(BESIDE) || isFast)(
    'six years of the busiest redis tags (needs minutes, and the recorded moves, which are not in the repository)',
    async () => {
      await expectSame(wholeHistory(BESIDE, 40), 'lib/redis', 7, 28);
    },
  );
});

describe('the simple computation itself', () => {
  const at = (moves: readonly [number, string | null][]) =>
    inOrder(
      expectedTakeovers(
        't',
        moves.map(([day, id]) => ({ day, id })),
        7,
        28,
      ),
    );

  it.each<[string, [number, string | null][], string[]]>([
    [
      'takes at the end of the window',
      [
        [0, 'a'],
        [3, 'b'],
      ],
      ['0010 t b'],
    ],
    [
      'starts over on a move',
      [
        [0, 'a'],
        [3, 'b'],
        [9, 'c'],
      ],
      ['0016 t c'],
    ],
    [
      'ends with a return',
      [
        [0, 'a'],
        [3, 'b'],
        [9, 'a'],
      ],
      [],
    ],
    [
      'knows the maximum',
      [
        [0, 'a'],
        [1, 'b'],
        [6, 'c'],
        [12, 'd'],
        [17, 'e'],
        [22, 'f'],
        [27, 'g'],
      ],
      ['0029 t c', '0034 t g'],
    ],
    [
      'drops what is dropped',
      [
        [0, 'a'],
        [3, 'b'],
        [4, null],
        [8, 'c'],
      ],
      ['0015 t c'],
    ],
  ])('%s', (_, moves, takeovers) => {
    expect(at(moves)).toEqual(takeovers);
  });
});
