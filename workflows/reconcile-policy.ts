import {
  continueAsNew,
  defineQuery,
  executeChild,
  log,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import { placementId } from '../domain/durable/ids.js';
import type { PolicyResult, Progress, Status } from '../domain/durable/messages.js';
import { QUERIES, QUEUES } from '../domain/durable/names.js';
import type {
  AliasPlacement,
  Backfill,
  Placement,
  PlacementResult,
  PlanPage,
  PolicyInput,
  Position,
} from '../domain/durable/placement.js';
import { formatRepository, formatTagged } from '../domain/reference.js';
import type { ReportedError } from '../domain/report/errors.js';
import {
  addCounted,
  addOperation,
  finishReport,
  type PolicyReport,
  setError,
  setTargets,
  startReport,
} from '../domain/report/policy-report.js';
import { newOperation, type Operation } from '../domain/report/run-report.js';
import { reportFailure } from './failures.js';
import { inParallel } from './in-parallel.js';
import { placeImage } from './place-image.js';
import { outcomeAttributes, placementAttributes } from './search-attributes.js';
import { steps } from './steps.js';

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
}

/** Reconciles one policy: plan a page, carry it out, plan again until nothing is left to do. */
export async function reconcilePolicy(input: PolicyInput, carried?: PolicyProgress): Promise<PolicyResult> {
  const name = input.policy.metadata.name;
  const run = new PolicyRun(input, carried);
  setHandler(progressQuery, () => run.progress());
  setHandler(statusQuery, () => run.status);

  run.enter('planning');
  let page: PlanPage;
  try {
    page = await steps.planPolicy({ ...input, failed: run.failed, first: carried === undefined });
  } catch (error) {
    setError(run.report, reportFailure(error));
    return finish(name, run);
  }
  run.opened(page);
  if (!run.dryRun(page)) {
    run.enter('placing');
    await inParallel(page.placements, page.concurrency, (placement, index) => place(run, placement, index));
    run.enter('evidence');
    await inParallel(page.backfills, page.concurrency, (backfill, index) => fill(run, name, backfill, index));
    run.enter('aliases');
    await inParallel(page.aliases, page.concurrency, (alias, index) => point(run, name, alias, index));
    run.close();
    const taken = page.placements.length + page.backfills.length + page.aliases.length;
    if (page.pending > taken && run.pagesLeft > 0) {
      return continueAsNew<typeof reconcilePolicy>(input, run.carry());
    }
  }
  return finish(name, run);
}

async function place(run: PolicyRun, placement: Placement, index: number): Promise<void> {
  const { destination, tag, label, position } = placement;
  const repository = formatRepository(destination);
  const operation = {
    ...newOperation(placement.kind, tag),
    src_tag: placement.sourceTag,
    digest: placement.baseDigest,
    transform_steps: placement.transform?.steps.map((one) => one.name) ?? null,
  };
  await run.working(tag, async () => {
    let result: PlacementResult;
    try {
      result = await executeChild(placeImage, {
        args: [placement],
        workflowId: placementId(destination, tag),
        taskQueue: QUEUES.flow,
        // A parent that ends must not cut short a child's compensation (guide, section 2).
        parentClosePolicy: 'ABANDON',
        staticSummary: `${placement.kind} ${tag}`,
        typedSearchAttributes: placementAttributes({
          policy: label.policy,
          repository,
          tag,
          digest: placement.baseDigest,
        }),
      });
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
  return { node, operationsCut: run.report.cut };
}

/** The state of one run of a policy, beside the process above. */
class PolicyRun {
  readonly report: PolicyReport;
  readonly failed: string[];
  status: Status = { phase: 'starting', since: new Date().toISOString() };
  pagesLeft: number;
  private done: number;
  private total: number;
  private readonly current = new Set<string>();
  /** Operations of this page, put into the report in plan order whatever the order they ended in. */
  private readonly ended: { index: number; position: Position; operation: Operation }[] = [];

  constructor(
    private readonly input: PolicyInput,
    carried: PolicyProgress | undefined,
  ) {
    this.report = carried?.report ?? startReport(input.policy.metadata.name, input.source);
    this.failed = [...(carried?.failed ?? [])];
    this.done = carried?.done ?? 0;
    this.total = carried?.total ?? 0;
    this.pagesLeft = carried?.pagesLeft ?? 0;
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
    const taken = page.placements.length + page.backfills.length + page.aliases.length;
    if (this.total === 0) {
      this.total = page.pending;
      this.pagesLeft = taken === 0 ? 0 : Math.ceil(page.pending / taken) + 1;
    }
    this.pagesLeft -= 1;
  }

  dryRun(page: PlanPage): boolean {
    return page.placements.length + page.backfills.length + page.aliases.length === 0;
  }

  async working(tag: string, work: () => Promise<void>): Promise<void> {
    this.current.add(tag);
    try {
      await work();
      this.done += 1;
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
    const policy = this.input.policy.metadata.name;
    log.error('operation.failed', {
      ...{ policy, dest: this.repositoryAt(position), variant: this.variantAt(position) },
      ...{ kind, out_tag, src_tag, digest, applied: false, error_type: type, error: message, exit_code },
    });
  }

  close(): void {
    const inOrder = this.ended.sort((a, b) => a.index - b.index);
    for (const { position, operation } of inOrder) addOperation(this.report, position, operation);
  }

  carry(): PolicyProgress {
    const { report, failed, done, total, pagesLeft } = this;
    return { report, failed, done, total, pagesLeft };
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
