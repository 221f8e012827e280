import { CancellationScope, continueAsNew } from '@temporalio/workflow';
import type { Collection } from '../activities/collect/superseded-scans.js';
import type { OpenedSweep } from '../activities/sweep/walk-registries.js';
import type { GcInput } from '../domain/durable/sweeps.js';
import { HoubaError, type ReportedError, reportError } from '../domain/errors.js';
import { formatRepository } from '../domain/reference.js';
import { addRepository, emptyGcReport, type GcOutcome, type GcReport } from '../domain/report/collect-report.js';
import type { DestinationRepository } from '../domain/roster.js';
import { reportFailure } from './failures.js';
import { steps, sweepSteps } from './steps.js';
import { endSweep, repositoriesOf, type SweepProgress, sweepPage } from './sweep-run.js';

/** What a collection that continues as new carries along. */
export interface GcProgress extends SweepProgress<OpenedSweep> {
  /** RFC 3339: the run's one `now`. */
  readonly now: string;
  readonly report: GcReport;
}

/** Collects what newer reports and newer digests have superseded, repository by repository. A dry run only lists it. */
export async function collectGarbage(input: GcInput, carried?: GcProgress): Promise<GcReport> {
  const now = carried?.now ?? new Date().toISOString();
  let report = carried?.report ?? emptyGcReport(input.apply ? 'apply' : 'dry-run');
  const add = (outcomes: readonly GcOutcome[]) => {
    report = addRepository(report, outcomes);
  };

  const { opened, next } = await sweepPage<OpenedSweep, DestinationRepository>({
    phase: 'collecting',
    carried,
    open: () => steps.openSweep({ ...input, asks: false }),
    find: async (at, { mode }) => {
      report = { ...report, mode };
      const page = await repositoriesOf(at, input.repositories);
      for (const { name, error } of page.unread) add([failed(name, error)]);
      return page;
    },
    nameOf: formatRepository,
    work: async (repository, _, { mode }) => add(await collect(input, mode, repository, now)),
    failed: (repository, error) => add([failed(formatRepository(repository), error)]),
    done: () => report.counts.repositories,
  });
  if (next !== null) return await continueAsNew<typeof collectGarbage>(input, { opened, cursor: next, now, report });
  endSweep('gc', { mode: report.mode, ...report.counts }, report.counts.failed);
  return report;
}

async function collect(
  { keep, olderThanDays }: GcInput,
  mode: OpenedSweep['mode'],
  repository: DestinationRepository,
  now: string,
): Promise<readonly GcOutcome[]> {
  const apply = mode === 'apply';
  const outcomes: GcOutcome[] = [];
  const gone = new Set<string>();
  for (;;) {
    let planned: Collection;
    try {
      planned = await sweepSteps.planCollection({ repository, keep, olderThanDays, now, apply });
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
    const { leftBehind } = await CancellationScope.nonCancellable(() => sweepSteps.collect({ repository, planned }));
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
