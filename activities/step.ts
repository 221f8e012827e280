import { ApplicationFailure, Context } from '@temporalio/activity';
import { ATTEMPTS, LIFE_SIGNS } from '../domain/durable/retry.js';
import { HoubaError } from '../domain/errors.js';

export interface StepContext {
  /** Aborts when the activity is cancelled or its worker shuts down; tools are killed by it. */
  readonly signal: AbortSignal;
  /** What the next heartbeat says. */
  progress(details: unknown): void;
  /** 1 for the first execution. What an earlier one has done nobody may know. */
  readonly attempt: number;
}

/**
 * Makes an activity of a function. It heartbeats at once and then at least every third of its heartbeat timeout, hands on the
 * cancellation (docs/rules/durability.md#cancelling-waits-for-the-step), and fails with the code of the error as its type.
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
    error instanceof HoubaError
      ? error
      : new HoubaError('Internal', error instanceof Error ? error.message : String(error), { cause: error });
  return ApplicationFailure.create({
    type: known.code,
    message: known.hint === undefined ? known.message : `${known.message} (${known.hint})`,
    nonRetryable: attempt >= ATTEMPTS[known.code],
    details: [known.facts],
    ...(known.retryAfterMs === undefined ? {} : { nextRetryDelay: known.retryAfterMs }),
  });
}
