import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hash } from 'bcryptjs';
import { programPath } from '../../config/programs.js';

/** A real registry on a free loopback port. */
export interface RunningRegistry {
  /** `127.0.0.1:<port>`. */
  readonly host: string;
  /** Where it keeps its files. */
  readonly storeDir: string;
  readonly pid: number;
  /** What it has written so far, access log included. */
  log(): string;
  /** Ends it, and removes its files unless the folder was the caller's. */
  stop(): Promise<void>;
}

interface Common {
  /** Default: a folder of its own, removed by `stop`. */
  readonly storeDir?: string;
  /** Default: a free one. */
  readonly port?: number;
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
}

export interface OlaregOptions extends Common {
  readonly basicAuth?: { readonly username: string; readonly password: string };
  /** Requests per second and client; above, it answers 429. */
  readonly rateLimit?: number;
  /** false: no referrers API. Default true. */
  readonly referrersApi?: boolean;
  /** Default false: files, so that tests can look at the store. */
  readonly inMemory?: boolean;
}

/** Has the referrers API. Deletes are on, garbage collection is off. */
export async function startOlareg(options: OlaregOptions = {}): Promise<RunningRegistry> {
  const { basicAuth, tls } = options;
  return start('olareg', options, async (port, storeDir) => [
    ...['serve', '--addr', '127.0.0.1', '--port', String(port), '--dir', storeDir],
    ...['--api-delete', '--api-blob-delete', '--gc-frequency', '-1s', '--verbosity', 'info'],
    ...(options.inMemory === true ? ['--store-type', 'mem'] : []),
    ...(options.referrersApi === false ? ['--api-referrer=false'] : []),
    ...(options.rateLimit === undefined ? [] : ['--rate-limit', String(options.rateLimit)]),
    ...(basicAuth === undefined ? [] : ['--auth-basic', await writeLogins(storeDir, basicAuth)]),
    ...(tls === undefined ? [] : ['--tls-cert', tls.certFile, '--tls-key', tls.keyFile]),
  ]);
}

/** With the cheapest hash: olareg computes it for each request, and its own takes a tenth of a second of a processor. */
async function writeLogins(folder: string, { username, password }: NonNullable<OlaregOptions['basicAuth']>) {
  const users = { [username]: { cred: await hash(password, 4) } };
  const acls = [{ repo: '*', access: ['read', 'write', 'delete'], members: [username] }];
  const file = join(folder, 'logins.yml');
  await writeFile(file, JSON.stringify({ users, acls }));
  return file;
}

/** Has no referrers API, so that referrers are found by the tag `sha256-<hex>`. */
export async function startDistribution(options: Common = {}): Promise<RunningRegistry> {
  return start('registry', options, async (port, storeDir) => {
    const tls = options.tls && { tls: { certificate: options.tls.certFile, key: options.tls.keyFile } };
    const settings = {
      version: '0.1',
      log: { level: 'info', accesslog: { disabled: false } },
      storage: { filesystem: { rootdirectory: storeDir }, delete: { enabled: true } },
      http: { addr: `127.0.0.1:${port}`, secret: 'tests only', ...tls },
    };
    const file = join(storeDir, 'config.yml');
    await writeFile(file, JSON.stringify(settings));
    return ['serve', file];
  });
}

async function start(
  program: string,
  options: Common,
  argumentsFor: (port: number, storeDir: string) => Promise<readonly string[]>,
): Promise<RunningRegistry> {
  const file = programPath(program);
  if (file === null) throw new Error(`${program} is not there; run make setup`);
  const storeDir = options.storeDir ?? (await mkdtemp(join(tmpdir(), `houba-${program}-`)));
  const port = options.port ?? (await freePort());
  const child = spawn(file, await argumentsFor(port, storeDir), { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      log += chunk.toString('utf8');
    });
  }
  await untilListening(child, port, () => log);
  return {
    host: `127.0.0.1:${port}`,
    storeDir,
    pid: child.pid ?? 0,
    log: () => log,
    stop: async () => {
      await end(child);
      if (options.storeDir === undefined) await rm(storeDir, { recursive: true, force: true });
    },
  };
}

/** A port nobody listens on at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function untilListening(child: ChildProcess, port: number, log: () => string): Promise<void> {
  for (let tried = 0; tried < 600; tried++) {
    if (child.exitCode !== null) throw new Error(`the registry ended with ${child.exitCode}:\n${log()}`);
    if (await accepts(port)) return;
    await sleep(50);
  }
  await end(child);
  throw new Error(`the registry does not listen on ${port}:\n${log()}`);
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
  await gone;
  clearTimeout(timer);
}
