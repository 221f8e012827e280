import { existsSync, readFileSync, statfsSync } from 'node:fs';
import { Command } from 'commander';
import { isBelowFloor, readProgramVersion } from '../../../adapters/program-version.js';
import type { RegistryTraits, Trial } from '../../../adapters/registry/traits.js';
import { createRegistryReader } from '../../../adapters/registry.js';
import { type Program, programPath, readPrograms } from '../../../config/programs.js';
import { registryAccess } from '../../../config/registry-access.js';
import type { Settings } from '../../../config/settings.js';
import { HoubaError } from '../../../domain/errors.js';
import { publicKeyFingerprint } from '../../../domain/evidence/upstream/upstream-key.js';
import { destinationsOf } from '../../../domain/policy/destinations.js';
import { resolvePolicy } from '../../../domain/policy/resolve.js';
import { parseRepository, type Repository } from '../../../domain/reference.js';
import type { Palette } from '../../../domain/report/palette.js';
import type { RosterEntry } from '../../../domain/roster.js';
import { escapeControls } from '../../../domain/text/escape.js';
import { type Output, outputOption } from '../options.js';
import { settingsOfProcess } from '../settings.js';
import { paletteFor, print, printJson } from '../terminal.js';

export function doctorCommand(): Command {
  return new Command('doctor')
    .option('--write', 'also put a small artifact into each registry that policies write to, and delete it again')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba doctor --output json')
    .action(async ({ output, write = false }: { readonly output: Output; readonly write?: boolean }) => {
      const { settings } = settingsOfProcess();
      const close: (() => Promise<void>)[] = [];
      try {
        const diagnosis = await diagnose(checksOf(settings, write, close));
        if (output === 'json') await printJson(diagnosis);
        else await print(renderDiagnosis(diagnosis, paletteFor(process.stdout, true)));
        process.exitCode = diagnosis.ok ? 0 : 2;
      } finally {
        for (const end of close) await end();
      }
    });
}

/** The checks of the doctor, which tests replace. Each rejects with what is wrong. */
export interface DoctorChecks {
  readonly programs: ReadonlyMap<string, Program>;
  /** Programs that these settings need. */
  readonly required: ReadonlySet<string>;
  /** null: not installed. */
  readonly pathOf: (name: string) => string | null;
  readonly versionOf: (path: string, program: Program) => Promise<string | null>;
  /** The folders that houba writes in, by their setting; each is written to. @returns where it is, for a person */
  readonly folders: Readonly<Record<string, () => Promise<string>>>;
  /** @returns Temporal's address, for a person */
  readonly temporal: () => Promise<string>;
  /** @returns the daemon's address; null: buildctl is not installed, so that none can be asked */
  readonly buildkit: (() => Promise<string>) | null;
  /** Whether the settings name a daemon; if not, only policies with a transform need one. */
  readonly buildkitNamed: boolean;
  /** @returns what evidence is signed with, for a person */
  readonly signing: () => Promise<string>;
  readonly roster: readonly RosterEntry[];
  readonly ping: (host: string) => Promise<void>;
  /** What a registry does in a way of its own; null: no policy writes there. */
  readonly traits: (entry: RosterEntry) => Promise<RegistryTraits | null>;
}

/** `problem` makes the exit code 2; `warning` does not. */
type Health = 'ok' | 'warning' | 'problem';

interface Finding {
  readonly name: string;
  readonly status: Health;
  readonly detail: string;
  /** What to do about it; null: nothing is wrong. */
  readonly fix: string | null;
}

interface ProgramFinding extends Finding {
  readonly path: string | null;
  readonly version: string | null;
  readonly floor: string | null;
  readonly required: boolean;
}

interface Diagnosis {
  readonly schema_version: 1;
  readonly ok: boolean;
  readonly programs: readonly ProgramFinding[];
  readonly folders: readonly Finding[];
  readonly temporal: Finding;
  readonly buildkit: Finding;
  readonly signing: Finding;
  readonly registries: readonly Finding[];
}

