import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.js';
import { type ErrorCode, HoubaError } from '../domain/errors.js';
import type { LayerFile } from '../domain/transform/step.js';
import { layerTar } from './buildctl/layer-tar.js';
import { runCommand } from './command.js';
import { inPrivateFolder } from './private-folder.js';

/** The build of one platform, from folders to a folder: BuildKit itself meets no registry. */
export interface BuildRequest {
  /** What `FROM base` means: the image's manifest in an OCI layout. */
  readonly base: { readonly layout: string; readonly manifest: Digest };
  readonly platform: string;
  readonly dockerfile: string;
  /** The archives that it adds, by file name, each with the files in it. */
  readonly layers: ReadonlyMap<string, readonly LayerFile[]>;
  /** Seconds since 1970; no time in what is built is later, so that the same input gives the same digest. */
  readonly sourceDateEpoch: number;
  /** An empty folder, which becomes an OCI layout of the image with its provenance. */
  readonly output: string;
}

export interface Buildctl {
  /**
   * Has BuildKit build one platform, and waits for it. Cancelling ends the build in the daemon as well.
   * @throws HoubaError `BuilderUnavailable` (retryable), `BuildFailed`, `ToolFailed`, `ToolMissing`; the signal's reason
   */
  build(request: BuildRequest, signal: AbortSignal): Promise<void>;
  /** @throws HoubaError `BuilderUnavailable` when the daemon does not answer */
  ping(signal?: AbortSignal): Promise<void>;
}

export interface BuildctlOptions {
  readonly program: string;
  /** Of the daemon, `unix:///run/buildkit/buildkitd.sock`; null: buildctl's own default. */
  readonly address: string | null;
  /** The folder with the CA of a daemon behind TLS, and this client's certificate and key; null: no TLS. */
  readonly tlsDir?: string | null;
  readonly workDir: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Is told what BuildKit reports while it builds, line by line. */
  readonly onLine?: (line: string) => void;
  /** Ask BuildKit to forget what it built before; for tests. */
  readonly noCache?: boolean;
  /** Of one build, in milliseconds. Default: 30 minutes. */
  readonly timeoutMs?: number;
}

/**
 * After a build was cut off, the daemon keeps the part of a base that it had received and cannot resume it (v0.30.0). It
 * forgets it within minutes, or when it is told to prune.
 */
const HALF_A_BASE = /unsupported offset/;

const TIMEOUT_MS = 30 * 60_000;
const PING_TIMEOUT_MS = 15_000;
const CLEANING_TIMEOUT_MS = 60_000;

