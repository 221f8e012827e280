import { createHash } from 'node:crypto';
import { z } from 'zod';
import { DAY_MS, formatDuration } from '../domain/duration.js';
import type { SbomFormat } from '../domain/evidence/sbom.js';
import { SBOM_MEDIA_TYPES } from '../domain/evidence/sbom.js';
import { type RegistryAccess, Roster } from './roster.js';
import { Count, Duration, json, oneOf, Share, Switch, strictObject } from './schemas.js';

/** A variable, for reading, documentation, display and suggestions. */
export interface Variable<Value> {
  readonly name: string;
  readonly group: string;
  /** The type, for a person. */
  readonly type: string;
  /** The default as written; null: unset, and the value is null. */
  readonly default: string | null;
  /** What it does, with its unit. */
  readonly doc: string;
  readonly schema: z.ZodType<Value, string>;
  /** Formats the value without secrets, equal values alike. Left out: as text or JSON. */
  readonly show?: (value: Value) => string;
  /** Whether an empty text is a value; else it counts as unset. */
  readonly emptyIsValue?: true;
  /** Whether it concerns one command only, so that a running stack may have another value. */
  readonly local?: true;
}

const text = z.string();

const DurationOrNull = z
  .union([z.literal(0).transform(() => 0), Duration], 'must be a duration such as 7d, 36h, 30m, 20s or 0')
  .nullish();

const Stability = strictObject({
  window: DurationOrNull,
  maxWait: DurationOrNull,
  newTags: z.boolean().nullish(),
}).transform((written) => ({
  windowMs: written.window ?? DAY_MS * 7,
  maxWaitMs: written.maxWait ?? DAY_MS * 28,
  newTags: written.newTags ?? false,
}));

const Retention = strictObject({
  keep: z.int().min(0).nullish(),
  olderThanDays: z.int().min(0).nullish(),
}).transform((written) => ({ keep: written.keep ?? null, olderThanDays: written.olderThanDays ?? null }));

/** The source of a CA certificate: exactly one of the two. */
export type CaSource = { readonly path: string } | { readonly pem: string };

const CaSources = z.record(
  z.string().min(1),
  z.union(
    [strictObject({ path: z.string().min(1) }), strictObject({ pem: z.string().min(1) })],
    'must be {"path": …} or {"pem": …}, exactly one',
  ),
);

/** The mirror's address for each package system. */
export interface PackageMirror {
  readonly apt: string | null;
  readonly apk: string | null;
}

const PackageMirrors = z.record(
  z.string().min(1),
  strictObject({ apt: z.string().min(1).nullish(), apk: z.string().min(1).nullish() })
    .refine((mirror) => mirror.apt != null || mirror.apk != null, 'needs apt or apk')
    .transform((mirror): PackageMirror => ({ apt: mirror.apt ?? null, apk: mirror.apk ?? null })),
);

const SBOM_FORMATS = Object.keys(SBOM_MEDIA_TYPES) as [SbomFormat, ...SbomFormat[]];

const SbomFormats = z
  .array(z.enum(SBOM_FORMATS, `must be one of: ${SBOM_FORMATS.join(', ')}`))
  .min(1, 'must name at least one format')
  .transform((formats): readonly SbomFormat[] => [...new Set(formats)]);

const KeyAddresses = z.array(
  z
    .string()
    .regex(/^[a-z][a-z0-9+.-]*:\/\/\S*$/, 'must be addresses of keys such as awskms:///, or what these begin with'),
);

