import { continueAsNew, defineQuery, log, setHandler, upsertSearchAttributes } from '@temporalio/workflow';
import type { OpenedAudit } from '../activities/audit/audit-repository.js';
import type { AuditInput } from '../domain/durable/audit.js';
import type { Progress, Status } from '../domain/durable/messages.js';
import { QUERIES } from '../domain/durable/names.js';
import type { SweepCursor } from '../domain/durable/sweeps.js';
import { formatRepository } from '../domain/reference.js';
import { type AuditReport, addPart, emptyAuditReport, inOrder, unreadPart } from '../domain/report/audit-report.js';
import { reportFailure } from './failures.js';
import { inParallel } from './in-parallel.js';
import { outcomeAttributes } from './search-attributes.js';
import { steps } from './steps.js';

export const progressQuery = defineQuery<Progress>(QUERIES.progress);
export const statusQuery = defineQuery<Status>(QUERIES.status);

/** What an audit that continues as new carries along. */
export interface AuditProgress {
  readonly opened: OpenedAudit;
  readonly cursor: SweepCursor | null;
  readonly repositories: number;
  readonly report: AuditReport;
}

/**
 * Says of every image in the registries whether houba stands behind it, repository by repository. Writes nothing. What could
 * not be listed is an outcome, also a registry without a catalogue: nobody can say that nothing strange is there.
 */
export async function auditFleet(input: AuditInput, carried?: AuditProgress): Promise<AuditReport> {
  const { signed, sbom, limit } = input;
  const current = new Set<string>();
  let done = carried?.repositories ?? 0;
  let status: Status = { phase: 'opening', since: new Date().toISOString() };
  setHandler(statusQuery, () => status);
  setHandler(progressQuery, () => ({ done, total: 0, current: [...current].slice(0, 20) }));

  const opened = carried?.opened ?? (await steps.openAudit(input));
  let report = carried?.report ?? emptyAuditReport(opened.hosts, opened.verified);
  status = { phase: 'auditing', since: new Date().toISOString() };
  const page = await steps.listRepositories({
    registries: opened.registries,
    repositories: input.repositories,
    cursor: carried?.cursor ?? null,
  });
  for (const { name, error } of [...page.unread, ...(page.passedOver ?? [])]) {
    report = addPart(report, unreadPart(name, error));
  }
  const left = () => (limit === null ? null : limit - report.counts.scanned);
  // How many are left is known when the repository before has been looked at.
  await inParallel(page.repositories, limit === null ? opened.concurrency : 1, async (repository) => {
    if (left() === 0) return;
    const name = formatRepository(repository);
    current.add(name);
    try {
      const part = await steps.auditRepository({ repository, signed, sbom, limit: left() });
      report = addPart(report, part);
    } catch (error) {
      report = addPart(report, unreadPart(name, reportFailure(error)));
    } finally {
      current.delete(name);
    }
    done += 1;
  });
  if (page.next !== null && left() !== 0)
    return await continueAsNew<typeof auditFleet>(input, { opened, cursor: page.next, repositories: done, report });
  log.info('audit.completed', { ...report.counts });
  upsertSearchAttributes(outcomeAttributes(report.counts.errored === 0 ? 'ok' : 'partial'));
  return inOrder(report);
}
