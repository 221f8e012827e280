import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import envPaths from 'env-paths';
import { DAY_MS, formatDuration } from '../domain/duration.js';
import { HoubaError } from '../domain/errors.js';
import type { FleetSettings } from '../domain/settings/fleet-settings.js';
import { nearest } from '../domain/text/nearest.js';
import { childEnvironment, type Environment, oracleEnvironment, signingEnvironment } from './environment.js';
import type { RegistryAccess } from './roster.js';
import { loadTemporal, type TemporalSettings } from './temporal-connection.js';
import { type CaSource, type PackageMirror, VARIABLES, type Values, type VariableKey } from './variables.js';

/** All settings, parsed. Holds credentials: it never leaves the process. */
export interface Settings extends FleetSettings {
  /** By roster name. */
  readonly registries: ReadonlyMap<string, RegistryAccess>;
  readonly logFormat: 'text' | 'json';
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly usageOracle: {
    readonly command: string | null;
    readonly timeoutMs: number;
    /** `USAGE_ORACLE_*`, for the oracle alone; every value is a secret. */
    readonly variables: Readonly<Record<string, string>>;
  };
  /** Absolute. */
  readonly workDir: string;
  readonly caCerts: Readonly<Record<string, CaSource>>;
  readonly packageMirrors: Readonly<Record<string, PackageMirror>>;
  /** Bytes. */
  readonly sbomMostDisk: number;
  readonly attest: FleetSettings['attest'] & {
    readonly keyRef: string;
    readonly fulcioUrl: string;
    readonly rekorUrl: string;
    readonly tsaUrl: string;
    /** Absolute, or empty. */
    readonly trustedRoot: string;
    readonly verifyIdentity: string;
    readonly verifyOidcIssuer: string;
  };
  /** Absolute: the folder of the embedded stack. */
  readonly home: string;
  readonly temporal: TemporalSettings;
  /** The folder of Docker's `config.json`. */
  readonly dockerConfigDir: string;
  /** Containers `auth.json` files, read after Docker's in this order. */
  readonly authFiles: readonly string[];
  /** The environment of outside programs: `PATH`, `HOME`, proxies, CA bundles. */
  readonly childEnvironment: Readonly<Record<string, string>>;
  /** The further environment of cosign. */
  readonly signing: { readonly variables: Readonly<Record<string, string>>; readonly secrets: readonly string[] };
  /** `BUILDKIT_HOST`; null: buildctl's own default. */
  readonly buildkitHost: string | null;
  /** The folder with the daemon's CA and the client's certificate and key; null: no TLS. */
  readonly buildkitTlsDir: string | null;
  /** The effective values as they may be shown, by variable; null: unset. */
  readonly shown: Readonly<Record<string, string | null>>;
}

type Origin = 'flag' | 'environment' | 'default';

export interface LoadedSettings {
  readonly settings: Settings;
  /** Where each variable's value comes from. */
  readonly origins: ReadonlyMap<string, Origin>;
  /** One sentence each, such as a misspelt variable. */
  readonly warnings: readonly string[];
}

/**
 * Reads all settings: flag, then environment, then default. @param flags texts of the command line, instead of a
 * variable
 * @throws HoubaError `ConfigInvalid` that names every invalid variable at once
 */
export function loadSettings(
  environment: Environment,
  flags: Partial<Record<VariableKey, string>> = {},
): LoadedSettings {
  const problems: string[] = [];
  const { values, shown, origins } = readVariables(environment, flags, problems);
  const temporal = loadTemporal(environment, problems);
  checkTogether(values, problems);
  if (problems.length > 0) {
    const head = problems.length === 1 ? '' : `${problems.length} settings are invalid:\n  `;
    throw new HoubaError('ConfigInvalid', `${head}${problems.join('\n  ')}`, {
      hint: 'docs/reference/configuration.md tells what each variable takes',
    });
  }

  const home = resolve(values.home ?? envPaths('houba', { suffix: '' }).data);
  const runtimeDir = environment.XDG_RUNTIME_DIR;
  const authFile =
    environment.REGISTRY_AUTH_FILE || (runtimeDir ? join(runtimeDir, 'containers', 'auth.json') : undefined);
  const settings: Settings = {
    prefix: values.labelPrefix,
    registries: values.registries,
    logFormat: values.logFormat,
    logLevel: values.logLevel,
    dryRunTags: values.dryRunTags,
    dryRunDeletions: values.dryRunDeletions,
    deletionMode: values.deletionMode,
    maxDeletionShare: values.maxDeletionShare,
    stability: values.stability,
    retention: values.retention,
    purgeMinIdleMs: values.purgeMinIdleDays === null ? values.purgeMinIdleMs : values.purgeMinIdleDays * DAY_MS,
    purgeRequireApproval: values.purgeRequireApproval,
    usageOracle: {
      command: values.usageOracleCommand,
      timeoutMs: values.usageOracleTimeoutSeconds * 1000,
      variables: oracleEnvironment(environment),
    },
    workDir: resolve(values.workDir),
    caCerts: values.caCerts,
    packageMirrors: values.packageMirrors,
    buildPlatform: values.buildPlatform,
    sbomFormats: values.sbomFormats,
    sbomMostDisk: values.sbomMaxGib * 1024 ** 3,
    maxConcurrency: values.maxConcurrency,
    verifyKms: values.verifyKms,
    attest: {
      signer: values.attestSigner,
      keyRef: values.attestKeyRef,
      fulcioUrl: values.attestFulcioUrl,
      rekorUrl: values.attestRekorUrl,
      tsaUrl: values.attestTsaUrl,
      trustedRoot: values.attestTrustedRoot === '' ? '' : resolve(values.attestTrustedRoot),
      builderId: values.attestBuilderId,
      verifyIdentity: values.attestVerifyIdentity,
      verifyOidcIssuer: values.attestVerifyOidcIssuer,
    },
    policyDir: values.policyDir === null ? null : resolve(values.policyDir),
    home,
    temporal,
    dockerConfigDir: environment.DOCKER_CONFIG || join(environment.HOME || homedir(), '.docker'),
    authFiles: authFile ? [authFile] : [],
    childEnvironment: childEnvironment(environment),
    signing: signingEnvironment(environment),
    buildkitHost: environment.BUILDKIT_HOST || null,
    buildkitTlsDir: values.buildkitTlsDir === null ? null : resolve(values.buildkitTlsDir),
    shown: { ...shown, [VARIABLES.home.name]: home },
  };
  return { settings, origins, warnings: [...misspelt(environment), ...hasty(settings.purgeMinIdleMs)] };
}

