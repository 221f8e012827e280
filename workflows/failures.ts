import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  ChildWorkflowFailure,
  isCancellation,
  TerminatedFailure,
  TimeoutFailure,
} from '@temporalio/workflow';
import { type ErrorCode, EXIT_CODES, isErrorCode, type ReportedError } from '../domain/errors.js';

/**
 * Reports a failed step by its code. This workflow's cancellation is thrown on; that of a child alone is
 * `Interrupted`.
 */
export function reportFailure(error: unknown): CodedError {
  if (isCancellation(error)) {
    if (CancellationScope.current().consideredCancelled) throw error;
    return reported('Interrupted', 'it was cancelled');
  }
  const root = rootOf(error);
  if (root instanceof ApplicationFailure && isErrorCode(root.type)) return reported(root.type, root.message);
  if (root instanceof TimeoutFailure) return reported('Interrupted', `a step took too long: ${root.message}`);
  if (root instanceof TerminatedFailure) return reported('Interrupted', 'it was terminated');
  if (root instanceof WorkflowExecutionAlreadyStartedError) {
    return reported('PreconditionFailed', `another run is at work on ${root.workflowId}`);
  }
  return reported('Internal', root instanceof Error ? root.message : String(root));
}

/** Whether the failure bears this fact (`HoubaError.facts`). A step that timed out bears none. */
export function hasFact(error: unknown, fact: string): boolean {
  const root = rootOf(error);
  if (!(root instanceof ApplicationFailure)) return false;
  const [facts] = root.details ?? [];
  return typeof facts === 'object' && facts !== null && Object.hasOwn(facts, fact);
}

type CodedError = ReportedError & { readonly type: ErrorCode };

/** A failure of this code, as an activity would throw it. */
export function failure(code: ErrorCode, message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: code, message, nonRetryable: true });
}

function reported(code: ErrorCode, message: string): CodedError {
  return { type: code, message, exit_code: EXIT_CODES[code] };
}

function rootOf(error: unknown): unknown {
  let inner = error;
  while (inner instanceof ActivityFailure || inner instanceof ChildWorkflowFailure) {
    if (inner.cause === undefined || inner.cause instanceof CancelledFailure) break;
    inner = inner.cause;
  }
  return inner;
}
