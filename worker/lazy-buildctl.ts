import { type Buildctl, createBuildctl } from '../adapters/buildctl.js';
import type { Settings } from '../config/settings.js';
import { type Logger, whence } from './journal.js';
import { onDemand } from './on-demand.js';
import { requiredProgram } from './required-program.js';

/** Opens buildctl at the first rebuild. The lines of its progress name their run. */
export function lazyBuildctl(settings: Settings, workDir: string, log: Logger): Buildctl {
  const find = onDemand(() => requiredProgram('buildctl', settings));
  const open = async () => {
    const run = whence();
    return createBuildctl({
      program: await find(),
      address: settings.buildkitHost,
      tlsDir: settings.buildkitTlsDir,
      workDir,
      environment: settings.childEnvironment,
      onLine: (line) => log.debug({ line, ...run }, 'build'),
    });
  };
  return {
    build: async (...args) => (await open()).build(...args),
    ping: async (...args) => (await open()).ping(...args),
  };
}