/** The settings that a stack and the commands that join it must share; no secret, and no `local` variable. */
export function publicSettings(settings: Settings): Record<string, string> {
  const shared: Record<string, string> = {
    DOCKER_CONFIG: settings.dockerConfigDir,
    BUILDKIT_HOST: settings.buildkitHost ?? '(unset)',
    REGISTRY_AUTH_FILE: settings.authFiles.join(', ') || '(unset)',
  };
  for (const { name, local } of Object.values(VARIABLES) as { name: string; local?: true }[]) {
    if (local !== true) shared[name] = settings.shown[name] ?? '(unset)';
  }
  return shared;
}

/** The variables in which two results of `publicSettings` differ, one sentence each. */
export function describeDifference(
  theirs: Readonly<Record<string, string>>,
  ours: Readonly<Record<string, string>>,
): string[] {
  const names = [...new Set([...Object.keys(theirs), ...Object.keys(ours)])].sort();
  return names
    .filter((name) => theirs[name] !== ours[name])
    .map((name) => `${name} is ${theirs[name] ?? '(unset)'} there and ${ours[name] ?? '(unset)'} here`);
}

interface Read {
  readonly values: Values;
  readonly shown: Record<string, string | null>;
  readonly origins: Map<string, Origin>;
}

function readVariables(
  environment: Environment,
  flags: Partial<Record<VariableKey, string>>,
  problems: string[],
): Read {
  const values: Partial<Record<VariableKey, unknown>> = {};
  const shown: Record<string, string | null> = {};
  const origins = new Map<string, Origin>();
  for (const key of Object.keys(VARIABLES) as VariableKey[]) {
    const variable = VARIABLES[key];
    const set = environment[variable.name];
    const fromEnvironment = set === '' && variable.emptyIsValue !== true ? undefined : set;
    const text = flags[key] ?? fromEnvironment ?? variable.default;
    origins.set(variable.name, key in flags ? 'flag' : fromEnvironment === undefined ? 'default' : 'environment');
    values[key] = null;
    shown[variable.name] = null;
    if (text === null) continue;
    const parsed = variable.schema.safeParse(text);
    if (!parsed.success) {
      for (const issue of parsed.error.issues) {
        const path = issue.path.length === 0 ? '' : ` ${issue.path.join('.')}`;
        problems.push(`${variable.name}:${path} ${issue.message}`);
      }
      continue;
    }
    values[key] = parsed.data;
    const show = variable.show as ((value: unknown) => string) | undefined;
    shown[variable.name] = (show ?? asText)(parsed.data);
  }
  // Every key was visited; a value that could not be parsed has left a problem, and then the values are not used.
  return { values: values as Values, shown, origins };
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

/** Checks rules across variables. */
function checkTogether(values: Values, problems: string[]): void {
  if (values.purgeMinIdleMs !== null && values.purgeMinIdleDays !== null) {
    problems.push('HOUBA_PURGE_MIN_IDLE: set either this or HOUBA_PURGE_MIN_IDLE_DAYS, not both');
  }
  if (values.purgeMinIdleMs === 0) {
    problems.push('HOUBA_PURGE_MIN_IDLE: must not be 0, or a mark would be no protection at all');
  }
  if ((values.attestSigner === 'kms' || values.attestSigner === 'key') && values.attestKeyRef === '') {
    problems.push(`HOUBA_ATTEST_KEY_REF: is needed with HOUBA_ATTEST_SIGNER=${values.attestSigner}`);
  }
}

/** Warnings for values that are allowed and seldom meant. */
function hasty(purgeMinIdleMs: number | null): string[] {
  if (purgeMinIdleMs === null || purgeMinIdleMs >= DAY_MS) return [];
  const window = formatDuration(purgeMinIdleMs);
  return [`HOUBA_PURGE_MIN_IDLE is ${window}: purge deletes what was not in use for less than a day`];
}

/**
 * Finds unknown `HOUBA_*` variables. `HOUBA_SCAN_*` belongs to the queue of an earlier implementation, `HOUBA_TOOLS_*`
 * to the set-up of a checkout.
 */
function misspelt(environment: Environment): string[] {
  const known = Object.values(VARIABLES).map((variable) => variable.name);
  const warnings: string[] = [];
  for (const name of Object.keys(environment).sort()) {
    if (!/^HOUBA_(?!SCAN_|TOOLS_)/.test(name) || known.includes(name)) continue;
    const meant = nearest(name, known);
    const advice = meant === null ? 'houba config show lists those that are' : `did you mean ${meant}?`;
    warnings.push(`${name} is not a variable of houba; ${advice}`);
  }
  return warnings;
}