const LabelPrefix = z
  .string()
  .regex(
    /^(?:[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*)?$/,
    'must be a reversed domain name such as io.houba, or empty',
  )
  .refine((prefix) => !/^org\.opencontainers(\.|$)/.test(prefix), 'org.opencontainers is reserved');

/** Every `HOUBA_*` variable (and `POLICY_DIR`) that houba reads, by its name in code. */
export const VARIABLES = {
  labelPrefix: variable({
    name: 'HOUBA_LABEL_PREFIX',
    group: 'Stamp',
    type: 'string',
    default: 'io.houba',
    doc: 'Prefix of the annotation keys that houba owns. Empty: only the keys of the OCI standard are written.',
    schema: LabelPrefix,
    emptyIsValue: true,
  }),
  registries: variable({
    name: 'HOUBA_REGISTRIES',
    group: 'Registries',
    type: 'JSON map',
    default: '{}',
    doc: 'The roster: the registries that houba may write to, by the name that policies use. See below.',
    schema: json(Roster),
    show: showRoster,
  }),
  maxConcurrency: variable({
    name: 'HOUBA_MAX_CONCURRENCY',
    group: 'Run',
    type: 'whole number, at least 1',
    default: '4',
    doc: 'Placements in flight per process, and requests in flight per registry host.',
    schema: Count,
  }),
  stability: variable({
    name: 'HOUBA_STABILITY',
    group: 'Run',
    type: 'JSON {window, maxWait, newTags}',
    default: '{"window":"7d","maxWait":"28d","newTags":false}',
    doc: 'How long a moved tag must stand still before it is taken over, the longest it is held (durations), and whether new tags wait too. A key left out keeps its default; a policy can override each.',
    schema: json(Stability),
    show: (value) =>
      JSON.stringify({
        window: formatDuration(value.windowMs),
        maxWait: formatDuration(value.maxWaitMs),
        newTags: value.newTags,
      }),
  }),
  dryRunTags: variable({
    name: 'HOUBA_DRY_RUN_TAGS',
    group: 'Run',
    type: 'boolean',
    default: 'false',
    doc: 'Plan only: no copy, build, stamp, SBOM, signature or alias is written, and nothing is attached.',
    schema: Switch,
  }),
  dryRunDeletions: variable({
    name: 'HOUBA_DRY_RUN_DELETIONS',
    group: 'Deletion',
    type: 'boolean',
    default: 'false',
    doc: 'Plan only: nothing is deleted, marked or unmarked. Wins over `--apply` of purge and gc.',
    schema: Switch,
  }),
  deletionMode: variable({
    name: 'HOUBA_DELETION_MODE',
    group: 'Deletion',
    type: '`mark` or `purge`',
    default: 'mark',
    doc: 'What happens to a tag that no policy wants, where neither the policy nor the roster says. `purge` deletes at once, without asking who uses it.',
    schema: oneOf('mark', 'purge'),
  }),
  maxDeletionShare: variable({
    name: 'HOUBA_MAX_DELETION_SHARE',
    group: 'Deletion',
    type: 'number from 0 to 1',
    default: '0.5',
    doc: "Share of a repository's managed tags that one run may mark or delete. `--allow-mass-deletion` lifts it for one run.",
    schema: Share,
  }),
  retention: variable({
    name: 'HOUBA_RETENTION',
    group: 'Deletion',
    type: 'JSON {keep, olderThanDays}',
    default: null,
    doc: 'Retention for the whole fleet: tags kept per stream, and the age in days from which surplus tags are marked. Unset: only policies that ask for it.',
    schema: json(Retention),
  }),
  purgeMinIdleMs: variable({
    name: 'HOUBA_PURGE_MIN_IDLE',
    group: 'Deletion',
    type: 'duration',
    default: null,
    doc: 'How long a marked tag must be unused before purge deletes it; not 0. Required by purge, without a default on purpose.',
    schema: Duration,
    show: formatDuration,
  }),
  purgeMinIdleDays: variable({
    name: 'HOUBA_PURGE_MIN_IDLE_DAYS',
    group: 'Deletion',
    type: 'whole number, at least 1',
    default: null,
    doc: 'The same in whole days. Setting both is an error.',
    schema: Count,
  }),
  purgeRequireApproval: variable({
    name: 'HOUBA_PURGE_REQUIRE_APPROVAL',
    group: 'Deletion',
    type: 'boolean',
    default: 'false',
    doc: 'Whether somebody has to say `houba approve REF` before purge deletes a tag.',
    schema: Switch,
  }),
  usageOracleCommand: variable({
    name: 'HOUBA_USAGE_ORACLE_CMD',
    group: 'Deletion',
    type: 'command line',
    default: null,
    doc: 'The program that says when an image was last seen in use; run without a shell. Required by purge; gc asks it where it is set. It alone inherits the variables `USAGE_ORACLE_*`.',
    schema: text,
  }),
  usageOracleTimeoutSeconds: variable({
    name: 'HOUBA_USAGE_ORACLE_TIMEOUT',
    group: 'Deletion',
    type: 'seconds, at least 1',
    default: '30',
    doc: 'How long one answer of the usage oracle may take, in seconds.',
    schema: Count,
  }),
  caCerts: variable({
    name: 'HOUBA_TRANSFORM_CA_CERTS',
    group: 'Rebuilds',
    type: 'JSON map of {path} or {pem}',
    default: '{}',
    doc: 'CA certificates that the step `injectCA` can add to an image, by name.',
    schema: json(CaSources),
    show: (sources) => JSON.stringify(sources, (key, value) => (key === 'pem' ? fingerprint(value) : value)),
  }),
  packageMirrors: variable({
    name: 'HOUBA_TRANSFORM_PACKAGE_MIRRORS',
    group: 'Rebuilds',
    type: 'JSON map of {apt, apk}',
    default: '{}',
    doc: 'Package mirrors that the step `rewritePackageSources` can set, by name: scheme and host for apt, apk or both.',
    schema: json(PackageMirrors),
  }),
  buildkitTlsDir: variable({
    name: 'HOUBA_BUILDKIT_TLS_DIR',
    group: 'Rebuilds',
    type: 'path',
    default: null,
    doc: "Folder with the CA of a BuildKit daemon behind TLS and this client's certificate and key: `ca.crt`, `tls.crt`, `tls.key`, or `ca.pem`, `cert.pem`, `key.pem`. Unset: no TLS.",
    schema: text,
  }),
  buildPlatform: variable({
    name: 'HOUBA_BUILD_PLATFORM',
    group: 'Rebuilds',
    type: 'os/architecture[/variant]',
    default: 'linux/amd64',
    doc: 'The platform of rebuilt images where the policy names none.',
    schema: z
      .string()
      .regex(/^[a-z0-9]+\/[a-z0-9_]+(\/[a-z0-9.]+)?$/, 'must be a platform such as linux/amd64 or linux/arm/v7'),
  }),
  workDir: variable({
    name: 'HOUBA_WORK_DIR',
    group: 'Places',
    type: 'path',
    default: '/tmp/houba-work',
    doc: 'Scratch space: build contexts, SBOMs on their way, and the private configuration of outside programs.',
    schema: text,
  }),
  sbomFormats: variable({
    name: 'HOUBA_SBOM_FORMATS',
    group: 'Evidence',
    type: 'JSON list',
    default: '["spdx-json"]',
    doc: 'The SBOM documents that every placed image gets: `spdx-json`, `cyclonedx-json` or both.',
    schema: json(SbomFormats),
  }),
  sbomMaxGib: variable({
    name: 'HOUBA_SBOM_MAX_GIB',
    group: 'Evidence',
    type: 'whole number, at least 1',
    default: '32',
    doc: 'What the inventory of one image may take of the disk under `HOUBA_WORK_DIR` while it is made, in GiB: all its layers are unpacked for it. An image that needs more is refused.',
    schema: Count,
  }),
  attestSigner: variable({
    name: 'HOUBA_ATTEST_SIGNER',
    group: 'Evidence',
    type: 'empty, `keyless`, `kms` or `key`',
    default: '',
    doc: 'How evidence is signed. Empty: not at all. `kms` and `key` need HOUBA_ATTEST_KEY_REF.',
    schema: oneOf('', 'keyless', 'kms', 'key'),
  }),
  attestKeyRef: variable({
    name: 'HOUBA_ATTEST_KEY_REF',
    group: 'Evidence',
    type: 'string',
    default: '',
    doc: 'The KMS address or the path of the key to sign and verify with.',
    schema: text,
  }),
  attestFulcioUrl: variable({
    name: 'HOUBA_ATTEST_FULCIO_URL',
    group: 'Evidence',
    type: 'URL',
    default: '',
    doc: 'Certificate authority for keyless signing.',
    schema: text,
  }),
  attestRekorUrl: variable({
    name: 'HOUBA_ATTEST_REKOR_URL',
    group: 'Evidence',
    type: 'URL',
    default: '',
    doc: 'Transparency log to write signatures to.',
    schema: text,
  }),
  attestTsaUrl: variable({
    name: 'HOUBA_ATTEST_TSA_URL',
    group: 'Evidence',
    type: 'URL',
    default: '',
    doc: 'Timestamp authority whose timestamps go with signatures, up to the whole path of its API.',
    schema: text,
  }),
  attestTrustedRoot: variable({
    name: 'HOUBA_ATTEST_TRUSTED_ROOT',
    group: 'Evidence',
    type: 'path',
    default: '',
    doc: 'The Sigstore trusted root (JSON) to verify keyless signatures with. Empty: that of the public services.',
    schema: text,
  }),
  attestBuilderId: variable({
    name: 'HOUBA_ATTEST_BUILDER_ID',
    group: 'Evidence',
    type: 'string',
    default: '',
    doc: 'Names this installation in predicates and in the signing configuration.',
    schema: text,
  }),
  attestVerifyIdentity: variable({
    name: 'HOUBA_ATTEST_VERIFY_IDENTITY',
    group: 'Evidence',
    type: 'regular expression',
    default: '',
    doc: 'The identity that keyless signatures must carry.',
    schema: text,
  }),
  attestVerifyOidcIssuer: variable({
    name: 'HOUBA_ATTEST_VERIFY_OIDC_ISSUER',
    group: 'Evidence',
    type: 'URL',
    default: '',
    doc: 'The issuer that keyless signatures must name.',
    schema: text,
  }),
  verifyKms: variable({
    name: 'HOUBA_VERIFY_KMS',
    group: 'Evidence',
    type: 'JSON list',
    default: '[]',
    doc: 'Where the keys in key services may be that `verifyUpstream.key` of a policy names: `"awskms:///"` allows what begins with it, one without `/` at its end that key alone. PEM and paths need nothing here.',
    schema: json(KeyAddresses),
  }),
  policyDir: variable({
    name: 'POLICY_DIR',
    group: 'Places',
    type: 'path',
    default: null,
    doc: 'The policies that a scheduled run reads, on the worker.',
    schema: text,
  }),
  home: variable({
    name: 'HOUBA_HOME',
    group: 'Places',
    type: 'path',
    default: null,
    doc: "The folder of the embedded stack: its database, lock and endpoint files, and caches. Unset: `houba` in the user's data folder.",
    schema: text,
    local: true,
  }),
  logFormat: variable({
    name: 'HOUBA_LOG_FORMAT',
    group: 'Output',
    type: '`text` or `json`',
    default: 'text',
    doc: 'Form of the journal, and of most reports where no `--output` is given.',
    schema: oneOf('text', 'json'),
    local: true,
  }),
  logLevel: variable({
    name: 'HOUBA_LOG_LEVEL',
    group: 'Output',
    type: '`DEBUG`, `INFO`, `WARN`, `WARNING` or `ERROR`',
    default: 'INFO',
    doc: 'The least severe events that are logged.',
    schema: oneOf('debug', 'info', 'warn', 'warning', 'error').transform((level) =>
      level === 'warning' ? 'warn' : level,
    ),
    local: true,
  }),
};

export type VariableKey = keyof typeof VARIABLES;

/** The parsed value of each variable; null only where there is no default. */
export type Values = {
  [Key in VariableKey]: (typeof VARIABLES)[Key] extends { default: null } & Variable<infer Value>
    ? Value | null
    : (typeof VARIABLES)[Key] extends Variable<infer Value>
      ? Value
      : never;
};

/** Variables of other programs that houba honours: it gives them no meaning of its own. */
export const FOREIGN_VARIABLES: readonly { name: string; doc: string; secret?: true }[] = [
  {
    name: 'TEMPORAL_ADDRESS',
    doc: 'host:port of the Temporal server. Unset, and no profile: everything runs embedded.',
  },
  { name: 'TEMPORAL_NAMESPACE', doc: 'Temporal namespace. Unset: `default`.' },
  { name: 'TEMPORAL_API_KEY', doc: 'API key for Temporal; implies TLS.', secret: true },
  {
    name: 'TEMPORAL_TLS',
    doc: '`true` turns TLS on. A server that is not on this machine is only reached in plain text when this is `false`.',
  },
  { name: 'TEMPORAL_TLS_CLIENT_CERT_PATH', doc: 'Client certificate for Temporal (also `…_DATA`).' },
  { name: 'TEMPORAL_TLS_CLIENT_KEY_PATH', doc: 'Its key (also `…_DATA`).' },
  { name: 'TEMPORAL_TLS_SERVER_CA_CERT_PATH', doc: "CA of the Temporal server's certificate (also `…_DATA`)." },
  { name: 'TEMPORAL_TLS_SERVER_NAME', doc: "Name to expect in the Temporal server's certificate." },
  { name: 'TEMPORAL_PROFILE', doc: 'Profile of `temporal.toml` to connect with.' },
  { name: 'TEMPORAL_CONFIG_FILE', doc: 'Where `temporal.toml` is.' },
  {
    name: 'DOCKER_CONFIG',
    doc: 'Folder of the Docker `config.json` with credentials for sources. Default: `~/.docker`.',
  },
  { name: 'REGISTRY_AUTH_FILE', doc: 'The containers `auth.json`. Default: `$XDG_RUNTIME_DIR/containers/auth.json`.' },
  { name: 'BUILDKIT_HOST', doc: "Address of the BuildKit daemon. Unset: buildctl's own default." },
  { name: 'COSIGN_PASSWORD', doc: 'Password of the signing key.', secret: true },
  {
    name: 'SIGSTORE_ID_TOKEN',
    doc: 'Identity token for keyless signing, where there is no ambient identity.',
    secret: true,
  },
  { name: 'HTTPS_PROXY', doc: 'Proxy for HTTPS requests (also lower case; `HTTP_PROXY` for plain HTTP).' },
  { name: 'NO_PROXY', doc: 'Hosts that are reached without a proxy (also lower case).' },
  { name: 'SSL_CERT_FILE', doc: 'CA bundle for the outside programs (also `SSL_CERT_DIR`).' },
  { name: 'NO_COLOR', doc: 'Any value turns colour off.' },
];

/** Keeps the literal type of the default, on which the type of the value depends. */
function variable<Value, const Default extends string | null>(
  definition: Omit<Variable<Value>, 'default'> & { default: Default },
): Variable<Value> & { default: Default } {
  return definition;
}

function showRoster(roster: ReadonlyMap<string, RegistryAccess>): string {
  const shown: Record<string, unknown> = {};
  for (const entry of roster.values()) {
    shown[entry.name] = {
      host: entry.namespace === null ? entry.host : `${entry.host}/${entry.namespace}`,
      ...(entry.username === null ? {} : { username: entry.username, password: '***' }),
      tls_verify: entry.tlsVerify,
      ...(entry.caCert === null ? {} : { ca_cert: entry.caCert }),
      ...(entry.deletionMode === null ? {} : { deletion_mode: entry.deletionMode }),
      ...(entry.sourceOnly ? { source_only: true } : {}),
    };
  }
  return JSON.stringify(shown);
}

/** Shows a certificate by a hash: public but long, and two that differ must look different. */
function fingerprint(pem: string): string {
  return `PEM sha256:${createHash('sha256').update(pem).digest('hex').slice(0, 16)}`;
}
