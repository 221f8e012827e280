import { continueAsNew } from '@temporalio/workflow';
import type { OpenedAudit } from '../activities/audit/audit-repository.js';
import type { AuditInput } from '../domain/durable/audit.js';
import { formatDuration } from '../domain/duration.js';
import { formatRepository } from '../domain/reference.js';
import {
  type AuditPart,
  type AuditReport,
  addPart,
  auditPart,
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

const NOTHING_KNOWN = { registries: [], sources_skipped: [], verified: false, max_age: null };

/**
 * Tells of every image in the registries whether houba stands behind it. Writes nothing. What could not be listed is an
 * outcome, also a registry without a catalogue: nobody can say that nothing strange is there.
 */
export async function auditFleet(input: AuditInput, carried?: AuditProgress): Promise<AuditReport> {
  const { signed, sbom, scanned, maxAgeMs, limit } = input;
  let done = carried?.repositories ?? 0;
  let report = carried?.report ?? emptyAuditReport(NOTHING_KNOWN);
  const add = (part: AuditPart) => {
    report = addPart(report, part);
  };
  const scans = { ...(scanned === true && { scanned }), ...(maxAgeMs !== undefined && { maxAgeMs }) };
  const left = () => (limit === null ? null : limit - report.counts.scanned);

  const { opened, next } = await sweepPage<OpenedAudit, DestinationRepository>({
    phase: 'auditing',
    carried,
    open: () => steps.openAudit(input),
    find: async (at, { hosts, verified, sourcesSkipped: sources_skipped = [] }) => {
      if (carried === undefined) {
        const max_age = maxAgeMs === undefined ? null : formatDuration(maxAgeMs);
        report = emptyAuditReport({ registries: hosts, sources_skipped, verified, max_age });
      }
      const page = await repositoriesOf(at, input.repositories);
      add(auditPart([], page.requests ?? 0));
      for (const { name, error } of [...page.unread, ...(page.passedOver ?? [])]) add(unreadPart(name, error));
      return page;
    },
    nameOf: formatRepository,
    // How many are left is known when the repository before has been looked at.
    width: ({ concurrency }) => (limit === null ? concurrency : 1),
    work: async (repository) => {
      if (left() === 0) return;
      add(await sweepSteps.auditRepository({ repository, signed, sbom, ...scans, limit: left() }));
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
  endSweep('audit', { ...report.counts, requests: report.requests }, report.counts.errored);
  return inOrder(report);
}
