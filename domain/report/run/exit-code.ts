import { EXIT_CODES, type ReportedError } from '../../errors.js';
import type { PolicyNode, RunReport } from './run-report.js';

/** Picks the exit code of a reconcile (docs/rules/errors.md#the-worst-code-ends-a-command). */
export function exitCodeOf(report: RunReport): number {
  let worst = 0;
  for (const policy of report.policies) {
    for (const error of errorsOf(policy)) worst = Math.max(worst, error.exit_code);
  }
  // A failure that nobody explains is a fault of ours, never a success.
  return worst === 0 && report.status !== 'ok' ? EXIT_CODES.Internal : worst;
}

/** Of `plan --detailed-exitcode`. */
export const CHANGES_PENDING = 10;

/** Whether a run would write, or has written: held tags wait and skipped ones were not wanted. */
export function changesPending(report: RunReport): boolean {
  const { held: _held, skipped: _skipped, failed: _failed, ...changes } = report.totals;
  return Object.values(changes).some((count) => count > 0);
}

function* errorsOf(policy: PolicyNode): Generator<ReportedError> {
  if (policy.error !== null) yield policy.error;
  for (const target of policy.targets) {
    for (const operation of target.operations) if (operation.error !== null) yield operation.error;
    for (const variant of target.variants) {
      for (const operation of variant.operations) if (operation.error !== null) yield operation.error;
    }
  }
}
