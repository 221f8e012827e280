import type { WaitStatus } from '../../domain/durable/settle.js';
import { escapeControls } from '../../domain/text/escape.js';
import { taggedReference, whoami } from './decision.js';
import type { Output } from './options.js';

interface DecisionOptions {
  readonly by?: string;
  readonly reason: string;
  readonly output: Output;
}

/** Makes the action of a command by which a person decides about a wait. @param told the result, for a person */
export function decideOnWait(verb: 'promote' | 'hold' | 'release', told: (name: string, status: WaitStatus) => string) {
  return async (text: string, { by = whoami(), reason, output }: DecisionOptions): Promise<void> => {
    const { host, path, tag, digest } = taggedReference(text);
    const { settingsOfProcess } = await import('./settings.js');
    const { attend } = await import('./session.js');
    const { note, print, printJson } = await import('./terminal.js');
    const session = await attend({ settings: settingsOfProcess().settings, note, journal: 'stderr' });
    try {
      const deciding = session.client.decideWait(verb, { repository: { host, path }, tag }, { by, reason, digest });
      const status = await Promise.race([deciding, session.broken]);
      if (output === 'json')
        await printJson({ schema_version: 1, reference: `${host}/${path}:${tag}`, ...statusJson(status) });
      else await print(`${told(`${host}/${path}:${tag}`, status)} (${escapeControls(`${by}: ${reason}`)})\n`);
    } finally {
      await session.close();
    }
  };
}

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
