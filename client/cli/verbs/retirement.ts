import type { Command } from 'commander';
import type { RetireDecision } from '../../../domain/durable/retire.js';
import { HoubaError } from '../../../domain/errors.js';
import { formatRepository, type Reference } from '../../../domain/reference.js';
import type { DestinationRepository, Roster } from '../../../domain/roster.js';
import { escapeControls } from '../../../domain/text/escape.js';
import { decisionCommand, taggedReference, whoami } from '../decision.js';
import type { Output } from '../options.js';
import type { Session } from '../session.js';

interface DecisionOptions {
  readonly by?: string;
  readonly reason: string;
  readonly output: Output;
  readonly color: boolean;
}

export function approveCommand(): Command {
  return decisionCommand('approve')
    .option('--reason <text>', 'why it may go', 'approved by hand')
    .addHelpText(
      'after',
      '\nExample:\n  houba approve registry.example/cache/valkey:8.0.1 --reason "checked with team-a"',
    )
    .action((ref: string, _: unknown, self: Command) =>
      decide('approve', ref, self.optsWithGlobals<DecisionOptions>()),
    );
}

export function restoreCommand(): Command {
  return decisionCommand('restore')
    .requiredOption('--reason <text>', 'why it stays')
    .addHelpText(
      'after',
      '\nExample:\n  houba restore registry.example/cache/valkey:8.0.1 --reason "team-a still pulls it"\n\n' +
        'It lasts until the tag is wanted again or its digest moves.',
    )
    .action((ref: string, _: unknown, self: Command) =>
      decide('restore', ref, self.optsWithGlobals<DecisionOptions>()),
    );
}

async function decide(verb: 'approve' | 'restore', ref: string, options: DecisionOptions): Promise<void> {
  const reference = taggedReference(ref);
  const { settingsOfProcess } = await import('../settings.js');
  const { openSession } = await import('../session.js');
  const { note } = await import('../terminal.js');
  const { settings } = settingsOfProcess();
  const destination = placeOf(settings.registries, reference);
  const tag = { destination, tag: reference.tag };
  const word: RetireDecision = { by: options.by ?? whoami(), reason: options.reason, digest: reference.digest };
  const session = await openSession({ settings, note, journal: 'stderr', concurrency: null });
  try {
    await Promise.race([tell(session, verb, ref, tag, word, options), session.broken]);
  } finally {
    await session.close();
  }
}

async function tell(
  session: Session,
  verb: 'approve' | 'restore',
  ref: string,
  tag: { readonly destination: DestinationRepository; readonly tag: string },
  word: RetireDecision,
  { output }: DecisionOptions,
): Promise<void> {
  const { print, printJson } = await import('../terminal.js');
  const status = await session.client.decideRetirement(verb, tag, word);
  if (verb === 'restore') {
    if (output === 'json')
      await printJson({ schema_version: 1, image_ref: ref, digest: status.digest ?? null, restored: true });
    else await print(`RESTORED ${escapeControls(ref)}  ${escapeControls(status.reason)}\n`);
    return;
  }
  const outcome = await session.client.retirementOutcome(tag);
  if (output === 'json') await printJson({ schema_version: 1, ...outcome });
  else {
    const verdict = outcome.applied ? 'DELETED' : outcome.decision.toUpperCase();
    const due = outcome.due_at === null ? '' : ` (due ${outcome.due_at})`;
    await print(`APPROVED ${escapeControls(ref)}  ${verdict}: ${escapeControls(outcome.reason)}${due}\n`);
  }
  if (outcome.error !== null) process.exitCode = outcome.error.exit_code;
}

/** Under which name of the roster a repository is; the longest namespace that fits. */
function placeOf(roster: Roster, { host, path }: Reference): DestinationRepository {
  const fitting = [...roster.values()]
    .filter((entry) => entry.host === host && (entry.namespace === null || path.startsWith(`${entry.namespace}/`)))
    .sort((a, b) => (b.namespace?.length ?? 0) - (a.namespace?.length ?? 0));
  const [entry] = fitting;
  if (entry !== undefined) return { registry: entry.name, host, path };
  const known = [...roster.values()].map((one) => one.host).join(', ') || 'none';
  throw new HoubaError('ConfigInvalid', `${formatRepository({ host, path })} is in no registry of the roster`, {
    hint: `HOUBA_REGISTRIES has: ${known}`,
  });
}
