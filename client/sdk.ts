import { setTimeout as sleep } from 'node:timers/promises';
import {
  type Client,
  type Connection,
  type WorkflowExecutionDescription,
  type WorkflowExecutionInfo,
  WorkflowFailedError,
  type WorkflowHandle,
} from '@temporalio/client';
import { type LoadedDataConverter, toPayloads } from '@temporalio/common';
import pLimit from 'p-limit';
import { fleetId, planFleetId, planId, policyId } from '../domain/durable/ids.js';
import type {
  FleetInput,
  FleetPolicy,
  FleetResult,
  PolicyResult,
  Progress,
  Status,
} from '../domain/durable/messages.js';
import { MEMO_INPUT_DIGEST, QUERIES, WORKFLOWS } from '../domain/durable/names.js';
import type { RetireStatus } from '../domain/durable/retire.js';
import type { WaitStatus } from '../domain/durable/settle.js';
import { HoubaError, isErrorCode } from '../domain/errors.js';
import type { ItemPage } from '../domain/plan/plan-item.js';
import type { PolicyInput } from '../domain/plan/request.js';
import type { PurgeOutcome } from '../domain/report/purge-report.js';
import type { RunReport } from '../domain/report/run/run-report.js';
import {
  limitsIn,
  PlacementTally,
  pause,
  type RateLimit,
  type RunProgress,
  type SweepProgress,
  sumLimits,
} from './follow.js';
import { inputDigest } from './input-digest.js';
import { explainFailure } from './run-failure.js';
import { type Run, startOrJoin, startOrMeet, startRun } from './start-or-join.js';
import { SWEEP_NAMES, SWEEPS, type Sweep, type SweepName } from './sweep-kinds.js';
import { type Decision, decideRetirement, retirementOutcome, startSweep } from './sweeps.js';
import { decideWait, type HumanDecision, listWaits, type WaitingTag, type WaitSummary, wordOf } from './waits.js';
import type { ResultOf, WorkflowName, Workflows } from './workflow-types.js';

// What callers need beside the client: to read policies, to make inputs, and to judge results.
export { readPolicyFiles } from '../adapters/policy-files.js';
export type { FleetInput, PolicyResult, PolicySource, Progress } from '../domain/durable/messages.js';
export { HoubaError } from '../domain/errors.js';
export type { PolicyInput } from '../domain/plan/request.js';
export { changesPending, exitCodeOf } from '../domain/report/run/exit-code.js';
export type { RunReport } from '../domain/report/run/run-report.js';
export { renderReport } from '../domain/report/run/text.js';
export { type FleetInputOptions, fleetInput } from './fleet-input.js';
export type { RateLimit, RunProgress, SweepProgress } from './follow.js';
export { collectPlan, planInputs } from './saved-plans.js';
export type { Run } from './start-or-join.js';
export type { Sweep } from './sweep-kinds.js';
export { TemporalUnreachable } from './unreachable.js';
export type { HumanDecision, WaitingTag, WaitSummary } from './waits.js';

/** The outcome of a run. `skipped` names policies that another run was working on. */
export interface Outcome {
  readonly report: RunReport;
  readonly skipped: readonly { readonly policy: string; readonly why: string }[];
  /** By policy, the first items of a plan to save; `collectPlan` gets the rest. */
  readonly saved: ReadonlyMap<string, ItemPage>;
}

export interface RunSummary {
  readonly workflowId: string;
  readonly runId: string;
  /** `RUNNING`, `COMPLETED`, `FAILED`, `CANCELLED`, `TERMINATED`, `TIMED_OUT`, …: whether it ended, not how well. */
  readonly status: string;
  readonly startedAt: Date;
  readonly closedAt: Date | null;
}

export interface StartOptions {
  /** Told, in a sentence, what the start waits for or joins. */
  readonly note?: (text: string) => void;
}

