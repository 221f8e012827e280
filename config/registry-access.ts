import { readEnvironment } from './environment.js';
import { programPath } from './programs.js';
import type { Settings } from './settings.js';
import { houbaVersion } from './version.js';

/** The settings of a registry reader: the roster, where credentials are found, and how many requests at once. */
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
