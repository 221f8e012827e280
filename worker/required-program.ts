import { isBelowFloor, readProgramVersion } from '../adapters/program-version.js';
import { programPath, readPrograms } from '../config/programs.js';
import type { Settings } from '../config/settings.js';
import { HoubaError } from '../domain/errors.js';

/**
 * Finds a program of a safe version (docs/rules/security.md#outside-programs-have-a-floor). @throws HoubaError
 * `ToolMissing`
 */
export async function requiredProgram(name: string, settings: Settings): Promise<string> {
  const file = programPath(name);
  if (file === null) {
    throw new HoubaError('ToolMissing', `${name} is neither in .tools/bin nor on the PATH`, {
      hint: 'make setup builds it; houba doctor shows all of them',
    });
  }
  const pin = readPrograms().get(name);
  if (pin?.floor === undefined) return file;
  const versionArgs = pin.versionArgs ?? ['version'];
  const version = await readProgramVersion({ ...pin, versionArgs, file, environment: settings.childEnvironment });
  if (!isBelowFloor(version, pin.floor)) return file;
  throw new HoubaError('ToolMissing', `${file} is ${version ?? 'of unknown version'}, older than ${pin.floor}`, {
    hint: 'make setup builds the pinned version; houba doctor shows all of them',
  });
}
