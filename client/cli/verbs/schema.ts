import { Argument, Command } from 'commander';
import { attachReportJsonSchema } from '../../../domain/evidence/attach/attach-report.js';
import { transformJsonSchema } from '../../../domain/evidence/predicates.js';
import { externalParametersJsonSchema } from '../../../domain/evidence/provenance.js';
import { scanJsonSchema } from '../../../domain/evidence/scan.js';
import { verifyReportJsonSchema } from '../../../domain/evidence/verify-report.js';
import { planJsonSchema } from '../../../domain/plan/held-plan/saved-plan.js';
import { fleetReportJsonSchema } from '../../../domain/report/fleet/fleet-report.js';
import { runReportJsonSchema } from '../../../domain/report/run/json-schema.js';
import { loadSweep, SWEEP_NAMES } from '../../sweep-kinds.js';
import { printJson } from '../terminal.js';

const SCHEMAS: Readonly<Record<string, () => object | Promise<object>>> = {
  'run-report': runReportJsonSchema,
  plan: planJsonSchema,
  'verify-report': verifyReportJsonSchema,
  'attach-report': attachReportJsonSchema,
  'fleet-report': fleetReportJsonSchema,
  ...Object.fromEntries(SWEEP_NAMES.map((verb) => [`${verb}-report`, async () => (await loadSweep(verb)).schema()])),
  'transform-predicate': transformJsonSchema,
  'scan-predicate': scanJsonSchema,
  'placement-parameters': externalParametersJsonSchema,
};

export function schemaCommand(): Command {
  return new Command('schema')
    .addArgument(new Argument('<document>', 'which one').choices(Object.keys(SCHEMAS)))
    .addHelpText('after', '\nExample:\n  houba schema run-report > run-report.schema.json')
    .action(async (document: string) => printJson(await SCHEMAS[document]?.()));
}
