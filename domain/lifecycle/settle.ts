import type { Digest } from '../digest.js';
import type { HumanWord } from '../human-word.js';
import { compareText } from '../text/compare-text.js';

/** How long a tag must stand still, and the longest that a tag which does not is waited for. Milliseconds. */
export interface WaitSettings {
  readonly windowMs: number;
  readonly maxWaitMs: number;
}

/**
 * One tag that waits for its moved digest to stand still. Plain JSON: it goes from run to run. Times are in ms since
 * 1970.
 */
export interface WaitState {
  /** The digest that was taken over last, which the stamp records; null: the tag is new. */
  readonly placed: Digest | null;
  /** What upstream shows, and since when without a break, as houba saw it. */
  readonly digest: Digest;
  readonly sinceMs: number;
  /** From when the maximum wait counts. */
  readonly startedMs: number;
  readonly observedMs: number;
  /** What upstream showed before, in this wait. */
  readonly earlier: readonly Standing[];
  /** Nothing is taken over until somebody releases the tag. Time goes on. */
  readonly held: HumanWord | null;
  readonly promoted: (HumanWord & { readonly digest: Digest }) | null;
  readonly withdrawn: boolean;
  /** The maximum wait ended without a digest that could be fetched, and upstream has not shown one since. */
  readonly needsHuman: boolean;
}

/** The longest time that a digest stood, and when that ended. */
interface Standing {
  readonly digest: Digest;
  readonly stoodMs: number;
  readonly endedMs: number;
}

/**
 * What is to be done now. `wait`: nothing, before the time or a message (`untilMs` null: a message only). `take`: place
 * this digest. `choose`: the maximum wait is over, place the first of these that can still be fetched. `end`: nothing
 * is waited for.
 */
export type WaitStep =
  | { readonly kind: 'wait'; readonly untilMs: number | null }
  | { readonly kind: 'take'; readonly digest: Digest; readonly promoted: HumanWord | null }
  | { readonly kind: 'choose'; readonly among: readonly Digest[] }
  | { readonly kind: 'end'; readonly because: 'withdrawn' | 'returned' };

/** What a tag showed before is remembered to choose from in the end; this many are enough, and fit into a payload. */
const MOST_REMEMBERED = 100;

/** Each setting by itself: the import's, else the fleet's. */
export function waitSettings(
  ofImport: { readonly windowMs: number | null; readonly maxWaitMs: number | null } | null,
  ofFleet: WaitSettings,
): WaitSettings {
  return {
    windowMs: ofImport?.windowMs ?? ofFleet.windowMs,
    maxWaitMs: ofImport?.maxWaitMs ?? ofFleet.maxWaitMs,
  };
}

/**
 * @param firstSeenMs when houba first saw the tag at this digest; never a date of the publisher's
 * (docs/rules/stability.md#age-counts-from-first-seen)
 */
export function beginWait(digest: Digest, firstSeenMs: number, placed: Digest | null): WaitState {
  return {
    placed,
    digest,
    sinceMs: firstSeenMs,
    startedMs: firstSeenMs,
    observedMs: firstSeenMs,
    earlier: [],
    held: null,
    promoted: null,
    withdrawn: false,
    needsHuman: false,
  };
}

/**
 * What upstream showed at a time. Another digest starts the window over; the same one changes nothing, however often it
 * is seen; a message older than what is known is late and ignored. A tag that is seen is wanted (again), and can be
 * fetched.
 */
export function observed(state: WaitState, digest: Digest, atMs: number): WaitState {
  if (atMs < state.observedMs) return state;
  if (digest === state.digest) return { ...state, withdrawn: false, needsHuman: false, observedMs: atMs };
  // Back at what is placed, the wait was over: this is a new one.
  if (state.digest === state.placed) return { ...beginWait(digest, atMs, state.placed), held: state.held };
  const stood = { digest: state.digest, stoodMs: atMs - state.sinceMs, endedMs: atMs };
  return {
    ...state,
    withdrawn: false,
    needsHuman: false,
    digest,
    sinceMs: atMs,
    observedMs: atMs,
    earlier: longestFirst([...state.earlier, stood]).slice(0, MOST_REMEMBERED),
  };
}

/** The tag has left the selection. */
export function withdrawn(state: WaitState): WaitState {
  return { ...state, withdrawn: true };
}

/** The last word counts: a promotion that has not been carried out yet is off. */
export function held(state: WaitState, word: HumanWord): WaitState {
  return { ...state, held: word, promoted: null };
}

export function released(state: WaitState): WaitState {
  return { ...state, held: null };
}

/** Ends the wait with exactly the digest that somebody looked at, also when upstream has moved on since. */
export function promoted(state: WaitState, digest: Digest, word: HumanWord): WaitState {
  return { ...state, promoted: { ...word, digest } };
}

/**
 * None of the digests to choose from can be fetched any more: the wait goes on, a second time, and asks for a human.
 */
export function exhausted(state: WaitState, nowMs: number): WaitState {
  return { ...state, startedMs: nowMs, earlier: [], needsHuman: true };
}

/** The wait that remains once a digest has been placed: upstream may show another one, seen since. null: none. */
export function afterTaking(state: WaitState, taken: Digest): WaitState | null {
  if (state.digest === taken) return null;
  const { sinceMs, observedMs, withdrawn } = state;
  return { ...beginWait(state.digest, sinceMs, taken), observedMs, withdrawn };
}

/**
 * What to do at a time. Before `take` is carried out without a promotion, the tag is to be resolved once more and the
 * answer to go through `observed`: a timer is a hint (docs/rules/stability.md#a-timer-is-a-hint).
 *
 * @param settings those of the latest observation: a wait never acts on last week's policy
 */
export function nextStep(state: WaitState, settings: WaitSettings, nowMs: number): WaitStep {
  if (state.withdrawn) return { kind: 'end', because: 'withdrawn' };
  if (state.promoted !== null) {
    const { digest, by, reason } = state.promoted;
    return { kind: 'take', digest, promoted: { by, reason } };
  }
  if (state.digest === state.placed) return { kind: 'end', because: 'returned' };
  if (state.held !== null) return { kind: 'wait', untilMs: null };
  // Exactly the window is enough.
  if (nowMs - state.sinceMs >= settings.windowMs) return { kind: 'take', digest: state.digest, promoted: null };
  if (nowMs - state.startedMs >= settings.maxWaitMs) return { kind: 'choose', among: candidates(state, nowMs) };
  return { kind: 'wait', untilMs: readyAtMs(state, settings) };
}

/** When the tag will be taken over if nothing happens; null: when somebody releases it. */
export function readyAtMs(state: WaitState, settings: WaitSettings): number | null {
  if (state.held !== null) return null;
  return Math.min(state.sinceMs + settings.windowMs, state.startedMs + settings.maxWaitMs);
}

/** Every digest seen, the one that stood longest first; of equal ones, the newest. */
function candidates(state: WaitState, nowMs: number): Digest[] {
  const standing = { digest: state.digest, stoodMs: nowMs - state.sinceMs, endedMs: nowMs };
  return longestFirst([...state.earlier, standing]).map(({ digest }) => digest);
}

/** One entry a digest: its longest standing. */
function longestFirst(standings: readonly Standing[]): Standing[] {
  const sorted = standings.toSorted(
    (a, b) => b.stoodMs - a.stoodMs || b.endedMs - a.endedMs || compareText(a.digest, b.digest),
  );
  const seen = new Set<Digest>();
  return sorted.filter(({ digest }) => !seen.has(digest) && seen.add(digest));
}
