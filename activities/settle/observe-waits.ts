import { defineSearchAttributeKey, type Workflow } from '@temporalio/common';
import pLimit from 'p-limit';
import { settleId } from '../../domain/durable/ids.js';
import {
  QUERIES,
  QUEUES,
  SEARCH_ATTRIBUTES,
  WAIT_SIGNALS,
  WAIT_UPDATES,
  WORKFLOWS,
} from '../../domain/durable/names.js';
import type { Observed, WaitStatus, Withdrawal } from '../../domain/durable/settle.js';
import { HoubaError, type ReportedError, reportError } from '../../domain/errors.js';
import type { Observation, Wait } from '../../domain/plan/work.js';
import { formatRepository, formatTagged } from '../../domain/reference.js';
import { failedLine, operationLine } from '../../domain/report/run/journal.js';
import type { Dependencies, Journal } from '../dependencies.js';
import { step } from '../step.js';
import { isUnimplemented, temporalClient, WithStartWorkflowOperation, WorkflowNotFoundError } from '../temporal.js';

export interface ObserveRequest {
  readonly waits: readonly Wait[];
  /** Queries the existing waits and sends no update. */
  readonly dryRun: boolean;
}

export interface ObserveOutcome extends Observed {
  readonly error: ReportedError | null;
}

const POLICY = defineSearchAttributeKey(...SEARCH_ATTRIBUTES.policy);

const IN_FLIGHT = 10;

/** A wait that does not answer for so long has no worker, or a broken one. */
const ANSWERS_WITHIN_MS = 60_000;
const ATTEMPTS = 3;

/** Tells each tag's wait what upstream shows; starts the missing ones. @returns in order, when each tag is ready */
export function createObserveTags(deps: Dependencies) {
  return step(async ({ waits, dryRun }: ObserveRequest, context): Promise<ObserveOutcome[]> => {
    const limit = pLimit(IN_FLIGHT);
    const look = dryRun || deps.settings.dryRunTags ? ask : observe;
    let done = 0;
    const one = async (wait: Wait): Promise<ObserveOutcome> => {
      context.signal.throwIfAborted();
      const outcome = await look(wait);
      context.progress({ observed: ++done });
      if (wait.listed) journalHeld(deps.journal, wait, outcome);
      return outcome;
    };
    return await Promise.all(waits.map((wait) => limit(one, wait)));
  });
}

export interface WithdrawRequest extends Withdrawal {
  readonly policy: string;
  readonly waiting: readonly string[];
}

/** Ends a policy's waits for tags it no longer waits for. Visibility lags: one observed since `at` ignores it. */
export function createWithdrawWaits({ settings }: Dependencies) {
  return step(async ({ policy, waiting, at }: WithdrawRequest, { signal }): Promise<number> => {
    if (settings.dryRunTags) return 0;
    const goOn = new Set(waiting);
    const { workflow } = temporalClient();
    const query = `WorkflowType = '${WORKFLOWS.settle}' AND ExecutionStatus = 'Running' AND ${SEARCH_ATTRIBUTES.policy[0]} = ${quoted(policy)}`;
    let told = 0;
    try {
      for await (const { workflowId } of workflow.list({ query })) {
        signal.throwIfAborted();
        if (goOn.has(workflowId)) continue;
        if (await withdraw(workflowId, { at })) told += 1;
      }
    } catch (error) {
      if (!isUnimplemented(error)) throw error;
    }
    return told;
  });
}

export interface WithdrawOrphansRequest extends Required<Withdrawal> {
  readonly policies: readonly string[];
}

/** Ends the waits of policies no longer in a folder. Those last observed from another, or unknown, folder go on. */
export function createWithdrawOrphans({ settings, journal }: Dependencies) {
  return step(async ({ policies, folder, at }: WithdrawOrphansRequest, { signal }): Promise<number> => {
    if (settings.dryRunTags || policies.length === 0) return 0;
    const wanted = new Set(policies);
    const { workflow } = temporalClient();
    const query = `WorkflowType = '${WORKFLOWS.settle}' AND ExecutionStatus = 'Running'`;
    const others: string[] = [];
    try {
      for await (const { workflowId, typedSearchAttributes } of workflow.list({ query })) {
        signal.throwIfAborted();
        const policy = typedSearchAttributes.get(POLICY);
        // A wait that has just started may not have its search attribute yet.
        if (policy !== undefined && !wanted.has(policy)) others.push(workflowId);
      }
    } catch (error) {
      if (!isUnimplemented(error)) throw error;
    }
    const limit = pLimit(IN_FLIGHT);
    const told = await Promise.all(
      others.map((workflowId) =>
        limit(async () => {
          signal.throwIfAborted();
          // Queried before it is signalled: a wait of another folder would get the signal every hour.
          const isOurs = (await folderOf(workflowId, journal)) === folder;
          return isOurs && (await withdraw(workflowId, { at, folder }));
        }),
      ),
    );
    return told.filter((one) => one).length;
  });
}

