import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { inject } from 'vitest';
import { programPath } from '../../config/programs.js';
import type { Operation, RunReport } from '../../domain/report/run/run-report.js';
import { type CommandServer, startCommandServer } from './command-server.js';

const HOUBA = fileURLToPath(new URL('../../bin/houba', import.meta.url));
const run = promisify(execFile);
/** Verbs that ask registries, and no Temporal. */
const NEED_NO_STACK = ['attach', 'verify'];

/** houba as a user has it: the built command, in a home of its own. */
export interface Houba {
  /** Everything of this one is below it. */
  readonly folder: string;
  readonly home: string;
  readonly workDir: string;
  /** What the command is given; change it to change the user's settings. */
  readonly env: Record<string, string>;
  /** Writes policies, each into a file of its own; returns their folder. */
  policies(...documents: readonly PolicyOptions[]): string;
  run(...args: readonly string[]): Promise<Ended>;
  start(...args: readonly string[]): Started;
  /** `reconcile DIR --output json` with more arguments. */
  reconcile(dir: string, ...args: readonly string[]): Promise<Reconciled>;
  /** `houba up`: the commands after it share one stack. */
  up(): Promise<void>;
  /** Ends the stack of `up`, with all its processes. */
  down(): Promise<void>;
  /** A stack with these settings changed; what is undefined is taken away. It stays, as that of `up`. */
  upWith(settings: Readonly<Record<string, string | undefined>>): Promise<void>;
  /** What the stack of `up` has written: its journal. */
  journal(): string;
  /** Forgets everything but the settings. */
  loseHome(): void;
  /** Ends what is left, and removes the folder. */
  dispose(): Promise<void>;
}

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface Reconciled extends Ended {
  readonly report: RunReport;
}

export interface Started {
  readonly pid: number;
  readonly process: ChildProcess;
  stdout(): string;
  stderr(): string;
  readonly ended: Promise<Ended>;
}

export interface PolicyOptions {
  readonly name: string;
  readonly from: string;
  readonly artifactType?: string;
  readonly deletionMode?: string;
  /** Of the one import: everything but its name and its destinations. */
  readonly import?: Readonly<Record<string, unknown>>;
  /** Further imports to the same destinations, each with its name. */
  readonly also?: readonly Readonly<Record<string, unknown>>[];
  /** `registry:project/repository`. */
  readonly to: readonly string[];
}

/** As `createHouba`, but inventories are empty and take no time: for tests that look into none. */
export function createHoubaWithInstantSyft(
  registries: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, string>> = {},
): Promise<Houba> {
  return createHouba(registries, more, inject('houbaWithInstantSyft'));
}

export async function createHouba(
  registries: Readonly<Record<string, unknown>>,
  more: Readonly<Record<string, string>> = {},
  program = HOUBA,
): Promise<Houba> {
  const folder = await mkdtemp(join(tmpdir(), 'houba-e2e-'));
  const home = join(folder, 'home');
  const workDir = join(folder, 'work');
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? '',
    HOME: folder,
    HOUBA_HOME: home,
    HOUBA_WORK_DIR: workDir,
    HOUBA_REGISTRIES: JSON.stringify(registries),
    HOUBA_LOG_FORMAT: 'json',
    ...more,
  };
  const live = new Set<ChildProcess>();
  let folders = 0;
  /** For the commands that join the stack of `up`, and for those that need none. */
  let commands: CommandServer | null = null;
  let isUp = false;

  function start(...args: readonly string[]): Started {
    const began = Date.now();
    // A terminal's Ctrl-C reaches the whole group; here only houba itself is signalled, which is harder.
    const child = spawn(process.execPath, [program, ...args], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    live.add(child);
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString('utf8');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      stderr += chunk.toString('utf8');
    });
    const ended = once(child, 'close').then(([code, signal]): Ended => {
      live.delete(child);
      return { code, signal, stdout, stderr, ms: Date.now() - began };
    });
    return { pid: child.pid ?? 0, process: child, stdout: () => stdout, stderr: () => stderr, ended };
  }

  async function runToEnd(...args: readonly string[]): Promise<Ended> {
    const [verb = ''] = args;
    const needsNoStack = NEED_NO_STACK.includes(verb);
    if (needsNoStack) commands ??= startCommandServer(folder, env);
    const isJoining = needsNoStack || (isUp && env.HOUBA_HOME === home && verb !== 'up' && verb !== 'down');
    return await ((isJoining ? commands?.run(args, env) : null) ?? start(...args).ended);
  }

  async function up(): Promise<void> {
    await succeed('up');
    isUp = true;
    commands ??= startCommandServer(folder, env);
  }

  async function down(): Promise<void> {
    await commands?.stop();
    commands = null;
    isUp = false;
    await succeed('down');
  }

  async function succeed(verb: string): Promise<void> {
    const { code, stderr } = await start(verb).ended;
    if (code !== 0) throw new Error(`houba ${verb} ended with ${code}: ${stderr}`);
  }

  return {
    folder,
    home,
    workDir,
    env,
    start,
    run: runToEnd,
    reconcile: async (dir, ...args) => {
      const ended = await runToEnd('reconcile', dir, '--output', 'json', ...args);
      return { ...ended, report: reportOf(ended) };
    },
    policies: (...documents) => {
      const dir = join(folder, `policies-${folders++}`);
      mkdirSync(dir);
      for (const document of documents) writeFileSync(join(dir, `${document.name}.yaml`), policyText(document));
      return dir;
    },
    up,
    down,
    upWith: async (settings) => {
      await down();
      for (const [name, value] of Object.entries(settings)) {
        if (value === undefined) delete env[name];
        else env[name] = value;
      }
      await up();
    },
    journal: () => readFileSync(join(home, 'stack.log'), 'utf8'),
    loseHome: () => rmSync(home, { recursive: true, force: true }),
    dispose: async () => {
      await commands?.stop();
      for (const child of live) {
        const gone = once(child, 'close');
        child.kill('SIGKILL');
        await gone;
      }
      for (const pid of processesOf(folder)) killIfThere(pid);
      await until(() => processesOf(folder).length === 0);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A policy as a person writes it, but for JSON being YAML too. */
export function policyText({ name, from, artifactType, deletionMode, import: entry, also, to }: PolicyOptions): string {
  const slash = from.indexOf('/');
  const destinations = to.map((text) => {
    const [registry = '', path = ''] = text.split(':');
    const cut = path.lastIndexOf('/');
    return { registry, project: path.slice(0, cut), repository: path.slice(cut + 1) };
  });
  return JSON.stringify({
    apiVersion: 'houba.io/v1alpha1',
    kind: 'MirrorPolicy',
    metadata: { name },
    spec: {
      artifactType: artifactType ?? 'image',
      source: { registry: from.slice(0, slash), repository: from.slice(slash + 1) },
      ...(deletionMode === undefined ? {} : { deletionMode }),
      imports: [{ name: 'all', ...entry }, ...(also ?? [])].map((one) => ({ tags: {}, ...one, destinations })),
    },
  });
}

function reportOf({ code, stdout, stderr }: Ended): RunReport {
  try {
    return JSON.parse(stdout) as RunReport;
  } catch {
    throw new Error(`no report (exit ${code}):\n${stdout}\n${stderr.slice(-4000)}`);
  }
}

/** Every operation of a report that is listed, targets' own included. */
export function operationsOf(report: RunReport): Operation[] {
  return report.policies.flatMap((policy) =>
    policy.targets.flatMap((target) => [
      ...target.operations,
      ...target.variants.flatMap((variant) => variant.operations),
    ]),
  );
}

/** Processes whose command line or environment names something below the folder, this one aside. */
export function processesOf(folder: string): number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || pid === process.pid) continue;
    try {
      const state = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /s, '')[0];
      if (state === 'Z') continue;
      const said = readFileSync(`/proc/${pid}/cmdline`, 'utf8') + readFileSync(`/proc/${pid}/environ`, 'utf8');
      if (said.includes(folder)) found.push(pid);
    } catch {
      // It has ended, or is not ours to look at.
    }
  }
  return found;
}

