import { continueAsNew } from '@temporalio/workflow';
import type { OpenedAudit } from '../activities/audit/audit-repository.js';
import type { AuditInput } from '../domain/durable/audit.js';
import { formatRepository } from '../domain/reference.js';
import {
  type AuditPart,
  type AuditReport,
  addPart,
  emptyAuditReport,
  inOrder,
  unreadPart,
} from '../domain/report/audit-report.js';
import type { DestinationRepository } from '../domain/roster.js';
import { steps, sweepSteps } from './steps.js';
import { endSweep, repositoriesOf, type SweepProgress, sweepPage } from './sweep-run.js';

/** What an audit that continues as new carries along. */
export interface AuditProgress extends SweepProgress<OpenedAudit> {
  readonly repositories: number;
  readonly report: AuditReport;
}

/**
 * Tells of every image in the registries whether houba stands behind it. Writes nothing. What could not be listed is an
 * outcome, also a registry without a catalogue: nobody can say that nothing strange is there.
 */
export async function auditFleet(input: AuditInput, carried?: AuditProgress): Promise<AuditReport> {
  const { signed, sbom, limit } = input;
  let done = carried?.repositories ?? 0;
  let report = carried?.report ?? emptyAuditReport([], false);
  const add = (part: AuditPart) => {
    report = addPart(report, part);
  };
  const left = () => (limit === null ? null : limit - report.counts.scanned);

  const { opened, next } = await sweepPage<OpenedAudit, DestinationRepository>({
    phase: 'auditing',
    carried,
    open: () => steps.openAudit(input),
    find: async (at, { hosts, verified }) => {
      if (carried === undefined) report = emptyAuditReport(hosts, verified);
      const page = await repositoriesOf(at, input.repositories);
      for (const { name, error } of [...page.unread, ...(page.passedOver ?? [])]) add(unreadPart(name, error));
      return page;
    },
    nameOf: formatRepository,
    // How many are left is known when the repository before has been looked at.
    width: ({ concurrency }) => (limit === null ? concurrency : 1),
    work: async (repository) => {
      if (left() === 0) return;
      add(await sweepSteps.auditRepository({ repository, signed, sbom, limit: left() }));
      done += 1;
    },
    failed: (repository, error) => {
      add(unreadPart(formatRepository(repository), error));
      done += 1;
    },
    done: () => done,
  });
  if (next !== null && left() !== 0) {
    return await continueAsNew<typeof auditFleet>(input, { opened, cursor: next, repositories: done, report });
  }
  endSweep('audit', { ...report.counts }, report.counts.errored);
  return inOrder(report);
}
