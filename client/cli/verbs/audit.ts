import { Command, Option } from 'commander';
import { type AuditReport, auditExitCode, renderAuditReport } from '../../../domain/report/audit-report.js';
import { reportOption, wholeNumber } from '../options.js';
import { repositoryOption, runSweep, type SweepOptions } from '../sweep.js';

interface AuditOptions extends Omit<SweepOptions, 'registry' | 'apply'> {
  readonly registry?: readonly string[];
  readonly signed?: boolean;
  readonly sbom?: boolean;
  readonly failOnUncovered?: boolean;
  readonly failOnUnsigned?: boolean;
  readonly failOnNoSbom?: boolean;
  readonly limit?: number;
}

export function auditCommand(): Command {
  return new Command('audit')
    .addOption(registryOption())
    .addOption(repositoryOption())
    .option('--signed', 'look for signatures; verifies them where the settings say whose count')
    .option('--sbom', 'look for inventories')
    .option('--fail-on-uncovered', 'exit 1 when an image has no stamp')
    .option('--fail-on-unsigned', 'exit 1 when a covered image is not signed; implies --signed')
    .option('--fail-on-no-sbom', 'exit 1 when a covered image has no inventory; implies --sbom')
    .option('--limit <n>', 'look at so many images at most', wholeNumber(1))
    .addOption(reportOption())
    .addHelpText('after', '\nExample:\n  houba audit --registry main --fail-on-uncovered --fail-on-unsigned')
    .action((_: unknown, self: Command) => audit(self.optsWithGlobals<AuditOptions>()));
}

/** Given as often as one likes. */
function registryOption(): Option {
  return new Option('--registry <name>', 'look at this entry of HOUBA_REGISTRIES alone; repeatable').argParser(
    (name: string, before: readonly string[] | undefined) => [...(before ?? []), name],
  );
}

async function audit(options: AuditOptions): Promise<void> {
  const { settingsOfProcess } = await import('../settings.js');
  const { settings } = settingsOfProcess();
  const { registry: registries = null, repository: repositories = null, limit = null } = options;
  const {
    failOnUncovered: uncovered = false,
    failOnUnsigned: unsigned = false,
    failOnNoSbom: noSbom = false,
  } = options;
  const asked = { signed: options.signed === true || unsigned, sbom: options.sbom === true || noSbom };
  const input = { registries, repositories, ...asked, limit };
  await runSweep<AuditReport>(settings, { verb: 'audit', input }, async (report) => {
    const { paletteFor, print, printJson } = await import('../terminal.js');
    if ((options.output ?? settings.logFormat) === 'json') await printJson(report);
    else await print(renderAuditReport(report, paletteFor(process.stdout, options.color)));
    return auditExitCode(report, { uncovered, unsigned, noSbom });
  });
}
