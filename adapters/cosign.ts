import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Digest } from '../domain/digest.js';
import { type ErrorCode, HoubaError } from '../domain/errors.js';
import { ANY_BUNDLE } from '../domain/evidence/attestation.js';
import { EMPTY_TRUSTED_ROOT, planSigning, type SigningSettings } from '../domain/evidence/signing-config.js';
import { digestSet } from '../domain/evidence/statement.js';
import { bundleOfSignature, type LayerSignature } from '../domain/evidence/upstream/simple-signing.js';
import { publicKeyFingerprint } from '../domain/evidence/upstream/upstream-key.js';
import { jsonOrNull } from '../domain/text/json.js';
import { optional } from '../domain/text/optional.js';
import { machineErrorIn, runCommand } from './command.js';
import { readKeyFile } from './cosign/key-file.js';
import { inPrivateFolder } from './private-folder.js';

export type Trust =
  | { readonly publicKey: string /* PEM */ }
  | { readonly identity: string | null; readonly identityRegexp: string | null; readonly issuer: string };

/** Signs statements and verifies signatures of local bytes (docs/rules/evidence.md#signing-meets-no-upstream). */
export interface Cosign {
  /**
   * Signs an in-toto statement into a Sigstore bundle. @throws HoubaError `ConfigInvalid`, `Unauthorized`,
   * `SignatureInvalid`; `ToolFailed` when a service cannot be reached
   */
  signStatement(statement: Uint8Array, signal?: AbortSignal): Promise<Uint8Array>;
  /** The predicate of a valid bundle of this type and digest, else the reason. @throws HoubaError when undecided */
  verifyBundle(
    bundle: Uint8Array,
    claim: { readonly digest: Digest; readonly predicateType: string },
    trust: Trust,
    signal?: AbortSignal,
  ): Promise<
    { readonly predicate: unknown; readonly reason?: undefined } | { readonly predicate: null; readonly reason: string }
  >;
  /** Verifies a detached signature of a payload (the older `.sig` images); `reason` is empty when it is valid. */
  verifyBlob(
    payload: Uint8Array,
    signature: LayerSignature,
    trust: Trust,
    signal?: AbortSignal,
  ): Promise<{ readonly valid: boolean; readonly reason: string }>;
  /**
   * PEM of a key: PEM itself, a file, or the address of a key service. Not for a policy's file or an unchecked address:
   * cosign reads any. @throws HoubaError `ConfigInvalid`; `ToolFailed` when a key service does not answer
   */
  publicKey(ref: string, signal?: AbortSignal): Promise<string>;
  /**
   * PEM of a policy's key file, read without cosign. @throws HoubaError `ConfigInvalid`, the same whatever is wrong: it
   * must not tell which files there are
   */
  publicKeyFile(path: string): Promise<string>;
}

