import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../../config/programs.js';
import { type RunningBuildkit, startBuildkitd } from '../support/buildkitd.js';
import { makeCertificate, type TestCertificate } from '../support/certificates.js';
import { ARM64, debianBase } from '../support/rebuild-world.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import { createHouba, type Ended, type Houba } from '../support/stack.js';
import { index, push } from '../support/upstream-images.js';

const run = promisify(execFile);

const SOURCE = { username: 'alice', password: 'Source-pässword-"4711"' };
const DESTINATION = { username: 'robot', password: 'D3stination-passw0rd+/=' };
const KEY_PASSWORD = 'Key-p4ssword 0815';

let folder: string;
let certificate: TestCertificate;
let daemon: RunningBuildkit;
let upstream: RunningRegistry;
let registry: RunningRegistry;
let houba: Houba;
let runs: readonly Ended[];
let seen: Seen;
let key: string;

/** Registries with logins, behind TLS of a CA of one's own; a key with a password; everything rebuilt and signed. */
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'houba-rebuild-secrets-'));
  certificate = await makeCertificate(folder);
  [daemon, upstream, registry] = await Promise.all([
    startBuildkitd(),
    startOlareg({ basicAuth: SOURCE, tls: certificate }),
    startOlareg({ basicAuth: DESTINATION, tls: certificate }),
  ]);
  key = join(folder, 'ours');
  await cosign(['generate-key-pair', '--output-key-prefix', key], { COSIGN_PASSWORD: KEY_PASSWORD });
  const image = index([await debianBase('tool'), await debianBase('tool', ARM64)]);
  const ca = readFileSync(certificate.caFile, 'utf8');
  await push(upstream.host, 'team/tool', ['1.0.0'], image, { authorization: `Basic ${base64(SOURCE)}`, ca });
  houba = await createHouba(
    {
      up: { host: upstream.host, ...SOURCE, ca_cert: certificate.caFile },
      main: { host: registry.host, ...DESTINATION, ca_cert: certificate.caFile },
    },
    {
      BUILDKIT_HOST: daemon.address,
      COSIGN_PASSWORD: KEY_PASSWORD,
      HOUBA_ATTEST_SIGNER: 'key',
      HOUBA_ATTEST_KEY_REF: `${key}.key`,
      HOUBA_LOG_LEVEL: 'DEBUG',
      HOUBA_TRANSFORM_CA_CERTS: JSON.stringify({ corp: { path: certificate.caFile } }),
    },
  );
  const policy = (zone: string) =>
    houba.policies({
      name: 'tool',
      from: `${upstream.host}/team/tool`,
      to: ['main:demo/tool'],
      import: {
        platforms: ['linux/amd64', 'linux/arm64'],
        keepUpstreamEvidence: true,
        variants: [
          { name: 'plain' },
          { name: 'ca', suffix: '-ca', transform: [{ injectCA: { certs: ['corp'] } }, { setTimezone: { zone } }] },
        ],
      },
    });
  const watching = watch();
  const all: Ended[] = [];
  // The second has a step that fails, with everything in reach that could leak.
  for (const zone of ['Europe/Rome', 'Europe/Nowhere']) {
    all.push(await houba.start('reconcile', policy(zone), '--output', 'json', '--verbose').ended);
  }
  runs = all;
  seen = watching();
}, 600_000);
afterAll(async () => {
  await houba?.dispose();
  await Promise.all([daemon?.stop(), upstream?.stop(), registry?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

describe('a rebuild between registries with logins, signed by a key with a password', () => {
  it('works, over TLS with a CA of one’s own', () => {
    expect(runs.map(({ code }) => code)).toEqual([0, 1]);
    expect(JSON.parse(runs[0]?.stdout ?? '').totals).toMatchObject({ imported: 2, failed: 0 });
    expect(JSON.parse(runs[1]?.stdout ?? '').totals).toMatchObject({ skipped: 1, failed: 1 });
  });

  it('is accepted by stock cosign and by houba verify', async () => {
    const docker = join(folder, 'docker');
    mkdirSync(docker);
    writeFileSync(
      join(docker, 'config.json'),
      JSON.stringify({ auths: { [registry.host]: { auth: base64(DESTINATION) } } }),
    );
    for (const tag of ['1.0.0', '1.0.0-ca']) {
      for (const type of ['slsaprovenance1', 'spdxjson']) {
        await cosign(
          [
            ...['verify-attestation', `--key=${key}.pub`, `--type=${type}`, '--insecure-ignore-tlog=true'],
            ...[`--registry-cacert=${certificate.caFile}`, `${registry.host}/demo/tool:${tag}`],
          ],
          { DOCKER_CONFIG: docker },
        );
      }
      const reference = `${registry.host}/demo/tool:${tag}`;
      const { code, stdout, stderr } = await houba.run(
        'verify',
        reference,
        '--require',
        'stamp,sbom,signature,provenance',
      );
      expect(code, stdout + stderr).toBe(0);
      expect(secretsIn(stdout + stderr)).toEqual([]);
    }
  });

  it('shows no secret in any command line', () => {
    const commands = [...seen.programs.keys()].join('\n');
    for (const program of ['regctl', 'syft', 'buildctl', 'cosign', 'temporal'])
      expect(commands).toContain(`/${program}`);
    expect(secretsIn(commands)).toEqual([]);
  });

  it('gives the key’s password to cosign alone, and the logins to nobody’s environment', () => {
    const holders = new Set<string>();
    for (const [command, environment] of seen.programs) {
      for (const secret of secretsIn(environment))
        holders.add(`${command.split(' ')[0]?.split('/').at(-1)}: ${secret}`);
    }
    expect([...holders]).toEqual(['cosign: key']);
  });

  it('writes none into a file of the work directory, not even for a moment', () => {
    for (const tool of ['syft', 'buildctl', 'cosign']) {
      expect([...seen.files.keys()].some((path) => path.includes(`/${tool}-`))).toBe(true);
    }
    expect([...seen.files].filter(([, secrets]) => secrets.length > 0)).toEqual([]);
  });

  it('has none in its database and its logs while it runs', () => {
    expect([...seen.kept.keys()].some((path) => path.includes('temporal.db'))).toBe(true);
    expect([...seen.kept].filter(([, secrets]) => secrets.length > 0)).toEqual([]);
  });

  it('leaves none in a report, a log, a history, BuildKit’s own log or a scratch file', () => {
    for (const { stdout, stderr } of runs) expect(secretsIn(stdout + stderr)).toEqual([]);
    const kept = filesBelow(houba.home);
    expect(kept.some((path) => path.includes('temporal.db'))).toBe(true);
    for (const path of kept) expect([path, secretsIn(readFileSync(path, 'latin1'))]).toEqual([path, []]);
    expect(secretsIn(daemon.log())).toEqual([]);
    expect(filesBelow(houba.workDir)).toEqual([]);
  });

  it('publishes none', () => {
    for (const path of filesBelow(registry.storeDir)) expect(secretsIn(readFileSync(path, 'latin1'))).toEqual([]);
  });
});

interface Seen {
  /** The environment of every program that houba ran, by command line. */
  readonly programs: ReadonlyMap<string, string>;
  /** The files that the work directory had at some moment, and the secrets in each. */
  readonly files: ReadonlyMap<string, readonly string[]>;
  /** The same of what is kept: the database with its journal, the logs. */
  readonly kept: ReadonlyMap<string, readonly string[]>;
}

/** What each file was when it was last read: reading megabytes again every time would take a processor for itself. */
const readAs = new Map<string, string>();

/** Looks at all programs that houba starts and at all that its work directory holds, as often as it can. */
function watch(): () => Seen {
  const programs = new Map<string, string>();
  const files = new Map<string, string[]>();
  const timer = setInterval(() => {
    for (const name of readdirSync('/proc')) {
      const pid = Number(name);
      if (!Number.isInteger(pid) || pid === process.pid) continue;
      attempt(() => {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        const environment = readFileSync(`/proc/${pid}/environ`, 'utf8');
        // While it turns into its program it has no command line.
        if (command === '') return;
        // houba's own environment holds the roster, by design; a child is a copy of houba until it runs its program.
        if (`${command}${environment}`.includes(houba.folder) && !command.includes('bin/houba')) {
          programs.set(command, environment);
        }
      });
    }
    search(houba.workDir, files);
  }, 20);
  // The database is megabytes.
  const kept = new Map<string, string[]>();
  const slowly = setInterval(() => search(houba.home, kept), 1000);
  return () => {
    clearInterval(timer);
    clearInterval(slowly);
    return { programs, files, kept };
  };
}

/** Adds to what was found in each file below the folder that is new, or has changed since it was read. */
function search(root: string, found: Map<string, string[]>): void {
  attempt(() => {
    for (const path of filesBelow(root)) {
      attempt(() => {
        const { ino, size, mtimeMs } = statSync(path);
        const state = `${ino} ${size} ${mtimeMs}`;
        if (readAs.get(path) === state) return;
        readAs.set(path, state);
        const shown = path.slice(root.length);
        found.set(shown, [...(found.get(shown) ?? []), ...secretsIn(readFileSync(path, 'latin1'))]);
      });
    }
  });
}

/** What is looked at may be gone by then. */
function attempt(look: () => void): void {
  try {
    look();
  } catch (error) {
    if (!['ENOENT', 'ESRCH', 'EACCES', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

function base64({ username, password }: { username: string; password: string }): string {
  return Buffer.from(`${username}:${password}`).toString('base64');
}

/** Which secrets a text holds, in any of the forms they travel in. */
function secretsIn(text: string): string[] {
  const formsOf = (password: string) => [
    password,
    encodeURIComponent(password),
    JSON.stringify(password).slice(1, -1),
    Buffer.from(password).toString('base64'),
    Buffer.from(password).toString('latin1'),
    Buffer.from(JSON.stringify(password).slice(1, -1)).toString('latin1'),
  ];
  const secrets = {
    source: [...formsOf(SOURCE.password), base64(SOURCE)],
    destination: [...formsOf(DESTINATION.password), base64(DESTINATION)],
    key: formsOf(KEY_PASSWORD),
  };
  return Object.entries(secrets).flatMap(([name, forms]) => (forms.some((form) => text.includes(form)) ? [name] : []));
}

function filesBelow(root: string): string[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

async function cosign(args: readonly string[], environment: Readonly<Record<string, string>>): Promise<void> {
  const env = { PATH: process.env.PATH ?? '', HOME: folder, ...environment };
  await run(programPath('cosign') ?? 'cosign', args, { env, cwd: folder });
}
