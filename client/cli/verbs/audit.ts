import { Option } from 'commander';
import type { AuditInput } from '../../../domain/durable/audit.js';
import {
  type AuditReport,
  auditExitCode,
  auditReportJsonSchema,
  renderAuditReport,
} from '../../../domain/report/audit-report.js';
import { wholeNumber } from '../options.js';
import { repositoryOption, type SweepVerb } from '../sweep-verb.js';

interface AuditOptions {
  readonly registry?: readonly string[];
  readonly repository?: readonly string[];
  readonly signed?: boolean;
  readonly sbom?: boolean;
  readonly failOnUncovered?: boolean;
  readonly failOnUnsigned?: boolean;
  readonly failOnNoSbom?: boolean;
  readonly limit?: number;
}

export const AUDIT: SweepVerb<AuditInput, AuditReport> = {
  addOptions: (command) =>
    command
      .addOption(registryOption())
      .addOption(repositoryOption())
      .option('--signed', 'look for signatures; verifies them where the settings say whose count')
      .option('--sbom', 'look for inventories')
      .option('--fail-on-uncovered', 'exit 1 when an image has no stamp')
      .option('--fail-on-unsigned', 'exit 1 when a covered image is not signed; implies --signed')
      .option('--fail-on-no-sbom', 'exit 1 when a covered image has no inventory; implies --sbom')
      .option('--limit <n>', 'look at so many images at most', wholeNumber(1))
      .addHelpText('after', '\nExample:\n  houba audit --registry main --fail-on-uncovered --fail-on-unsigned'),
  ask: (self) => {
    const options = self.optsWithGlobals<AuditOptions>();
    const { registry: registries = null, repository: repositories = null, limit = null } = options;
    const {
      failOnUncovered: uncovered = false,
      failOnUnsigned: unsigned = false,
      failOnNoSbom: noSbom = false,
    } = options;
    const asked = { signed: options.signed === true || unsigned, sbom: options.sbom === true || noSbom };
    return {
      input: { registries, repositories, ...asked, limit },
      exitCode: (report) => auditExitCode(report, { uncovered, unsigned, noSbom }),
    };
  },
  render: renderAuditReport,
  schema: auditReportJsonSchema,
};

function registryOption(): Option {
  return new Option('--registry <name>', 'look at this entry of HOUBA_REGISTRIES alone; repeatable').argParser(
    (name: string, before: readonly string[] | undefined) => [...(before ?? []), name],
  );
}
