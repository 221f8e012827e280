import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  continueAsNew,
  defineQuery,
  log,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { planId, policyId } from '../domain/durable/ids.js';
import type {
  FleetInput,
  FleetPolicy,
  FleetResult,
  PolicySource,
  Progress,
  Status,
} from '../domain/durable/messages.js';
import { QUERIES, QUEUES } from '../domain/durable/names.js';
import type { PolicyInput } from '../domain/plan/request.js';
import { PAGE_SIZES } from '../domain/plan/work.js';
import { addCounts, noCounts, worstOf } from '../domain/report/run/run-report.js';
import { failure, reportFailure } from './failures.js';
import { inParallel } from './in-parallel.js';
import { reconcilePolicy } from './reconcile-policy.js';
import { outcomeAttributes, policyAttributes } from './search-attributes.js';
import { steps } from './steps.js';

export const progressQuery = defineQuery<Progress>(QUERIES.progress);
export const statusQuery = defineQuery<Status>(QUERIES.status);

/** Checked once, and carried along. */
export interface FleetProgress {
  readonly rest: readonly PolicySource[];
  readonly done: readonly FleetPolicy[];
  readonly dryRun: boolean;
  readonly concurrency: number;
  readonly now: string;
  /** Left out: unknown. */
  readonly folder?: string;
}

/** Reconciles a set of policies, one child each, so that one that fails takes no other along. */
export async function reconcileFleet(input: FleetInput, carried?: FleetProgress): Promise<FleetResult> {
  const started = new Date();
  const done: FleetPolicy[] = [...(carried?.done ?? [])];
  const current = new Set<string>();
  let total = done.length + (carried?.rest.length ?? 0);
  let status: Status = { phase: 'opening', since: started.toISOString() };
  setHandler(progressQuery, () => ({ done: done.length, total, current: [...current].slice(0, 20) }));
  setHandler(statusQuery, () => status);

  const fleet = carried ?? (await open(input, started));
  total = done.length + fleet.rest.length;
  status = { phase: 'reconciling', since: new Date().toISOString() };
  setCurrentDetails(`${fleet.rest.length} policies`);

  const page = fleet.rest.slice(0, PAGE_SIZES.policies);
  const outcomes: FleetPolicy[] = [];
  await inParallel(page, fleet.concurrency, async (source, index) => {
    const { name } = source.policy.metadata;
    current.add(name);
    try {
      outcomes[index] = await reconcileOne(input, source, fleet);
      done.push(outcomes[index] as FleetPolicy);
    } finally {
      current.delete(name);
    }
  });
  const all = [...(carried?.done ?? []), ...outcomes];
  if (fleet.rest.length > PAGE_SIZES.policies) {
    const next: FleetProgress = { ...fleet, rest: fleet.rest.slice(PAGE_SIZES.policies), done: all };
    return continueAsNew<typeof reconcileFleet>({ ...input, policies: [] }, next);
  }
  await withdrawOrphans(input, fleet, all);
  return close(input, fleet, all);
}

async function open(input: FleetInput, now: Date): Promise<FleetProgress> {
  const { own, policies, dryRun, concurrency, folder = input.folder } = await steps.openFleet(input);
  const mine = new Set(own);
  const rest = (policies ?? input.policies ?? []).filter(({ policy }) => mine.has(policy.metadata.name));
  const set = folder === undefined ? {} : { folder };
  return { rest, done: [], dryRun, concurrency, now: now.toISOString().replace('Z', '+00:00'), ...set };
}

/**
 * Withdraws the waits of policies that left the folder, after all others: one may have taken over their tags under
 * another name.
 */
async function withdrawOrphans(input: FleetInput, fleet: FleetProgress, all: readonly FleetPolicy[]): Promise<void> {
  const { folder, now: at } = fleet;
  if (folder === undefined || input.options.dryRun || input.only !== null || input.shard.count !== 1) return;
  if (all.length === 0 || all.some(({ error, skipped }) => error !== null || skipped !== null)) return;
  try {
    await steps.withdrawOrphans({ policies: all.map(({ name }) => name), folder, at });
  } catch (error) {
    // It does not fail the run: the next one does it.
    log.error('waits.failed', { folder, error: reportFailure(error).message });
  }
}

async function reconcileOne(
  input: FleetInput,
  { policy, file }: PolicySource,
  fleet: FleetProgress,
): Promise<FleetPolicy> {
  const { now } = fleet;
  const { name } = policy.metadata;
  const workflowId = input.options.dryRun ? planId(name, new Date(now)) : policyId(name);
  const base = { name, source: file, workflowId, runId: null, totals: noCounts(), error: null, skipped: null };
  try {
    const child = await startChild(reconcilePolicy, {
      args: [policyInput(input, { policy, file }, fleet)],
      workflowId,
      taskQueue: QUEUES.flow,
      workflowRunTimeout: '24 hours',
      // A child's compensation outlives its parent.
      parentClosePolicy: 'ABANDON',
      staticSummary: `${input.options.dryRun ? 'plan' : 'reconcile'} ${name}`,
      typedSearchAttributes: policyAttributes(name),
    });
    const started = { ...base, runId: child.firstExecutionRunId };
    try {
      const { node } = await child.result();
      return { ...started, status: node.status, totals: node.totals, error: node.error };
    } catch (error) {
      return { ...started, status: 'failed', error: reportFailure(error) };
    }
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      return { ...base, status: 'ok', skipped: 'already running' };
    }
    return { ...base, status: 'failed', error: reportFailure(error) };
  }
}

function policyInput(
  { options, plans, save }: FleetInput,
  { policy, file }: PolicySource,
  { now, folder }: FleetProgress,
): PolicyInput {
  const { name } = policy.metadata;
  const plan = plans !== undefined && Object.hasOwn(plans, name) ? plans[name] : undefined;
  // Without its plan the whole policy would be carried out.
  if (plans !== undefined && plan === undefined) throw failure('PreconditionFailed', `there is no plan for ${name}`);
  return {
    ...{ policy, source: file, options, now },
    ...(folder === undefined ? {} : { folder }),
    ...(plan === undefined ? {} : { plan }),
    ...(save === undefined ? {} : { save: { after: null } }),
  };
}

function close(input: FleetInput, fleet: FleetProgress, policies: FleetPolicy[]): FleetResult {
  const totals = noCounts();
  for (const policy of policies) addCounts(totals, policy.totals);
  const status = worstOf(policies.map((policy) => policy.status));
  const mode = input.options.dryRun || fleet.dryRun ? 'dry-run' : 'apply';
  upsertSearchAttributes(outcomeAttributes(status));
  log.info('run.completed', { mode, status, ...totals });
  return { mode, status, totals, policies };
}
