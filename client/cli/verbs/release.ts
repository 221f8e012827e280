import type { Command } from 'commander';
import { decisionCommand } from '../decision.js';
import { decideOnWait } from '../wait-decision.js';

export function releaseCommand(): Command {
  return decisionCommand('release')
    .option('--reason <text>', 'why it may go on', 'released by hand')
    .addHelpText('after', '\nExample:\n  houba release registry.example/cache/valkey:8.1')
    .action(decideOnWait('release', (name, { digest, dueAt }) => `released ${name} ${digest}, due ${dueAt ?? 'now'}`));
}
