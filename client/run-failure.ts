import { isGrpcServiceError, WorkflowFailedError, WorkflowUpdateFailedError } from '@temporalio/client';
import {
  ApplicationFailure,
  CancelledFailure,
  TerminatedFailure,
  TimeoutFailure,
  WorkflowNotFoundError,
} from '@temporalio/common';
import { HoubaError, isErrorCode } from '../domain/errors.js';
import { TemporalUnreachable } from './unreachable.js';

/** Status codes of gRPC. */
const INVALID_ARGUMENT = 3;
const UNAVAILABLE = 14;
const DEADLINE_EXCEEDED = 4;

/** Turns an error of the Temporal client into houba's; an unknown one is returned as it is. */
export function explainFailure(error: unknown, what: string): unknown {
  if (error instanceof WorkflowFailedError || error instanceof WorkflowUpdateFailedError) {
    return explainCause(error.cause, what);
  }
  if (error instanceof WorkflowNotFoundError) {
    return new HoubaError('NotFound', `${what} is not known to this Temporal`, {
      hint: '`houba status` lists recent runs; a namespace forgets a run after its retention time',
      cause: error,
    });
  }
  if (isGrpcServiceError(error) && error.code === INVALID_ARGUMENT) {
    return new HoubaError('ConfigInvalid', `Temporal refuses ${JSON.stringify(what)}: ${error.details}`, {
      cause: error,
    });
  }
  return isUnreachable(error)
    ? new TemporalUnreachable(`Temporal does not answer (asked for ${what})`, { cause: error })
    : error;
}

/** The error that the workflow ended with, by houba's codes. */
function explainCause(cause: Error | undefined, what: string): HoubaError {
  for (let at: unknown = cause; at instanceof Error; at = at.cause) {
    if (at instanceof ApplicationFailure && isErrorCode(at.type)) return new HoubaError(at.type, at.message, { cause });
    if (at instanceof CancelledFailure) return new HoubaError('Interrupted', `${what} was cancelled`, { cause });
    if (at instanceof TerminatedFailure) return new HoubaError('Interrupted', `${what} was terminated`, { cause });
    if (at instanceof TimeoutFailure) return new HoubaError('Interrupted', `${what} ran out of time`, { cause });
  }
  return new HoubaError('Internal', `${what} failed: ${cause?.message ?? 'no reason given'}`, { cause });
}

function isUnreachable(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (isGrpcServiceError(at) && (at.code === UNAVAILABLE || at.code === DEADLINE_EXCEEDED)) return true;
  }
  if (!(error instanceof Error)) return false;
  // The clients of Node and of the native core each say it in their own words.
  return error.name === 'TransportError' || error.message.startsWith('Failed to connect');
}
