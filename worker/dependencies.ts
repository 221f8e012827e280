import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import pLimit from 'p-limit';
import type { Dependencies } from '../activities/dependencies.js';
import { createCredentialSource } from '../adapters/credentials.js';
import { openDigestMemory } from '../adapters/digest-memory.js';
import { readPolicyFiles } from '../adapters/policy-files.js';
import { isBelowFloor, readProgramVersion } from '../adapters/program-version.js';
import { createRegctl, type Regctl } from '../adapters/regctl.js';
import { createRegistryReader } from '../adapters/registry.js';
import { createSyft } from '../adapters/syft.js';
import { programPath, readPrograms } from '../config/programs.js';
import { registryAccess } from '../config/registry-access.js';
import type { Settings } from '../config/settings.js';
import { HoubaError } from '../domain/report/errors.js';
import type { Logger } from './journal.js';
import { openWorkDir } from './work-dir.js';

export interface OpenedDependencies {
  readonly dependencies: Dependencies;
  close(): Promise<void>;
}

/** Puts together what the activities need, from the settings alone. */
export async function openDependencies(settings: Settings, log: Logger): Promise<OpenedDependencies> {
  const [regctl, syft] = await Promise.all([required('regctl', settings), required('syft', settings)]);
  const workDir = openWorkDir(settings.workDir);
  const reading = registryAccess(settings);
  const { access } = reading;
  const credentials = createCredentialSource(reading);
  const reader = createRegistryReader(reading);
  const tool = { access, credentials, workDir: workDir.path, environment: settings.childEnvironment };
  const memory = openDigestMemory(join(settings.home, 'cache'), settings.labelPrefix);
  const dependencies: Dependencies = {
    settings: {
      prefix: settings.labelPrefix,
      sbomFormats: settings.sbomFormats,
      dryRunTags: settings.dryRunTags,
      dryRunDeletions: settings.dryRunDeletions,
      deletionMode: settings.deletionMode,
      maxDeletionShare: settings.maxDeletionShare,
      maxConcurrency: settings.maxConcurrency,
      signer: settings.attest.signer,
      policyDir: settings.policyDir,
    },
    roster: access,
    reader,
    regctl: bounded(createRegctl({ ...tool, program: regctl }), settings.maxConcurrency),
    syft: createSyft({ ...tool, program: syft }),
    memory,
    journal: { event: (name, fields) => log.info({ ...fields, ...whence() }, name) },
    readPolicies: readPolicyFiles,
  };
  const close = async () => {
    await reader.close();
    memory.close();
    workDir.close();
  };
  return { dependencies, close };
}

/** The program's path, once it has shown that it is not older than the oldest that is safe (conventions S16). */
async function required(name: string, settings: Settings): Promise<string> {
  const file = programPath(name);
  if (file === null) {
    throw new HoubaError('ToolMissing', `${name} is neither in .tools/bin nor on the PATH`, {
      hint: 'make setup builds it; houba doctor shows all of them',
    });
  }
  const pin = readPrograms().get(name);
  if (pin?.floor === undefined) return file;
  const versionArgs = pin.versionArgs ?? ['version'];
  const version = await readProgramVersion({ ...pin, versionArgs, file, environment: settings.childEnvironment });
  if (!isBelowFloor(version, pin.floor)) return file;
  throw new HoubaError('ToolMissing', `${file} is ${version ?? 'of unknown version'}, older than ${pin.floor}`, {
    hint: 'make setup builds the pinned version; houba doctor shows all of them',
  });
}

/** At most this many processes at once, however many placements are in flight. */
function bounded(regctl: Regctl, most: number): Regctl {
  const limit = pLimit(most);
  return {
    copyImage: (...args) => limit(() => regctl.copyImage(...args)),
    putManifest: (...args) => limit(() => regctl.putManifest(...args)),
    putArtifact: (...args) => limit(() => regctl.putArtifact(...args)),
    deleteManifest: (...args) => limit(() => regctl.deleteManifest(...args)),
    deleteTag: (...args) => limit(() => regctl.deleteTag(...args)),
    version: () => regctl.version(),
  };
}

/** Which run an activity's line belongs to (conventions C23). */
function whence(): { workflow_id: string; run_id: string } {
  const { workflowExecution } = Context.current().info;
  return { workflow_id: workflowExecution?.workflowId ?? '', run_id: workflowExecution?.runId ?? '' };
}