/** Runs all checks at once; each finding has a fix. */
export async function diagnose(checks: DoctorChecks): Promise<Diagnosis> {
  const [programs, folders, temporal, buildkit, signing, registries] = await Promise.all([
    Promise.all([...checks.programs].map(([name, program]) => checkProgram(name, program, checks))),
    Promise.all(Object.entries(checks.folders).map(([name, ask]) => check(name, ask, `set ${name} to another folder`))),
    check('temporal', checks.temporal, 'check TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and TEMPORAL_TLS'),
    checkBuildkit(checks),
    check('signing', checks.signing, CHECK_SIGNING),
    Promise.all(checks.roster.map((entry) => checkRegistry(entry, checks))),
  ]);
  const findings = [...programs, ...folders, temporal, buildkit, signing, ...registries];
  const ok = findings.every((finding) => finding.status !== 'problem');
  return { schema_version: 1, ok, programs, folders, temporal, buildkit, signing, registries };
}

const CHECK_SIGNING = 'check HOUBA_ATTEST_KEY_REF, and COSIGN_PASSWORD or the variables of the key service';

function checkEntry(name: string): string {
  return `check ${name} in HOUBA_REGISTRIES: host, username, password, tls_verify, ca_cert`;
}

async function checkRegistry(entry: RosterEntry, { ping, traits }: DoctorChecks): Promise<Finding> {
  const { name, host } = entry;
  const reached = await check(name, () => ping(host).then(() => host), checkEntry(name));
  if (reached.status !== 'ok') return reached;
  if (entry.sourceOnly) return { ...reached, detail: `${host}, only a source` };
  try {
    const found = await traits(entry);
    if (found === null) return reached;
    const fix = FIX_OF_DELETION[found.deletion] ?? null;
    return { name, status: fix === null ? 'ok' : 'warning', detail: [host, ...sentences(found)].join('; '), fix };
  } catch (error) {
    return { name, status: 'problem', detail: messageOf(error), fix: hintOf(error) ?? checkEntry(name) };
  }
}

const FIX_OF_DELETION: Readonly<Record<string, string>> = {
  refused: 'turn deletion on in the registry, or set deletionMode: mark in the policies that write there',
  untrue: 'ask its operator; a deletion of houba counts only when it is read back, so that runs fail there',
  denied: 'give the credentials the right to delete, or set deletionMode: mark in the policies that write there',
};

function sentences({ deletion, referrers, showsSubject }: RegistryTraits): string[] {
  return [
    ...(deletion === 'works' ? ['it deletes what was written'] : []),
    ...(deletion === 'refused' ? ['it deletes nothing'] : []),
    ...(deletion === 'untrue' ? ['it accepts deletions that it does not do'] : []),
    ...(deletion === 'denied' ? ['it lets these credentials delete nothing'] : []),
    ...(showsSubject === true
      ? ['it shows the image itself under the tag of its evidence, until houba begins a list there']
      : referrers === 'tag'
        ? ['it has no referrers API: evidence is listed by tags, sha256-…']
        : []),
  ];
}

/** Programs that only some policies need, each with its reason. */
const NEEDED_BY_POLICIES: Readonly<Record<string, string>> = {
  buildctl: 'a policy has a transform',
  cosign: 'a policy has verifyUpstream',
};

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
    const need = NEEDED_BY_POLICIES[name];
    const detail = `not installed, and not needed ${need === undefined ? 'here' : `unless ${need}`} (${program.purpose})`;
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

/** @param fix the advice where the error has no hint */
async function check(name: string, ask: () => Promise<string>, fix: string): Promise<Finding> {
  try {
    return { name, status: 'ok', detail: await ask(), fix: null };
  } catch (error) {
    return { name, status: 'problem', detail: messageOf(error), fix: hintOf(error) ?? fix };
  }
}

const WHICH_DAEMON =
  'for policies with a transform: start buildkitd (as root, or with rootlesskit as another user), or set BUILDKIT_HOST';

