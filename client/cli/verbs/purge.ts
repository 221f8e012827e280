import type { Settings } from '../../../config/settings.js';
import type { PurgeInput } from '../../../domain/durable/sweeps.js';
import { HoubaError } from '../../../domain/errors.js';
import {
  type PurgeReport,
  purgeExitCode,
  purgeReportJsonSchema,
  renderPurgeReport,
} from '../../../domain/report/purge-report.js';
import { wholeNumber } from '../options.js';
import { type DeletingOptions, repositoryOption, type SweepVerb } from '../sweep-verb.js';

interface PurgeOptions extends DeletingOptions {
  readonly maxDeletions?: number;
  readonly requireApproval?: boolean;
}

export const PURGE: SweepVerb<PurgeInput, PurgeReport> = {
  addOptions: (command) =>
    command
      .option('--apply', 'begin to retire what is marked, and delete what is due and unused')
      .option('--registry <name>', 'look at this entry of HOUBA_REGISTRIES alone')
      .addOption(repositoryOption())
      .option('--max-deletions <n>', 'begin to retire at most so many tags in this run', wholeNumber(0))
      .option('--require-approval', 'delete nothing before somebody has said `houba approve REF`')
      .addHelpText(
        'after',
        '\nExample:\n  houba purge                 # what would become of every marked tag\n' +
          '  houba purge --apply --max-deletions 20\n\n' +
          'Needs HOUBA_PURGE_MIN_IDLE and HOUBA_USAGE_ORACLE_CMD (exit 3). Without --apply nothing is begun or deleted.\n' +
          'A tag that is not due yet waits by itself, and is asked about when it is: `houba restore REF` takes it back.',
      ),
  ask: (self, settings) => {
    requireGate(settings);
    const options = self.optsWithGlobals<PurgeOptions>();
    const input = {
      registry: options.registry ?? null,
      repositories: options.repository ?? null,
      apply: options.apply ?? false,
      maxDeletions: options.maxDeletions ?? null,
      requireApproval: options.requireApproval ?? false,
    };
    return { input, exitCode: purgeExitCode };
  },
  render: renderPurgeReport,
  schema: purgeReportJsonSchema,
};

/** Checks the settings of a purge before anything is started; on a cluster the worker checks its own. */
function requireGate({ temporal, purgeMinIdleMs, usageOracle }: Settings): void {
  if (temporal.address !== null) return;
  const missing = [
    ...(purgeMinIdleMs === null ? ['HOUBA_PURGE_MIN_IDLE'] : []),
    ...(usageOracle.command === null ? ['HOUBA_USAGE_ORACLE_CMD'] : []),
  ];
  if (missing.length === 0) return;
  throw new HoubaError('ConfigInvalid', `purge needs ${missing.join(' and ')}`, {
    hint: 'how long a tag must be unused, and who knows what is in use: see docs/purge.md',
  });
}
