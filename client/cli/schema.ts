import { Argument, Command } from 'commander';
import { runReportJsonSchema } from '../../domain/report/json-schema.js';
import { printJson } from './terminal.js';

export function schemaCommand(): Command {
  return new Command('schema')
    .addArgument(new Argument('<document>', 'which one').choices(['run-report']))
    .addHelpText('after', '\nExample:\n  houba schema run-report > run-report.schema.json')
    .action(() => printJson(runReportJsonSchema()));
}
