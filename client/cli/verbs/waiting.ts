import { Command } from 'commander';
import { DAY_MS } from '../../../domain/duration.js';
import { escapeControls } from '../../../domain/text/escape.js';
import type { WaitSummary } from '../../sdk.js';
import { type Output, outputOption } from '../options.js';

export function waitingCommand(): Command {
  return new Command('waiting')
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExample:\n  houba waiting\n\nThe one due first stands in front. `houba promote` takes a tag over now, `houba hold` stops that; `houba restore`\n' +
        'keeps one that is to be deleted. What no run has seen for a day may belong to a policy that is gone.',
    )
    .action(({ output }: { readonly output: Output }) => listWaits(output));
}

async function listWaits(output: Output): Promise<void> {
  const { settingsOfProcess } = await import('../settings.js');
  const { attend } = await import('../session.js');
  const { note, print, printJson } = await import('../terminal.js');
  const session = await attend({ settings: settingsOfProcess().settings, note, journal: 'stderr' });
  try {
    const waits = await Promise.race([session.client.waits(), session.broken]);
    if (output === 'json') await printJson({ schema_version: 1, waits: waits.map(waitJson) });
    else await print(waits.length === 0 ? 'nothing waits\n' : waits.map((wait) => waitLine(wait, Date.now())).join(''));
  } finally {
    await session.close();
  }
}

const WAITS_FOR = { settle: 'takeover', retire: 'deletion' } as const;

/** A line for each tag: what it waits for and until when; more lines give further reasons. */
function waitLine(wait: WaitSummary, nowMs: number): string {
  const { kind, reference, policy, digest, phase, dueAt, needsHuman, seenAt, held, reason, lastError } = wait;
  const due = dueAt === null ? '' : `  due ${dueAt}`;
  const why = [
    ...(needsHuman ? ['needs a human'] : []),
    ...(held === null ? [] : [`held by ${held.by}: ${held.reason}`]),
    ...(reason === null ? [] : [reason]),
    ...(lastError === null ? [] : [`last attempt: ${lastError}`]),
    ...(seenAt === null || nowMs - Date.parse(seenAt) < DAY_MS ? [] : [`no run has seen it since ${seenAt}`]),
  ];
  const more = why.map((text) => `  ${escapeControls(text)}\n`).join('');
  const head = `${escapeControls(reference)}  ${digest}  ${WAITS_FOR[kind]} ${phase}${due}`;
  return `${head}  [${escapeControls(policy)}]\n${more}`;
}

function waitJson(wait: WaitSummary) {
  const { kind, reference, workflowId, policy, digest, phase, dueAt, needsHuman, ...rest } = wait;
  const { standsSince, seenAt, attempt, held, reason, lastError } = rest;
  return {
    kind,
    reference,
    workflow_id: workflowId,
    policy,
    digest,
    phase,
    due_at: dueAt,
    needs_human: needsHuman,
    stands_since: standsSince,
    seen_at: seenAt,
    attempt,
    held,
    reason,
    last_error: lastError,
  };
}
