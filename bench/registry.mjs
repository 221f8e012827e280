import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Starts olareg on a free port of the loopback address. Content lives in memory, so that what is measured is the
 * client and not the disk.
 * @returns {Promise<{host: string, pid: number, stop: () => Promise<void>}>} ready to serve
 */
export async function startRegistry(program, folder) {
  const port = await freePort();
  const child = spawn(
    program,
    ['serve', '--addr', '127.0.0.1', '--port', String(port), '--store-type', 'mem', '--dir', folder, '--api-delete'],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  );
  const host = `127.0.0.1:${port}`;
  await answers(host, child);
  return {
    host,
    pid: child.pid,
    async stop() {
      if (child.exitCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

async function answers(host, child) {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    if (child.exitCode !== null) throw new Error(`the registry of ${host} ended with code ${child.exitCode}`);
    if (await ping(host)) return;
    await sleep(25);
  }
  throw new Error(`the registry of ${host} does not answer`);
}

function ping(host) {
  return new Promise((resolve) => {
    const request = http.get(`http://${host}/v2/`, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('error', () => resolve(false));
  });
}