export interface FollowOptions extends StartOptions {
  /** Called a few times a second while the run goes on; without it no progress is queried. */
  readonly onProgress?: (progress: RunProgress) => void;
}

interface Following {
  readonly signal?: AbortSignal;
  /** Between two looks, each of which asks Temporal about every policy that is worked on. Default: 400. */
  readonly everyMs?: number;
}

/** Workflows that a person or a schedule starts: lists of runs show no others. */
const RUN_TYPES = [WORKFLOWS.fleet, ...Object.values(SWEEPS).map(({ workflow }) => workflow)];

const POLL_MS = 400;
/** Children of a workflow that are asked what they wait for. */
const MOST_CHILDREN = 5;
const FIRST_LOOK_MS = 300;
const LAST_LOOK_MS = 1_000;
/** Largest encoded input, in bytes (docs/rules/durability.md#histories-stay-small). */
const LARGEST_INPUT_BYTES = 512 * 1024;

/** Starts, follows and awaits runs from CI or another program. Errors are `HoubaError` or `TemporalUnreachable`. */
export class HoubaClient {
  readonly #client: Client;
  readonly #close: () => Promise<void>;
  #closed = false;

  /** Uses a Temporal client that the caller made, with houba's data converter, and closes itself. */
  constructor(client: Client, close: () => Promise<void> = async () => {}) {
    this.#client = client;
    this.#close = close;
  }

  /**
   * Connects to the Temporal of the options, the `TEMPORAL_*` variables or the profile file. @throws
   * TemporalUnreachable
   */
  static async connect(options: { readonly address?: string; readonly namespace?: string } = {}): Promise<HoubaClient> {
    const { connectClient } = await import('./connect.js');
    const client = await connectClient(options);
    return new HoubaClient(client, () => (client.connection as Connection).close());
  }

  async reconcile(input: FleetInput, options: FollowOptions = {}): Promise<RunReport> {
    const run = await this.startReconcile(input, options);
    const ended = new AbortController();
    const following = options.onProgress && this.follow(run, options.onProgress, { signal: ended.signal });
    try {
      return await this.await(run);
    } finally {
      ended.abort();
      await following;
    }
  }

