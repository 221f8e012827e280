import {
  CancellationScope,
  continueAsNew,
  defineQuery,
  log,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { Collection } from '../activities/collect/superseded-scans.js';
import type { OpenedSweep } from '../activities/sweep/walk-registries.js';
import type { Progress, Status } from '../domain/durable/messages.js';
import { QUERIES } from '../domain/durable/names.js';
import type { GcInput, SweepCursor } from '../domain/durable/sweeps.js';
import { HoubaError, type ReportedError, reportError } from '../domain/errors.js';
import { formatRepository } from '../domain/reference.js';
import { addRepository, emptyGcReport, type GcOutcome, type GcReport } from '../domain/report/collect-report.js';
import type { DestinationRepository } from '../domain/roster.js';
import { reportFailure } from './failures.js';
import { inParallel } from './in-parallel.js';
import { outcomeAttributes } from './search-attributes.js';
import { steps } from './steps.js';

export const progressQuery = defineQuery<Progress>(QUERIES.progress);
export const statusQuery = defineQuery<Status>(QUERIES.status);

/** What a collection that continues as new carries along. */
export interface GcProgress {
  readonly opened: OpenedSweep;
  readonly cursor: SweepCursor | null;
  /** RFC 3339: the run's one `now`. */
  readonly now: string;
  readonly report: GcReport;
}

/** Collects what newer reports and newer digests have superseded, repository by repository. A dry run only lists it. */
export async function collectGarbage(input: GcInput, carried?: GcProgress): Promise<GcReport> {
  const now = carried?.now ?? new Date().toISOString();
  const { repositories } = input;
  const current = new Set<string>();
  let report = carried?.report ?? emptyGcReport(input.apply ? 'apply' : 'dry-run');
  let status: Status = { phase: 'opening', since: now };
  setHandler(statusQuery, () => status);
  setHandler(progressQuery, () => ({ done: report.counts.repositories, total: 0, current: [...current].slice(0, 20) }));

  const opened = carried?.opened ?? (await steps.openSweep({ ...input, asks: false }));
  report = { ...report, mode: opened.mode };
  status = { phase: 'collecting', since: new Date().toISOString() };
  const page = await steps.listRepositories({
    registries: opened.registries,
    repositories,
    cursor: carried?.cursor ?? null,
  });
  for (const { name, error } of page.unread) report = addRepository(report, [failed(name, error)]);
  await inParallel(page.repositories, opened.concurrency, async (repository) => {
    const name = formatRepository(repository);
    current.add(name);
    try {
      const outcomes = await collect(input, opened, repository, now);
      report = addRepository(report, outcomes);
    } finally {
      current.delete(name);
    }
  });
  if (page.next !== null)
    return await continueAsNew<typeof collectGarbage>(input, { opened, cursor: page.next, now, report });
  log.info('gc.completed', { mode: report.mode, ...report.counts });
  upsertSearchAttributes(outcomeAttributes(report.counts.failed === 0 ? 'ok' : 'partial'));
  return report;
}

async function collect(
  { keep, olderThanDays }: GcInput,
  { mode }: OpenedSweep,
  repository: DestinationRepository,
  now: string,
): Promise<readonly GcOutcome[]> {
  const apply = mode === 'apply';
  const outcomes: GcOutcome[] = [];
  const gone = new Set<string>();
  for (;;) {
    let planned: Collection;
    try {
      planned = await steps.planCollection({ repository, keep, olderThanDays, now, apply });
    } catch (error) {
      return [...outcomes, failed(formatRepository(repository), reportFailure(error))];
    }
    if (!apply || planned.outcomes.length === 0) return [...outcomes, ...planned.outcomes];
    const applied = await carryOut(repository, planned);
    outcomes.push(...applied);
    const found = applied.flatMap(({ collected }) => collected);
    // Where a registry still shows what it said it has deleted, the same would be found for ever.
    const isNew = found.some((digest) => !gone.has(digest));
    if (!planned.more || !isNew || applied.some(({ error }) => error !== null)) return outcomes;
    for (const digest of found) gone.add(digest);
  }
}

async function carryOut(repository: DestinationRepository, planned: Collection): Promise<readonly GcOutcome[]> {
  try {
    // What hangs on a deleted index is not found again: what has begun is brought to its end.
    const { leftBehind } = await CancellationScope.nonCancellable(() => steps.collect({ repository, planned }));
    return planned.outcomes.map((outcome) => told(outcome, repository, leftBehind));
  } catch (error) {
    const reported = reportFailure(error);
    return planned.outcomes.map((outcome) => ({ ...outcome, error: reported }));
  }
}

/** An outcome without what the registry keeps. */
function told(outcome: GcOutcome, { host }: DestinationRepository, leftBehind: readonly string[]): GcOutcome {
  const left = new Set(leftBehind);
  const collected = outcome.collected.filter((digest) => !left.has(digest));
  const stayed = outcome.collected.length - collected.length;
  if (stayed === 0) return { ...outcome, applied: true };
  const hint = 'turn deletion on in the registry';
  const error = reportError(new HoubaError('Unsupported', `${host} does not delete: ${stayed} stay`, { hint }));
  return { ...outcome, kept: outcome.kept + stayed, collected, applied: collected.length > 0, error };
}

function failed(name: string, error: ReportedError): GcOutcome {
  return { kind: 'superseded', image_ref: name, kept: 0, collected: [], applied: false, error };
}
