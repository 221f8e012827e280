import { readFile } from 'node:fs/promises';
import { type Digest, digestOf, NOWHERE, parseDigest } from '../domain/digest.js';
import { RATE_LIMITS } from '../domain/durable/retry.js';
import { type ErrorCode, HoubaError } from '../domain/errors.js';
import { OCI_INDEX } from '../domain/manifest.js';
import { oneAtATime } from '../domain/one-at-a-time.js';
import { formatPinned, formatRepository, formatTagged, type Repository, referrersTag } from '../domain/reference.js';
import { rosterByHost } from '../domain/roster.js';
import { machineErrorIn, namingRegistry, runCommand } from './command.js';
import type { CredentialSource, RegistryAccess } from './credentials.js';
import { inPrivateFolder } from './private-folder.js';
import { withSecretFiles } from './secret-files.js';

type Deletion = 'deleted' | 'absent' | 'unsupported';

interface Artifact {
  readonly artifactType: string;
  readonly annotations: Readonly<Record<string, string>>;
  /** The artifact's one layer; left out: an empty one. */
  readonly file?: { readonly bytes: Uint8Array; readonly mediaType: string };
}

interface PinnedImage {
  readonly repository: Repository;
  readonly digest: Digest;
}

interface CopyOptions {
  /** Writes a present manifest again, so that the subject's list of referrers names it. */
  readonly subject?: Digest;
}

/** Writes to registries. Each method throws a `HoubaError` with the code of the registry's answer. */
export interface Regctl {
  /**
   * Copies a manifest with its children and blobs, unchanged, without referrers. One HEAD when it is there already.
   * @throws HoubaError `Unsupported` when it is served under a type that says nothing
   */
  copyImage(source: PinnedImage, destination: Repository, options?: CopyOptions, signal?: AbortSignal): Promise<void>;
  copyBlob(source: PinnedImage, destination: Repository, signal?: AbortSignal): Promise<void>;
  /** Copies a manifest with all it names from a registry into an OCI layout in an existing folder. */
  exportImage(source: PinnedImage, layout: string, signal?: AbortSignal): Promise<void>;
  /** Copies a manifest with all it names from an OCI layout into a registry, without a tag. */
  importImage(layout: string, digest: Digest, destination: Repository, signal?: AbortSignal): Promise<void>;
  /** Writes a manifest even if it is there. @throws HoubaError `DigestMismatch` */
  putManifest(
    repository: Repository,
    target: { readonly tag: string } | { readonly digest: Digest },
    mediaType: string,
    bytes: Uint8Array,
    signal?: AbortSignal,
  ): Promise<Digest>;
  /** Writes an artifact even if it is there. @param subject what it is attached to; null: none. @returns its digest */
  putArtifact(
    repository: Repository,
    subject: Digest | null,
    artifact: Artifact,
    signal?: AbortSignal,
  ): Promise<Digest>;
  /** Deletes a manifest with all its tags, and a referrer from the fallback index of its `subject`. */
  deleteManifest(repository: Repository, digest: Digest, signal?: AbortSignal, subject?: Digest): Promise<Deletion>;
  version(): Promise<string>;
}

interface RegctlOptions {
  readonly program: string;
  readonly access: ReadonlyMap<string, RegistryAccess>;
  readonly credentials: CredentialSource;
  readonly workDir: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Of one call but a copy, ms. Default: 5 minutes. */
  readonly timeoutMs?: number;
}

/** What regctl (0.11) says of a manifest that is served as `text/plain`, say. */
const NO_TYPE = /unsupported media type/;

/** What regctl (0.11) says when the tag of a list of referrers shows no index. */
const NO_LIST = /not an OCI index/i;

const TIMEOUT_MS = 5 * 60_000;
/** A copy may move gigabytes. */
const COPY_TIMEOUT_MS = 30 * 60_000;
/** Runs for one call whose tokens die early, and of these, one after the other in which nothing got on. */
const MOST_RUNS = 20;
const MOST_IN_VAIN = 3;
/** A run that is refused at its first request is shorter. */
const SOME_TIME_MS = 1_000;
const PRINT_DIGEST = '{{ .Manifest.GetDescriptor.Digest }}';

