import { isDigest } from '../../domain/digest.js';
import { policyId } from '../../domain/durable/ids.js';
import { SEARCH_ATTRIBUTES, WORKFLOWS } from '../../domain/durable/names.js';
import { formatRepository, type Repository } from '../../domain/reference.js';
import type { PlacedTag } from '../dependencies.js';
import { isUnimplemented, temporalClient, WorkflowNotFoundError } from '../temporal.js';

/** Names who writes to a repository; null: nobody (docs/rules/purge.md#deletions-and-placements-see-each-other). */
export async function whoIsAtWork(policy: string, repository: Repository): Promise<string | null> {
  const { workflow } = temporalClient();
  if (policy !== '' && (await isRunning(policyId(policy)))) return `a run of the policy ${policy}`;
  const query = `${placementsIn(repository)} AND ExecutionStatus = 'Running'`;
  try {
    for await (const { workflowId } of workflow.list({ query, pageSize: 1 })) return workflowId;
  } catch (error) {
    if (!isUnimplemented(error)) throw error;
  }
  return null;
}

/**
 * Lists what placements that ended since a time (ms since 1970) have brought, one for each tag
 * (docs/rules/registry-access.md#what-was-just-written-is-known-without-reading). One that the search still shows as
 * running is asked itself: searches lag behind.
 */
export async function placedSince(repository: Repository, sinceMs: number): Promise<PlacedTag[]> {
  const { workflow } = temporalClient();
  const since = new Date(sinceMs).toISOString();
  const query = `${placementsIn(repository)} AND (ExecutionStatus = 'Running' OR CloseTime >= '${since}')`;
  const placed = new Map<string, PlacedTag>();
  try {
    for await (const found of workflow.list({ query })) {
      const run =
        found.status.name === 'RUNNING' ? await workflow.getHandle(found.workflowId, found.runId).describe() : found;
      const said = (key: 'tag' | 'policy' | 'digest') =>
        String(found.searchAttributes[SEARCH_ATTRIBUTES[key][0]]?.[0] ?? '');
      const [tag, policy, baseDigest] = [said('tag'), said('policy'), said('digest')];
      const endedAtMs = run.closeTime?.getTime() ?? 0;
      if (run.status.name !== 'COMPLETED' || endedAtMs < sinceMs || !isDigest(baseDigest)) continue;
      if (endedAtMs > (placed.get(tag)?.endedAtMs ?? 0)) placed.set(tag, { tag, policy, baseDigest, endedAtMs });
    }
  } catch (error) {
    if (!isUnimplemented(error)) throw error;
  }
  return [...placed.values()];
}

function placementsIn(repository: Repository): string {
  return `WorkflowType = '${WORKFLOWS.placement}' AND ${SEARCH_ATTRIBUTES.repository[0]} = '${formatRepository(repository)}'`;
}

async function isRunning(workflowId: string): Promise<boolean> {
  try {
    return (await temporalClient().workflow.getHandle(workflowId).describe()).status.name === 'RUNNING';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
