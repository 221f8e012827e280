import { type Buildctl, createBuildctl } from '../adapters/buildctl.js';
import type { Settings } from '../config/settings.js';
import { type Logger, whence } from './journal.js';
import { onDemand } from './on-demand.js';
import { requiredProgram } from './required-program.js';

/** BuildKit's client, looked for when the first policy rebuilds something. What it reports says for which run (C23). */
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
