import type { Digest } from '../digest.js';
import type { HumanWord } from '../human-word.js';
import { compareText } from '../text/compare-text.js';

/** Stability window and maximum wait (docs/rules/stability.md#the-window-starts-over-with-each-digest). */
export interface WaitSettings {
  readonly windowMs: number;
  readonly maxWaitMs: number;
}

/** The state of a tag's wait, as plain JSON; times in ms since 1970. */
export interface WaitState {
  /** The source digest in the stamp; null: the tag is new. */
  readonly placed: Digest | null;
  /** The digest that upstream shows, seen since `sinceMs` without a break. */
  readonly digest: Digest;
  readonly sinceMs: number;
  /** Start of the maximum wait. */
  readonly startedMs: number;
  readonly observedMs: number;
  /** Digests that upstream showed before, in this wait. */
  readonly earlier: readonly Standing[];
  readonly held: HumanWord | null;
  readonly promoted: (HumanWord & { readonly digest: Digest }) | null;
  readonly withdrawn: boolean;
  /** Whether the maximum wait ended with nothing to fetch, and upstream has shown nothing since. */
  readonly needsHuman: boolean;
}

interface Standing {
  readonly digest: Digest;
  readonly stoodMs: number;
  readonly endedMs: number;
}

/** `wait` until a time or (null) a message; `take` this digest; `choose` the first that can be fetched. */
export type WaitStep =
  | { readonly kind: 'wait'; readonly untilMs: number | null }
  | { readonly kind: 'take'; readonly digest: Digest; readonly promoted: HumanWord | null }
  | { readonly kind: 'choose'; readonly among: readonly Digest[] }
  | { readonly kind: 'end'; readonly because: 'withdrawn' | 'returned' };

/** Entries of `earlier`, limited by the size of a payload. */
const MOST_REMEMBERED = 100;

/** Settings of the import; null: the fleet's. */
interface ImportWait {
  readonly windowMs: number | null;
  readonly maxWaitMs: number | null;
  readonly newTags: boolean | null;
}

export function waitSettings(ofImport: Omit<ImportWait, 'newTags'> | null, ofFleet: WaitSettings): WaitSettings {
  return {
    windowMs: ofImport?.windowMs ?? ofFleet.windowMs,
    maxWaitMs: ofImport?.maxWaitMs ?? ofFleet.maxWaitMs,
  };
}

/** Decides whether a tag waits, and how long; null: it does not. A tag without a stamp (`recorded` null) is new. */
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

/** Begins a wait at the first sight of a digest (docs/rules/stability.md#age-counts-from-first-seen). */
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

/** Records a sight of upstream: another digest restarts the window, the same one does not; older sights are ignored. */
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

/** Records what upstream shows now: the latest there is, also where the clock was set back since an observation. */
export function readNow(state: WaitState, digest: Digest, nowMs: number): WaitState {
  return observed(state, digest, Math.max(nowMs, state.observedMs));
}

export function withdrawn(state: WaitState): WaitState {
  return { ...state, withdrawn: true };
}

/** Holds the tag, and cancels a promotion that is not carried out yet. */
export function held(state: WaitState, word: HumanWord): WaitState {
  return { ...state, held: word, promoted: null };
}

export function released(state: WaitState): WaitState {
  return { ...state, held: null };
}

/** Promotes a digest, also when upstream has moved on. */
export function promoted(state: WaitState, digest: Digest, word: HumanWord): WaitState {
  return { ...state, promoted: { ...word, digest } };
}

/** Restarts the maximum wait and asks for a human, as nothing seen can be fetched. */
export function exhausted(state: WaitState, nowMs: number): WaitState {
  return { ...state, startedMs: nowMs, earlier: [], needsHuman: true };
}

/** Begins the wait for another digest that upstream showed meanwhile; null: there is none. */
export function afterTaking(state: WaitState, taken: Digest): WaitState | null {
  if (state.digest === taken) return null;
  const { sinceMs, observedMs, withdrawn } = state;
  return { ...beginWait(state.digest, sinceMs, taken), observedMs, withdrawn };
}

/** Decides the next step of a wait, by the latest settings (docs/rules/stability.md#the-last-policy-counts). */
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

/** Dates the placement if nothing happens; null: held until somebody releases it. */
export function readyAtMs(state: WaitState, settings: WaitSettings): number | null {
  if (state.held !== null) return null;
  return Math.min(state.sinceMs + settings.windowMs, state.startedMs + settings.maxWaitMs);
}

/** Lists the digests to choose from (docs/rules/stability.md#the-maximum-wait-ends-it). */
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