export function createRegctl(options: RegctlOptions): Regctl {
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;

  interface Call {
    readonly args: readonly string[];
    readonly hosts: readonly string[];
    readonly input?: string | Uint8Array;
    readonly cwd?: string;
    readonly timeoutMs?: number;
    readonly signal: AbortSignal | undefined;
  }

  /**
   * Runs regctl, and again where a token died early: regctl (0.11) asks for no other one before the token's own end, and
   * a copy goes on with what is not there yet.
   */
  async function call(request: Call): Promise<string> {
    for (let runs = 1, inVain = 0; ; runs++) {
      const watch = watchRun();
      try {
        return await runOnce(request, watch);
      } catch (error) {
        const isDead = error instanceof HoubaError && error.code === 'Unauthorized' && watch.tokenRefused();
        inVain = watch.gotOn() ? 0 : inVain + 1;
        if (!isDead || runs >= MOST_RUNS || inVain >= MOST_IN_VAIN) throw error;
      }
    }
  }

  /** Runs regctl with a configuration of these hosts alone. */
  async function runOnce(request: Call, watch: RunWatch): Promise<string> {
    return inPrivateFolder(options.workDir, 'regctl', async (folder) => {
      const { config, secrets } = await configFor(request.hosts, options);
      const { stdout } = await withSecretFiles(folder, [JSON.stringify(config)], (descriptors) =>
        runCommand({
          file: options.program,
          args: tellingWaits(request.args),
          input: request.input ?? '',
          env: { ...options.environment, HOME: folder, REGCTL_CONFIG: '/dev/fd/3' },
          ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
          descriptors,
          timeoutMs: request.timeoutMs ?? timeoutMs,
          signal: request.signal === undefined ? watch.signal : AbortSignal.any([request.signal, watch.signal]),
          onStderr: watch.take,
          noise: DEBUG_LINES,
          secrets,
          classify,
        }),
      ).catch((error: unknown) => {
        throw namingRegistry(error, request.hosts.at(-1) ?? '');
      });
      return stdout.trim();
    });
  }

  const writing = new Map<string, Promise<unknown>>();

  /** Writes a subject's referrers one by one: without a referrers API concurrent writes of their list would be lost. */
  function inTurn<Result>(
    repository: Repository,
    subject: Digest,
    signal: AbortSignal | undefined,
    work: () => Promise<Result>,
  ): Promise<Result> {
    return oneAtATime(writing, formatPinned(repository, subject), async () => {
      signal?.throwIfAborted();
      try {
        return await work();
      } catch (error) {
        if (!lacksList(error)) throw error;
        await beginList(repository, subject, signal);
      }
      try {
        return await work();
      } catch (error) {
        throw lacksList(error) ? noList(formatTagged(repository, referrersTag(subject)), repository.host) : error;
      }
    });
  }

  /**
   * Begins the list of a subject's referrers under its tag, where the registry shows the subject itself by that name
   * (docs/rules/registry-access.md#referrers-have-two-homes). What else is there stays: another worker may have begun it.
   */
  async function beginList(repository: Repository, subject: Digest, signal: AbortSignal | undefined): Promise<void> {
    const tag = referrersTag(subject);
    const name = formatTagged(repository, tag);
    const ask = (...args: readonly string[]) => call({ args, hosts: [repository.host], signal });
    const listed = (await tagsOf(repository, signal)).split('\n');
    if (listed.includes(tag) || (await ask('image', 'digest', '--', name)) !== subject) return;
    await call({
      args: ['manifest', 'put', '--content-type', OCI_INDEX, '--', name],
      hosts: [repository.host],
      input: JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests: [] }),
      signal,
    });
  }

  /** One tag a line; none where the registry knows no repository without a tag. */
  async function tagsOf(repository: Repository, signal: AbortSignal | undefined): Promise<string> {
    try {
      return await call({ args: ['tag', 'ls', '--', formatRepository(repository)], hosts: [repository.host], signal });
    } catch (error) {
      if (error instanceof HoubaError && error.code === 'NotFound') return '';
      throw error;
    }
  }

  async function attempt(request: Call): Promise<Deletion> {
    try {
      await call(request);
      return 'deleted';
    } catch (error) {
      if (error instanceof HoubaError && error.code === 'NotFound') return 'absent';
      if (error instanceof HoubaError && error.code === 'Unsupported') return 'unsupported';
      throw error;
    }
  }

  /** Whether the registry deletes. If not, regctl 0.11.7 would still drop a referrer from its fallback index. */
  async function canDelete(repository: Repository, signal: AbortSignal | undefined): Promise<boolean> {
    const args = ['manifest', 'delete', '--', formatPinned(repository, NOWHERE)];
    return (await attempt({ args, hosts: [repository.host], signal })) !== 'unsupported';
  }

  return {
    async copyImage({ repository, digest }, destination, { subject } = {}, signal) {
      const flags = subject === undefined ? [] : ['--force-recursive'];
      const request = {
        args: ['image', 'copy', ...flags, '--', formatPinned(repository, digest), formatPinned(destination, digest)],
        hosts: [repository.host, destination.host],
        timeoutMs: COPY_TIMEOUT_MS,
        signal,
      };
      await (subject === undefined ? call(request) : inTurn(destination, subject, signal, () => call(request)));
    },

    async copyBlob({ repository, digest }, destination, signal) {
      await call({
        args: ['blob', 'copy', '--', formatRepository(repository), formatRepository(destination), digest],
        hosts: [repository.host, destination.host],
        timeoutMs: COPY_TIMEOUT_MS,
        signal,
      });
    },

    async exportImage({ repository, digest }, layout, signal) {
      const request = {
        args: ['image', 'copy', '--', formatPinned(repository, digest), hereBy(digest)],
        hosts: [repository.host],
        cwd: layout,
        timeoutMs: COPY_TIMEOUT_MS,
        signal,
      };
      try {
        await call(request);
      } catch (error) {
        if (!(error instanceof HoubaError) || !NO_TYPE.test(error.message)) throw error;
        throw new HoubaError(
          'Unsupported',
          `${formatPinned(repository, digest)} is served under a type that says nothing`,
          {
            hint: 'it can be copied, but not rebuilt: leave out its transform, or take it from another registry',
            cause: error,
          },
        );
      }
    },

    async importImage(layout, digest, destination, signal) {
      await call({
        args: ['image', 'copy', '--', hereBy(digest), formatPinned(destination, digest)],
        hosts: [destination.host],
        cwd: layout,
        timeoutMs: COPY_TIMEOUT_MS,
        signal,
      });
    },

    async putManifest(repository, target, mediaType, bytes, signal) {
      const wanted = 'digest' in target ? target.digest : undefined;
      const actual = digestOf(bytes, wanted);
      if (wanted !== undefined && actual !== wanted) throw mismatch(formatRepository(repository), wanted, actual);
      const reference = 'tag' in target ? formatTagged(repository, target.tag) : formatPinned(repository, actual);
      const printed = await call({
        args: ['manifest', 'put', '--content-type', mediaType, '--format', PRINT_DIGEST, '--', reference],
        hosts: [repository.host],
        input: bytes,
        signal,
      });
      if (printed !== actual) throw mismatch(reference, actual, printed);
      return actual;
    },

    async putArtifact(repository, subject, artifact, signal) {
      const { artifactType, annotations, file } = artifact;
      const args = ['artifact', 'put'];
      if (subject !== null) args.push('--subject', formatPinned(repository, subject));
      args.push('--artifact-type', artifactType);
      for (const [key, value] of Object.entries(annotations)) args.push('--annotation', `${key}=${value}`);
      // Without --file regctl reads the content from standard input.
      if (file !== undefined) args.push('--file-media-type', file.mediaType);
      args.push('--format', PRINT_DIGEST);
      if (subject === null) args.push('--by-digest', '--', formatRepository(repository));
      const request = { args, hosts: [repository.host], input: file?.bytes ?? '', signal };
      const printed = subject === null ? call(request) : inTurn(repository, subject, signal, () => call(request));
      return parseDigest(await printed);
    },

    async deleteManifest(repository, digest, signal, subject) {
      if (!(await canDelete(repository, signal))) return 'unsupported';
      const args = ['manifest', 'delete', '--referrers', '--', formatPinned(repository, digest)];
      const request = { args, hosts: [repository.host], signal };
      return subject === undefined ? attempt(request) : inTurn(repository, subject, signal, () => attempt(request));
    },

    version: () => call({ args: ['version', '--format', '{{.VCSTag}}'], hosts: [], signal: undefined }),
  };
}

