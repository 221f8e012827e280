import {
  continueAsNew,
  defineQuery,
  log,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
} from '@temporalio/workflow';
import type { StartRetirementResult } from '../activities/retire/start-retirement.js';
import type { OpenedSweep } from '../activities/sweep/walk-registries.js';
import type { Progress, Status } from '../domain/durable/messages.js';
import { QUERIES } from '../domain/durable/names.js';
import { failedOutcome, type MarkedTag, outcomeOf } from '../domain/durable/retire.js';
import type { PurgeInput, SweepCursor } from '../domain/durable/sweeps.js';
import { formatTagged } from '../domain/reference.js';
import { addOutcomes, emptyPurgeReport, type PurgeOutcome, type PurgeReport } from '../domain/report/purge-report.js';
import { reportFailure } from './failures.js';
import { inParallel } from './in-parallel.js';
import { outcomeAttributes } from './search-attributes.js';
import { steps } from './steps.js';

export const progressQuery = defineQuery<Progress>(QUERIES.progress);
export const statusQuery = defineQuery<Status>(QUERIES.status);

/** A retirement that is waited for holds a slot of the queue on which its own steps run. */
const STARTED_AT_ONCE = 10;

/** What a sweep that continues as new carries along. */
export interface PurgeProgress {
  readonly opened: OpenedSweep;
  readonly cursor: SweepCursor | null;
  /** Retirements that may still begin; null: any number. */
  readonly left: number | null;
  readonly report: PurgeReport;
}

/**
 * Looks for marked tags in all registries and hands each over to its retirement, which waits, asks, and deletes by itself;
 * what is due now is seen to its end. A dry run only says how each stands.
 */
export async function purgeFleet(input: PurgeInput, carried?: PurgeProgress): Promise<PurgeReport> {
  const { repositories } = input;
  const current = new Set<string>();
  let status: Status = { phase: 'opening', since: new Date().toISOString() };
  let report = carried?.report ?? emptyPurgeReport(input.apply ? 'apply' : 'dry-run');
  setHandler(statusQuery, () => status);
  setHandler(progressQuery, () => ({ done: doneIn(report), total: 0, current: [...current].slice(0, 20) }));

  const opened = carried?.opened ?? (await steps.openSweep({ ...input, asks: true }));
  report = { ...report, mode: opened.mode };
  let left = carried ? carried.left : input.maxDeletions;
  status = { phase: 'sweeping', since: new Date().toISOString() };
  const page = await steps.findMarks({ registries: opened.registries, repositories, cursor: carried?.cursor ?? null });
  setCurrentDetails(`${page.found.length} marked tags in this page`);

  const outcomes: PurgeOutcome[] = [];
  const width = Math.min(opened.concurrency, STARTED_AT_ONCE);
  await inParallel(page.found, width, async (marked, index) => {
    const name = formatTagged(marked.destination, marked.tag);
    current.add(name);
    const mayBegin = left === null || left > 0;
    if (opened.mode === 'apply' && mayBegin && left !== null) left -= 1;
    try {
      if (opened.mode === 'dry-run') outcomes[index] = outcomeOf(marked, await steps.judgeTag(marked));
      else {
        const { outcome, begun } = await startRetirement(input, marked, mayBegin);
        outcomes[index] = outcome;
        if (mayBegin && !begun && left !== null) left += 1;
      }
    } catch (error) {
      outcomes[index] = failedOutcome(marked, reportFailure(error));
    } finally {
      current.delete(name);
    }
  });
  report = addOutcomes(report, [...page.settled, ...outcomes]);
  if (page.next !== null) {
    return await continueAsNew<typeof purgeFleet>(input, { opened, cursor: page.next, left, report });
  }
  log.info('purge.completed', { mode: report.mode, ...report.counts });
  upsertSearchAttributes(outcomeAttributes(report.counts.failed === 0 ? 'ok' : 'partial'));
  return report;
}

function startRetirement(input: PurgeInput, marked: MarkedTag, mayBegin: boolean): Promise<StartRetirementResult> {
  return steps.handOver({ marked, requireApproval: input.requireApproval, mayBegin });
}

function doneIn({ counts }: PurgeReport): number {
  return counts.purge + counts.protect + counts.uncertain + counts.wait;
}
