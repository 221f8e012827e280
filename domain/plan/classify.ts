import type { Digest } from '../digest.js';
import type { RecordedStamp } from '../stamp/annotations.js';

/** What a policy wants a tag's stamp to say, as far as a difference calls for action. */
export interface DesiredFacts {
  readonly policy: string;
  readonly import: string;
  readonly variant: string;
  readonly owners: readonly string[];
  readonly vendor: string | null;
  readonly transformVersion: string | null;
  readonly platforms: readonly string[] | null;
  /** Another place for the stamp is a restamp. */
  readonly stampTo: 'annotations' | 'referrer';
}

/**
 * `moved` says only that upstream's tag resolves to something else now; when to take it over is the stability window's
 * business.
 */
export type Decision = 'import' | 'update' | 'restamp' | 'moved' | 'keep';

/**
 * What becomes of a tag: the first condition that holds decides (docs/rules/plan.md#the-first-condition-decides). Recorded
 * facts are compared with the source, never the mirror's own digest, which stamping changes.
 *
 * @param recorded null when the tag is absent or not houba's
 */
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