export interface CosignOptions {
  readonly program: string;
  readonly attest: SigningSettings & { readonly keyRef: string };
  /** The parent of each call's private folder. */
  readonly workDir: string;
  /** The inherited environment with what signing needs: `COSIGN_PASSWORD`, an identity token, key service logins. */
  readonly environment: Readonly<Record<string, string>>;
  readonly secrets: readonly string[];
  /** The trusted root of the public services is kept here between calls. */
  readonly cacheDir: string;
  /** Of one call, ms. Default: 5 minutes. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 5 * 60_000;

/** The variables of a call that signs nothing. */
const HARMLESS = /^(PATH|https?_proxy|no_proxy|ssl_cert_file|ssl_cert_dir)$/i;

export function createCosign(options: CosignOptions): Cosign {
  const { attest } = options;
  const { SIGSTORE_ID_TOKEN: identityToken = '', ...signingEnvironment } = options.environment;
  const harmless = Object.fromEntries(Object.entries(options.environment).filter(([name]) => HARMLESS.test(name)));

  async function inPrivate<Result>(work: (folder: string) => Promise<Result>): Promise<Result> {
    await mkdir(options.cacheDir, { recursive: true, mode: 0o700 });
    return inPrivateFolder(options.workDir, 'cosign', work);
  }

  interface Call {
    readonly args: readonly string[];
    readonly environment: Readonly<Record<string, string>>;
    readonly classify: (stderr: string) => ErrorCode | null;
    readonly signal: AbortSignal | undefined;
  }

  async function call(folder: string, { args, environment, classify, signal }: Call): Promise<string> {
    try {
      const { stdout } = await runCommand({
        file: options.program,
        args,
        env: { ...environment, HOME: folder, TMPDIR: folder, TUF_ROOT: options.cacheDir },
        timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
        signal,
        secrets: options.secrets,
        classify,
      });
      return stdout;
    } catch (error) {
      throw error instanceof HoubaError ? explained(error) : error;
    }
  }

  /** Without a password cosign would prompt for one. */
  const signing = { COSIGN_PASSWORD: '', ...signingEnvironment };

  async function signStatement(statement: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    const plan = planSigning(attest);
    return inPrivate(async (folder) => {
      const put = writerIn(folder);
      const args = [
        'attest-blob',
        '--yes',
        `--statement=${await put('statement.json', statement)}`,
        `--signing-config=${await put('signing-config.json', JSON.stringify(plan.config))}`,
        `--bundle=${join(folder, 'bundle.json')}`,
      ];
      if (plan.trustedRoot === 'none') {
        args.push(`--trusted-root=${await put('trusted-root.json', JSON.stringify(EMPTY_TRUSTED_ROOT))}`);
      } else if (plan.trustedRoot !== 'public') {
        args.push(`--trusted-root=${plan.trustedRoot.path}`);
      }
      if (attest.signer !== 'keyless') args.push(`--key=${attest.keyRef}`);
      // By a file: with a token in its environment cosign first probes for clouds.
      else if (identityToken !== '') args.push(`--identity-token=${await put('token', identityToken)}`);
      await call(folder, { args, environment: signing, classify: classifySigning, signal });
      return readFile(join(folder, 'bundle.json')).catch((cause) => {
        throw new HoubaError('ToolFailed', 'cosign wrote no bundle', { cause });
      });
    });
  }

  async function verifyBundle(
    bundle: Uint8Array,
    claim: { readonly digest: Digest; readonly predicateType: string },
    trust: Trust,
    signal?: AbortSignal,
  ): ReturnType<Cosign['verifyBundle']> {
    const refuse = (reason: string) => ({ predicate: null, reason });
    // cosign would take anything else for its older format, and query the public log.
    if (!isBundle(bundle)) return refuse('it is not a Sigstore bundle');
    const [[algorithm, hex] = ['', '']] = Object.entries(digestSet(claim.digest));
    const reason = await inPrivate(async (folder) => {
      const put = writerIn(folder);
      const args = [
        'verify-blob-attestation',
        `--bundle=${await put('bundle.json', bundle)}`,
        `--type=${claim.predicateType}`,
        '--check-claims=true',
        `--digest=${hex}`,
        `--digestAlg=${algorithm}`,
        ...(await trustArguments(trust, attest.trustedRoot, put)),
      ];
      return judge(folder, args, signal);
    });
    if (reason !== null) return refuse(reason);
    // cosign has checked both; every other parser must read the same (docs/rules/registry-access.md#no-double-meaning).
    const statement = statementIn(bundle);
    const named = statement?.subject.some(({ digest }) => digest[algorithm] === hex);
    if (statement?.predicateType !== claim.predicateType || named !== true) {
      return refuse('it can be read in two ways');
    }
    return { predicate: statement.predicate };
  }

  async function verifyBlob(
    payload: Uint8Array,
    signature: LayerSignature,
    trust: Trust,
    signal?: AbortSignal,
  ): Promise<{ valid: boolean; reason: string }> {
    const { certificate: _, ...withoutCertificate } = signature;
    const bundle = bundleOfSignature(payload, 'publicKey' in trust ? withoutCertificate : signature);
    const reason = await inPrivate(async (folder) => {
      const put = writerIn(folder);
      const args = [
        'verify-blob',
        `--bundle=${await put('bundle.json', bundle)}`,
        ...(await trustArguments(trust, attest.trustedRoot, put)),
        '--',
        await put('payload', payload),
      ];
      return judge(folder, args, signal);
    });
    return { valid: reason === null, reason: reason ?? '' };
  }

  async function judge(folder: string, args: readonly string[], signal: AbortSignal | undefined) {
    try {
      await call(folder, { args, environment: harmless, classify: classifyVerifying, signal });
      return null;
    } catch (error) {
      if (error instanceof HoubaError && error.code === 'SignatureInvalid') return error.message;
      throw error;
    }
  }

  async function publicKey(ref: string, signal?: AbortSignal): Promise<string> {
    if (ref.includes('-----BEGIN')) return onlyPublic(ref, 'the key in the text');
    if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(ref)) {
      const text = await readKeyFile(ref);
      if (!text.includes('PRIVATE KEY')) return onlyPublic(text, `the key ${ref}`);
    }
    return inPrivate(async (folder) => {
      const args = ['public-key', `--key=${ref}`];
      const printed = await call(folder, { args, environment: signing, classify: classifyKey, signal });
      return onlyPublic(printed, 'what cosign public-key printed');
    });
  }

