import type { Digest } from '../digest.js';
import type { RecordedStamp } from '../stamp/annotations.js';

/** The facts of a wanted stamp whose difference from the recorded ones causes work. */
export interface DesiredFacts {
  readonly policy: string;
  readonly import: string;
  readonly variant: string;
  readonly owners: readonly string[];
  readonly vendor: string | null;
  readonly transformVersion: string | null;
  readonly platforms: readonly string[] | null;
  readonly stampTo: 'annotations' | 'referrer';
}

/** `moved`: upstream shows another digest, which may have to wait. */
export type Decision = 'import' | 'update' | 'restamp' | 'moved' | 'keep';

/** Decides on a tag; `recorded` null: no stamp (docs/rules/plan.md#the-first-condition-decides). */
export function classify(
  desired: DesiredFacts,
  sourceDigest: Digest,
  recorded: RecordedStamp | null,
  prefix: string,
): Decision {
  if (recorded === null) return 'import';
  if (prefix !== '' && recorded.transformVersion !== desired.transformVersion) return 'update';
  if (identityDiffers(desired, recorded, prefix)) return 'restamp';
  if (prefix !== '' && recorded.platforms !== (desired.platforms?.join(',') ?? null)) return 'update';
  if (recorded.baseDigest !== sourceDigest) return 'moved';
  return 'keep';
}

function identityDiffers(desired: DesiredFacts, recorded: RecordedStamp, prefix: string): boolean {
  if (recorded.vendor !== desired.vendor) return true;
  if (prefix === '') return false;
  return (
    recorded.policy !== desired.policy ||
    recorded.import !== desired.import ||
    recorded.variant !== desired.variant ||
    recorded.owners !== (desired.owners.join(',') || null) ||
    recorded.stampTo !== desired.stampTo
  );
}
