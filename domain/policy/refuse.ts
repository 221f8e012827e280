import { HoubaError } from '../errors.js';
import { refuseKeyService } from '../evidence/upstream/upstream-key.js';
import type { ResolvedImport, ResolvedPolicy } from './resolve.js';

/**
 * Refuses what no stamp can record (docs/rules/policy.md#what-cannot-be-recorded-is-refused). @throws HoubaError
 * `PolicyInvalid`
 */
export function refuseUnrecorded(policy: ResolvedPolicy, prefix: string): void {
  for (const entry of policy.imports) {
    const where = `policy ${policy.name}, import ${entry.name}`;
    if (policy.artifactType !== 'image' && entry.platforms !== null) {
      throw new HoubaError('PolicyInvalid', `${where}: artifactType ${policy.artifactType} has no platforms`, {
        hint: 'remove platforms, or use artifactType: image',
      });
    }
    const asked = prefix === '' ? unrecorded(entry) : [];
    if (asked.length > 0) {
      throw new HoubaError('PolicyInvalid', `${where}: ${asked.join(', ')} cannot be recorded without a label prefix`, {
        hint: 'set HOUBA_LABEL_PREFIX',
      });
    }
  }
}

/** @throws HoubaError `PolicyInvalid` for key services that the installation does not allow */
export function refuseKeyServices(policy: ResolvedPolicy, allowed: readonly string[]): void {
  for (const { name, verifyUpstream: signer } of policy.imports) {
    if (signer === null || !('key' in signer)) continue;
    refuseKeyService(signer.key, allowed, `policy ${policy.name}, import ${name}: `);
  }
}

function unrecorded(entry: ResolvedImport): string[] {
  const asked: string[] = [];
  if (entry.variants.some((variant) => variant.transform.length > 0)) asked.push('transform');
  if (entry.platforms !== null) asked.push('platforms');
  if (entry.stamp === 'referrer') asked.push('stamp: referrer');
  return asked;
}
