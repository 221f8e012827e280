import { Argument, Command } from 'commander';
import { transformJsonSchema } from '../../../domain/evidence/predicates.js';
import { externalParametersJsonSchema } from '../../../domain/evidence/provenance.js';
import { verifyReportJsonSchema } from '../../../domain/evidence/verify-report.js';
import { planJsonSchema } from '../../../domain/plan/held-plan/saved-plan.js';
import { auditReportJsonSchema } from '../../../domain/report/audit-report.js';
import { gcReportJsonSchema } from '../../../domain/report/collect-report.js';
import { purgeReportJsonSchema } from '../../../domain/report/purge-report.js';
import { runReportJsonSchema } from '../../../domain/report/run/json-schema.js';
import { printJson } from '../terminal.js';

const SCHEMAS = {
  'run-report': runReportJsonSchema,
  plan: planJsonSchema,
  'verify-report': verifyReportJsonSchema,
  'purge-report': purgeReportJsonSchema,
  'gc-report': gcReportJsonSchema,
  'audit-report': auditReportJsonSchema,
  'transform-predicate': transformJsonSchema,
  'placement-parameters': externalParametersJsonSchema,
};

export function schemaCommand(): Command {
  return new Command('schema')
    .addArgument(new Argument('<document>', 'which one').choices(Object.keys(SCHEMAS)))
    .addHelpText('after', '\nExample:\n  houba schema run-report > run-report.schema.json')
    .action((document: keyof typeof SCHEMAS) => printJson(SCHEMAS[document]()));
}
