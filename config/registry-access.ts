import { readEnvironment } from './environment.js';
import { programPath } from './programs.js';
import type { Settings } from './settings.js';
import { houbaVersion } from './version.js';

/** The options of a registry reader: roster, sources of credentials, requests at a time. */
export function registryAccess(settings: Settings) {
  return {
    access: settings.registries,
    dockerConfigDir: settings.dockerConfigDir,
    authFiles: settings.authFiles,
    environment: readEnvironment(),
    findProgram: programPath,
    userAgent: `houba/${houbaVersion()}`,
    concurrency: settings.maxConcurrency,
  };
}
