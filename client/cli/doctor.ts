import { Command } from 'commander';
import { isBelowFloor, readProgramVersion } from '../../adapters/program-version.js';
import { createRegistryReader } from '../../adapters/registry.js';
import { type Program, programPath, readPrograms } from '../../config/programs.js';
import { registryAccess } from '../../config/registry-access.js';
import type { Settings } from '../../config/settings.js';
import { HoubaError } from '../../domain/report/errors.js';
import { escapeControls } from '../../domain/report/escape.js';
import type { Palette } from '../../domain/report/render.js';
import type { RosterEntry } from '../../domain/roster.js';
import { type Output, outputOption } from './options.js';
import { settingsOfProcess } from './settings.js';
import { paletteFor, print, printJson } from './terminal.js';

export function doctorCommand(): Command {
  return new Command('doctor')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba doctor --output json')
    .action(async ({ output }: { readonly output: Output }) => {
      const { settings } = settingsOfProcess();
      const close: (() => Promise<void>)[] = [];
      try {
        const diagnosis = await diagnose(checksOf(settings, close));
        if (output === 'json') await printJson(diagnosis);
        else await print(renderDiagnosis(diagnosis, paletteFor(process.stdout, true)));
        process.exitCode = diagnosis.ok ? 0 : 2;
      } finally {
        for (const end of close) await end();
      }
    });
}

/** What the doctor asks, so that a test can answer. Each rejects with what is wrong. */
export interface DoctorChecks {
  readonly programs: ReadonlyMap<string, Program>;
  /** Programs without which these settings cannot be served. */
  readonly required: ReadonlySet<string>;
  /** null: not installed. */
  readonly pathOf: (name: string) => string | null;
  readonly versionOf: (path: string, program: Program) => Promise<string | null>;
  /** @returns where Temporal is, for a person */
  readonly temporal: () => Promise<string>;
  readonly roster: readonly RosterEntry[];
  readonly ping: (host: string) => Promise<void>;
}

/** `problem` makes the exit code 2; `warning` does not. */
type Health = 'ok' | 'warning' | 'problem';

interface Finding {
  readonly name: string;
  readonly status: Health;
  readonly detail: string;
  /** What to do about it; null when nothing is wrong. */
  readonly fix: string | null;
}

interface ProgramFinding extends Finding {
  readonly path: string | null;
  readonly version: string | null;
  readonly floor: string | null;
  readonly required: boolean;
}

export interface Diagnosis {
  readonly schema_version: 1;
  readonly ok: boolean;
  readonly programs: readonly ProgramFinding[];
  readonly temporal: Finding;
  readonly registries: readonly Finding[];
}

/** Asks everything at once and says what is wrong, each with a fix. */
export async function diagnose(checks: DoctorChecks): Promise<Diagnosis> {
  const [programs, temporal, registries] = await Promise.all([
    Promise.all([...checks.programs].map(([name, program]) => checkProgram(name, program, checks))),
    checkTemporal(checks),
    Promise.all(checks.roster.map((entry) => checkRegistry(entry, checks))),
  ]);
  const ok = [...programs, temporal, ...registries].every((finding) => finding.status !== 'problem');
  return { schema_version: 1, ok, programs, temporal, registries };
}

async function checkProgram(name: string, program: Program, checks: DoctorChecks): Promise<ProgramFinding> {
  const required = checks.required.has(name);
  const path = checks.pathOf(name);
  const floor = program.floor ?? null;
  const wrong = (detail: string, fix: string, version: string | null = null): ProgramFinding => {
    return { name, status: required ? 'problem' : 'warning', detail, fix, path, version, floor, required };
  };
  const build = `make setup builds ${program.version}, or put it on PATH`;
  if (path === null) {
    if (required) return wrong(`is missing; it ${program.purpose}`, build);
    const detail = `not installed, and not needed here (${program.purpose})`;
    return { name, status: 'ok', detail, fix: null, path, version: null, floor, required };
  }
  let version: string | null;
  try {
    version = await checks.versionOf(path, program);
  } catch (error) {
    return wrong(`does not run: ${messageOf(error)}`, `remove ${path}; ${build}`);
  }
  if (floor !== null && isBelowFloor(version, floor)) {
    return wrong(`${version ?? 'an unknown version'} is older than ${floor}`, `remove ${path}; ${build}`, version);
  }
  return { name, status: 'ok', detail: program.purpose, fix: null, path, version, floor, required };
}

