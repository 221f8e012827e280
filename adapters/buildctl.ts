import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.js';
import { type ErrorCode, HoubaError } from '../domain/errors.js';
import type { LayerFile } from '../domain/transform/step.js';
import { layerTar } from './buildctl/layer-tar.js';
import { machineErrorIn, runCommand } from './command.js';
import { inPrivateFolder } from './private-folder.js';

/** The build of one platform, from folders to a folder: BuildKit connects to no registry. */
export interface BuildRequest {
  /** The image that `FROM base` names: its manifest in an OCI layout. */
  readonly base: { readonly layout: string; readonly manifest: Digest };
  readonly platform: string;
  readonly dockerfile: string;
  /** The archives that the build adds, by file name, each with its files. */
  readonly layers: ReadonlyMap<string, readonly LayerFile[]>;
  /** Seconds since 1970; no time in the image is later, so that equal input gives an equal digest. */
  readonly sourceDateEpoch: number;
  /** An empty folder; becomes an OCI layout of the image with its provenance. */
  readonly output: string;
}

export interface Buildctl {
  /**
   * Builds one platform; cancelling ends the build in the daemon as well. @throws HoubaError `BuilderUnavailable`
   * (retryable), `BuildFailed`, `ToolFailed`, `ToolMissing`; the signal's reason
   */
  build(request: BuildRequest, signal: AbortSignal): Promise<void>;
  /** @throws HoubaError `BuilderUnavailable` when the daemon does not answer */
  ping(signal?: AbortSignal): Promise<void>;
}

export interface BuildctlOptions {
  readonly program: string;
  /** The daemon's address, `unix:///run/buildkit/buildkitd.sock`; null: buildctl's own default. */
  readonly address: string | null;
  /** The folder with the daemon's CA and the client's certificate and key; null: no TLS. */
  readonly tlsDir?: string | null;
  readonly workDir: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Called with each line of BuildKit's progress. */
  readonly onLine?: (line: string) => void;
  /** Builds without BuildKit's cache; for tests. */
  readonly noCache?: boolean;
  /** Of one build, ms. Default: 30 minutes. */
  readonly timeoutMs?: number;
}

/** What buildctl says when the daemon cannot resume a base that a cut-off build left there (BuildKit v0.30.0). */
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
        // With the caller's Docker configuration buildctl would offer its logins to the daemon.
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

  /** Shortens buildctl's output to its last lines, which hold the cause. */
  function explained(cause: HoubaError): HoubaError {
    const { code, facts } = cause;
    const said = cause.message.split(/(?:: | \| )error: /).at(-1);
    if (code === 'BuilderUnavailable') {
      const where = address ?? "buildctl's default address";
      const hint =
        'start buildkitd, or name its address in BUILDKIT_HOST, and the folder of its certificates in HOUBA_BUILDKIT_TLS_DIR';
      return new HoubaError(code, `no BuildKit daemon answers at ${where}: ${said}`, { hint, cause, facts });
    }
    if (code === 'MachineFailed') {
      const hint = 'free some of it where the BuildKit daemon runs, or here, under HOUBA_WORK_DIR';
      return new HoubaError(code, `BuildKit could not build the image: ${said}`, { hint, cause, facts });
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
            // Nothing is run; anything that were would get the daemon's network.
            '--opt=force-network-mode=none',
            '--opt=attest:provenance=mode=max',
            // Into the working directory: a folder's name may hold a comma, which separates these options.
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
          // Prunes the half base alone: no record of the cache has this id.
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

/** Classifies buildctl's output, connection errors first: a build that they broke off may be tried again. */
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
  if (machineErrorIn(stderr) !== null) return 'MachineFailed';
  if (HALF_A_BASE.test(stderr)) return 'ToolFailed';
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
