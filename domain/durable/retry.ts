import type { ErrorCode } from '../errors.js';

/** Times of a kind of step, in milliseconds (docs/rules/durability.md#options-stand-in-one-place). */
export interface StepTimes {
  readonly attemptMs: number;
  /** All attempts, with the waits between them. */
  readonly wholeMs: number;
  /** The wait after the first failed attempt; each further one is twice as long. */
  readonly firstWaitMs: number;
  readonly longestWaitMs: number;
  /** Left out: as many attempts as `wholeMs` allows. */
  readonly attempts?: number;
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

export const STEP_TIMES = {
  plan: { attemptMs: 2 * HOUR, wholeMs: 12 * HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: 5 * MINUTE },
  read: { attemptMs: 2 * MINUTE, wholeMs: 30 * MINUTE, firstWaitMs: 2 * SECOND, longestWaitMs: MINUTE },
  copy: { attemptMs: 30 * MINUTE, wholeMs: 6 * HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: 5 * MINUTE },
  move: { attemptMs: 2 * MINUTE, wholeMs: HOUR, firstWaitMs: 2 * SECOND, longestWaitMs: MINUTE },
  inventory: {
    ...{ attemptMs: 30 * MINUTE, wholeMs: 2 * HOUR, firstWaitMs: 10 * SECOND, longestWaitMs: 5 * MINUTE },
    attempts: 5,
  },
  /** A person may wait for it, and the hourly run comes back where there is no builder. */
  build: {
    ...{ attemptMs: 2 * HOUR, wholeMs: 8 * HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: 10 * MINUTE },
    attempts: 5,
  },
  verify: { attemptMs: 5 * MINUTE, wholeMs: HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: MINUTE },
  sign: { attemptMs: 5 * MINUTE, wholeMs: HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: MINUTE },
  control: { attemptMs: MINUTE, wholeMs: 15 * MINUTE, firstWaitMs: SECOND, longestWaitMs: 30 * SECOND },
  removal: { attemptMs: 15 * MINUTE, wholeMs: 2 * HOUR, firstWaitMs: 2 * SECOND, longestWaitMs: 5 * MINUTE },
  /** Waits for a retirement that may be busy: its own steps are bounded. */
  starting: { attemptMs: 4 * HOUR, wholeMs: 12 * HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: 5 * MINUTE },
  /** Each answer of the oracle has a timeout of its own. */
  asking: { attemptMs: 30 * MINUTE, wholeMs: 2 * HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: 5 * MINUTE },
  /** For a day: what is left behind needs a person. */
  compensation: { attemptMs: 2 * MINUTE, wholeMs: 24 * HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: 10 * MINUTE },
} as const satisfies Record<string, StepTimes>;

/** Attempts by the code of the error (docs/rules/errors.md#the-code-decides-whether-to-try-again). */
export const ATTEMPTS: Readonly<Record<ErrorCode, number>> = {
  PolicyInvalid: 1,
  ReferenceInvalid: 1,
  SignatureInvalid: 1,
  PreconditionFailed: 1,
  GateBreached: 1,
  Unsupported: 1,
  NotFound: 1,
  Unauthorized: 1,
  Denied: 1,
  DigestMismatch: 1,
  BuildFailed: 1,
  ToolMissing: 1,
  CompensationFailed: 1,
  ConfigInvalid: 1,
  // A server or a tool that stays away is reported: the run is hourly and comes back.
  RegistryUnavailable: 4,
  ToolFailed: 4,
  Internal: 4,
  RateLimited: Number.POSITIVE_INFINITY,
  BuilderUnavailable: Number.POSITIVE_INFINITY,
  Interrupted: Number.POSITIVE_INFINITY,
};

export function isRetried(code: ErrorCode): boolean {
  return ATTEMPTS[code] > 1;
}

/** Signs of life, and how long silence is borne; in milliseconds. */
export const LIFE_SIGNS = {
  /** A step heartbeats this often at least; a cancellation travels back on the answer. */
  beatMs: 3 * SECOND,
  /** Of more than three beats. A worker that only stalled runs on: a step bears being run twice. */
  silenceMs: 10 * SECOND,
  /** A deletion that is not heard of for so long has been given up. */
  deletionLeaseMs: 15 * MINUTE,
} as const;

/** How a read that contradicts a write is asked again (docs/rules/registry-access.md#a-write-is-read-back); in milliseconds. */
export const READ_BACK = {
  /** A step of kind `move` has time for it, and for its write. */
  patienceMs: MINUTE,
  firstPauseMs: 100,
  longestPauseMs: 10 * SECOND,
} as const;

/** When a waiting workflow tries again what failed, unless somebody wakes it; in milliseconds. */
export const TRY_AGAIN = {
  placementMs: HOUR,
  retirementMs: HOUR,
  /** A deletion in a repository where a run is busy. */
  busyMs: 20 * SECOND,
  /** A question that nobody could answer, where the idle window is not shorter. */
  unknownMs: 24 * HOUR,
} as const;
