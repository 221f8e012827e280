import { AsyncLocalStorage } from 'node:async_hooks';
import {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  RetryState,
} from '@temporalio/common';
import type { ActivityOptions } from '@temporalio/workflow';
import { activityEnvironment, run } from './activity-world.js';
import type { Steps } from './fake-steps.js';

/*
 * Stands for `@temporalio/workflow` where the product's workflows run thousands of times in one process: steps are
 * called at once, retried as their errors say but without a wait, and their data travels as JSON. What Temporal itself
 * does is tested by the suite `workflows`.
 */

export {
  ActivityFailure,
  ApplicationFailure,
  CancelledFailure,
  ChildWorkflowFailure,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/common';

const playing = new AsyncLocalStorage<Steps>();

/** Runs a workflow with these steps. */
export function withSteps<Result>(steps: Steps, work: () => Promise<Result>): Promise<Result> {
  return playing.run(steps, work);
}

/** A workflow has to wait for a time or for somebody. */
export class StillWaiting extends Error {}

/** Most attempts of a step that may be tried for ever. */
const MOST_ATTEMPTS = 6;

export function proxyActivities({ retry }: ActivityOptions): unknown {
  const most = retry?.maximumAttempts ?? MOST_ATTEMPTS;
  const call = async (name: keyof Steps, input: unknown) => {
    const step = playing.getStore()?.[name] as ((input: unknown) => Promise<unknown>) | undefined;
    if (step === undefined) throw new Error(`no steps for ${name}`);
    for (let attempt = 1; ; attempt++) {
      try {
        return travelled(await run(step, travelled(input), activityEnvironment({ attempt })));
      } catch (error) {
        const isFinal = !(error instanceof ApplicationFailure) || error.nonRetryable === true || attempt >= most;
        if (!isFinal) continue;
        throw new ActivityFailure(`${name} failed`, name, '1', RetryState.NON_RETRYABLE_FAILURE, '', error as Error);
      }
    }
  };
  return new Proxy({}, { get: (_, name) => (input: unknown) => call(name as keyof Steps, input) });
}

export async function executeChild<Input, Result>(
  workflow: (...args: Input[]) => Promise<Result>,
  { args }: { readonly args: Input[] },
): Promise<Result> {
  try {
    return await workflow(...(travelled(args) as Input[]));
  } catch (error) {
    const execution = { workflowId: 'child', runId: '1' };
    const state = RetryState.RETRY_POLICY_NOT_SET;
    throw new ChildWorkflowFailure('default', execution, workflow.name, state, error as Error);
  }
}

export function isCancellation(error: unknown): boolean {
  if (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) return isCancellation(error.cause);
  return error instanceof CancelledFailure;
}

function travelled(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** Nothing is cancelled. */
export class CancellationScope {
  readonly consideredCancelled = false;
  readonly cancelRequested = new Promise<never>(() => {});
  cancel(): void {}
  run<Result>(work: () => Promise<Result>): Promise<Result> {
    return work();
  }
  static current(): CancellationScope {
    return new CancellationScope();
  }
  static nonCancellable<Result>(work: () => Promise<Result>): Promise<Result> {
    return work();
  }
}

export async function condition(isSo: () => boolean): Promise<boolean> {
  if (isSo()) return true;
  throw new StillWaiting();
}

const nothing = () => undefined;
export const log = { info: nothing, warn: nothing, error: nothing };
export const patched = () => true;
export const allHandlersFinished = () => true;
export const workflowInfo = () => ({ historyLength: 1, continueAsNewSuggested: false, searchAttributes: {} });
export const defineQuery = nothing;
export const defineSignal = nothing;
export const defineUpdate = nothing;
export const setHandler = nothing;
export const setCurrentDetails = nothing;
export const upsertSearchAttributes = nothing;
export const startChild = nothing;

export function continueAsNew(): never {
  throw new StillWaiting();
}
