import { nearest } from '../nearest.js';
import type { ResolvedImport, ResolvedPolicy } from '../policy/resolve.js';
import { HoubaError } from '../report/errors.js';

/** The transform steps of section 3; their effect comes with rebuilds. */
const STEP_NAMES = ['injectCA', 'rewritePackageSources', 'setTimezone'];

/**
 * Refuses, before anything is read or written, what a policy may ask for but houba cannot do yet. Half a
 * promise would make the stamp untrue.
 *
 * @throws HoubaError `PolicyInvalid` for a step that does not exist, `Unsupported` for what is not built yet
 */
export function refuseUnbuilt(policy: ResolvedPolicy): void {
  for (const entry of policy.imports) {
    for (const step of [...entry.transform, ...entry.variants.flatMap((variant) => variant.transform)]) {
      if (!STEP_NAMES.includes(step.name)) {
        throw new HoubaError(
          'PolicyInvalid',
          `${where(policy, entry)}: there is no transform step ${JSON.stringify(step.name)}`,
          {
            hint: `did you mean ${nearest(step.name, STEP_NAMES) ?? STEP_NAMES.join(', or ')}?`,
          },
        );
      }
    }
    const asked = unbuiltFields(entry);
    if (asked.length > 0) {
      throw new HoubaError('Unsupported', `${where(policy, entry)}: not yet: ${asked.join(', ')}`, {
        hint: 'this version copies, stamps and inventories; take these fields out until they are built',
      });
    }
  }
}

function unbuiltFields(entry: ResolvedImport): string[] {
  const asked: string[] = [];
  if (entry.variants.some((variant) => variant.transform.length > 0)) asked.push('transform (a rebuild)');
  if (entry.platforms !== null) asked.push('platforms');
  if (entry.stamp === 'referrer') asked.push('stamp: referrer');
  if (entry.keepUpstreamEvidence) asked.push('keepUpstreamEvidence');
  if (entry.verifyUpstream !== null) asked.push('verifyUpstream');
  return asked;
}

function where(policy: ResolvedPolicy, entry: ResolvedImport): string {
  return `policy ${policy.name}, import ${entry.name}`;
}
