import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { choosePort } from '../../../../client/stack/ports.js';
import { isAlive } from '../../../../client/stack/processes.js';
import {
  type RunningServer,
  spawnServer,
  stopServer,
  untilListening,
} from '../../../../client/stack/temporal-server.js';

let folder: string;
let log: string;
let started: RunningServer[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'houba-server-'));
  log = join(folder, 'log');
  started = [];
});
afterEach(async () => {
  for (const { server } of started) await stopServer(server);
  rmSync(folder, { recursive: true, force: true });
});

const LISTENS = `
const port = process.argv[process.argv.indexOf('--port') + 1];
require('node:net').createServer(() => {}).listen({ host: '127.0.0.1', port: Number(port) });`;
const ENDS = `console.error('address already in use'); process.exitCode = 1;`;

/** Starts a stand-in for the server. */
async function start(script: string): Promise<RunningServer> {
  const program = join(folder, `program-${started.length}`);
  writeFileSync(program, `#!${process.execPath}\n${script}`);
  chmodSync(program, 0o755);
  const port = await choosePort(null, '');
  const server = spawnServer({ program, database: join(folder, 'db'), log, port, uiPort: 1 }, {});
  const running = { server, address: `127.0.0.1:${port}`, ui: 'http://127.0.0.1:1' };
  started.push(running);
  return running;
}

const alive = () => started.map(({ server }) => isAlive(server.pid, server.identity));

describe('a server that another program was quicker than', () => {
  it('is started again', async () => {
    await untilListening(await start(ENDS), log, () => start(LISTENS));
    expect(alive()).toEqual([false, true]);
  });

  it('is not started again once it listens', async () => {
    await untilListening(await start(LISTENS), log, () => start(LISTENS));
    expect(alive()).toEqual([true]);
  });

  it('is given up after three starts, with what it said, and none is left', async () => {
    await expect(untilListening(await start(ENDS), log, () => start(ENDS))).rejects.toMatchObject({
      code: 'ToolFailed',
      message: expect.stringContaining('address already in use'),
    });
    expect(alive()).toEqual([false, false, false]);
    expect(readFileSync(log, 'utf8').match(/already in use/g)).toHaveLength(3);
  });
});