/** Queries which folder's run observed a wait last; null: it has ended or cannot say, and goes on. */
async function folderOf(workflowId: string, journal: Journal): Promise<string | null> {
  try {
    const { folder } = await temporalClient().workflow.getHandle(workflowId).query<WaitStatus>(QUERIES.status);
    return folder ?? null;
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) {
      journal.event('wait.silent', { wait: workflowId, error: error instanceof Error ? error.message : String(error) });
    }
    return null;
  }
}

async function withdraw(workflowId: string, withdrawal: Withdrawal): Promise<boolean> {
  try {
    await temporalClient().workflow.getHandle(workflowId).signal<[Withdrawal]>(WAIT_SIGNALS.withdrawn, withdrawal);
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}

/** Tells a wait, once more where it ended at that moment: the next attempt starts a new one. */
async function observe({ listed: _listed, reason: _reason, ...observation }: Wait): Promise<ObserveOutcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      const observed = await tell(observation);
      return { ...observed, error: null };
    } catch (cause) {
      if (attempt < ATTEMPTS) continue;
      const { destination, tag } = observation.placement;
      const why = cause instanceof Error ? cause.message : String(cause);
      const error = new HoubaError(
        'Interrupted',
        `the wait of ${formatTagged(destination, tag)} did not answer: ${why}`,
      );
      return { readyAt: null, reason: null, error: reportError(error) };
    }
  }
}

async function tell(observation: Observation): Promise<Observed> {
  const { destination, tag } = observation.placement;
  const client = temporalClient();
  const startWorkflowOperation = new WithStartWorkflowOperation(WORKFLOWS.settle, {
    workflowId: settleId(destination, tag),
    taskQueue: QUEUES.flow,
    args: [observation],
    workflowIdConflictPolicy: 'USE_EXISTING',
    staticSummary: `wait for ${formatTagged(destination, tag)} to stand still`,
  });
  return await client.withDeadline(Date.now() + ANSWERS_WITHIN_MS, () =>
    client.workflow.executeUpdateWithStart<Workflow, Observed, [Observation]>(WAIT_UPDATES.observe, {
      args: [observation],
      startWorkflowOperation,
    }),
  );
}

/** Queries when the same digest is ready. For another the window starts over, which no dry run can foresee. */
async function ask({ digest, placement: { destination, tag } }: Wait): Promise<ObserveOutcome> {
  try {
    const handle = temporalClient().workflow.getHandle(settleId(destination, tag));
    // A closed workflow still answers queries.
    if ((await handle.describe()).status.name !== 'RUNNING') return NOT_KNOWN;
    const status = await handle.query<WaitStatus>(QUERIES.status);
    if (status.digest === digest) return { readyAt: status.dueAt, reason: null, error: null };
  } catch {
    // There is no wait, or no worker answers for it: a dry run goes on without.
  }
  return NOT_KNOWN;
}

const NOT_KNOWN: ObserveOutcome = { readyAt: null, reason: null, error: null };

function journalHeld(journal: Journal, wait: Wait, { readyAt, error, ...outcome }: ObserveOutcome): void {
  const { digest, placement } = wait;
  const reason = outcome.reason ?? wait.reason;
  const { label, destination, tag, sourceTag } = placement;
  const line = operationLine(
    { policy: label.policy, dest: formatRepository(destination), variant: label.variant },
    { kind: 'held', out_tag: tag, src_tag: sourceTag, digest },
    { applied: false, ready_at: readyAt, reason: reason ?? undefined },
  );
  if (error === null) journal.event('operation', { ...line });
  else journal.event('operation.failed', failedLine(line, { type: error.type, message: error.message }));
}

/** Quotes a string for a visibility query. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
