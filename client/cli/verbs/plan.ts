import { Command } from 'commander';
import { named } from '../options.js';
import { type ReconcileOptions, runReconcile, withRunOptions } from '../run-reconcile.js';

/** `plan` is `reconcile --dry-run`. */
export function planCommand(): Command {
  const command = new Command('plan')
    .argument('<dir>', 'folder of policies, or one file', named)
    .option('--out <file>', 'save the plan, for `houba reconcile --plan`', named)
    .option('--detailed-exitcode', 'exit with 10 when changes are pending')
    .addHelpText('after', '\nExample:\n  houba plan policies/ --out plan.json --detailed-exitcode');
  return withRunOptions(command).action((dir: string, _: unknown, self: Command) =>
    runReconcile(dir, { ...self.optsWithGlobals<ReconcileOptions>(), dryRun: true }),
  );
}