  /**
   * Starts a reconcile, or joins a running one of equal input; runs on the same policies are waited for first. A dry
   * run takes no lock and never joins. @throws HoubaError `ConfigInvalid` when the input is too large for a history
   */
  async startReconcile(input: FleetInput, options: StartOptions = {}): Promise<Run> {
    const digest = inputDigest(input);
    await this.#checkSize(input);
    const start = async () => {
      const now = new Date();
      const workflowId = input.options.dryRun ? planFleetId(now) : fleetId(now);
      const told = { summary: summaryOf(input), details: detailsOf(input) };
      return await this.#explained(workflowId, () =>
        startRun(this.#client, { workflow: WORKFLOWS.fleet, workflowId, input, inputDigest: digest, ...told }),
      );
    };
    if (input.options.dryRun) return await start();
    const note = options.note ?? (() => {});
    return await startOrJoin(
      this.#client,
      async () => (await this.#joinOrMeet(input, digest, note)) ?? (await start()),
      note,
    );
  }

  /**
   * Starts one policy without the checks across a set. A running one of equal input (but `now`) is joined; one of other
   * input is waited for.
   */
  async startReconcilePolicy(input: PolicyInput, options: StartOptions = {}): Promise<Run> {
    const { now: _now, ...work } = input;
    const { name } = input.policy.metadata;
    const workflowId = policyId(name);
    const order = { workflowId, input, inputDigest: inputDigest(work), summary: `reconcile ${name}` };
    return await startOrJoin(
      this.#client,
      () => this.#explained(workflowId, () => startOrMeet(this.#client, { workflow: WORKFLOWS.policy, ...order })),
      options.note ?? (() => {}),
    );
  }

  /** Awaits the result of `startReconcilePolicy`. */
  async awaitPolicy(run: Pick<Run, 'workflowId' | 'runId'>): Promise<PolicyResult> {
    return await this.#explained(run.workflowId, () => this.#result<'reconcilePolicy'>(run));
  }

  /** Plans the items of a policy that come after `save.after`; writes nothing and takes no lock. */
  async planItems(input: PolicyInput & { readonly save: NonNullable<PolicyInput['save']> }): Promise<ItemPage> {
    const { name } = input.policy.metadata;
    const workflowId = planId(name, new Date());
    const dry = { ...input, options: { ...input.options, dryRun: true } };
    const { node, saved } = await this.#explained(workflowId, async () => {
      const order = { workflowId, input: dry, summary: `plan ${name}` };
      return await this.#result<'reconcilePolicy'>(
        await startRun(this.#client, { workflow: WORKFLOWS.policy, ...order }),
      );
    });
    if (saved !== undefined) return saved;
    const { type, message } = node.error ?? { type: 'Internal', message: 'its plan has no items' };
    throw new HoubaError(isErrorCode(type) ? type : 'Internal', `${name} could not be planned to its end: ${message}`);
  }

  /** Reports a reconcile's progress until it ends, the signal is aborted or the client is closed. Never throws. */
  async follow(
    run: Pick<Run, 'workflowId' | 'runId'>,
    onProgress: (progress: RunProgress) => void,
    options: Following = {},
  ): Promise<void> {
    const placements = new PlacementTally();
    await this.#follow(this.#handle(run), () => this.#progressOf(run, placements), onProgress, options);
  }

  /** Reports a sweep's progress, as `follow` does a reconcile's. */
  async followSweep(
    { workflowId }: Pick<Run, 'workflowId'>,
    onProgress: (progress: SweepProgress) => void,
    options: Following = {},
  ): Promise<void> {
    // Without a run id: a long sweep goes on in further runs.
    const handle = this.#client.workflow.getHandle(workflowId);
    await this.#follow(handle, (described) => this.#sweepProgressOf(described), onProgress, options);
  }

  async #follow<P>(
    handle: WorkflowHandle,
    look: (described: WorkflowExecutionDescription) => Promise<P>,
    onProgress: (progress: P) => void,
    { signal, everyMs = POLL_MS }: Following,
  ): Promise<void> {
    const over = () => this.#closed || signal?.aborted === true;
    while (!over()) {
      try {
        const described = await handle.describe();
        if (described.status.name !== 'RUNNING' && described.status.name !== 'CONTINUED_AS_NEW') return;
        const progress = await look(described);
        if (!over()) onProgress(progress);
      } catch {
        // A query fails while no worker answers; the run itself reports what is wrong.
      }
      await pause(everyMs, signal);
    }
  }

  /** Awaits the report of a reconcile. */
  async await(run: Pick<Run, 'workflowId' | 'runId'>): Promise<RunReport> {
    return (await this.outcome(run)).report;
  }

  /** Awaits the outcome of a reconcile: its report, and what a report does not hold. */
  async outcome(run: Pick<Run, 'workflowId' | 'runId'>): Promise<Outcome> {
    return await this.#explained(run.workflowId, async () => this.#assemble(await this.#result<'reconcileFleet'>(run)));
  }

  /** Lists the latest runs of reconcile and sweeps, dry runs included, newest first. */
  async recentRuns(limit = 20): Promise<RunSummary[]> {
    return await this.#explained('the list of runs', async () => {
      const runs: RunSummary[] = [];
      for await (const info of this.#client.workflow.list({
        query: `WorkflowType IN ('${RUN_TYPES.join("', '")}') AND ExecutionStatus != 'ContinuedAsNew'`,
        pageSize: limit,
      })) {
        runs.push(summary(info));
        if (runs.length === limit) break;
      }
      return runs;
    });
  }

  /**
   * The status of a run, with its progress while a reconcile or a sweep runs. `word` tells how another workflow stands
   * or why a run failed; null where `await` or `sweepReport` has more to say.
   */
  async status(workflowId: string): Promise<
    RunSummary & {
      readonly progress: RunProgress | SweepProgress | null;
      readonly word: string | null;
      readonly sweep: SweepName | null;
    }
  > {
    return await this.#explained(workflowId, async () => {
      const handle = this.#client.workflow.getHandle(workflowId);
      const info = await handle.describe();
      const sweep = sweepOf(info.type);
      const base = { ...summary(info), progress: null, word: null, sweep };
      if (info.status.name !== 'RUNNING' && info.status.name !== 'COMPLETED') {
        return { ...base, word: await whyItEnded(handle, workflowId) };
      }
      if (sweep !== null) {
        const running = info.status.name === 'RUNNING';
        return running ? { ...base, progress: await this.#sweepProgressOf(info) } : base;
      }
      if (info.type !== WORKFLOWS.fleet) return { ...base, word: await wordOf(this.#client, info) };
      if (info.status.name !== 'RUNNING') return base;
      return { ...base, progress: await this.#progressOf(info, new PlacementTally()) };
    });
  }

  /**
   * Starts a sweep, or joins a running one of equal input; one of other input is waited for. A dry run takes no lock
   * and never joins.
   */
  async startSweep(sweep: Sweep, options: StartOptions = {}): Promise<Run> {
    return await this.#explained(sweep.verb, () => startSweep(this.#client, sweep, options.note ?? (() => {})));
  }

  /** Awaits the report of a sweep. */
  async sweepReport(run: Pick<Run, 'workflowId' | 'runId'>): Promise<unknown> {
    return await this.#explained(run.workflowId, () => this.#result(run));
  }

  /** Approves the deletion of a marked tag, or restores it; see `decideRetirement`. */
  async decideRetirement(...args: Decision): Promise<RetireStatus> {
    return await this.#explained(args[1].tag, () => decideRetirement(this.#client, ...args));
  }

  async retirementOutcome(tag: Decision[1]): Promise<PurgeOutcome> {
    return await this.#explained(tag.tag, () => retirementOutcome(this.#client, tag));
  }

  /** Lists every tag that waits, to be taken over or deleted; the next due first. */
  async waits(): Promise<WaitSummary[]> {
    return await this.#explained('the list of waits', () => listWaits(this.#client));
  }

  /**
   * Promotes, holds or releases a wait in somebody's name; a promotion answers once the digest is placed. @throws
   * HoubaError `NotFound` without a wait, `PreconditionFailed` when the digest is another by now
   */
  async decideWait(
    verb: 'promote' | 'hold' | 'release',
    waiting: WaitingTag,
    decision: HumanDecision,
  ): Promise<WaitStatus> {
    const what = `the wait of ${waiting.tag}`;
    return await this.#explained(what, () => decideWait(this.#client, verb, waiting, decision));
  }

  /** Cancels a run, which finishes or undoes what it has begun; await it to know when. */
  async cancel(run: Pick<Run, 'workflowId'>): Promise<void> {
    await this.#explained(run.workflowId, () => this.#client.workflow.getHandle(run.workflowId).cancel());
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#close();
  }

  /**
   * Awaits the result of a run, and polls beside: the server at times does not wake the long request for it, which then
   * lasts its full 20 s (server 1.29: 1 run in 40).
   */
  async #result<Name extends WorkflowName>(run: Pick<Run, 'workflowId' | 'runId'>): Promise<ResultOf<Name>> {
    const handle = this.#client.workflow.getHandle<Workflows[Name]>(run.workflowId, run.runId);
    let over = false;
    const waiting = handle.result().finally(() => {
      over = true;
    });
    const looking = async () => {
      for (let wait = FIRST_LOOK_MS; !over; wait = Math.min(wait * 1.5, LAST_LOOK_MS)) {
        await sleep(wait, undefined, { ref: false });
        if (!over && (await handle.describe()).status.name !== 'RUNNING') break;
      }
      return await (over ? waiting : handle.result());
    };
    const looked = looking();
    looked.catch(() => {}); // `waiting` tells as well
    return await Promise.race([waiting, looked]);
  }

  #handle(run: Pick<Run, 'workflowId' | 'runId'>): WorkflowHandle {
    return this.#client.workflow.getHandle(run.workflowId, run.runId);
  }

  /** Finds a running reconcile of equal input, or the runs on one of the same policies; null: none. */
  async #joinOrMeet(input: FleetInput, digest: string, note: (text: string) => void) {
    const ours = new Set(policyNames(input).map(policyId));
    const busy: string[] = [];
    for (const info of await this.#running()) {
      if (info.type === WORKFLOWS.fleet && info.memo?.[MEMO_INPUT_DIGEST] === digest) {
        note(`joining ${info.workflowId}, which is at the same work already`);
        return { workflowId: info.workflowId, runId: info.runId, joined: true };
      }
      if (ours.has(info.workflowId)) busy.push(info.workflowId);
    }
    return busy.length === 0 ? null : { busy, why: 'of another run with other input' };
  }

  async #running(): Promise<WorkflowExecutionInfo[]> {
    return await this.#explained('the list of runs', async () => {
      const query = `WorkflowType IN ('${WORKFLOWS.fleet}', '${WORKFLOWS.policy}') AND ExecutionStatus = 'Running'`;
      const running: WorkflowExecutionInfo[] = [];
      for await (const info of this.#client.workflow.list({ query })) running.push(info);
      return running;
    });
  }

  async #checkSize(input: FleetInput): Promise<void> {
    const bytes = await encodedBytes(this.#client.workflow.options.loadedDataConverter, input);
    if (bytes <= LARGEST_INPUT_BYTES) return;
    const kib = Math.ceil(bytes / 1024);
    throw new HoubaError(
      'ConfigInvalid',
      `the policies take ${kib} KiB, more than the 512 KiB that one run may carry`,
      {
        hint: 'split the run with --shard-index and --shard-count over smaller directories, or let the worker read POLICY_DIR',
      },
    );
  }

  async #assemble(result: FleetResult): Promise<Outcome> {
    // Each child workflow holds its own operations, so that no history carries them all.
    const limit = pLimit(16);
    const results = await Promise.all(result.policies.map((policy) => limit(() => this.#policyResult(policy))));
    return {
      report: {
        schema_version: 1,
        operations_cut: results.reduce((sum, { operationsCut }) => sum + operationsCut, 0),
        mode: result.mode,
        status: result.status,
        totals: result.totals,
        policies: results.map(({ node }) => node),
      },
      skipped: result.policies.flatMap(({ name, skipped }) =>
        skipped === null ? [] : [{ policy: name, why: skipped }],
      ),
      saved: new Map(results.flatMap(({ node, saved }) => (saved === undefined ? [] : [[node.name, saved] as const]))),
    };
  }

  /** The result of a policy's run; where it has none (failed, or never started), what the fleet knows of it. */
  async #policyResult(policy: FleetPolicy): Promise<PolicyResult> {
    const { name, source, status, error, totals, workflowId, runId } = policy;
    if (runId !== null) {
      try {
        return await this.#client.workflow.getHandle<Workflows['reconcilePolicy']>(workflowId, runId).result();
      } catch (cause) {
        if (!(cause instanceof WorkflowFailedError)) throw cause;
      }
    }
    return { node: { name, source, status, error, totals, targets: [] }, operationsCut: 0 };
  }

  async #progressOf(run: Pick<Run, 'workflowId' | 'runId'>, placements: PlacementTally): Promise<RunProgress> {
    const handle = this.#handle(run);
    const [status, policies] = await Promise.all([
      handle.query<Status>(QUERIES.status),
      handle.query<Progress>(QUERIES.progress),
    ]);
    const limits = await Promise.all(policies.current.map((policy) => this.#tally(policy, placements)));
    placements.finishAllBut(policies.current);
    return { phase: status.phase, policies, placements: placements.sum(), limits: sumLimits(limits.flat()) };
  }

  async #sweepProgressOf({ workflowId, raw }: WorkflowExecutionDescription): Promise<SweepProgress> {
    const handle = this.#client.workflow.getHandle(workflowId);
    const [{ phase }, { done, current }, limits] = await Promise.all([
      handle.query<Status>(QUERIES.status),
      handle.query<Progress>(QUERIES.progress),
      this.#limitsOf(raw),
    ]);
    return { phase, done, current, limits: sumLimits(limits) };
  }

  /** Counts the placements of a policy. @returns what it and some of them wait for */
  async #tally(policy: string, placements: PlacementTally): Promise<RateLimit[]> {
    try {
      const handle = this.#client.workflow.getHandle(policyId(policy));
      const [progress, { raw }] = await Promise.all([handle.query<Progress>(QUERIES.progress), handle.describe()]);
      placements.set(policy, progress);
      return await this.#limitsOf(raw);
    } catch {
      // It may have just started or ended: the next poll tells.
      return [];
    }
  }

  /** What a workflow and some of its children wait for. */
  async #limitsOf(raw: WorkflowExecutionDescription['raw']): Promise<RateLimit[]> {
    const children = (raw.pendingChildren ?? []).slice(0, MOST_CHILDREN);
    const described = await Promise.all(
      children.map(({ workflowId }) => this.#client.workflow.getHandle(workflowId ?? '').describe()),
    );
    return [raw, ...described.map((child) => child.raw)].flatMap((each) => limitsIn(each.pendingActivities));
  }

  async #explained<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw explainFailure(error, what);
    }
  }
}

