import { ApplicationFailure } from '@temporalio/common';
import type { ActivityInterceptorsFactory } from '@temporalio/worker';
import type { ErrorCode } from '../domain/errors.js';
import type { Logger } from './journal.js';

const RATE_LIMITED: ErrorCode = 'RateLimited';

/** Tells the journal of each step that begins to wait for a limit: which registry, until when, how many wait for it. */
export function tellLimits(log: Logger): ActivityInterceptorsFactory {
  /** The steps that wait, each with its registry and until when. */
  const waiting = new Map<string, { readonly registry: string; readonly untilMs: number }>();
  return ({ info }) => ({
    inbound: {
      execute: async (input, next) => {
        const { workflowId = '', runId = '' } = info.workflowExecution ?? {};
        const step = `${runId}/${info.activityId}`;
        waiting.delete(step);
        try {
          return await next(input);
        } catch (error) {
          if (error instanceof ApplicationFailure && error.type === RATE_LIMITED) {
            const now = Date.now();
            const { registry, waitMs } = limitOf(error);
            for (const [other, { untilMs }] of waiting) if (untilMs < now) waiting.delete(other);
            waiting.set(step, { registry, untilMs: now + (waitMs ?? 0) });
            const steps = [...waiting.values()].filter((one) => one.registry === registry).length;
            const until = waitMs === null ? null : new Date(now + waitMs).toISOString();
            log.warn({ registry, until, steps, workflow_id: workflowId, run_id: runId }, 'registry.limited');
          }
          throw error;
        }
      },
    },
  });
}

/** What a failed step says of its limit; `waitMs` null: it does not say for how long. */
function limitOf({ details, nextRetryDelay }: ApplicationFailure): {
  readonly registry: string;
  readonly waitMs: number | null;
} {
  const [facts] = (details ?? []) as readonly ({ readonly registry?: unknown } | undefined)[];
  return {
    registry: typeof facts?.registry === 'string' ? facts.registry : '',
    waitMs: typeof nextRetryDelay === 'number' ? nextRetryDelay : null,
  };
}
