import type { Attacher } from '../activities/evidence/attach-document.js';
import { createCredentialSource } from '../adapters/credentials.js';
import { createRegctl } from '../adapters/regctl.js';
import { createRegistryReader } from '../adapters/registry.js';
import { registryAccess } from '../config/registry-access.js';
import type { Settings } from '../config/settings.js';
import { READ_BACK } from '../domain/durable/retry.js';
import { rosterByName } from '../domain/roster.js';
import { openCosign } from './open-cosign.js';
import { requiredProgram } from './required-program.js';
import { openWorkDir } from './work-dir.js';

interface OpenedAttacher {
  readonly attacher: Attacher;
  close(): Promise<void>;
}

/** Opens what `attach` needs, without Temporal. @param registry the roster entry. @throws HoubaError `ToolMissing` */
export async function openAttacher(settings: Settings, registry: string): Promise<OpenedAttacher> {
  const { prefix, attest, childEnvironment: environment } = settings;
  const access = new Map([[registry, rosterByName(settings.registries, registry)]]);
  const reading = { ...registryAccess(settings), access };
  const program = await requiredProgram('regctl', settings);
  const workDir = openWorkDir(settings.workDir);
  const reader = createRegistryReader(reading);
  const credentials = createCredentialSource(reading);
  const regctl = createRegctl({ program, access, credentials, workDir: workDir.path, environment });
  return {
    attacher: {
      ...{ reader, regctl, prefix, builderId: attest.builderId, readBackMs: READ_BACK.patienceMs },
      openSigner: attest.signer === '' ? null : () => openCosign(settings, workDir.path),
    },
    close: async () => {
      await reader.close();
      workDir.close();
    },
  };
}
