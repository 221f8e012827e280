import type { Digest } from '../digest.js';
import type { HumanWord } from '../human-word.js';
import { compareText } from '../text/compare-text.js';

/** Window and maximum wait, in milliseconds (docs/rules/stability.md#the-window-starts-over-with-each-digest). */
export interface WaitSettings {
  readonly windowMs: number;
  readonly maxWaitMs: number;
}

/** The wait of one tag, as plain JSON. Times in ms since 1970. */
export interface WaitState {
  /** From the stamp; null: the tag is new. */
  readonly placed: Digest | null;
  /** What upstream shows, and since when houba has seen it without a break. */
  readonly digest: Digest;
  readonly sinceMs: number;
  /** From when the maximum wait counts. */
  readonly startedMs: number;
  readonly observedMs: number;
  /** What upstream showed before, in this wait. */
  readonly earlier: readonly Standing[];
  /** Nothing is placed until somebody releases the tag. */
  readonly held: HumanWord | null;
  readonly promoted: (HumanWord & { readonly digest: Digest }) | null;
  readonly withdrawn: boolean;
  /** The maximum wait ended without a digest that could be fetched, and upstream has not shown one since. */
  readonly needsHuman: boolean;
}

/** How long a digest stood, and when that ended. */
interface Standing {
  readonly digest: Digest;
  readonly stoodMs: number;
  readonly endedMs: number;
}

/**
 * `wait`: for the time or a message (null: a message). `take`: place this digest. `choose`: place the first that can be
 * fetched.
 */
export type WaitStep =
  | { readonly kind: 'wait'; readonly untilMs: number | null }
  | { readonly kind: 'take'; readonly digest: Digest; readonly promoted: HumanWord | null }
  | { readonly kind: 'choose'; readonly among: readonly Digest[] }
  | { readonly kind: 'end'; readonly because: 'withdrawn' | 'returned' };

/** Entries of `earlier`: they fit into a payload. */
const MOST_REMEMBERED = 100;

/** What an import sets of its own; null: as the fleet. */
interface ImportWait {
  readonly windowMs: number | null;
  readonly maxWaitMs: number | null;
  readonly newTags: boolean | null;
}

/** Takes each setting of the import, else of the fleet. */
export function waitSettings(ofImport: Omit<ImportWait, 'newTags'> | null, ofFleet: WaitSettings): WaitSettings {
  return {
    windowMs: ofImport?.windowMs ?? ofFleet.windowMs,
    maxWaitMs: ofImport?.maxWaitMs ?? ofFleet.maxWaitMs,
  };
}

/**
 * Decides whether a tag waits before its source digest is placed, and by which settings. A moved digest always waits, a new tag
 * only when asked for, and nothing without a window. A restamp does not end a wait.
 * @param recorded what the stamp of the tag says; null: it is not placed yet
 */
export function waitFor(
  recorded: { readonly baseDigest: Digest | null } | null,
  sourceDigest: Digest | null,
  ofImport: ImportWait | null,
  ofFleet: WaitSettings & { readonly newTags: boolean },
): WaitSettings | null {
  const settings = waitSettings(ofImport, ofFleet);
  if (sourceDigest === null || settings.windowMs === 0) return null;
  const waits = recorded === null ? (ofImport?.newTags ?? ofFleet.newTags) : recorded.baseDigest !== sourceDigest;
  return waits ? settings : null;
}

/** @param firstSeenMs when houba first saw the digest (docs/rules/stability.md#age-counts-from-first-seen) */
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
 * Takes in what upstream showed at a time. Another digest starts the window over; the same one changes nothing; late news are
 * ignored.
 */
export function observed(state: WaitState, digest: Digest, atMs: number): WaitState {
  if (atMs < state.observedMs) return state;
  if (digest === state.digest) return { ...state, withdrawn: false, needsHuman: false, observedMs: atMs };
  // After a return to what is placed, another digest begins a new wait.
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

export function withdrawn(state: WaitState): WaitState {
  return { ...state, withdrawn: true };
}

/** Holds the tag; a promotion that is not carried out yet is off. */
export function held(state: WaitState, word: HumanWord): WaitState {
  return { ...state, held: word, promoted: null };
}

export function released(state: WaitState): WaitState {
  return { ...state, held: null };
}

/** Ends the wait with the digest that somebody looked at, also when upstream has moved on. */
export function promoted(state: WaitState, digest: Digest, word: HumanWord): WaitState {
  return { ...state, promoted: { ...word, digest } };
}

/** Starts the maximum wait again and asks for a human: nothing that was seen can be fetched. */
export function exhausted(state: WaitState, nowMs: number): WaitState {
  return { ...state, startedMs: nowMs, earlier: [], needsHuman: true };
}

/** The wait for another digest that upstream showed meanwhile; null: there is none. */
export function afterTaking(state: WaitState, taken: Digest): WaitState | null {
  if (state.digest === taken) return null;
  const { sinceMs, observedMs, withdrawn } = state;
  return { ...beginWait(state.digest, sinceMs, taken), observedMs, withdrawn };
}

/**
 * Decides what to do. Before `take`, the tag is to be read again (docs/rules/stability.md#a-timer-is-a-hint).
 * @param settings of the latest observation, not of the policy of last week
 */
export function nextStep(state: WaitState, settings: WaitSettings, nowMs: number): WaitStep {
  if (state.withdrawn) return { kind: 'end', because: 'withdrawn' };
  if (state.promoted !== null) {
    const { digest, by, reason } = state.promoted;
    return { kind: 'take', digest, promoted: { by, reason } };
  }
  if (state.digest === state.placed) return { kind: 'end', because: 'returned' };
  if (state.held !== null) return { kind: 'wait', untilMs: null };
  if (nowMs - state.sinceMs >= settings.windowMs) return { kind: 'take', digest: state.digest, promoted: null };
  if (nowMs - state.startedMs >= settings.maxWaitMs) return { kind: 'choose', among: candidates(state, nowMs) };
  return { kind: 'wait', untilMs: readyAtMs(state, settings) };
}

/** When the tag is placed if nothing happens; null: when somebody releases it. */
export function readyAtMs(state: WaitState, settings: WaitSettings): number | null {
  if (state.held !== null) return null;
  return Math.min(state.sinceMs + settings.windowMs, state.startedMs + settings.maxWaitMs);
}

/** Digests to choose from: the longest standing first, of equal ones the newest. */
function candidates(state: WaitState, nowMs: number): Digest[] {
  const standing = { digest: state.digest, stoodMs: nowMs - state.sinceMs, endedMs: nowMs };
  return longestFirst([...state.earlier, standing]).map(({ digest }) => digest);
}

function longestFirst(standings: readonly Standing[]): Standing[] {
  const sorted = standings.toSorted(
    (a, b) => b.stoodMs - a.stoodMs || b.endedMs - a.endedMs || compareText(a.digest, b.digest),
  );
  const seen = new Set<Digest>();
  return sorted.filter(({ digest }) => !seen.has(digest) && seen.add(digest));
}
