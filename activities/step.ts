import { ApplicationFailure, Context } from '@temporalio/activity';
import { ERROR_TABLE, type ErrorCode, HoubaError } from '../domain/errors.js';

export interface StepContext {
  /** Aborts when the activity is cancelled or its worker shuts down; tools are killed by it. */
  readonly signal: AbortSignal;
  /** What the next heartbeat says. */
  progress(details: unknown): void;
  /** 1 for the first execution. What an earlier one has done nobody may know. */
  readonly attempt: number;
}

/**
 * A server or a tool that stays away this often is reported instead of waited for: the run is hourly and comes back. Rate limits
 * are waited for as long as the server asks.
 */
const MOST_ATTEMPTS: Partial<Record<ErrorCode, number>> = {
  RegistryUnavailable: 4,
  ToolFailed: 4,
  Internal: 4,
};

/** How often a step tells that it lives, at most; a cancellation travels back on the answer. Milliseconds. */
export const HEARTBEAT_MS = 3_000;

/**
 * Makes an activity of a function: it heartbeats at once and then at least every third of its heartbeat timeout, hands on the
 * cancellation, and turns every error into a failure whose type is the error's code (docs/rules/errors.md#an-error-has-one-class).
 */
export function step<Input, Output>(
  run: (input: Input, context: StepContext) => Promise<Output>,
): (input: Input) => Promise<Output> {
  return async (input) => {
    const context = Context.current();
    let details: unknown;
    const beat = () => context.heartbeat(details);
    beat();
    const timer = setInterval(
      beat,
      Math.min(HEARTBEAT_MS, (context.info.heartbeatTimeoutMs ?? Number.POSITIVE_INFINITY) / 3),
    );
    const progress = (next: unknown) => {
      details = next;
    };
    try {
      return await run(input, { signal: context.cancellationSignal, progress, attempt: context.info.attempt });
    } catch (error) {
      if (context.cancellationSignal.aborted) throw context.cancellationSignal.reason;
      throw asFailure(error, context.info.attempt);
    } finally {
      clearInterval(timer);
    }
  };
}

function asFailure(error: unknown, attempt: number): ApplicationFailure {
  if (error instanceof ApplicationFailure) return error;
  const known =
    error instanceof HoubaError
      ? error
      : new HoubaError('Internal', error instanceof Error ? error.message : String(error), { cause: error });
  const most = MOST_ATTEMPTS[known.code] ?? Number.POSITIVE_INFINITY;
  return ApplicationFailure.create({
    type: known.code,
    message: known.hint === undefined ? known.message : `${known.message} (${known.hint})`,
    nonRetryable: !ERROR_TABLE[known.code].retryable || attempt >= most,
    details: [known.facts],
    ...(known.retryAfterMs === undefined ? {} : { nextRetryDelay: known.retryAfterMs }),
  });
}
