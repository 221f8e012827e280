import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { programPath } from '../../config/programs.js';
import { SEARCH_ATTRIBUTES } from '../../domain/durable/names.js';
import { freePort } from './registries.js';

/** A Temporal that houba has not started, with the search attributes that an administrator gives it. */
export async function startTemporal(): Promise<{ address: string; stop(): Promise<void> }> {
  const port = await freePort();
  const attributes = Object.entries(SEARCH_ATTRIBUTES).flatMap(([name, type]) => [
    '--search-attribute',
    `${name}=${type}`,
  ]);
  const options = ['--headless', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'never', ...attributes];
  const server = spawn(programPath('temporal') ?? 'temporal', ['server', 'start-dev', ...options], { stdio: 'ignore' });
  return {
    address: `127.0.0.1:${port}`,
    stop: async () => {
      const gone = once(server, 'exit');
      server.kill('SIGTERM');
      await gone;
    },
  };
}
