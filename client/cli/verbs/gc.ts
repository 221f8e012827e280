import { Command } from 'commander';
import { GC_DEFAULTS } from '../../../domain/durable/sweeps.js';
import { type GcReport, gcExitCode, renderGcReport } from '../../../domain/report/collect-report.js';
import { reportOption, wholeNumber } from '../options.js';
import { repositoryOption, runSweep, type SweepOptions } from '../sweep.js';

interface GcOptions extends SweepOptions {
  readonly keep: number;
  readonly olderThanDays: number;
}

export function gcCommand(): Command {
  return new Command('gc')
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
    .addOption(reportOption())
    .addHelpText('after', '\nExample:\n  houba gc --keep 3 --older-than-days 60 --apply')
    .action((_: unknown, self: Command) => gc(self.optsWithGlobals<GcOptions>()));
}

async function gc(options: GcOptions): Promise<void> {
  const { settingsOfProcess } = await import('../settings.js');
  const { settings } = settingsOfProcess();
  const { registry = null, repository: repositories = null, apply = false, keep, olderThanDays } = options;
  const input = { registry, repositories, apply, keep, olderThanDays };
  await runSweep<GcReport>(settings, { verb: 'gc', input }, async (report) => {
    const { paletteFor, print, printJson } = await import('../terminal.js');
    if ((options.output ?? settings.logFormat) === 'json') await printJson(report);
    else await print(renderGcReport(report, paletteFor(process.stdout, options.color)));
    return gcExitCode(report);
  });
}
