import { ApplicationFailure, Context } from '@temporalio/activity';
import { ATTEMPTS, LIFE_SIGNS } from '../domain/durable/retry.js';
import { HoubaError, knownError } from '../domain/errors.js';

export interface StepContext {
  /** Aborted when the activity is cancelled or its worker shuts down; tools run with it. */
  readonly signal: AbortSignal;
  /** Sets the details of the next heartbeat. */
  progress(details: unknown): void;
  /** 1 for the first attempt. A later one cannot know what an earlier one has written. */
  readonly attempt: number;
}

/**
 * Wraps a function as an activity, which heartbeats every third of its timeout, hands on cancellation
 * (docs/rules/durability.md#cancelling-waits-for-the-step) and fails with the error's code as the failure's type.
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
      Math.min(LIFE_SIGNS.beatMs, (context.info.heartbeatTimeoutMs ?? Number.POSITIVE_INFINITY) / 3),
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
    knownError(error) ??
    new HoubaError('Internal', error instanceof Error ? error.message : String(error), { cause: error });
  return ApplicationFailure.create({
    type: known.code,
    message: known.hint === undefined ? known.message : `${known.message} (${known.hint})`,
    nonRetryable: attempt >= ATTEMPTS[known.code],
    details: [known.facts],
    ...(known.retryAfterMs === undefined ? {} : { nextRetryDelay: known.retryAfterMs }),
  });
}
