import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { compare as compareSemVer, parse as parseSemVer } from 'semver';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../../config/programs.js';
import { compareVersions } from '../../domain/packages/versions.js';
import { type SampledType, versionPairs } from '../support/version-samples.js';

/** How many pairs each tool is asked about; docs/development.md tells how to ask for more. */
const PAIRS = Number(process.env.HOUBA_TEST_VERSION_PAIRS ?? 2_000);
const SEED = Number(process.env.HOUBA_TEST_SEED ?? Date.now() % 1_000_000);
/** Versions in one command line. */
const MOST_ARGUMENTS = 4_000;

type Pair = readonly [string, string];

/** A tool whose order of versions counts. */
interface Tool {
  readonly name: string;
  readonly type: SampledType;
  /** What to install on Debian. */
  readonly debian: string;
  isThere(): boolean;
  /** A number of any size for each pair; null: the tool refuses one of the two. */
  compare(pairs: readonly Pair[]): Promise<(number | null)[]>;
  /** What the tool orders and houba does not, on purpose: it is no version, or the tool is wrong. */
  leavesOut?(version: string): boolean;
}

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'houba-version-orders-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const run = promisify(execFile);

/** Hands pairs to a program as lines, and reads a number or `null` for each. */
async function askByFile(pairs: readonly Pair[], program: string, args: readonly string[]): Promise<(number | null)[]> {
  writeFileSync(join(folder, 'pairs'), pairs.map(([a, b]) => `${a} ${b}\n`).join(''));
  const { stdout } = await run(program, [...args], {
    cwd: folder,
    maxBuffer: 1 << 30,
    env: { ...process.env, LC_ALL: 'C' },
  });
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const DPKG: Tool = {
  name: 'dpkg',
  type: 'deb',
  debian: 'dpkg',
  isThere: () => programPath('dpkg') !== null,
  compare(pairs) {
    const script = `while read -r a b; do
      if dpkg --compare-versions "$a" lt "$b"; then echo -1; continue; fi
      dpkg --compare-versions "$a" eq "$b"
      case $? in 0) echo 0;; 1) echo 1;; *) echo null;; esac
    done <pairs 2>/dev/null`;
    return askByFile(pairs, 'sh', ['-c', script]);
  },
  // It orders them and warns; deb-version(7) says that a version begins with a digit.
  leavesOut: (version) => !/^\d/.test(version.replace(/^\d+:/, '')),
};

const RPM: Tool = {
  name: 'rpm',
  type: 'rpm',
  debian: 'rpm',
  isThere: () => programPath('rpm') !== null,
  compare(pairs) {
    const script = `for line in io.lines('pairs') do
      local a, b = string.match(line, '^(%S+) (%S+)$')
      io.write(rpm.vercmp(a, b), '\\n')
    end`;
    writeFileSync(join(folder, 'compare.lua'), script);
    return askByFile(pairs, 'rpm', ['--eval', "%{lua: dofile('compare.lua')}"]);
  },
  // It orders any text at all.
  leavesOut: (version) => !/\d/.test(version.replace(/^\d*:/, '').replace(/-[^-]*$/, '')),
};

const MAVEN: Tool = {
  name: 'Maven',
  type: 'maven',
  debian: 'maven default-jre-headless',
  isThere: () => programPath('comparable-version') !== null && programPath('java') !== null,
  async compare(pairs) {
    const answers: number[] = [];
    for (let from = 0; from < pairs.length; from += MOST_ARGUMENTS / 2) {
      const versions = pairs.slice(from, from + MOST_ARGUMENTS / 2).flat();
      const { stdout } = await run(programPath('comparable-version') ?? '', versions, { maxBuffer: 1 << 30 });
      // It compares each version with the next; every other answer is about two pairs.
      const signs = [...stdout.matchAll(/^ {3}\S+ (<|==|>) \S+$/gm)].filter((_, index) => index % 2 === 0);
      answers.push(...signs.map(([, sign]) => ({ '<': -1, '==': 0, '>': 1 })[sign ?? ''] ?? Number.NaN));
    }
    return answers;
  },
  // Ten zeros and more are another number for Maven than one.
  leavesOut: (version) => !/\d/.test(version) || /(?<!\d)0{10}/.test(version) || /[^\w.+~:-]/.test(version),
};

const PYTHONS = ['python3', '/usr/bin/python3'];
const PYTHON: Tool = {
  name: 'packaging of PyPI',
  type: 'pypi',
  debian: 'python3-packaging',
  isThere: () => pythonWithPackaging() !== undefined,
  compare(pairs) {
    const script = `
from packaging.version import InvalidVersion, Version
for line in open('pairs'):
    try:
        a, b = map(Version, line.split())
        print((a > b) - (a < b))
    except InvalidVersion:
        print('null')`;
    return askByFile(pairs, pythonWithPackaging() ?? '', ['-c', script]);
  },
};

function pythonWithPackaging(): string | undefined {
  return PYTHONS.find((python) => spawnSync(python, ['-c', 'import packaging.version']).status === 0);
}

const NODE_SEMVER: Tool = {
  name: 'node-semver',
  type: 'npm',
  debian: 'npm',
  isThere: () => true,
  compare: async (pairs) => pairs.map(([a, b]) => (parseSemVer(a) && parseSemVer(b) ? compareSemVer(a, b) : null)),
  // It rounds numbers of pre-releases that JavaScript cannot count to.
  leavesOut: (version) => /\d{16}/.test(version),
};

const GO: Tool = {
  name: 'Go',
  type: 'golang',
  debian: 'golang-go',
  isThere: () => goSemver() !== null,
  async compare(pairs) {
    const main = `package main
import ("bufio"; "fmt"; "os"; "strings"; "peer/semver")
func main() {
  lines := bufio.NewScanner(os.Stdin)
  for lines.Scan() {
    a, b, _ := strings.Cut(lines.Text(), " ")
    if semver.IsValid(a) && semver.IsValid(b) { fmt.Println(semver.Compare(a, b)) } else { fmt.Println("null") }
  }
}`;
    mkdirSync(join(folder, 'semver'), { recursive: true });
    copyFileSync(goSemver() ?? '', join(folder, 'semver', 'semver.go'));
    writeFileSync(join(folder, 'go.mod'), 'module peer\n\ngo 1.21\n');
    writeFileSync(join(folder, 'main.go'), main);
    return askByFile(pairs, 'sh', ['-c', 'GOTOOLCHAIN=local GOFLAGS= GOWORK=off go run . <pairs']);
  },
};

/** The source of the package that Go's own commands order versions by. */
function goSemver(): string | null {
  const go = programPath('go');
  if (go === null) return null;
  const root = execFileSync(go, ['env', 'GOROOT'], { encoding: 'utf8' }).trim();
  const source = join(root, 'src', 'cmd', 'vendor', 'golang.org', 'x', 'mod', 'semver', 'semver.go');
  return existsSync(source) ? source : null;
}

/** Go compiles its comparison first, for up to a minute: it is asked where many pairs are. */
const TOOLS = [DPKG, RPM, MAVEN, PYTHON, NODE_SEMVER, ...(PAIRS > 2_000 ? [GO] : [])];

describe(`the order of versions is that of the real tool (seed ${SEED})`, () => {
  it.each(TOOLS)('$name', async (tool) => {
    if (!tool.isThere()) {
      process.stdout.write(`\nno versions were compared with ${tool.name}: install ${tool.debian}\n`);
      expect(process.env.CI, `in CI, ${tool.name} has to be there`).toBeFalsy();
      return;
    }
    const pairs = fc.sample(versionPairs(tool.type), { seed: SEED, numRuns: PAIRS });
    const answers = await tool.compare(pairs);
    expect(answers).toHaveLength(pairs.length);
    const differences: unknown[] = [];
    let compared = 0;
    for (const [index, [a, b]] of pairs.entries()) {
      const [theirs, ours] = [answers[index] ?? null, compareVersions(tool.type, a, b)];
      if (theirs === null || tool.leavesOut?.(a) || tool.leavesOut?.(b)) continue;
      compared += 1;
      if (ours === null || Math.sign(ours) !== Math.sign(theirs)) differences.push({ a, b, theirs, ours });
    }
    process.stdout.write(
      `\n${tool.name}: ${compared} of ${pairs.length} pairs compared, ${differences.length} differ\n`,
    );
    expect(differences.slice(0, 20)).toEqual([]);
    // Pairs that no tool reads would prove nothing.
    expect(compared).toBeGreaterThan(pairs.length / 4);
  });
});
