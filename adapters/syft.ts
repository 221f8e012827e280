import { readFile, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Digest } from '../domain/digest.js';
import { type ErrorCode, HoubaError } from '../domain/errors.js';
import type { SbomFormat } from '../domain/evidence/sbom.js';
import { formatPinned, type Repository } from '../domain/reference.js';
import { rosterByHost } from '../domain/roster.js';
import { machineErrorIn, namingRegistry, runCommand } from './command.js';
import type { CredentialSource, RegistryAccess } from './credentials.js';
import { inPrivateFolder } from './private-folder.js';
import { withSecretFiles } from './secret-files.js';
import { withinFolderLimit } from './syft/folder-limit.js';

export interface Syft {
  /**
   * Scans one platform's manifest for all formats at once. @throws HoubaError with the registry's code; `Unsupported`
   * when the layers exceed the disk limit; `ToolFailed`, `ToolMissing`
   */
  scan(
    repository: Repository,
    digest: Digest,
    formats: readonly SbomFormat[],
    signal?: AbortSignal,
  ): Promise<Map<SbomFormat, Uint8Array>>;
  /** For the annotations of a document; null: syft does not say. */
  version(): Promise<string | null>;
}

interface SyftOptions {
  readonly program: string;
  readonly access: ReadonlyMap<string, RegistryAccess>;
  readonly credentials: CredentialSource;
  readonly workDir: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Disk space of one scan, bytes: syft unpacks all layers. */
  readonly mostDisk: number;
  /** Of one scan, ms. Default: 10 minutes. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 10 * 60_000;
const VERSION_TIMEOUT_MS = 30_000;

/** Less garbage collection: a sixth less CPU time for 75 MB more memory (syft 1.54). The limit bounds large images. */
const COLLECT_LESS = { GOGC: '400', GOMEMLIMIT: '1GiB' };

export function createSyft(options: SyftOptions): Syft {
  function environment(folder: string): Record<string, string> {
    return { ...options.environment, ...COLLECT_LESS, HOME: folder, TMPDIR: folder, DOCKER_CONFIG: folder };
  }

  async function scan(
    repository: Repository,
    digest: Digest,
    formats: readonly SbomFormat[],
    signal?: AbortSignal,
  ): Promise<Map<SbomFormat, Uint8Array>> {
    const reference = formatPinned(repository, digest);
    return inPrivateFolder(options.workDir, 'syft', async (folder) => {
      const { config, docker, secrets } = await configFor(repository.host, options);
      const path = join(folder, 'syft.yaml');
      // syft tells the format by the name; JSON is valid YAML.
      await symlink('/dev/fd/3', path);
      await symlink('/dev/fd/4', join(folder, 'config.json'));
      const files = formats.map((format) => [format, join(folder, `sbom.${format}`)] as const);
      const tooMuch = new HoubaError('Unsupported', `${reference} unpacks to more than ${gib(options.mostDisk)} GiB`, {
        hint: 'HOUBA_SBOM_MAX_GIB says how much of the disk its inventory may take',
      });
      const run = (descriptors: readonly number[], within: AbortSignal) =>
        runCommand({
          file: options.program,
          // Not with --quiet, which hides the reason of a failure.
          args: [
            'scan',
            `registry:${reference}`,
            '-c',
            path,
            ...files.flatMap(([format, file]) => ['-o', `${format}=${file}`]),
          ],
          env: environment(folder),
          cwd: folder,
          descriptors,
          timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
          signal: within,
          secrets,
          classify,
        });
      try {
        await withSecretFiles(folder, [JSON.stringify(config), JSON.stringify(docker)], (descriptors) =>
          withinFolderLimit({ folder, limit: options.mostDisk, tooMuch }, signal, (within) => run(descriptors, within)),
        );
      } catch (error) {
        throw namingRegistry(error, repository.host);
      }
      const documents = new Map<SbomFormat, Uint8Array>();
      for (const [format, file] of files) {
        const bytes = await readFile(file).catch(() => Buffer.alloc(0));
        if (bytes.length === 0) throw new HoubaError('ToolFailed', `syft wrote no ${format} document for ${reference}`);
        documents.set(format, bytes);
      }
      return documents;
    });
  }

  let known: Promise<string | null> | undefined;

  async function askVersion(): Promise<string | null> {
    try {
      return await inPrivateFolder(options.workDir, 'syft', async (folder) => {
        const { stdout } = await runCommand({
          file: options.program,
          args: ['version', '-o', 'json'],
          env: environment(folder),
          timeoutMs: VERSION_TIMEOUT_MS,
        });
        return z.object({ version: z.string() }).parse(JSON.parse(stdout)).version;
      });
    } catch {
      return null;
    }
  }

  /** Asked once, as syft takes most of a second to start; again while it did not say. */
  async function version(): Promise<string | null> {
    known ??= askVersion();
    const answer = await known;
    if (answer === null) known = undefined;
    return answer;
  }

  return { scan, version };
}

function gib(bytes: number): number {
  return bytes / 1024 ** 3;
}

/** syft's configuration, and a Docker one for the identity token, which syft's cannot hold. */
async function configFor(
  host: string,
  options: SyftOptions,
): Promise<{ config: unknown; docker: unknown; secrets: string[] }> {
  const entry = rosterByHost(options.access, host);
  const credentials = await options.credentials.credentialsFor(host);
  const plain = entry?.tlsVerify === false;
  const isHub = host === 'docker.io';
  const auth: unknown[] = [];
  const auths: Record<string, unknown> = {};
  const secrets: string[] = [];
  if (credentials !== null && 'identityToken' in credentials) {
    auths[isHub ? 'https://index.docker.io/v1/' : host] = { identitytoken: credentials.identityToken };
    secrets.push(credentials.identityToken);
  } else if (credentials !== null) {
    const { username, password } = credentials;
    auth.push({ authority: isHub ? 'index.docker.io' : host, username, password });
    secrets.push(password);
  }
  const config = {
    'check-for-app-update': false,
    log: { level: 'error' },
    registry: {
      'insecure-use-http': plain,
      'insecure-skip-tls-verify': plain,
      ...(entry?.caCert == null ? {} : { 'ca-cert': entry.caCert }),
      auth,
    },
  };
  return { config, docker: { auths }, secrets };
}

/** Classifies syft's output, which quotes the registry's error code or its network library. */
function classify(stderr: string): ErrorCode | null {
  if (!/status code \d{3}/.test(stderr) && machineErrorIn(stderr) !== null) return 'MachineFailed';
  if (/MANIFEST_UNKNOWN|NAME_UNKNOWN|BLOB_UNKNOWN|status code 404/.test(stderr)) return 'NotFound';
  if (/UNAUTHORIZED|status code 401/.test(stderr)) return 'Unauthorized';
  if (/DENIED|status code 403/.test(stderr)) return 'Denied';
  if (/TOOMANYREQUESTS|status code 429/.test(stderr)) return 'RateLimited';
  if (/UNAVAILABLE|status code 5\d\d|dial tcp|connection reset|i\/o timeout|no such host|x509:|tls:/.test(stderr)) {
    return 'RegistryUnavailable';
  }
  return null;
}
