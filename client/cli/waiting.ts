import { Command } from 'commander';
import { escapeControls } from '../../domain/report/escape.js';
import type { WaitSummary } from '../sdk.js';
import { type Output, outputOption } from './options.js';

export function waitingCommand(): Command {
  return new Command('waiting')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExample:\n  houba waiting\n\nThe one due first stands in front. `houba promote` ends a wait, `houba hold` stops it.',
    )
    .action(({ output }: { readonly output: Output }) => listWaits(output));
}

async function listWaits(output: Output): Promise<void> {
  const { settingsOfProcess } = await import('./settings.js');
  const { attend } = await import('./session.js');
  const { note, print, printJson } = await import('./terminal.js');
  const session = await attend({ settings: settingsOfProcess().settings, note, journal: 'stderr' });
  try {
    const waits = await Promise.race([session.client.waits(), session.broken]);
    if (output === 'json') await printJson({ schema_version: 1, waits: waits.map(waitJson) });
    else await print(waits.length === 0 ? 'nothing waits\n' : waits.map(waitLine).join(''));
  } finally {
    await session.close();
  }
}

/** Two lines a tag: what is waited for until when, and why it is more than the window, if it is. */
function waitLine({ reference, policy, digest, phase, dueAt, held, lastError }: WaitSummary): string {
  const due = dueAt === null ? '' : `  due ${dueAt}`;
  const why = [
    ...(held === null ? [] : [`held by ${held.by}: ${held.reason}`]),
    ...(lastError === null ? [] : [`last attempt: ${lastError}`]),
  ];
  const more = why.map((text) => `  ${escapeControls(text)}\n`).join('');
  return `${escapeControls(reference)}  ${digest}  ${phase}${due}  [${escapeControls(policy)}]\n${more}`;
}

function waitJson(wait: WaitSummary) {
  const { reference, workflowId, policy, digest, phase, dueAt, standsSince, attempt, held, lastError } = wait;
  return {
    reference,
    workflow_id: workflowId,
    policy,
    digest,
    phase,
    due_at: dueAt,
    stands_since: standsSince,
    attempt,
    held,
    last_error: lastError,
  };
}
