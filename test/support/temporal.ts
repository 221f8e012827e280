import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { searchAttributeOptions } from '../../client/stack/temporal-server.js';
import { programPath } from '../../config/programs.js';
import { freePort } from './registries.js';

/** A Temporal that houba has not started, with the search attributes that an administrator gives it. */
export async function startTemporal(): Promise<{ address: string; stop(): Promise<void> }> {
  const port = await freePort();
  const options = [
    '--headless',
    '--ip',
    '127.0.0.1',
    '--port',
    String(port),
    '--log-level',
    'never',
    ...searchAttributeOptions(),
  ];
  const server = spawn(programPath('temporal') ?? 'temporal', ['server', 'start-dev', ...options], { stdio: 'ignore' });
  return {
    address: `127.0.0.1:${port}`,
    stop: async () => {
      if (server.exitCode !== null || server.signalCode !== null) return;
      const gone = once(server, 'exit');
      server.kill('SIGTERM');
      await gone;
    },
  };
}
