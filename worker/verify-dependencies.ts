import type { Inspector, Verifier } from '../activities/evidence/verify-image.js';
import { createRegistryReader } from '../adapters/registry.js';
import { registryAccess } from '../config/registry-access.js';
import type { Settings } from '../config/settings.js';
import { HoubaError } from '../domain/errors.js';
import { rosterByName } from '../domain/roster.js';
import { openCosign } from './open-cosign.js';
import { trustFrom } from './signature-trust.js';
import { openWorkDir, type WorkDir } from './work-dir.js';

interface OpenedInspector {
  readonly inspector: Inspector;
  close(): Promise<void>;
}

/**
 * Opens what `verify` needs, without Temporal. @param registry null: any entry of the reference's host, else ambient
 * credentials. @throws HoubaError `ConfigInvalid` when the roster has no such entry
 */
export function openInspector(settings: Settings, registry: string | null): OpenedInspector {
  const access =
    registry === null ? settings.registries : new Map([[registry, rosterByName(settings.registries, registry)]]);
  const reader = createRegistryReader({ ...registryAccess(settings), access });
  let workDir: WorkDir | null = null;

  async function openVerifier(signal: AbortSignal): Promise<Verifier> {
    const readTrust = trustFrom(settings.attest);
    if (readTrust === null) {
      throw new HoubaError('ConfigInvalid', 'nothing says whose signatures to accept', {
        hint:
          'set HOUBA_ATTEST_KEY_REF, or HOUBA_ATTEST_VERIFY_IDENTITY and HOUBA_ATTEST_VERIFY_OIDC_ISSUER; ' +
          '--require stamp,sbom needs neither',
      });
    }
    workDir ??= openWorkDir(settings.workDir);
    const cosign = await openCosign(settings, workDir.path);
    return { cosign, trust: await readTrust(cosign, signal) };
  }

  return {
    inspector: { reader, prefix: settings.prefix, builderId: settings.attest.builderId, openVerifier },
    close: async () => {
      await reader.close();
      workDir?.close();
    },
  };
}
