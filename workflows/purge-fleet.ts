import { continueAsNew, setCurrentDetails } from '@temporalio/workflow';
import type { OpenedSweep } from '../activities/sweep/walk-registries.js';
import { failedOutcome, type MarkedTag, outcomeOf } from '../domain/durable/retire.js';
import type { PurgeInput } from '../domain/durable/sweeps.js';
import { formatTagged } from '../domain/reference.js';
import { addOutcomes, emptyPurgeReport, type PurgeOutcome, type PurgeReport } from '../domain/report/purge-report.js';
import { steps, sweepSteps } from './steps.js';
import { endSweep, type SweepProgress, sweepPage } from './sweep-run.js';

/** A retirement that is waited for holds a slot of the queue on which its own steps run. */
const STARTED_AT_ONCE = 10;

/** What a purge that continues as new carries along. */
export interface PurgeProgress extends SweepProgress<OpenedSweep> {
  /** Retirements that may still begin; null: any number. */
  readonly left: number | null;
  readonly report: PurgeReport;
}

/**
 * Finds marked tags in all registries and starts the retirement of each, which waits, asks and deletes by itself; the
 * report awaits those that are due. A dry run only says how each stands.
 */
export async function purgeFleet(input: PurgeInput, carried?: PurgeProgress): Promise<PurgeReport> {
  let report = carried?.report ?? emptyPurgeReport(input.apply ? 'apply' : 'dry-run');
  let left = carried ? carried.left : input.maxDeletions;
  let settled: readonly PurgeOutcome[] = [];
  const outcomes: PurgeOutcome[] = [];

  async function startRetirement(marked: MarkedTag): Promise<PurgeOutcome> {
    const mayBegin = left === null || left > 0;
    if (mayBegin && left !== null) left -= 1;
    const { outcome, begun } = await steps.handOver({ marked, requireApproval: input.requireApproval, mayBegin });
    if (mayBegin && !begun && left !== null) left += 1;
    return outcome;
  }

  const { opened, next } = await sweepPage<OpenedSweep, MarkedTag>({
    phase: 'sweeping',
    carried,
    open: () => steps.openSweep({ ...input, asks: true }),
    find: async (at, { mode }) => {
      report = { ...report, mode };
      const page = await sweepSteps.findMarks({ ...at, repositories: input.repositories });
      setCurrentDetails(`${page.found.length} marked tags in this page`);
      settled = page.settled;
      return { items: page.found, next: page.next };
    },
    nameOf: ({ destination, tag }) => formatTagged(destination, tag),
    width: ({ concurrency }) => Math.min(concurrency, STARTED_AT_ONCE),
    work: async (marked, index, { mode }) => {
      outcomes[index] =
        mode === 'dry-run' ? outcomeOf(marked, await steps.judgeTag(marked)) : await startRetirement(marked);
    },
    failed: (marked, error, index) => {
      outcomes[index] = failedOutcome(marked, error);
    },
    done: () => doneIn(report),
  });
  report = addOutcomes(report, [...settled, ...outcomes]);
  if (next !== null) return await continueAsNew<typeof purgeFleet>(input, { opened, cursor: next, left, report });
  endSweep('purge', { mode: report.mode, ...report.counts }, report.counts.failed);
  return report;
}

function doneIn({ counts }: PurgeReport): number {
  return counts.purge + counts.protect + counts.uncertain + counts.wait;
}
