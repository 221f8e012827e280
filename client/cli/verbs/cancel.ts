import { Command } from 'commander';
import { named } from '../options.js';

export function cancelCommand(): Command {
  return new Command('cancel')
    .argument('<run>', 'workflow id of a run', named)
    .addHelpText('after', '\nExample:\n  houba cancel reconcile-fleet-2026-03-02T05-00-11.204Z')
    .action(cancelRun);
}

async function cancelRun(workflowId: string): Promise<void> {
  const { note } = await import('../terminal.js');
  const { settingsOfProcess } = await import('../settings.js');
  const { lookIn } = await import('../session.js');
  const session = await lookIn(settingsOfProcess().settings);
  try {
    await session.client.cancel({ workflowId });
    note(`asked ${workflowId} to end; it finishes or takes back what it has begun`);
  } finally {
    await session.close();
  }
}
