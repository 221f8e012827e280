import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificate, type TestCertificate } from '../support/certificates.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import { createHouba, type Ended, type Houba } from '../support/stack.js';
import { image, push } from '../support/upstream-images.js';

/** Every way to give a credential, each with a password of its own. */
const ROSTER = { username: 'robot', password: 'R0ster-pässword-"quoted"' };
const FILE = { username: 'alice', password: 'File-passw0rd-4711' };
const HELPER = { username: 'bob', password: 'Helper-passw0rd-0815' };
/** One that is not right: an error with everything in reach that could leak. */
const WRONG = { username: 'carol', password: 'Wrong-passw0rd-2342' };

let certificate: TestCertificate;
let folder: string;
let private1: RunningRegistry;
let private2: RunningRegistry;
let private3: RunningRegistry;
let registry: RunningRegistry;
let houba: Houba;
let ended: Ended;
let sampled: Sampled;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'houba-secrets-'));
  certificate = await makeCertificate(folder);
  private1 = await startOlareg({ basicAuth: FILE, inMemory: true });
  private2 = await startOlareg({ basicAuth: HELPER, inMemory: true });
  private3 = await startOlareg({ basicAuth: FILE, inMemory: true });
  registry = await startOlareg({ basicAuth: ROSTER, tls: certificate });
  const docker = join(folder, 'docker');
  const bin = join(folder, 'bin');
  mkdirSync(docker);
  mkdirSync(bin);
  writeFileSync(
    join(docker, 'config.json'),
    JSON.stringify({ auths: { [private1.host]: { auth: base64(FILE) } }, credHelpers: { [private2.host]: 'test' } }),
  );
  const helper = join(bin, 'docker-credential-test');
  const answer = JSON.stringify({ ServerURL: private2.host, Username: HELPER.username, Secret: HELPER.password });
  writeFileSync(helper, `#!/bin/sh\ncat >/dev/null\necho '${answer}'\n`);
  chmodSync(helper, 0o755);

  for (const tag of ['1.0.0', '1.1.0']) {
    await push(private1.host, 'team/file', [tag], image(`file ${tag}`), { authorization: `Basic ${base64(FILE)}` });
    await push(private2.host, 'team/help', [tag], image(`help ${tag}`), { authorization: `Basic ${base64(HELPER)}` });
  }
  houba = await createHouba(
    {
      one: { host: private1.host, tls_verify: false },
      strict: { host: private3.host, tls_verify: false, ...WRONG },
      two: { host: private2.host, tls_verify: false },
      main: { host: registry.host, ...ROSTER, ca_cert: certificate.caFile },
    },
    { DOCKER_CONFIG: docker, PATH: `${bin}:${process.env.PATH}`, HOUBA_LOG_LEVEL: 'DEBUG' },
  );
  const dir = houba.policies(
    { name: 'file', from: `${private1.host}/team/file`, to: ['main:demo/file'] },
    { name: 'help', from: `${private2.host}/team/help`, to: ['main:demo/help'] },
    { name: 'refused', from: `${private3.host}/team/refused`, to: ['main:demo/refused'] },
  );
  const started = houba.start('reconcile', dir, '--output', 'json', '--verbose');
  const watching = watchProcesses(started.pid);
  ended = await started.ended;
  sampled = watching();
});
afterAll(async () => {
  await houba?.dispose();
  for (const each of [registry, private1, private2, private3]) await each?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe('credentials of the roster, of a Docker file and of a helper', () => {
  it('let houba in, over TLS with a CA of one’s own as well', async () => {
    expect(JSON.parse(ended.stdout).totals).toMatchObject({ imported: 4 });
    expect(JSON.parse(ended.stdout).policies[2].error.type).toBe('Unauthorized');
    expect(JSON.parse(ended.stdout).policies.map(({ name, status }: Record<string, string>) => [name, status])).toEqual(
      [
        ['file', 'ok'],
        ['help', 'ok'],
        ['refused', 'failed'],
      ],
    );
  });

  it('are seen in no command line and no environment of a program', () => {
    const commands = [...sampled.commands].join('\n');
    for (const program of ['regctl', 'syft', 'temporal']) expect(commands).toContain(program);
    expect(secretsIn(commands)).toEqual([]);
    expect(secretsIn([...sampled.environments].join('\n'))).toEqual([]);
  });

  it('are in no report, no log and no history', () => {
    expect(secretsIn(ended.stdout + ended.stderr)).toEqual([]);
    const kept = filesBelow(houba.home);
    expect(kept.some((path) => path.includes('temporal.db'))).toBe(true);
    for (const path of kept) expect([path, secretsIn(readFileSync(path, 'latin1'))]).toEqual([path, []]);
  });

  it('are in no scratch file, neither during the run nor after it', () => {
    expect(sampled.scratch.size).toBeGreaterThan(0);
    expect(secretsIn([...sampled.scratch].join('\n'))).toEqual([]);
    expect(filesBelow(houba.workDir)).toEqual([]);
  });

  it('nobody else may look where the histories and the scratch files are', () => {
    for (const path of [houba.home, houba.workDir]) expect(statSync(path).mode & 0o077).toBe(0);
  });
});

function base64({ username, password }: { username: string; password: string }): string {
  return Buffer.from(`${username}:${password}`).toString('base64');
}

/** Which secrets a text holds, in any of the forms they travel in. */
function secretsIn(text: string): string[] {
  const found: string[] = [];
  for (const login of [ROSTER, FILE, HELPER, WRONG]) {
    const forms = [
      login.password,
      base64(login),
      encodeURIComponent(login.password),
      JSON.stringify(login.password).slice(1, -1),
    ];
    const asLatin = Buffer.from(login.password).toString('latin1');
    if ([...forms, asLatin].some((form) => text.includes(form))) found.push(login.username);
  }
  return found;
}

interface Sampled {
  readonly commands: ReadonlySet<string>;
  readonly environments: ReadonlySet<string>;
  /** The contents of all scratch files. */
  readonly scratch: ReadonlySet<string>;
}

/** Looks at all programs that houba starts and at their scratch files, as often as it can. Its own environment holds the roster, by design. */
function watchProcesses(houbaPid: number): () => Sampled {
  const scratch = new Set<string>();
  const commands = new Set<string>();
  const environments = new Set<string>();
  const timer = setInterval(() => {
    for (const name of readdirSync('/proc')) {
      const pid = Number(name);
      if (!Number.isInteger(pid) || pid === process.pid || pid === houbaPid) continue;
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
        // A child is a copy of houba for a moment, until it runs its program.
        if (!`${command}${environment}`.includes(houba.folder) || command.includes('bin/houba')) continue;
        commands.add(command);
        environments.add(environment);
      } catch {
        // It has ended.
      }
    }
    for (const path of scratchFiles()) {
      try {
        scratch.add(readFileSync(path, 'latin1'));
      } catch {
        // It is gone already.
      }
    }
  }, 30);
  return () => {
    clearInterval(timer);
    return { commands, environments, scratch };
  };
}

/** A folder may go while it is walked. */
function scratchFiles(): string[] {
  try {
    return filesBelow(houba.workDir);
  } catch {
    return [];
  }
}

function filesBelow(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
