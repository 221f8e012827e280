import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { connectTo } from '../../client/connect.js';
import { HoubaClient } from '../../client/sdk.js';
import { keepHistories } from '../../client/stack/namespace.js';
import { choosePort } from '../../client/stack/ports.js';
import { isAlive } from '../../client/stack/processes.js';
import type { ProcessMark } from '../../client/stack/stack-files.js';
import { isOurServer, serverListens, spawnServer, stopServer } from '../../client/stack/temporal-server.js';
import { TemporalUnreachable } from '../../client/unreachable.js';
import { programPath } from '../../config/programs.js';
import { fleetInput } from '../support/durable-samples.js';

let folder: string;
let server: ProcessMark;
let port: number;
const started = () => ({
  program: programPath('temporal') ?? '',
  database: join(folder, 'temporal.db'),
  log: join(folder, 'temporal.log'),
  port,
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'houba-server-'));
  port = await choosePort(null, '');
  const options = { ...started(), uiPort: await choosePort(null, '') };
  server = spawnServer(options, { PATH: process.env.PATH ?? '', HOME: folder });
  await serverListens(server, port, options.log);
  await keepHistories(`127.0.0.1:${port}`, 'default');
});
afterEach(async () => {
  await stopServer(server);
  rmSync(folder, { recursive: true, force: true });
});

it('a client that is closed while a lost server is still being asked ends quietly', async () => {
  const client = await connectTo({ address: `127.0.0.1:${port}`, namespace: 'default' });
  const houba = new HoubaClient(client, () => client.connection.close());
  // Nobody serves it: it stays where it is.
  const run = await houba.startReconcile(fleetInput(['any']));
  const following = houba.follow(run, () => {});
  const outcome = houba.outcome(run);
  const ended = Promise.allSettled([outcome, following]);
  process.kill(server.pid, 'SIGKILL');
  await Promise.race([outcome.catch(() => {}), new Promise((resolve) => setImmediate(resolve))]);
  await houba.close();
  const [lost] = await ended;
  expect(lost.status).toBe('rejected');
});

it('a server is known by its database, and is gone when it was stopped', async () => {
  expect(isOurServer(server, started().database)).toBe(true);
  expect(isOurServer(server, '/another/temporal.db')).toBe(false);
  await stopServer(server);
  expect(isAlive(server.pid, server.identity)).toBe(false);
  await expect(connectTo({ address: `127.0.0.1:${port}`, namespace: 'default' })).rejects.toThrow(TemporalUnreachable);
});

it('a server that does not start is told with the end of its log', async () => {
  const again = spawnServer({ ...started(), uiPort: 1, log: join(folder, 'second.log') }, { HOME: folder });
  await expect(serverListens(again, 1, join(folder, 'second.log'))).rejects.toMatchObject({
    code: 'ToolFailed',
    message: expect.stringMatching(/did not start: .*\d/),
    hint: expect.stringContaining('second.log'),
  });
});
