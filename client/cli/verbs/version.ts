import { Command } from 'commander';
import { houbaVersion } from '../../../config/version.js';
import { type Output, outputOption } from '../options.js';
import { print, printJson } from '../terminal.js';

export function versionCommand(): Command {
  return new Command('version')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba version --output json')
    .action(async ({ output }: { readonly output: Output }) => {
      const version = houbaVersion();
      if (output === 'json') await printJson({ schema_version: 1, version, node: process.versions.node });
      else await print(`${version}\n`);
    });
}