/** The encoded length of a value in a history: compressed or encrypted, where the data converter does so. */
async function encodedBytes({ payloadConverter, payloadCodecs }: LoadedDataConverter, value: unknown): Promise<number> {
  let payloads = toPayloads(payloadConverter, value) ?? [];
  for (const codec of payloadCodecs) payloads = await codec.encode(payloads);
  return payloads.reduce((sum, payload) => sum + (payload.data?.length ?? 0), 0);
}

function policyNames(input: FleetInput): string[] {
  const names = (input.policies ?? []).map(({ policy }) => policy.metadata.name);
  return input.only === null ? names : names.filter((name) => name === input.only);
}

function summaryOf({ policies, only, options }: FleetInput): string {
  const what = only ?? (policies === null ? 'POLICY_DIR' : `${policies.length} policies`);
  return `${options.dryRun ? 'plan' : 'reconcile'} ${what}`;
}

function detailsOf(input: FleetInput): string {
  const shard = `shard ${input.shard.index} of ${input.shard.count}`;
  return `${shard}\n\n${policyNames(input).slice(0, 100).join(', ')}`;
}

function sweepOf(type: string): SweepName | null {
  return SWEEP_NAMES.find((verb) => SWEEPS[verb].workflow === type) ?? null;
}

/** The reason why a run failed, in the words of its own command. */
async function whyItEnded(handle: Pick<WorkflowHandle, 'result'>, what: string): Promise<string> {
  try {
    await handle.result();
    return '';
  } catch (error) {
    const explained = explainFailure(error, what);
    if (!(explained instanceof HoubaError)) throw explained;
    return `${explained.code}: ${explained.message}`;
  }
}

function summary(info: Omit<WorkflowExecutionInfo, 'raw'>): RunSummary {
  return {
    workflowId: info.workflowId,
    runId: info.runId,
    status: info.status.name,
    startedAt: info.startTime,
    closedAt: info.closeTime ?? null,
  };
}