  return { signStatement, verifyBundle, verifyBlob, publicKey, publicKeyFile };
}

async function publicKeyFile(path: string): Promise<string> {
  try {
    const text = await readKeyFile(path);
    publicKeyFingerprint(text);
    return text;
  } catch {
    throw new HoubaError('ConfigInvalid', `${path} is not a file with a public key in PEM that the worker can read`);
  }
}

type Put = (name: string, content: string | Uint8Array) => Promise<string>;

function writerIn(folder: string): Put {
  return async (name, content) => {
    const path = join(folder, name);
    await writeFile(path, content, { mode: 0o600 });
    return path;
  };
}

/** Arguments that say whom to trust. With a key, the key alone decides: no log and no time is asked for. */
async function trustArguments(trust: Trust, trustedRoot: string, put: Put): Promise<string[]> {
  if ('publicKey' in trust) return [`--key=${await put('key.pub', trust.publicKey)}`, '--insecure-ignore-tlog=true'];
  const { identity, identityRegexp, issuer } = trust;
  if (identity === null && identityRegexp === null) {
    throw new HoubaError('ConfigInvalid', 'no identity is given whose keyless signatures count');
  }
  return [
    identity === null ? `--certificate-identity-regexp=${identityRegexp}` : `--certificate-identity=${identity}`,
    `--certificate-oidc-issuer=${issuer}`,
    ...(trustedRoot === '' ? [] : await rootArguments(trustedRoot)),
  ];
}

const TrustedRoot = z.object({ tlogs: optional(z.array(z.unknown())), ctlogs: optional(z.array(z.unknown())) });