async function checkBuildkit({ buildkit, buildkitNamed }: DoctorChecks): Promise<Finding> {
  const name = 'buildkit';
  if (buildkit === null) return { name, status: 'ok', detail: 'not asked, for want of buildctl', fix: null };
  try {
    return { name, status: 'ok', detail: await buildkit(), fix: null };
  } catch (error) {
    const [status, fix] = buildkitNamed
      ? (['problem', 'start the daemon that BUILDKIT_HOST names, or correct the address'] as const)
      : (['warning', WHICH_DAEMON] as const);
    return { name, status, detail: messageOf(error), fix };
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
  lines.push('Folders');
  for (const folder of diagnosis.folders) tell(folder);
  lines.push('Temporal');
  tell(diagnosis.temporal);
  lines.push('Builds and signing');
  tell(diagnosis.buildkit);
  tell(diagnosis.signing);
  lines.push('Registries');
  for (const registry of diagnosis.registries) tell(registry);
  if (diagnosis.registries.length === 0) lines.push('  the roster is empty: set HOUBA_REGISTRIES before reconciling');
  return `${lines.join('\n')}\n`;
}

const ANSWER_WITHIN_MS = 15_000;
const MIB = 1024 * 1024;

function checksOf(settings: Settings, write: boolean, close: (() => Promise<void>)[]): DoctorChecks {
  const reader = createRegistryReader(registryAccess(settings));
  close.push(() => reader.close());
  const buildctl = programPath('buildctl');
  return {
    programs: readPrograms(),
    required: new Set([
      ...['regctl', 'syft'],
      ...(settings.temporal.address === null ? ['temporal'] : []),
      ...(settings.attest.signer === '' ? [] : ['cosign']),
      ...(settings.buildkitHost === null ? [] : ['buildctl']),
    ]),
    pathOf: programPath,
    versionOf: async (file, { versionArgs, versionPattern }) =>
      versionArgs === undefined
        ? null
        : await readProgramVersion({ file, versionArgs, versionPattern, environment: settings.childEnvironment }),
    folders: {
      HOUBA_HOME: () => folderOf(settings.home, 'HOUBA_HOME'),
      HOUBA_WORK_DIR: () => folderOf(settings.workDir, 'HOUBA_WORK_DIR'),
    },
    temporal: () => temporalOf(settings),
    buildkit: buildctl === null ? null : () => buildkitOf(buildctl, settings),
    buildkitNamed: settings.buildkitHost !== null,
    signing: () => signingOf(settings),
    roster: [...settings.registries.values()],
    ping: (host) => reader.ping(host, AbortSignal.timeout(ANSWER_WITHIN_MS)),
    traits: (entry) => traitsOf(entry, settings, write),
  };
}

/** @throws HoubaError `MachineFailed`, `ConfigInvalid` where a file cannot be written */
async function folderOf(path: string, setting: string): Promise<string> {
  const { makeFolder } = await import('../../../config/make-folder.js');
  const { tryWriting } = await import('../../stack/stack-files.js');
  makeFolder(path, setting);
  tryWriting(path);
  const { bavail, bsize } = statfsSync(path);
  return `${path}, ${Math.floor((bavail * bsize) / MIB).toLocaleString('en')} MiB free`;
}

/** Asks for the traits in a repository that policies write to; where no policies are known, in any. */
async function traitsOf(entry: RosterEntry, settings: Settings, write: boolean): Promise<RegistryTraits | null> {
  const access = registryAccess(settings);
  const { readTraits } = await import('../../../adapters/registry/traits.js');
  const repository = await repositoryToAsk(entry, settings);
  if (repository === null) return null;
  const signal = () => AbortSignal.timeout(ANSWER_WITHIN_MS);
  // Found in the catalogue alone, it may be somebody else's.
  if (!write || settings.policyDir === null) return await readTraits(access, repository, null, signal());
  return await inWorkDir(settings, async (workDir) =>
    readTraits(access, repository, await openTrial(settings, workDir), signal()),
  );
}

/** null: policies are known, and none writes to this registry; or nothing of it is known. */
async function repositoryToAsk(entry: RosterEntry, settings: Settings): Promise<Repository | null> {
  const { policyDir, registries } = settings;
  if (policyDir !== null) {
    const { readPolicyFiles } = await import('../../../adapters/policy-files.js');
    const written = (await readPolicyFiles(policyDir)).flatMap(({ policy }) =>
      destinationsOf(resolvePolicy(policy), registries),
    );
    return written.find(({ host }) => host === entry.host) ?? null;
  }
  const reader = createRegistryReader(registryAccess(settings));
  try {
    const paths = await reader.listRepositories(entry.host, AbortSignal.timeout(ANSWER_WITHIN_MS));
    const path = paths.find((one) => entry.namespace === null || one.startsWith(`${entry.namespace}/`));
    return path === undefined ? null : parseRepository(entry.host, path);
  } catch (error) {
    if (error instanceof HoubaError) return null;
    throw error;
  } finally {
    await reader.close();
  }
}

/** What is written has no tag, and is the same each time. */
async function openTrial(settings: Settings, workDir: string): Promise<Trial> {
  const { createRegctl } = await import('../../../adapters/regctl.js');
  const { createCredentialSource } = await import('../../../adapters/credentials.js');
  const { requiredProgram } = await import('../../../worker/required-program.js');
  const access = registryAccess(settings);
  const regctl = createRegctl({
    access: access.access,
    credentials: createCredentialSource(access),
    workDir,
    environment: settings.childEnvironment,
    program: await requiredProgram('regctl', settings),
  });
  const artifact = { artifactType: 'application/vnd.io.houba.trial', annotations: {} };
  return {
    write: (repository, signal) => regctl.putArtifact(repository, null, artifact, signal),
    remove: (repository, digest, signal) => regctl.deleteManifest(repository, digest, signal),
  };
}

/** Where Temporal is. Nothing is started to find out: an embedded stack comes up with the first command. */
async function temporalOf({ temporal, home }: Settings): Promise<string> {
  const { readStack } = await import('../../stack/stack-files.js');
  const stack = temporal.address === null ? readStack(home) : null;
  const place = temporal.address === null ? stack : { ...temporal, address: temporal.address };
  if (place === null) return `embedded, in ${home}; it starts with the first command`;
  const { connectTo } = await import('../../connect.js');
  const client = await connectTo(place);
  try {
    await client.connection.workflowService.describeNamespace({ namespace: place.namespace });
  } finally {
    await client.connection.close();
  }
  return stack === null ? `${place.address}, namespace ${place.namespace}` : `embedded, up at ${place.address}`;
}

async function buildkitOf(program: string, settings: Settings): Promise<string> {
  const { createBuildctl } = await import('../../../adapters/buildctl.js');
  const { buildkitHost: address, buildkitTlsDir: tlsDir, childEnvironment: environment } = settings;
  return await inWorkDir(settings, async (workDir) => {
    await createBuildctl({ program, address, tlsDir, workDir, environment }).ping(
      AbortSignal.timeout(ANSWER_WITHIN_MS),
    );
    return address ?? "at buildctl's own default address";
  });
}

/** Reads the public half of the key, which needs all that signing needs; nothing is signed or logged. */
async function signingOf(settings: Settings): Promise<string> {
  const { signer, keyRef, fulcioUrl } = settings.attest;
  if (signer === '') return 'off; evidence is not signed';
  if (signer === 'keyless') return `keyless, with certificates of ${fulcioUrl || 'the public Fulcio'}`;
  if (signer === 'key' && existsSync(keyRef) && readFileSync(keyRef, 'utf8').includes('BEGIN PUBLIC KEY')) {
    throw new HoubaError('ConfigInvalid', `${keyRef} is a public key: it verifies, and cannot sign`, {
      hint: 'HOUBA_ATTEST_KEY_REF takes the private key that `cosign generate-key-pair` wrote',
    });
  }
  const { openCosign } = await import('../../../worker/open-cosign.js');
  return await inWorkDir(settings, async (workDir) => {
    const cosign = await openCosign(settings, workDir);
    const pem = await cosign.publicKey(keyRef, AbortSignal.timeout(ANSWER_WITHIN_MS));
    return `${signer} ${keyRef}, public key ${publicKeyFingerprint(pem)}`;
  });
}

/** Works in a scratch folder like a worker's, removed afterwards. */
async function inWorkDir<Result>(settings: Settings, work: (path: string) => Promise<Result>): Promise<Result> {
  const { openWorkDir } = await import('../../../worker/work-dir.js');
  const workDir = openWorkDir(settings.workDir);
  try {
    return await work(workDir.path);
  } finally {
    workDir.close();
  }
}
