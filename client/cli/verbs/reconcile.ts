import { Command } from 'commander';
import { named } from '../options.js';
import { type ReconcileOptions, runReconcile, withRunOptions } from '../run-reconcile.js';

export function reconcileCommand(): Command {
  const command = new Command('reconcile')
    .argument('[dir]', 'folder of policies, or one file', named)
    .option('--plan <file>', 'carry out the plan of `houba plan --out`, and nothing else', named)
    .option('--dry-run', 'only plan: write nothing')
    .option('--detach', 'return once the run has started')
    .option('--allow-mass-deletion', 'lift HOUBA_MAX_DELETION_SHARE for this run')
    .addHelpText('after', '\nExample:\n  houba reconcile policies/ --verbose\n  houba reconcile --plan plan.json');
  return withRunOptions(command).action((dir: string | undefined, _: unknown, self: Command) => {
    const options = self.optsWithGlobals<ReconcileOptions>();
    const { plan } = options;
    if (dir === undefined && plan === undefined) self.error("error: missing argument 'dir', or option '--plan'");
    if (dir !== undefined && plan !== undefined)
      self.error('error: --plan names the policies itself: leave the folder out');
    return runReconcile(dir ?? '', options);
  });
}
