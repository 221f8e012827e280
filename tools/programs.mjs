// The outside programs that are pinned, and where they lie in this checkout.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What went wrong, in words for the person at the terminal. */
export class SetupError extends Error {}

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const TOOLS = join(ROOT, '.tools');
export const BIN = join(TOOLS, 'bin');
/** The pins: tools/programs.json, or the file that HOUBA_TOOLS_PROGRAMS names. */
export const PINS = process.env.HOUBA_TOOLS_PROGRAMS || join(ROOT, 'tools', 'programs.json');

export const PROGRAMS = {
  ...JSON.parse(readFileSync(PINS, 'utf8')),
  // Two programs are not Go. The Temporal server whose clock skips, for workflow tests:
  'temporal-test-server': {
    // Without the second, its log library complains on stderr at every start.
    maven: ['io.temporal:temporal-test-server:1.31.0', 'org.slf4j:slf4j-nop:1.7.36'],
    main: 'io.temporal.testserver.TestServer',
    version: '1.31.0',
    system: ['java', 'mvn'],
  },
  // Maven's own order of versions, which a test compares with houba's:
  'comparable-version': {
    maven: ['org.apache.maven:maven-artifact:3.9.16'],
    main: 'org.apache.maven.artifact.versioning.ComparableVersion',
    version: '3.9.16',
    system: ['java', 'mvn'],
  },
};

/** Whether `path` is the pinned version of the program. One that cannot be asked is taken at its word. */
export function isPinned(name, path) {
  return existsSync(path) && (!PROGRAMS[name].versionArgs || versionOf(name, path) === PROGRAMS[name].version);
}

/** The version that a program says it has; undefined when it says none, or cannot be run. */
export function versionOf(name, path) {
  const { versionArgs, versionPattern = '\\bv?(\\d+\\.\\d+\\.\\d+)' } = PROGRAMS[name];
  const { stdout = '', stderr = '' } = spawnSync(path, versionArgs, { encoding: 'utf8', timeout: 20_000 });
  return new RegExp(versionPattern).exec(`${stdout}\n${stderr}`)?.[1];
}
