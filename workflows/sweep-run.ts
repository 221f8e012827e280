import { defineQuery, log, setHandler, upsertSearchAttributes } from '@temporalio/workflow';
import type { RepositoriesPage } from '../activities/sweep/walk-registries.js';
import type { Progress, Status } from '../domain/durable/messages.js';
import { QUERIES } from '../domain/durable/names.js';
import type { SweepCursor } from '../domain/durable/sweeps.js';
import type { ReportedError } from '../domain/errors.js';
import { reportFailure } from './failures.js';
import { inParallel } from './in-parallel.js';
import { outcomeAttributes } from './search-attributes.js';
import { sweepSteps } from './steps.js';

const progressQuery = defineQuery<Progress>(QUERIES.progress);
const statusQuery = defineQuery<Status>(QUERIES.status);

/** What the step that opens a sweep finds. */
interface Opened {
  /** Names of the roster. */
  readonly registries: readonly string[];
  readonly concurrency: number;
}

/** What a sweep that continues as new carries along, beside its report. */
export interface SweepProgress<Open extends Opened> {
  readonly opened: Open;
  readonly cursor: SweepCursor | null;
}

/** Where a page is looked for. */
export interface PageRequest {
  readonly registries: readonly string[];
  readonly cursor: SweepCursor | null;
}

/** What is particular to a sweep. Its report is its own: these functions write it. */
export interface SweepPage<Open extends Opened, Item> {
  /** The word of the status query while it is at work. */
  readonly phase: string;
  readonly carried: SweepProgress<Open> | undefined;
  open(): Promise<Open>;
  find(at: PageRequest, opened: Open): Promise<{ readonly items: readonly Item[]; readonly next: SweepCursor | null }>;
  nameOf(item: Item): string;
  /** Items in flight; left out: as many as the settings say. */
  width?(opened: Open): number;
  work(item: Item, index: number, opened: Open): Promise<void>;
  /** What cannot be worked on stands in the report and stops nothing else. */
  failed(item: Item, error: ReportedError, index: number): void;
  /** How many are done, for the progress query. */
  done(): number;
}

/**
 * Works through one page of a sweep: opens it unless that was done before, finds the items of the page, and works on
 * several at once. Answers the queries `status` and `progress` meanwhile.
 *
 * @returns `next`: where to continue as new; null: the sweep is done
 */
export async function sweepPage<Open extends Opened, Item>(
  sweep: SweepPage<Open, Item>,
): Promise<{ readonly opened: Open; readonly next: SweepCursor | null }> {
  const { phase, carried } = sweep;
  const current = new Set<string>();
  let status: Status = { phase: 'opening', since: new Date().toISOString() };
  setHandler(statusQuery, () => status);
  setHandler(progressQuery, () => ({ done: sweep.done(), total: 0, current: [...current].slice(0, 20) }));

  const opened = carried?.opened ?? (await sweep.open());
  status = { phase, since: new Date().toISOString() };
  const at = { registries: opened.registries, cursor: carried?.cursor ?? null };
  const { items, next } = await sweep.find(at, opened);
  await inParallel(items, sweep.width?.(opened) ?? opened.concurrency, async (item, index) => {
    const name = sweep.nameOf(item);
    current.add(name);
    try {
      await sweep.work(item, index, opened);
    } catch (error) {
      sweep.failed(item, reportFailure(error), index);
    } finally {
      current.delete(name);
    }
  });
  return { opened, next };
}

/** The repositories of a page, for a sweep that works on one repository after the other. */
export async function repositoriesOf(
  at: PageRequest,
  repositories: readonly string[] | null,
): Promise<RepositoriesPage & { readonly items: RepositoriesPage['repositories'] }> {
  const page = await sweepSteps.listRepositories({ ...at, repositories });
  return { ...page, items: page.repositories };
}

/** Writes the end of a sweep to the journal and to visibility; `failed` counts what could not be worked on. */
export function endSweep(verb: string, facts: Readonly<Record<string, unknown>>, failed: number): void {
  log.info(`${verb}.completed`, facts);
  upsertSearchAttributes(outcomeAttributes(failed === 0 ? 'ok' : 'partial'));
}