export function createBuildctl(options: BuildctlOptions): Buildctl {
  const { address, tlsDir = null } = options;
  const daemon = [
    ...(address === null ? [] : [`--addr=${address}`]),
    ...(tlsDir === null ? [] : [`--tlsdir=${tlsDir}`]),
  ];

  interface Call {
    readonly args: readonly string[];
    readonly folder: string;
    readonly cwd?: string;
    readonly timeoutMs: number;
    readonly signal: AbortSignal | undefined;
    readonly onLine?: ((line: string) => void) | undefined;
  }

  async function call({ args, folder, cwd, timeoutMs, signal, onLine }: Call): Promise<void> {
    const lines = onLine && splitLines(onLine);
    try {
      await runCommand({
        file: options.program,
        args: [...daemon, ...args],
        // Without a Docker configuration of its own it would offer the daemon the logins of whoever runs the worker.
        env: { ...options.environment, HOME: folder, DOCKER_CONFIG: folder },
        ...(cwd === undefined ? {} : { cwd }),
        timeoutMs,
        signal,
        classify,
        ...(lines === undefined ? {} : { onStderr: lines.take }),
      });
    } catch (error) {
      throw error instanceof HoubaError ? explained(error) : error;
    } finally {
      lines?.end();
    }
  }

  /** Shortens the failure to the last lines of buildctl, which say what went wrong. */
  function explained(cause: HoubaError): HoubaError {
    const { code, facts } = cause;
    const said = cause.message.split(/(?:: | \| )error: /).at(-1);
    if (code === 'BuilderUnavailable') {
      const where = address ?? "buildctl's default address";
      const hint =
        'start buildkitd, or name its address in BUILDKIT_HOST, and the folder of its certificates in HOUBA_BUILDKIT_TLS_DIR';
      return new HoubaError(code, `no BuildKit daemon answers at ${where}: ${said}`, { hint, cause, facts });
    }
    if (code !== 'BuildFailed') return cause;
    const hint = 'HOUBA_LOG_LEVEL=debug shows what BuildKit reports meanwhile';
    return new HoubaError(code, `BuildKit could not build the image: ${said}`, { hint, cause, facts });
  }

  return {
    build: (request, signal) =>
      inPrivateFolder(options.workDir, 'buildctl', async (folder) => {
        const context = join(folder, 'context');
        await writeContext(context, request);
        const { base, platform, sourceDateEpoch, output } = request;
        const building = {
          args: [
            'build',
            '--progress=plain',
            ...(options.noCache === true ? ['--no-cache'] : []),
            '--frontend=dockerfile.v0',
            `--local=context=${context}`,
            `--local=dockerfile=${context}`,
            '--opt=filename=Dockerfile',
            `--oci-layout=base=${base.layout}`,
            `--opt=context:base=oci-layout://base@${base.manifest}`,
            `--opt=platform=${platform}`,
            `--opt=build-arg:SOURCE_DATE_EPOCH=${sourceDateEpoch}`,
            // Nothing is run; if something ever were, it would have the daemon's network.
            '--opt=force-network-mode=none',
            '--opt=attest:provenance=mode=max',
            // In the working directory: a folder's own name may hold what this list is separated by.
            '--output=type=oci,dest=.,tar=false,rewrite-timestamp=true,oci-mediatypes=true',
          ],
          folder,
          cwd: output,
          timeoutMs: options.timeoutMs ?? TIMEOUT_MS,
          signal,
          onLine: options.onLine,
        };
        try {
          await call(building);
        } catch (error) {
          if (!(error instanceof HoubaError && HALF_A_BASE.test(error.message))) throw error;
          // Prunes only what belongs to nothing: no record of the cache has this id.
          await call({ args: ['prune', '--filter=id==none'], folder, timeoutMs: CLEANING_TIMEOUT_MS, signal });
          await call(building);
        }
      }),

    ping: (signal) =>
      inPrivateFolder(options.workDir, 'buildctl', (folder) =>
        call({ args: ['debug', 'workers'], folder, timeoutMs: PING_TIMEOUT_MS, signal }),
      ),
  };
}

async function writeContext(folder: string, { dockerfile, layers }: BuildRequest): Promise<void> {
  await mkdir(folder);
  await writeFile(join(folder, 'Dockerfile'), dockerfile);
  for (const [name, files] of layers) await writeFile(join(folder, name), await layerTar(files));
}

/** Connection errors are looked for first: a build that they broke off may be tried again. */
function classify(stderr: string): ErrorCode | null {
  if (
    /code = Unavailable|failed to dial|connection (refused|reset)|no such host|error reading (from server|server preface)/.test(
      stderr,
    )
  ) {
    return 'BuilderUnavailable';
  }
  if (/dial unix|transport: error while dialing|listing workers for Build|closing transport/.test(stderr)) {
    return 'BuilderUnavailable';
  }
  if (/no space left on device/.test(stderr) || HALF_A_BASE.test(stderr)) return 'ToolFailed';
  return /failed to solve/.test(stderr) ? 'BuildFailed' : null;
}

function splitLines(onLine: (line: string) => void): { take(chunk: string): void; end(): void } {
  let rest = '';
  const tell = (line: string) => {
    if (line.trim() !== '') onLine(line.trimEnd());
  };
  return {
    take(chunk) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) tell(line);
    },
    end: () => tell(rest),
  };
}
