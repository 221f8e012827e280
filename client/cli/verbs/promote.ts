import type { Command } from 'commander';
import { decisionCommand } from '../decision.js';
import { decideOnWait } from '../wait-decision.js';

export function promoteCommand(): Command {
  return decisionCommand('promote')
    .requiredOption('--reason <text>', 'why it need not wait; it stands in the stamp and the journal')
    .addHelpText(
      'after',
      '\nExample:\n  houba promote registry.example/cache/valkey:8.1 --reason "fixes CVE-2026-0001"\n\n' +
        'It returns once the digest has been placed.',
    )
    .action(
      decideOnWait(
        'promote',
        (name, { taken }) => `took over ${name} ${taken?.digest ?? ''}, placed as ${taken?.outDigest ?? ''}`,
      ),
    );
}