/** What is in a folder; nothing if there is none. */
export function leftIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

/** Waits for a condition, looking often; less often where a look costs time, which others need: files run side by side. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what = 'the condition',
  withinMs = 180_000,
): Promise<void> {
  const end = Date.now() + withinMs;
  for (;;) {
    const began = performance.now();
    if (await condition()) return;
    if (Date.now() > end) throw new Error(`${what} did not come true within ${withinMs} ms`);
    const took = performance.now() - began;
    await new Promise((resolve) => setTimeout(resolve, Math.min(Math.max(10, 2 * took), 500)));
  }
}

export interface RegctlReader {
  (...args: readonly string[]): Promise<string>;
  tags(repository: string): Promise<string[]>;
  digest(reference: string): Promise<string>;
  manifest(reference: string): Promise<Manifest>;
  /** What `regctl artifact list` finds, each with the platform its annotation names. */
  artifacts(
    reference: string,
  ): Promise<{ digest: string; artifactType: string; annotations: Record<string, string> }[]>;
}

export interface Manifest {
  readonly mediaType: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly config?: { readonly mediaType: string; readonly digest: string };
  readonly layers?: readonly { readonly mediaType: string; readonly digest: string }[];
  readonly manifests?: readonly { readonly mediaType: string; readonly digest: string }[];
}

/** The independent reader: stock regctl, with a configuration of its own that knows these hosts as plain HTTP. */
export function regctlReader(folder: string, hosts: readonly string[]): RegctlReader {
  const config = join(folder, 'regctl.json');
  const entries = hosts.map((host) => [host, { tls: 'disabled' }]);
  writeFileSync(config, JSON.stringify({ hosts: Object.fromEntries(entries) }));
  const call = async (...args: readonly string[]) => {
    const env = { PATH: process.env.PATH ?? '', REGCTL_CONFIG: config, HOME: folder };
    const { stdout } = await run(programPath('regctl') ?? 'regctl', args, { env, maxBuffer: 64 * 1024 * 1024 });
    return stdout.trim();
  };
  return Object.assign(call, {
    tags: async (repository: string) => (await call('tag', 'ls', repository)).split('\n').filter((tag) => tag !== ''),
    digest: (reference: string) => call('image', 'digest', reference),
    manifest: async (reference: string) =>
      JSON.parse(await call('manifest', 'get', reference, '--format', '{{json .}}')) as Manifest,
    artifacts: async (reference: string) => {
      const { descriptors } = JSON.parse(await call('artifact', 'list', reference, '--format', '{{json .}}'));
      return (descriptors ?? []).map((entry: { annotations?: Record<string, string> }) => ({
        ...entry,
        annotations: entry.annotations ?? {},
      }));
    },
  });
}
