import type { RetireDecision } from '../../domain/durable/retire.js';
import { type DestinationRepository, placeInRoster } from '../../domain/roster.js';
import { taggedReference, whoami } from './decision.js';
import type { Output } from './options.js';
import type { Session } from './session.js';

export interface RetirementOptions {
  readonly by?: string;
  readonly reason: string;
  readonly output: Output;
}

/** Opens a session in which a person decides about a marked tag. */
export async function decideOnMark(
  ref: string,
  options: RetirementOptions,
  decide: (
    client: Session['client'],
    tag: { readonly destination: DestinationRepository; readonly tag: string },
    word: RetireDecision,
  ) => Promise<void>,
): Promise<void> {
  const reference = taggedReference(ref);
  const { settingsOfProcess } = await import('./settings.js');
  const { openSession } = await import('./session.js');
  const { note } = await import('./terminal.js');
  const { settings } = settingsOfProcess();
  const tag = { destination: placeInRoster(settings.registries, reference), tag: reference.tag };
  const word: RetireDecision = { by: options.by ?? whoami(), reason: options.reason, digest: reference.digest };
  const session = await openSession({ settings, note, journal: 'stderr', concurrency: null });
  try {
    await Promise.race([decide(session.client, tag, word), session.broken]);
  } finally {
    await session.close();
  }
}