async function checkTemporal({ temporal }: DoctorChecks): Promise<Finding> {
  try {
    return { name: 'temporal', status: 'ok', detail: await temporal(), fix: null };
  } catch (error) {
    const fix = hintOf(error) ?? 'check TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and TEMPORAL_TLS';
    return { name: 'temporal', status: 'problem', detail: messageOf(error), fix };
  }
}

async function checkRegistry({ name, host }: RosterEntry, { ping }: DoctorChecks): Promise<Finding> {
  try {
    await ping(host);
    return { name, status: 'ok', detail: host, fix: null };
  } catch (error) {
    const fix = hintOf(error) ?? `check ${name} in HOUBA_REGISTRIES: host, username, password, tls_verify, ca_cert`;
    return { name, status: 'problem', detail: messageOf(error), fix };
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function hintOf(error: unknown): string | undefined {
  return error instanceof HoubaError ? error.hint : undefined;
}

export function renderDiagnosis(diagnosis: Diagnosis, palette: Palette): string {
  const marks = { ok: palette.good('✓'), warning: palette.doubtful('!'), problem: palette.bad('✗') };
  const lines: string[] = [];
  const tell = ({ name, status, detail, fix }: Finding) => {
    lines.push(`  ${marks[status]} ${name.padEnd(21)} ${escapeControls(detail)}`);
    if (fix !== null) lines.push(`    ${palette.minor(`→ ${escapeControls(fix)}`)}`);
  };
  lines.push('Programs');
  for (const program of diagnosis.programs) {
    const { version, floor, path, status } = program;
    const least = floor === null ? '' : ` (at least ${floor})`;
    const found = `${version ?? 'version unknown'}${least}  ${palette.minor(path ?? '')}`;
    if (status === 'ok' && path !== null) lines.push(`  ${marks.ok} ${program.name.padEnd(21)} ${found}`);
    else if (status === 'ok') lines.push(`  ${palette.minor('-')} ${program.name.padEnd(21)} ${program.detail}`);
    else tell(program);
  }
  lines.push('Temporal');
  tell(diagnosis.temporal);
  lines.push('Registries');
  for (const registry of diagnosis.registries) tell(registry);
  if (diagnosis.registries.length === 0) lines.push('  the roster is empty: set HOUBA_REGISTRIES before reconciling');
  return `${lines.join('\n')}\n`;
}

const PING_TIMEOUT_MS = 15_000;

function checksOf(settings: Settings, close: (() => Promise<void>)[]): DoctorChecks {
  const reader = createRegistryReader(registryAccess(settings));
  close.push(() => reader.close());
  return {
    programs: readPrograms(),
    required: new Set([
      ...['regctl', 'syft'],
      ...(settings.temporal.address === null ? ['temporal'] : []),
      ...(settings.attest.signer === '' ? [] : ['cosign']),
    ]),
    pathOf: programPath,
    versionOf: async (file, { versionArgs, versionPattern }) =>
      versionArgs === undefined
        ? null
        : await readProgramVersion({ file, versionArgs, versionPattern, environment: settings.childEnvironment }),
    temporal: () => temporalOf(settings),
    roster: [...settings.registries.values()],
    ping: (host) => reader.ping(host, AbortSignal.timeout(PING_TIMEOUT_MS)),
  };
}

/** Nothing is started to find out: an embedded stack that is down comes up with the first command. */
async function temporalOf({ temporal, home }: Settings): Promise<string> {
  const { readStack } = await import('../stack-files.js');
  const stack = temporal.address === null ? readStack(home) : null;
  const place = temporal.address === null ? stack : { ...temporal, address: temporal.address };
  if (place === null) return `embedded, in ${home}; it starts with the first command`;
  const { connectTo } = await import('../connect.js');
  const client = await connectTo(place);
  try {
    await client.connection.workflowService.describeNamespace({ namespace: place.namespace });
  } finally {
    await client.connection.close();
  }
  return stack === null ? `${place.address}, namespace ${place.namespace}` : `embedded, up at ${place.address}`;
}
