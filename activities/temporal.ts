import { getClient } from '@temporalio/activity';
import { type Client, isGrpcServiceError, WithStartWorkflowOperation, WorkflowNotFoundError } from '@temporalio/client';

// The client inside an activity is experimental in the SDK: nobody else in this folder touches it.
export { WithStartWorkflowOperation, WorkflowNotFoundError };

/** A client of the Temporal that the running activity belongs to. */
export function temporalClient(): Client {
  return getClient();
}

/** gRPC's code for what a server does not offer, as the time-skipping one offers no visibility. */
const UNIMPLEMENTED = 12;

export function isUnimplemented(error: unknown): boolean {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    if (isGrpcServiceError(at) && at.code === UNIMPLEMENTED) return true;
  }
  return false;
}
