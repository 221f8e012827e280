import { join } from 'node:path';
import { type Cosign, createCosign } from '../adapters/cosign.js';
import type { Settings } from '../config/settings.js';
import { requiredProgram } from './required-program.js';

/** Opens cosign with the signing environment, which no other program inherits. @throws HoubaError `ToolMissing` */
export async function openCosign(settings: Settings, workDir: string): Promise<Cosign> {
  const { attest, signing, childEnvironment, home } = settings;
  return createCosign({
    program: await requiredProgram('cosign', settings),
    attest,
    workDir,
    environment: { ...childEnvironment, ...signing.variables },
    secrets: signing.secrets,
    cacheDir: join(home, 'cache', 'sigstore'),
  });
}
