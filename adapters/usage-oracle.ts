import { split } from 'shlex';
import { HoubaError } from '../domain/errors.js';
import { parseUsageAnswer, type UsageAnswer, type UsageQuestion, unknownUse } from '../domain/lifecycle/usage.js';
import { quoteTail, runCommand } from './command.js';
import { inPrivateFolder } from './private-folder.js';

/** Runs the operator's program that knows where images run (protocol: docs/oracles.md). */
export interface UsageOracle {
  /**
   * Asks once. A program that fails means in use (docs/rules/purge.md#unknown-use-is-in-use). @throws the signal's
   * reason
   */
  ask(question: UsageQuestion, signal?: AbortSignal): Promise<UsageAnswer>;
}

export interface UsageOracleOptions {
  /** A command line as a shell would read it; no shell runs it. */
  readonly command: string;
  readonly timeoutMs: number;
  readonly workDir: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Values of that environment that no report may quote. */
  readonly secrets?: readonly string[];
}

/** @throws HoubaError `ConfigInvalid` when the command cannot be parsed */
export function createUsageOracle(options: UsageOracleOptions): UsageOracle {
  const [file, ...args] = splitCommand(options.command);

  async function ask(question: UsageQuestion, signal?: AbortSignal): Promise<UsageAnswer> {
    try {
      return await inPrivateFolder(options.workDir, 'oracle', async (home) => {
        const { stdout } = await runCommand({
          file,
          args,
          input: `${JSON.stringify(question)}\n`,
          env: { ...options.environment, HOME: home, TMPDIR: home },
          timeoutMs: options.timeoutMs,
          signal,
          secrets: options.secrets ?? [],
        });
        const answer = parseUsageAnswer(stdout, question);
        return { ...answer, detail: quoteTail(answer.detail, options.secrets) };
      });
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof HoubaError) return unknownUse(error.message);
      throw error;
    }
  }

  return { ask };
}

function splitCommand(command: string): [string, ...string[]] {
  let words: string[] = [];
  try {
    words = split(command);
  } catch (cause) {
    throw unusable('a quotation mark or a backslash at its end is left open', cause);
  }
  const [file, ...args] = words;
  if (file === undefined || file === '') throw unusable('it names no program');
  return [file, ...args];
}

/** An error without the command itself, which may hold a password. */
function unusable(why: string, cause?: unknown): HoubaError {
  return new HoubaError('ConfigInvalid', `HOUBA_USAGE_ORACLE_CMD cannot be read as a command: ${why}`, {
    hint: 'write it as in a shell, as in /opt/oracle --file "/var/lib/seen images.json"; for pipes write a script',
    cause,
  });
}