/** Requires a log only where the trusted root names one; without a log, the time must come from a timestamp. */
async function rootArguments(path: string): Promise<string[]> {
  let root: z.infer<typeof TrustedRoot>;
  try {
    root = TrustedRoot.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch (cause) {
    throw new HoubaError('ConfigInvalid', `HOUBA_ATTEST_TRUSTED_ROOT: ${path} is no Sigstore trusted root`, { cause });
  }
  return [
    `--trusted-root=${path}`,
    ...((root.tlogs ?? []).length === 0 ? ['--insecure-ignore-tlog=true', '--use-signed-timestamps=true'] : []),
    ...((root.ctlogs ?? []).length === 0 ? ['--insecure-ignore-sct=true'] : []),
  ];
}

const Bundle = z.object({ mediaType: z.string().startsWith(ANY_BUNDLE) });

const Envelope = z.object({ dsseEnvelope: z.object({ payload: z.base64() }) });

const Statement = z.object({
  subject: z.array(z.object({ digest: z.record(z.string(), z.string()) })),
  predicateType: z.string(),
  predicate: z.unknown(),
});

function isBundle(bytes: Uint8Array): boolean {
  return Bundle.safeParse(jsonOrNull(bytes)).success;
}

function statementIn(bundle: Uint8Array): z.infer<typeof Statement> | null {
  const envelope = Envelope.safeParse(jsonOrNull(bundle)).data;
  if (envelope === undefined) return null;
  return Statement.safeParse(jsonOrNull(Buffer.from(envelope.dsseEnvelope.payload, 'base64'))).data ?? null;
}

function onlyPublic(text: string, name: string): string {
  if (/-----BEGIN PUBLIC KEY-----/.test(text) && !text.includes('PRIVATE KEY')) return text;
  throw new HoubaError('ConfigInvalid', `${name} is not a public key in PEM`, {
    hint: 'it starts with -----BEGIN PUBLIC KEY-----; cosign public-key prints it',
  });
}

const UNREACHABLE =
  /dial tcp|no such host|connection (refused|reset)|i\/o timeout|TLS handshake|deadline exceeded|\bEOF\b|from TUF|returned (429|5\d\d)/;

function classifySigning(stderr: string): ErrorCode | null {
  if (UNREACHABLE.test(stderr)) return null;
  if (machineErrorIn(stderr) !== null) return 'MachineFailed';
  if (/Fulcio returned 4\d\d/.test(stderr)) return 'Unauthorized';
  if (/reading key: kms get/.test(stderr)) return null;
  if (/reading key:|ID token|loading trusted root|no fulcio URLs/.test(stderr)) return 'ConfigInvalid';
  if (/failed to verify|threshold not met/.test(stderr)) return 'SignatureInvalid';
  return null;
}

function classifyKey(stderr: string): ErrorCode | null {
  if (machineErrorIn(stderr) !== null) return 'MachineFailed';
  return UNREACHABLE.test(stderr) || /plugin/.test(stderr) ? null : 'ConfigInvalid';
}

/** An error of the operating system about a file, without a quotation in it. */
const LACKING = /^Error: [^"\n]*: (?:no space left on device|too many open files)$/im;

/** Classifies by cosign's start-up errors alone: later text may quote the bundle, written by anybody. */
function classifyVerifying(stderr: string): ErrorCode | null {
  if (/^Error: setting trusted material: getting trusted root from TUF/m.test(stderr)) return null;
  if (LACKING.test(stderr)) return 'MachineFailed';
  if (/^Error: (setting trusted material|loading verifier from key opts)/m.test(stderr)) return 'ConfigInvalid';
  return 'SignatureInvalid';
}

const HINTS: readonly (readonly [RegExp, string])[] = [
  [/decrypt|encrypted/, 'set COSIGN_PASSWORD to the password of the key'],
  [/unrecognized scheme/, 'a key service needs its plugin, sigstore-kms-<name>, on the PATH of the worker'],
  [
    /reading key|unsupported pem|invalid pem/,
    'HOUBA_ATTEST_KEY_REF names a key of cosign: cosign generate-key-pair makes one',
  ],
  [/ID token|OIDC/, 'set SIGSTORE_ID_TOKEN, or run where cosign finds an identity by itself'],
  [/Fulcio returned 4/, 'the identity token has expired, or Fulcio does not know its issuer'],
  [/failed to verify|threshold not met/, 'HOUBA_ATTEST_TRUSTED_ROOT does not belong to the services that were asked'],
];

function explained(error: HoubaError): HoubaError {
  const [, start = '', said = ''] = /^(.*?exit \d+): (.*)$/s.exec(error.message) ?? [];
  if (start === '') return error;
  const core = /(?:^|\| |\s)Error: (.*?)(?: \| |$)/s.exec(said)?.[1] ?? said;
  const hint = error.code === 'ToolFailed' ? undefined : HINTS.find(([pattern]) => pattern.test(core))?.[1];
  const message = error.code === 'SignatureInvalid' ? core : `${start}: ${core}`;
  return new HoubaError(error.code, message, {
    cause: error,
    facts: error.facts,
    ...(hint !== undefined && { hint }),
  });
}
