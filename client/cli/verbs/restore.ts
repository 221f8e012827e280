import type { Command } from 'commander';
import { escapeControls } from '../../../domain/text/escape.js';
import { decisionCommand } from '../decision.js';
import { decideOnMark, type RetirementOptions } from '../retirement-decision.js';

export function restoreCommand(): Command {
  return decisionCommand('restore')
    .requiredOption('--reason <text>', 'why it stays')
    .addHelpText(
      'after',
      '\nExample:\n  houba restore registry.example/cache/valkey:8.0.1 --reason "team-a still pulls it"\n\n' +
        'It lasts until the tag is wanted again or its digest moves.',
    )
    .action((ref: string, _: unknown, self: Command) => restore(ref, self.optsWithGlobals<RetirementOptions>()));
}

async function restore(ref: string, options: RetirementOptions): Promise<void> {
  const { print, printJson } = await import('../terminal.js');
  await decideOnMark(ref, options, async (client, tag, word) => {
    const { digest = null, reason } = await client.decideRetirement('restore', tag, word);
    if (options.output === 'json') await printJson({ schema_version: 1, image_ref: ref, digest, restored: true });
    else await print(`RESTORED ${escapeControls(ref)}  ${escapeControls(reason)}\n`);
  });
}
