import { getClient } from '@temporalio/activity';
import { type Client, isGrpcServiceError, WithStartWorkflowOperation, WorkflowNotFoundError } from '@temporalio/client';

// The SDK's client inside an activity is experimental: only this module uses it.
export { WithStartWorkflowOperation, WorkflowNotFoundError };

export function temporalClient(): Client {
  return getClient();
}

/** The gRPC code of a call that a server does not offer; the time-skipping test server offers no visibility. */
const UNIMPLEMENTED = 12;

export function isUnimplemented(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (isGrpcServiceError(at) && at.code === UNIMPLEMENTED) return true;
  }
  return false;
}
