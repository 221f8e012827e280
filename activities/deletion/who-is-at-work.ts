import { policyId } from '../../domain/durable/ids.js';
import { SEARCH_ATTRIBUTES, WORKFLOWS } from '../../domain/durable/names.js';
import { formatRepository, type Repository } from '../../domain/reference.js';
import { isUnimplemented, temporalClient, WorkflowNotFoundError } from '../temporal.js';

/** Names who writes to a repository; null: nobody (docs/rules/purge.md#deletions-and-placements-see-each-other). */
export async function whoIsAtWork(policy: string, repository: Repository): Promise<string | null> {
  const { workflow } = temporalClient();
  if (policy !== '' && (await isRunning(policyId(policy)))) return `a run of the policy ${policy}`;
  const name = formatRepository(repository);
  const query = `WorkflowType = '${WORKFLOWS.placement}' AND ExecutionStatus = 'Running' AND ${SEARCH_ATTRIBUTES.repository[0]} = '${name}'`;
  try {
    for await (const { workflowId } of workflow.list({ query, pageSize: 1 })) return workflowId;
  } catch (error) {
    if (!isUnimplemented(error)) throw error;
  }
  return null;
}

async function isRunning(workflowId: string): Promise<boolean> {
  try {
    return (await temporalClient().workflow.getHandle(workflowId).describe()).status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
