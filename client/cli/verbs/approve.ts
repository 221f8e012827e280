import type { Command } from 'commander';
import { escapeControls } from '../../../domain/text/escape.js';
import { decisionCommand } from '../decision.js';
import { decideOnMark, type RetirementOptions } from '../retirement-decision.js';

export function approveCommand(): Command {
  return decisionCommand('approve')
    .option('--reason <text>', 'why it may go', 'approved by hand')
    .addHelpText(
      'after',
      '\nExample:\n  houba approve registry.example/cache/valkey:8.0.1 --reason "checked with team-a"',
    )
    .action((ref: string, _: unknown, self: Command) => approve(ref, self.optsWithGlobals<RetirementOptions>()));
}

async function approve(ref: string, options: RetirementOptions): Promise<void> {
  const { print, printJson } = await import('../terminal.js');
  await decideOnMark(ref, options, async (client, tag, word) => {
    await client.decideRetirement('approve', tag, word);
    const outcome = await client.retirementOutcome(tag);
    if (options.output === 'json') await printJson({ schema_version: 1, ...outcome });
    else {
      const verdict = outcome.applied ? 'DELETED' : outcome.decision.toUpperCase();
      const due = outcome.due_at === null ? '' : ` (due ${outcome.due_at})`;
      await print(`APPROVED ${escapeControls(ref)}  ${verdict}: ${escapeControls(outcome.reason)}${due}\n`);
    }
    if (outcome.error !== null) process.exitCode = outcome.error.exit_code;
  });
}
