import { join } from 'node:path';
import pLimit from 'p-limit';
import { deletionNotes } from '../activities/deletion/deletion-notes.js';
import { placedSince, whoIsAtWork } from '../activities/deletion/who-is-at-work.js';
import type { Dependencies } from '../activities/dependencies.js';
import { createCredentialSource } from '../adapters/credentials.js';
import { openDigestMemory } from '../adapters/digest-memory.js';
import { createFolderCache } from '../adapters/folder-cache.js';
import { createImageLayers } from '../adapters/image-layers.js';
import { createOciLayouts } from '../adapters/oci-layout.js';
import { readPolicyFiles } from '../adapters/policy-files.js';
import { createRegctl, type Regctl } from '../adapters/regctl.js';
import { createRegistryReader } from '../adapters/registry.js';
import { createSyft } from '../adapters/syft.js';
import { createUsageOracle, type UsageOracle } from '../adapters/usage-oracle.js';
import { registryAccess } from '../config/registry-access.js';
import type { Settings } from '../config/settings.js';
import { openTransformResources } from '../config/transform-resources.js';
import { houbaVersion } from '../config/version.js';
import { READ_BACK } from '../domain/durable/retry.js';
import { HoubaError, knownError } from '../domain/errors.js';
import { type Logger, whence } from './journal.js';
import { lazyBuildctl } from './lazy-buildctl.js';
import { lazyCosign } from './lazy-cosign.js';
import { requiredProgram } from './required-program.js';
import { trustFrom } from './signature-trust.js';
import { openWorkDir } from './work-dir.js';

interface OpenedDependencies {
  readonly dependencies: Dependencies;
  close(): Promise<void>;
}

/** Opens what the activities need, from the settings alone. */
export async function openDependencies(settings: Settings, log: Logger): Promise<OpenedDependencies> {
  const [regctl, syft] = await Promise.all([requiredProgram('regctl', settings), requiredProgram('syft', settings)]);
  const workDir = openWorkDir(settings.workDir);
  const reading = registryAccess(settings);
  const { access } = reading;
  const credentials = createCredentialSource(reading);
  const reader = createRegistryReader(reading);
  const tool = { access, credentials, workDir: workDir.path, environment: settings.childEnvironment };
  const memory = openDigestMemory(join(settings.home, 'cache'), settings.prefix, (file, error) =>
    log.warn({ file, error: knownError(error)?.message ?? String(error) }, 'cache.unwritten'),
  );
  const cosign = lazyCosign(settings, workDir.path, settings.maxConcurrency);
  const readTrust = trustFrom(settings.attest);
  const dependencies: Dependencies = {
    settings,
    version: houbaVersion(),
    roster: access,
    reader,
    regctl: bounded(createRegctl({ ...tool, program: regctl }), settings.maxConcurrency),
    syft: createSyft({ ...tool, program: syft, mostDisk: settings.sbomMostDisk }),
    buildctl: lazyBuildctl(settings, workDir.path, log),
    layouts: createOciLayouts(),
    layers: createImageLayers(),
    scratch: createFolderCache(workDir.path),
    resources: openTransformResources(settings),
    cosign,
    memory,
    journal: { event: (name, fields) => log.info({ ...fields, ...whence() }, name) },
    whoIsAtWork,
    placedSince,
    goneTags: new Map(),
    readTrust: async (signal) => (readTrust === null ? null : await readTrust(cosign, signal)),
    deletions: deletionNotes,
    readBackMs: READ_BACK.patienceMs,
    hasOracle: isSet(settings.usageOracle.command),
    openOracle: () => openOracle(settings, workDir.path),
    readPolicies: readPolicyFiles,
  };
  const close = async () => {
    await reader.close();
    memory.close();
    workDir.close();
  };
  return { dependencies, close };
}

/** @throws HoubaError `ConfigInvalid` without a usage oracle */
function openOracle({ usageOracle, childEnvironment }: Settings, workDir: string): UsageOracle {
  const { command, timeoutMs, variables } = usageOracle;
  if (!isSet(command)) {
    throw new HoubaError('ConfigInvalid', 'purge needs a usage oracle: somebody has to say what is in use', {
      hint: 'set HOUBA_USAGE_ORACLE_CMD; docs/oracles.md has ready-made ones',
    });
  }
  const environment = { ...childEnvironment, ...variables };
  return createUsageOracle({ command, timeoutMs, workDir, environment, secrets: Object.values(variables) });
}

function isSet(command: string | null): command is string {
  return command !== null && command.trim() !== '';
}

/** Bounds the regctl processes at a time, however many placements are in flight. */
function bounded(regctl: Regctl, most: number): Regctl {
  const limit = pLimit(most);
  return {
    copyImage: (...args) => limit(() => regctl.copyImage(...args)),
    copyBlob: (...args) => limit(() => regctl.copyBlob(...args)),
    putManifest: (...args) => limit(() => regctl.putManifest(...args)),
    putArtifact: (...args) => limit(() => regctl.putArtifact(...args)),
    deleteManifest: (...args) => limit(() => regctl.deleteManifest(...args)),
    exportImage: (...args) => limit(() => regctl.exportImage(...args)),
    importImage: (...args) => limit(() => regctl.importImage(...args)),
    version: () => regctl.version(),
  };
}
