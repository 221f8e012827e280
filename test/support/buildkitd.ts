import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createBuildctl } from '../../adapters/buildctl.js';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { programPath } from '../../config/programs.js';
import type { TestCertificate } from './certificates.js';
import { freePort } from './registries.js';

/** A real BuildKit daemon on a socket of its own. */
export interface RunningBuildkit {
  /** `unix:///…/buildkitd.sock`. */
  readonly address: string;
  readonly pid: number;
  /** What it has written so far. */
  log(): string;
  /** Ends it and removes all it kept. */
  stop(): Promise<void>;
}

/** Starts one with an empty cache. It needs root and runc. With a certificate it listens on TCP and wants one of its clients. */
export async function startBuildkitd(tls?: TestCertificate): Promise<RunningBuildkit> {
  const file = programPath('buildkitd');
  const buildctl = programPath('buildctl');
  if (file === null || buildctl === null) throw new Error('buildkitd or buildctl is not there; run make setup');
  const folder = await mkdtemp(join(tmpdir(), 'houba-buildkitd-'));
  const config = join(folder, 'buildkitd.toml');
  await writeFile(config, '[worker.oci]\n  networkMode = "host"\n[worker.containerd]\n  enabled = false\n');
  const address = tls ? `tcp://127.0.0.1:${await freePort()}` : `unix://${join(folder, 'buildkitd.sock')}`;
  const args = ['--root', join(folder, 'root'), '--addr', address, '--config', config];
  if (tls) args.push('--tlscert', tls.certFile, '--tlskey', tls.keyFile, '--tlscacert', tls.caFile);
  const env = { ...childEnvironment(readEnvironment()), HOME: folder };
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      log += chunk.toString('utf8');
    });
  }
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(timer);
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  };
  const tlsDir = tls && join(folder, 'tls');
  if (tls && tlsDir) await writeClientTls(tlsDir, tls);
  const probe = createBuildctl({
    program: buildctl,
    address,
    tlsDir,
    workDir: join(folder, 'probe'),
    environment: env,
  });
  for (let tried = 0; tried < 100; tried++) {
    if (child.exitCode !== null) break;
    const answers = await probe.ping().then(
      () => true,
      () => false,
    );
    if (answers) return { address, pid: child.pid ?? 0, log: () => log, stop };
    await sleep(100);
  }
  await stop();
  throw new Error(`buildkitd does not answer:\n${log}`);
}

/** The folder of a client, with the names that a Kubernetes secret has. The certificate serves both ends. */
export async function writeClientTls(folder: string, tls: TestCertificate): Promise<void> {
  await mkdir(folder);
  await copyFile(tls.caFile, join(folder, 'ca.crt'));
  await copyFile(tls.certFile, join(folder, 'tls.crt'));
  await copyFile(tls.keyFile, join(folder, 'tls.key'));
}
