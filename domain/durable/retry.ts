import type { ErrorCode } from '../errors.js';

/** Timeouts and waits of a kind of step, in milliseconds (docs/rules/durability.md#options-stand-in-one-place). */
export interface StepTimes {
  readonly attemptMs: number;
  /** Limit for all attempts, with the waits between them. */
  readonly wholeMs: number;
  /** Doubles with each further attempt. */
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
  /** Five attempts only: where the builder is missing, the hourly run tries again. */
  build: {
    ...{ attemptMs: 2 * HOUR, wholeMs: 8 * HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: 10 * MINUTE },
    attempts: 5,
  },
  verify: { attemptMs: 5 * MINUTE, wholeMs: HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: MINUTE },
  sign: { attemptMs: 5 * MINUTE, wholeMs: HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: MINUTE },
  control: { attemptMs: MINUTE, wholeMs: 15 * MINUTE, firstWaitMs: SECOND, longestWaitMs: 30 * SECOND },
  removal: { attemptMs: 15 * MINUTE, wholeMs: 2 * HOUR, firstWaitMs: 2 * SECOND, longestWaitMs: 5 * MINUTE },
  /** Long, because it waits for a retirement that may be busy with its own bounded steps. */
  starting: { attemptMs: 4 * HOUR, wholeMs: 12 * HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: 5 * MINUTE },
  asking: { attemptMs: 30 * MINUTE, wholeMs: 2 * HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: 5 * MINUTE },
  /** A day of retries: what a compensation cannot undo needs a person. */
  compensation: { attemptMs: 2 * MINUTE, wholeMs: 24 * HOUR, firstWaitMs: 5 * SECOND, longestWaitMs: 10 * MINUTE },
} as const satisfies Record<string, StepTimes>;

/** Attempts by the code of the error (docs/rules/errors.md#the-code-decides-whether-to-try-again). */
export const ATTEMPTS: Readonly<Record<ErrorCode, number>> = {
  PolicyInvalid: 1,
  ReferenceInvalid: 1,
  ReportInvalid: 1,
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
  MachineFailed: 4,
  Internal: 4,
  RateLimited: Number.POSITIVE_INFINITY,
  BuilderUnavailable: Number.POSITIVE_INFINITY,
  Interrupted: Number.POSITIVE_INFINITY,
};

export function isRetried(code: ErrorCode): boolean {
  return ATTEMPTS[code] > 1;
}

/** Heartbeats and their timeouts, in milliseconds. */
export const LIFE_SIGNS = {
  /** Longest time between heartbeats of a step; a cancellation arrives with their answer. */
  beatMs: 3 * SECOND,
  /** Heartbeat timeout, more than three beats. A stalled worker runs on: a step may run twice. */
  silenceMs: 10 * SECOND,
  /** Lease of an announced deletion: without news for so long it counts as given up. */
  deletionLeaseMs: 15 * MINUTE,
} as const;

/** Repeats of a read that contradicts a write (docs/rules/registry-access.md#a-write-is-read-back), in ms. */
export const READ_BACK = {
  /** Fits into an attempt of `move` together with its write. */
  patienceMs: MINUTE,
  firstPauseMs: 100,
  longestPauseMs: 10 * SECOND,
} as const;

/** Waits that a registry asks for (docs/rules/registry-access.md#limits-slow-work), in milliseconds. */
export const RATE_LIMITS = {
  /** A longer wait is left to Temporal, which holds no slot of a worker for it. */
  heldMs: 30 * SECOND,
  /** A server may ask for longer: it is asked again after this. */
  longestMs: HOUR,
} as const;

/** Waits of workflows before they try again, unless woken, in milliseconds. */
export const TRY_AGAIN = {
  placementMs: HOUR,
  retirementMs: HOUR,
  /** For a deletion, where a run is busy in the repository. */
  busyMs: 20 * SECOND,
  /** After an oracle without an answer; a shorter idle window counts instead. */
  unknownMs: 24 * HOUR,
} as const;
