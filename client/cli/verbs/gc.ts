import { GC_DEFAULTS, type GcInput } from '../../../domain/durable/sweeps.js';
import {
  type GcReport,
  gcExitCode,
  gcReportJsonSchema,
  renderGcReport,
} from '../../../domain/report/collect-report.js';
import { wholeNumber } from '../options.js';
import { type DeletingOptions, repositoryOption, type SweepVerb } from '../sweep-verb.js';

interface GcOptions extends DeletingOptions {
  readonly keep: number;
  readonly olderThanDays: number;
}

export const GC: SweepVerb<GcInput, GcReport> = {
  addOptions: (command) =>
    command
      .option('--apply', 'delete what is found')
      .option('--registry <name>', 'look at this entry of HOUBA_REGISTRIES alone')
      .addOption(repositoryOption())
      .option('--keep <n>', 'scan reports kept of each image, tool and format', wholeNumber(0), GC_DEFAULTS.keep)
      .option(
        '--older-than-days <n>',
        'collect only what was superseded longer ago',
        wholeNumber(0),
        GC_DEFAULTS.olderThanDays,
      )
      .addHelpText('after', '\nExample:\n  houba gc --keep 3 --older-than-days 60 --apply'),
  ask: (self) => {
    const options = self.optsWithGlobals<GcOptions>();
    const { registry = null, repository: repositories = null, apply = false, keep, olderThanDays } = options;
    return { input: { registry, repositories, apply, keep, olderThanDays }, exitCode: gcExitCode };
  },
  render: renderGcReport,
  schema: gcReportJsonSchema,
};
