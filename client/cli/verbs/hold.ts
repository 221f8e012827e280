import type { Command } from 'commander';
import { decisionCommand } from '../decision.js';
import { decideOnWait } from '../wait-decision.js';

export function holdCommand(): Command {
  return decisionCommand('hold')
    .option('--reason <text>', 'why it must wait longer', 'held by hand')
    .addHelpText(
      'after',
      '\nExample:\n  houba hold registry.example/cache/valkey:8.1 --reason "broken on arm64"\n\n' +
        'Nothing is taken over until `houba release`. The window runs on.',
    )
    .action(decideOnWait('hold', (name, { digest }) => `holding ${name} ${digest}`));
}
