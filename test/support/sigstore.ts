import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createNetServer, type Server as NetServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { programPath } from '../../config/programs.js';
import { freePort } from './registries.js';

const run = promisify(execFile);

/** A Fulcio and a timestamp authority of our own on loopback, with somebody to vouch for identities; no log. */
export interface LocalSigstore {
  readonly issuer: string;
  readonly fulcioUrl: string;
  readonly tsaUrl: string;
  /** Path of the trusted root that believes these two. */
  readonly trustedRoot: string;
  /** A signed statement of the issuer that whoever bears it has this address. Valid for a minute. */
  identityToken(email: string): string;
  stop(): Promise<void>;
}

/** @param folder keeps their files; the caller removes it */
export async function startSigstore(folder: string): Promise<LocalSigstore> {
  await mkdir(folder, { recursive: true });
  const issuer = await startIssuer();
  const stops: (() => Promise<void>)[] = [issuer.stop];
  const stop = async () => {
    for (const end of stops) await end();
  };
  try {
    const fulcio = await startFulcio(folder, issuer.url);
    stops.unshift(fulcio.stop);
    const tsa = await startTimestampServer(folder);
    stops.unshift(tsa.stop);
    const trustedRoot = await trustIn(folder, fulcio.url, `${tsa.url}/api/v1/timestamp`);
    return {
      issuer: issuer.url,
      fulcioUrl: fulcio.url,
      tsaUrl: `${tsa.url}/api/v1/timestamp`,
      trustedRoot,
      identityToken: issuer.identityToken,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Service {
  readonly url: string;
  stop(): Promise<void>;
}

/** The least that OpenID Connect asks of an issuer: where its keys are, its keys, and tokens signed with them. */
async function startIssuer(): Promise<Service & Pick<LocalSigstore, 'identityToken'>> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = { ...publicKey.export({ format: 'jwk' }), kid: 'test', use: 'sig', alg: 'RS256' };
  const server = createServer((request, response) => {
    const metadata = { issuer: url, jwks_uri: `${url}/keys`, id_token_signing_alg_values_supported: ['RS256'] };
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(request.url === '/keys' ? { keys: [key] } : metadata));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    identityToken(email) {
      const now = Math.floor(Date.now() / 1000);
      const claims = { iss: url, sub: email, aud: 'sigstore', email, email_verified: true, iat: now, exp: now + 60 };
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
      const signed = `${part({ alg: 'RS256', typ: 'JWT', kid: 'test' })}.${part(claims)}`;
      return `${signed}.${sign('sha256', Buffer.from(signed), privateKey).toString('base64url')}`;
    },
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

async function startFulcio(folder: string, issuer: string): Promise<Service> {
  const config = join(folder, 'fulcio.json');
  const known = { IssuerURL: issuer, ClientID: 'sigstore', Type: 'email' };
  await writeFile(config, JSON.stringify({ OIDCIssuers: { [issuer]: known } }));
  const [port, grpc, metrics] = [await freePort(), await freePort(), await freePort()];
  const args = [
    ...['serve', '--ca=ephemeralca', '--ct-log-url=', `--config-path=${config}`],
    ...['--host=127.0.0.1', `--port=${port}`, '--grpc-host=127.0.0.1', `--grpc-port=${grpc}`],
    ...[`--metrics-port=${metrics}`, `--legacy-unix-domain-socket=${join(folder, 'fulcio.sock')}`],
  ];
  return start('fulcio', args, folder, `http://127.0.0.1:${port}`, '/api/v1/rootCert');
}

/** Its metrics have a fixed port, 2112, so there is one of these at a time on a machine: other test files wait for their turn. */
async function startTimestampServer(folder: string): Promise<Service> {
  const turn = await takeTurn(TURN_PORT);
  const port = await freePort();
  const args = ['serve', '--timestamp-signer=memory', '--disable-ntp-monitoring', '--host=127.0.0.1', `--port=${port}`];
  try {
    const { url, stop } = await start(
      ...(['timestamp-server', args, folder, `http://127.0.0.1:${port}`, '/api/v1/timestamp/certchain'] as const),
    );
    return { url, stop: () => stop().finally(() => turn.close()) };
  } catch (error) {
    turn.close();
    throw error;
  }
}

const TURN_PORT = 21_120;

/** Listens on a port as soon as nobody else does. The system ends the turn of a process that dies. */
async function takeTurn(port: number): Promise<NetServer> {
  for (;;) {
    const server = createNetServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
      return server;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
      await sleep(200);
    }
  }
}

async function start(program: string, args: string[], folder: string, url: string, ready: string): Promise<Service> {
  const file = programPath(program);
  if (file === null) throw new Error(`${program} is not there; run make setup`);
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], cwd: folder, env: { HOME: folder } });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      log += chunk.toString('utf8');
    });
  }
  for (let tried = 0; tried < 600; tried++) {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}:\n${log}`);
    const answer = await fetch(`${url}${ready}`).catch(() => null);
    if (answer?.ok) return { url, stop: () => end(child) };
    await sleep(50);
  }
  await end(child);
  throw new Error(`${program} does not answer:\n${log}`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function trustIn(folder: string, fulcioUrl: string, tsaUrl: string): Promise<string> {
  const save = async (name: string, url: string) => {
    const path = join(folder, name);
    await writeFile(path, await (await fetch(url)).text());
    return path;
  };
  const root = join(folder, 'trusted-root.json');
  const authorities = await save('fulcio.pem', `${fulcioUrl}/api/v1/rootCert`);
  const clocks = await save('tsa.pem', `${tsaUrl}/certchain`);
  await run(programPath('cosign') ?? 'cosign', [
    ...['trusted-root', 'create', `--out=${root}`],
    `--fulcio=url=${fulcioUrl},certificate-chain=${authorities}`,
    `--tsa=url=${tsaUrl},certificate-chain=${clocks}`,
  ]);
  return root;
}

/**
 * A key service as cosign knows them: a program `sigstore-kms-<name>` that is asked by one JSON argument and answers in JSON
 * (sigstore, pkg/signature/kms/cliplugin). It holds one key, whatever its name.
 *
 * @param folder to put on the PATH
 * @returns the public key
 */
export async function makeKeyService(folder: string, name: string): Promise<string> {
  await mkdir(folder, { recursive: true });
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicPem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const program = `#!${process.execPath}
const { readFileSync } = require('node:fs');
const { sign } = require('node:crypto');
const { methodName } = JSON.parse(process.argv[3]);
const base64 = (value) => Buffer.from(value).toString('base64');
const methods = {
  publicKey: () => ({ publicKeyPEM: base64(${JSON.stringify(publicPem)}) }),
  signMessage: () => ({
    signature: base64(sign('sha256', readFileSync(0), ${JSON.stringify(privateKey.export({ type: 'pkcs8', format: 'pem' }))})),
  }),
};
const method = methods[methodName];
console.log(JSON.stringify(method ? { [methodName]: method() } : { errorMessage: 'unsupported: ' + methodName }));
`;
  const path = join(folder, `sigstore-kms-${name}`);
  await writeFile(path, program);
  await chmod(path, 0o755);
  return publicPem;
}
