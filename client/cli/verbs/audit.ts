import { Option } from 'commander';
import type { AuditInput } from '../../../domain/durable/audit.js';
import { HoubaError } from '../../../domain/errors.js';
import {
  type AuditReport,
  auditExitCode,
  auditReportJsonSchema,
  renderAuditReport,
} from '../../../domain/report/audit-report.js';
import { age, wholeNumber } from '../options.js';
import { repositoryOption, type SweepVerb } from '../sweep-verb.js';

interface AuditOptions {
  readonly registry?: readonly string[];
  readonly repository?: readonly string[];
  readonly signed?: boolean;
  readonly sbom?: boolean;
  readonly scanned?: boolean;
  readonly maxAge?: number;
  readonly failOnUncovered?: boolean;
  readonly failOnUnsigned?: boolean;
  readonly failOnNoSbom?: boolean;
  readonly failOnUnscanned?: boolean;
  readonly limit?: number;
}

export const AUDIT: SweepVerb<AuditInput, AuditReport> = {
  addOptions: (command) =>
    command
      .addOption(registryOption())
      .addOption(repositoryOption())
      .option('--signed', 'look for signatures; verifies them where the settings say whose count')
      .option('--sbom', 'look for inventories')
      .option('--scanned', 'look for scans; verifies their signatures where the settings say whose count')
      .option('--max-age <duration>', 'count scans that are not older, as in 7d or 36h', age)
      .option('--fail-on-uncovered', 'exit 1 when an image has no stamp')
      .option('--fail-on-unsigned', 'exit 1 when a covered image is not signed; implies --signed')
      .option('--fail-on-no-sbom', 'exit 1 when a covered image has no inventory; implies --sbom')
      .option('--fail-on-unscanned', 'exit 1 when a covered image has no fresh scan; implies --scanned')
      .option('--limit <n>', 'look at so many images at most', wholeNumber(1))
      .addHelpText('after', '\nExample:\n  houba audit --registry main --fail-on-uncovered --fail-on-unsigned'),
  ask: (self) => {
    const options = self.optsWithGlobals<AuditOptions>();
    const { registry: registries = null, repository: repositories = null, limit = null } = options;
    const {
      failOnUncovered: uncovered = false,
      failOnUnsigned: unsigned = false,
      failOnNoSbom: noSbom = false,
      failOnUnscanned: unscanned = false,
    } = options;
    const asked = {
      ...{ signed: options.signed === true || unsigned, sbom: options.sbom === true || noSbom },
      ...askedOfScans(options),
    };
    return {
      input: { registries, repositories, ...asked, limit },
      exitCode: (report) => auditExitCode(report, { uncovered, unsigned, noSbom, unscanned }),
    };
  },
  render: renderAuditReport,
  schema: auditReportJsonSchema,
};

/** @throws HoubaError `ConfigInvalid` for an age of nothing, which would look like a passed gate */
function askedOfScans(options: AuditOptions): Pick<AuditInput, 'scanned' | 'maxAgeMs'> {
  const { scanned = false, failOnUnscanned = false, maxAge: maxAgeMs } = options;
  if (scanned || failOnUnscanned) return { scanned: true, ...(maxAgeMs !== undefined && { maxAgeMs }) };
  if (maxAgeMs === undefined) return {};
  throw new HoubaError('ConfigInvalid', '--max-age is about scans, which nothing asks for', {
    hint: 'add --scanned or --fail-on-unscanned, or leave --max-age out',
  });
}

function registryOption(): Option {
  return new Option('--registry <name>', 'look at this entry of HOUBA_REGISTRIES alone; repeatable').argParser(
    (name: string, before: readonly string[] | undefined) => [...(before ?? []), name],
  );
}
