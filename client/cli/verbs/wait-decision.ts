import type { Command } from 'commander';
import type { WaitStatus } from '../../../domain/durable/settle.js';
import { escapeControls } from '../../../domain/text/escape.js';
import { decisionCommand, taggedReference, whoami } from '../decision.js';
import type { Output } from '../options.js';

type Verb = 'promote' | 'hold' | 'release';

interface DecisionOptions {
  readonly by?: string;
  readonly reason: string;
  readonly output: Output;
}

export function promoteCommand(): Command {
  return decisionCommand('promote')
    .requiredOption('--reason <text>', 'why it need not wait; it stands in the stamp and the journal')
    .addHelpText(
      'after',
      '\nExample:\n  houba promote registry.example/cache/valkey:8.1 --reason "fixes CVE-2026-0001"\n\n' +
        'It returns once the digest has been placed.',
    )
    .action(action('promote'));
}

export function holdCommand(): Command {
  return decisionCommand('hold')
    .option('--reason <text>', 'why it must wait longer', 'held by hand')
    .addHelpText(
      'after',
      '\nExample:\n  houba hold registry.example/cache/valkey:8.1 --reason "broken on arm64"\n\n' +
        'Nothing is taken over until `houba release`. The window runs on.',
    )
    .action(action('hold'));
}

export function releaseCommand(): Command {
  return decisionCommand('release')
    .option('--reason <text>', 'why it may go on', 'released by hand')
    .addHelpText('after', '\nExample:\n  houba release registry.example/cache/valkey:8.1')
    .action(action('release'));
}

function action(verb: Verb) {
  return async (text: string, { by = whoami(), reason, output }: DecisionOptions): Promise<void> => {
    const { host, path, tag, digest } = taggedReference(text);
    const { settingsOfProcess } = await import('../settings.js');
    const { attend } = await import('../session.js');
    const { note, print, printJson } = await import('../terminal.js');
    const session = await attend({ settings: settingsOfProcess().settings, note, journal: 'stderr' });
    try {
      const deciding = session.client.decideWait(verb, { repository: { host, path }, tag }, { by, reason, digest });
      const status = await Promise.race([deciding, session.broken]);
      if (output === 'json')
        await printJson({ schema_version: 1, reference: `${host}/${path}:${tag}`, ...statusJson(status) });
      else await print(`${SAYS[verb](`${host}/${path}:${tag}`, status)} (${escapeControls(`${by}: ${reason}`)})\n`);
    } finally {
      await session.close();
    }
  };
}

const SAYS: Readonly<Record<Verb, (name: string, status: WaitStatus) => string>> = {
  promote: (name, { taken }) => `took over ${name} ${taken?.digest ?? ''}, placed as ${taken?.outDigest ?? ''}`,
  hold: (name, { digest }) => `holding ${name} ${digest}`,
  release: (name, { digest, dueAt }) => `released ${name} ${digest}, due ${dueAt ?? 'now'}`,
};

function statusJson({ phase, digest, dueAt, attempt, held, taken }: WaitStatus) {
  return {
    phase,
    digest,
    due_at: dueAt,
    attempt,
    held,
    taken: taken && { digest: taken.digest, out_digest: taken.outDigest, promoted: taken.promoted },
  };
}
