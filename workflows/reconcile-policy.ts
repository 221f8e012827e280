import { continueAsNew, defineQuery, log, setHandler, upsertSearchAttributes } from '@temporalio/workflow';
import type { PolicyResult, Progress, Status } from '../domain/durable/messages.js';
import { QUERIES } from '../domain/durable/names.js';
import { takeItems } from '../domain/plan/held-plan/item-pages.js';
import type { PlannedItems } from '../domain/plan/plan-item.js';
import type { PolicyInput } from '../domain/plan/request.js';
import {
  type AliasPlacement,
  type Backfill,
  PAGE_SIZES,
  type Placement,
  type PlanPage,
  type Wait,
} from '../domain/plan/work.js';
import { formatRepository, formatTagged, type Repository } from '../domain/reference.js';
import { type OperationLine, operationLine } from '../domain/report/run/journal.js';
import { addOperation, finishReport, setError } from '../domain/report/run/policy-report.js';
import type { Position } from '../domain/report/run/position.js';
import { newOperation, type Operation, withoutLost } from '../domain/report/run/run-report.js';
import { reportFailure } from './failures.js';
import { inParallel } from './in-parallel.js';
import { deleteTags, setMarks } from './mark-or-delete-tags.js';
import { observeWaits } from './observe-settling.js';
import { placeChild } from './place-child.js';
import type { PlacementResult } from './place-image.js';
import { type PolicyProgress, PolicyRun, takenBy } from './policy-run.js';
import { outcomeAttributes } from './search-attributes.js';
import { steps } from './steps.js';

export const progressQuery = defineQuery<Progress>(QUERIES.progress);
export const statusQuery = defineQuery<Status>(QUERIES.status);

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

/** Takes the items of this page from a held plan; null: there is none. */
function nextOfPlan(input: PolicyInput): {
  readonly planned: Pick<PolicyInput, 'plan'>;
  readonly rest: (PolicyInput & { readonly plan: PlannedItems }) | null;
} {
  const { plan } = input;
  if (plan === undefined) return { planned: {}, rest: null };
  const { page, rest } = takeItems(plan.items, PAGE_SIZES.work);
  return { planned: { plan: { ...plan, items: page } }, rest: { ...input, plan: { ...plan, items: rest } } };
}

async function observe(run: PolicyRun, waits: readonly Wait[], dryRun: boolean): Promise<void> {
  if (waits.length === 0) return;
  run.enter('observing');
  await observeWaits(waits, dryRun, (position, operation) => addOperation(run.report, position, operation));
}

/** Withdraws the waits of tags that left the selection, unless something could not be read. */
async function withdrawOthers(run: PolicyRun, policy: string, at: string): Promise<void> {
  const { report, waiting } = run;
  if (waiting === undefined || report.error !== null) return;
  try {
    await steps.withdrawWaits({ policy, waiting, at });
  } catch (error) {
    setError(report, reportFailure(error));
  }
}

/** The last stages: what left the selection, surplus, and clearing. */
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
    const { digest: out_digest, lost } = result;
    const reason = lost === undefined ? {} : { reason: withoutLost(lost) };
    run.record(index, position, { ...operation, applied: true, out_digest, ...reason }, null);
    for (const { alias, moved, error } of result.aliases) {
      if (!moved && error === null) continue;
      const aliased = { ...newOperation('aliased', alias), src_tag: tag, digest: placement.baseDigest };
      const outcome = error === null ? { applied: true, out_digest: result.digest } : { error };
      run.record(index, position, { ...aliased, ...outcome }, error === null ? null : formatTagged(destination, alias));
    }
  });
}

/** Each kind is an operation of its own; a signature needs the document. */
async function fill(run: PolicyRun, policy: string, backfill: Backfill, index: number): Promise<void> {
  const { destination, subject, position, tag, created } = backfill;
  const { artifactType, facts } = backfill;
  await run.working(tag, async () => {
    // Plans from before there were signatures have no `needs`.
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

function journalOf(
  run: PolicyRun,
  policy: string,
  destination: Repository,
  position: Position,
  operation: Operation,
): OperationLine {
  return operationLine({ policy, dest: formatRepository(destination), variant: run.variantAt(position) }, operation);
}
