import { coerce, lt } from 'semver';
import { HoubaError } from '../domain/errors.js';
import { runCommand } from './command.js';

interface ProgramQuestion {
  readonly file: string;
  readonly versionArgs: readonly string[];
  /** A regular expression whose first group is the version. Default: the first `1.2.3` in the output. */
  readonly versionPattern?: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
}

const TIMEOUT_MS = 30_000;
const ANY_VERSION = String.raw`\bv?(\d+\.\d+\.\d+)`;

/** Reads a program's version, `0.11.7`; null: it prints none. @throws HoubaError `ToolFailed`, `ToolMissing` */
export async function readProgramVersion(question: ProgramQuestion): Promise<string | null> {
  const { stdout, stderr } = await runCommand({
    file: question.file,
    args: question.versionArgs,
    env: question.environment,
    timeoutMs: TIMEOUT_MS,
  });
  return new RegExp(question.versionPattern ?? ANY_VERSION).exec(`${stdout}\n${stderr}`)?.[1] ?? null;
}

/** Whether a version is unknown or below its floor (docs/rules/security.md#outside-programs-have-a-floor). */
export function isBelowFloor(version: string | null, floor: string): boolean {
  const [is, least] = [coerce(version), coerce(floor)];
  if (least === null) throw new HoubaError('Internal', `not a version: ${JSON.stringify(floor)}`);
  return is === null || lt(is, least);
}