function lacksList(error: unknown): boolean {
  return error instanceof HoubaError && NO_LIST.test(error.message);
}

function noList(name: string, host: string): HoubaError {
  return new HoubaError('Unsupported', `${name} shows something that is no list of referrers`, {
    hint: `${host} cannot hold evidence there; delete the tag, or mirror to another registry`,
  });
}

/** Has regctl (0.11) say for how long it is about to wait; it says nothing of a secret on this level. */
function tellingWaits(args: readonly string[]): string[] {
  const end = args.indexOf('--');
  const flags = ['--verbosity', 'debug'];
  return end < 0 ? [...args, ...flags] : [...args.slice(0, end), ...flags, ...args.slice(end)];
}

/** What regctl tells of itself while it runs. */
interface RunWatch {
  take(chunk: string): void;
  /** Aborted with `RateLimited` when it is about to wait for long. */
  readonly signal: AbortSignal;
  /** Whether a token that was given was refused before its own end. */
  tokenRefused(): boolean;
  /** Whether a registry has taken something, or may have: regctl does not tell of every blob. */
  gotOn(): boolean;
}

function watchRun(): RunWatch {
  const patience = new AbortController();
  let rest = '';
  let challenges = 0;
  let unanswered = 0;
  let wrote = false;
  const began = performance.now();
  return {
    take(chunk) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line.includes('msg="Auth request parsed"')) challenges++;
        if (line.includes('msg="Failed to handle auth request"')) unanswered++;
        wrote ||= line.includes('msg="Upload location received"');
        const limit = waitIn(line);
        if (limit !== null) patience.abort(limit);
      }
    },
    signal: patience.signal,
    // Where the first challenge found no token, the credentials are wrong.
    tokenRefused: () => unanswered > 0 && challenges > unanswered,
    gotOn: () => wrote || performance.now() - began > SOME_TIME_MS,
  };
}

