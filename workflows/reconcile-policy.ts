import {
  continueAsNew,
  defineQuery,
  log,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { settleId } from '../domain/durable/ids.js';
import type { PolicyResult, Progress, Status } from '../domain/durable/messages.js';
import { QUERIES } from '../domain/durable/names.js';
import type { ReportedError } from '../domain/errors.js';
import { takeItems } from '../domain/plan/held-plan/item-pages.js';
import type { ItemPage, PlannedItems } from '../domain/plan/plan-item.js';
import type {
  AliasPlacement,
  Backfill,
  Placement,
  PlacementResult,
  PlanPage,
  PlanRequest,
  PolicyInput,
  Position,
  Wait,
} from '../domain/plan/work.js';
import { formatRepository, formatTagged } from '../domain/reference.js';
import {
  addCounted,
  addOperation,
  finishReport,
  type PolicyReport,
  setError,
  setTargets,
  startReport,
} from '../domain/report/run/policy-report.js';
import { newOperation, type Operation } from '../domain/report/run/run-report.js';
import { reportFailure } from './failures.js';
import { inParallel } from './in-parallel.js';
import { observeWaits } from './observe-waits.js';
import { placeChild } from './place-child.js';
import { deleteTags, type RemovalRecord, setMarks } from './remove-tags.js';
import { outcomeAttributes } from './search-attributes.js';
import { steps } from './steps.js';

/** Items of a plan in hand that one run carries out (architecture, "A plan is small"). */
const PAGE = 200;

export const progressQuery = defineQuery<Progress>(QUERIES.progress);
export const statusQuery = defineQuery<Status>(QUERIES.status);

/** What a run that continues as new carries along. */
export interface PolicyProgress {
  readonly report: PolicyReport;
  /** `repository:tag` of what failed and is not tried again in this run. */
  readonly failed: readonly string[];
  readonly done: number;
  readonly total: number;
  /** Pages that may still follow: a plan that does not shrink has to end (architecture, "A plan is small"). */
  readonly pagesLeft: number;
  /** Repositories of which this run deletes and newly marks nothing. Left out by a run from before. */
  readonly refused?: readonly string[];
  /** Workflow ids of the waits that this run has seen to; left out by a plan from before there were waits. */
  readonly waiting?: readonly string[];
  /** Where the waits go on; left out: they are through. */
  readonly waitsAfter?: string;
}

/** Reconciles one policy: plan a page, carry it out, plan again until nothing is left to do. */
export async function reconcilePolicy(input: PolicyInput, carried?: PolicyProgress): Promise<PolicyResult> {
  const name = input.policy.metadata.name;
  const run = new PolicyRun(input, carried);
  setHandler(progressQuery, () => run.progress());
  setHandler(statusQuery, () => run.status);

  run.enter('planning');
  const { planned, rest } = nextOfPlan(input);
  let page: PlanPage;
  try {
    const first = carried === undefined && (input.save?.after ?? null) === null;
    page = await steps.planPolicy({ ...input, ...planned, ...run.request(), first });
  } catch (error) {
    setError(run.report, reportFailure(error));
    return finish(name, run);
  }
  run.opened(page);
  await observe(run, page.waits ?? [], input.options.dryRun);
  let goOn = run.hasWaits;
  if (takenBy(page) > 0) {
    run.enter('placing');
    await inParallel(page.placements, page.concurrency, (placement, index) => place(run, placement, index));
    run.enter('evidence');
    await inParallel(page.backfills, page.concurrency, (backfill, index) => fill(run, name, backfill, index));
    run.enter('aliases');
    await inParallel(page.aliases, page.concurrency, (alias, index) => point(run, name, alias, index));
    await remove(run, page);
    run.close();
    goOn ||= page.pending > takenBy(page) && run.pagesLeft > 0;
  }
  if (rest !== null) {
    return rest.plan.items.length === 0 ? finish(name, run) : continueAsNew<typeof reconcilePolicy>(rest, run.carry());
  }
  if (goOn) return continueAsNew<typeof reconcilePolicy>(input, run.carry());
  if (!input.options.dryRun) await withdrawOthers(run, name, input.now);
  return finish(name, run);
}

/** Of a plan that somebody holds in hand, the items of this page, and the input for those after it; null: there is no plan. */
function nextOfPlan(input: PolicyInput): {
  readonly planned: Pick<PolicyInput, 'plan'>;
  readonly rest: (PolicyInput & { readonly plan: PlannedItems }) | null;
} {
  const { plan } = input;
  if (plan === undefined) return { planned: {}, rest: null };
  const { page, rest } = takeItems(plan.items, PAGE);
  return { planned: { plan: { ...plan, items: page } }, rest: { ...input, plan: { ...plan, items: rest } } };
}

async function observe(run: PolicyRun, waits: readonly Wait[], dryRun: boolean): Promise<void> {
  if (waits.length === 0) return;
  run.enter('observing');
  await observeWaits(waits, dryRun, (position, operation) => addOperation(run.report, position, operation));
}

/** Ends the waits of tags that have left the selection. Where something could not be read, nobody knows which those are. */
async function withdrawOthers(run: PolicyRun, policy: string, at: string): Promise<void> {
  const { report, waiting } = run;
  if (waiting === undefined || report.error !== null) return;
  try {
    await steps.withdrawWaits({ policy, waiting, at });
  } catch (error) {
    setError(report, reportFailure(error));
  }
}

/** Everything there is to do on this page. */
function takenBy({ placements, backfills, aliases, deletions = [], marks = [] }: PlanPage): number {
  return placements.length + backfills.length + aliases.length + deletions.length + marks.length;
}

/** The last stages of section 5: what left the selection, what is in surplus, and the clearing of what is over. */
async function remove(run: PolicyRun, { deletions = [], marks = [], concurrency }: PlanPage): Promise<void> {
  if (deletions.length + marks.length === 0) return;
  run.enter('removals');
  await deleteTags(run, deletions, concurrency);
  const made = marks.filter(({ put }) => put !== null);
  await setMarks(run, made, concurrency);
  const cleared = marks.filter(({ put }) => put === null);
  await setMarks(run, cleared, concurrency);
}

async function place(run: PolicyRun, placement: Placement, index: number): Promise<void> {
  const { destination, tag, position } = placement;
  const operation = {
    ...newOperation(placement.kind, tag),
    src_tag: placement.sourceTag,
    digest: placement.baseDigest,
    transform_steps: placement.transform?.steps.map((one) => one.name) ?? null,
  };
  await run.working(tag, async () => {
    let result: PlacementResult;
    try {
      result = await placeChild(placement);
    } catch (error) {
      run.record(index, position, { ...operation, error: reportFailure(error) }, formatTagged(destination, tag));
      return;
    }
    run.record(index, position, { ...operation, applied: true, out_digest: result.digest }, null);
    for (const { alias, moved, error } of result.aliases) {
      if (!moved && error === null) continue;
      const aliased = { ...newOperation('aliased', alias), src_tag: tag, digest: placement.baseDigest };
      const outcome = error === null ? { applied: true, out_digest: result.digest } : { error };
      run.record(index, position, { ...aliased, ...outcome }, error === null ? null : formatTagged(destination, alias));
    }
  });
}

/** Each kind of evidence is an operation of its own; a signature needs the document, so a failure ends the rest. */
async function fill(run: PolicyRun, policy: string, backfill: Backfill, index: number): Promise<void> {
  const { destination, subject, position, tag, created } = backfill;
  const { artifactType, facts } = backfill;
  await run.working(tag, async () => {
    // A plan from before there were signatures asks for inventories alone.
    for (const kind of backfill.needs ?? ['sbom']) {
      const operation = { ...newOperation(kind, tag), src_tag: backfill.sourceTag, digest: backfill.sourceDigest };
      const journal = journalOf(run, policy, destination, position, operation);
      const work =
        kind === 'sbom'
          ? () => steps.attachSboms({ destination, subject, carryFrom: null, timestamp: created, journal })
          : () => steps.signEvidence({ destination, tag, subject, artifactType, facts, journal });
      const outcome = { ...operation, out_digest: subject };
      if (!(await run.attempt(index, position, outcome, formatTagged(destination, tag), work))) return;
    }
  });
}

async function point(run: PolicyRun, policy: string, move: AliasPlacement, index: number): Promise<void> {
  const { destination, alias, digest, current, position } = move;
  const operation = { ...newOperation('aliased', alias), src_tag: move.outTag, out_digest: digest };
  const journal = journalOf(run, policy, destination, position, operation);
  await run.working(alias, async () => {
    await run.attempt(index, position, operation, formatTagged(destination, alias), () =>
      steps.publishTag({ destination, tag: alias, digest, expected: current, journal }),
    );
  });
}

function finish(policy: string, run: PolicyRun): PolicyResult {
  const node = finishReport(run.report);
  upsertSearchAttributes(outcomeAttributes(node.status));
  if (node.error !== null) {
    const { type, message, exit_code } = node.error;
    log.error('policy.failed', { policy, error_type: type, error: message, exit_code });
  }
  log.info('policy.completed', { policy, ...node.totals });
  return { node, operationsCut: run.report.cut, ...(run.saved === undefined ? {} : { saved: run.saved }) };
}

/** The state of one run of a policy, beside the process above. */
class PolicyRun implements RemovalRecord {
  readonly report: PolicyReport;
  readonly failed: string[];
  readonly policy: string;
  saved: ItemPage | undefined;
  private refused: readonly string[];
  status: Status = { phase: 'starting', since: new Date().toISOString() };
  pagesLeft: number;
  waiting: readonly string[] | undefined;
  private waitsAfter: string | null | undefined;
  private done: number;
  private total: number;
  private readonly current = new Set<string>();
  /** Operations of this page, put into the report in plan order whatever the order they ended in. */
  private readonly ended: { index: number; position: Position; operation: Operation }[] = [];

  constructor(input: PolicyInput, carried: PolicyProgress | undefined) {
    this.policy = input.policy.metadata.name;
    this.report = carried?.report ?? startReport(this.policy, input.source);
    this.failed = [...(carried?.failed ?? [])];
    this.refused = carried?.refused ?? [];
    this.done = carried?.done ?? 0;
    this.total = carried?.total ?? input.plan?.items.length ?? 0;
    this.pagesLeft = carried?.pagesLeft ?? 0;
    this.waiting = carried?.waiting;
    this.waitsAfter = carried === undefined ? null : carried.waitsAfter;
  }

  /** What the next page is asked with. */
  request(): Pick<PlanRequest, 'failed' | 'refused' | 'waitsAfter'> {
    const { failed, refused, waitsAfter } = this;
    return {
      failed,
      ...(refused.length === 0 ? {} : { refused }),
      ...(waitsAfter === undefined ? {} : { waitsAfter }),
    };
  }

  get hasWaits(): boolean {
    return typeof this.waitsAfter === 'string';
  }

  enter(phase: string): void {
    this.status = { phase, since: new Date().toISOString() };
    setCurrentDetails(`${phase}: ${this.done} of ${this.total}`);
  }

  opened(page: PlanPage): void {
    setTargets(this.report, page.targets);
    if (page.error !== null) setError(this.report, page.error);
    for (const { position, kind, count } of page.counted) addCounted(this.report, position, kind, count);
    for (const { position, operation } of page.settled) addOperation(this.report, position, operation);
    this.report.cut += page.cut;
    this.saved = page.saved;
    this.waitsAfter = page.waitsAfter ?? undefined;
    if (page.waits !== undefined) {
      const seen = page.waits.map(({ placement: { destination, tag } }) => settleId(destination, tag));
      this.waiting = [...(this.waiting ?? []), ...seen];
    }
    this.refused = page.refused ?? [];
    const taken = takenBy(page);
    if (this.total === 0) {
      this.total = page.pending;
      this.pagesLeft = taken === 0 ? 0 : Math.ceil(page.pending / taken) + 1;
    }
    this.pagesLeft -= 1;
  }

  /** @param items how many of those that there are to do */
  async working(tag: string, work: () => Promise<void>, items = 1): Promise<void> {
    this.current.add(tag);
    try {
      await work();
      this.done += items;
    } finally {
      this.current.delete(tag);
    }
  }

  /** One step that is its own operation; `failureKey` names it among what is not tried again. @returns whether it worked */
  async attempt(
    index: number,
    position: Position,
    operation: Operation,
    failureKey: string,
    work: () => Promise<unknown>,
  ): Promise<boolean> {
    let error: ReportedError | null = null;
    try {
      await work();
    } catch (thrown) {
      error = reportFailure(thrown);
    }
    const applied = error === null;
    this.record(index, position, { ...operation, applied, error }, applied ? null : failureKey);
    return applied;
  }

  record(index: number, position: Position, operation: Operation, failureKey: string | null): void {
    this.ended.push({ index, position, operation });
    if (failureKey === null || operation.error === null) return;
    this.failed.push(failureKey);
    const { type, message, exit_code } = operation.error;
    const { kind, out_tag, src_tag, digest } = operation;
    const { policy } = this;
    log.error('operation.failed', {
      ...{ policy, dest: this.repositoryAt(position), variant: this.variantAt(position) },
      ...{ kind, out_tag, src_tag, digest, applied: false, error_type: type, error: message, exit_code },
    });
  }

  giveUp(failureKey: string): void {
    this.failed.push(failureKey);
  }

  close(): void {
    const inOrder = this.ended.sort((a, b) => a.index - b.index);
    for (const { position, operation } of inOrder) addOperation(this.report, position, operation);
  }

  carry(): PolicyProgress {
    const { report, failed, refused, done, total, pagesLeft, waiting, waitsAfter } = this;
    return {
      ...{ report, failed, refused, done, total, pagesLeft },
      ...(waiting === undefined ? {} : { waiting }),
      ...(typeof waitsAfter === 'string' ? { waitsAfter } : {}),
    };
  }

  progress(): Progress {
    return { done: this.done, total: this.total, current: [...this.current].slice(0, 20) };
  }

  repositoryAt(position: Position): string {
    return this.report.targets[position.target]?.dest_repo ?? '';
  }

  variantAt(position: Position): string {
    return position.variant === null
      ? ''
      : (this.report.targets[position.target]?.variants[position.variant]?.name ?? '');
  }
}

function journalOf(
  run: PolicyRun,
  policy: string,
  destination: { host: string; path: string },
  position: Position,
  { kind, out_tag, src_tag, digest }: Operation,
): Record<string, unknown> {
  return {
    policy,
    dest: formatRepository(destination),
    variant: run.variantAt(position),
    kind,
    out_tag,
    src_tag,
    digest,
  };
}