const DEBUG_LINES = /^time=\S+ level=(?:DEBUG|INFO) .*\n?/gm;

const ABOUT_TO_WAIT =
  /level=DEBUG msg="Sleeping for backoff" Host=(\S+) Duration=(?:(\d+)h)?(?:(\d+)m)?(\d+(?:\.\d+)?)s/;

/**
 * Finds a long wait in what regctl writes: it would wait for hours in silence, where Temporal waits without a process
 * (docs/rules/registry-access.md#limits-slow-work). null: none
 */
function waitIn(line: string): HoubaError | null {
  const [, host = '', hours = 0, minutes = 0, seconds = 0] = ABOUT_TO_WAIT.exec(line) ?? [];
  const ms = ((Number(hours) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
  if (ms <= RATE_LIMITS.heldMs) return null;
  return new HoubaError('RateLimited', `${host} limits requests for another ${Math.ceil(ms / 1000)} s`, {
    facts: { registry: host },
    retryAfterMs: Math.ceil(Math.min(ms, RATE_LIMITS.longestMs)),
  });
}

/** Names a manifest of the layout in the working directory: regctl refuses some folder names. */
function hereBy(digest: Digest): string {
  return `ocidir://.@${digest}`;
}

/** The configuration of regctl: these hosts alone, nothing from Docker's files. */
async function configFor(
  names: readonly string[],
  options: RegctlOptions,
): Promise<{ config: unknown; secrets: string[] }> {
  const hosts: Record<string, unknown> = {};
  const secrets: string[] = [];
  for (const name of new Set(names)) {
    const entry = rosterByHost(options.access, name);
    const credentials = await options.credentials.credentialsFor(name);
    const host: Record<string, unknown> = { tls: entry?.tlsVerify === false ? 'disabled' : 'enabled' };
    if (entry?.caCert != null) host.regcert = await readFile(entry.caCert, 'utf8');
    if (credentials !== null && 'identityToken' in credentials) {
      host.token = credentials.identityToken;
      secrets.push(credentials.identityToken);
    } else if (credentials !== null) {
      host.user = credentials.username;
      host.pass = credentials.password;
      secrets.push(credentials.password);
    }
    hosts[name] = host;
  }
  return { config: { version: 1, incDockerCred: false, incDockerCert: false, hosts }, secrets };
}

/** Classifies regctl's last line, the registry's answer: `… [http 404]: {"errors": …}`. */
function classify(stderr: string): ErrorCode | null {
  const status = Number([...stderr.matchAll(/\[http (\d{3})\]/g)].at(-1)?.[1]);
  if (status === 404) return 'NotFound';
  if (status === 401) return 'Unauthorized';
  if (status === 403) return 'Denied';
  if (status === 429) return 'RateLimited';
  if (status === 405 || status === 415 || NO_TYPE.test(stderr)) return 'Unsupported';
  if (status >= 500) return 'RegistryUnavailable';
  if (Number.isNaN(status) && machineErrorIn(stderr) !== null) return 'MachineFailed';
  if (/digest mismatch|unexpected digest|content does not match/.test(stderr)) return 'DigestMismatch';
  if (/unauthorized|no login found/.test(stderr)) return 'Unauthorized';
  if (/dial tcp|connection (refused|reset)|i\/o timeout|no such host|TLS handshake|\bEOF\b|x509:|tls:/.test(stderr)) {
    return 'RegistryUnavailable';
  }
  return /not found/.test(stderr) ? 'NotFound' : null;
}

function mismatch(where: string, expected: string, actual: string): HoubaError {
  return new HoubaError('DigestMismatch', `${where}: expected ${expected}, got ${actual}`, {
    hint: 'the content was changed on its way; run again, and look at proxies in between if it happens again',
  });
}
