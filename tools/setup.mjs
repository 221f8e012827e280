// Builds the pinned outside programs that are asked for into .tools/bin: `node tools/setup.mjs regctl syft …`.
// Needs Node alone, so that it runs before `npm ci`. A program of the pinned version on PATH is used as it is.
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { missing, onPath } from './system.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const TOOLS = join(ROOT, '.tools');
const BIN = join(TOOLS, 'bin');
const STAMPS = join(TOOLS, 'stamps');
const LOCK = join(TOOLS, 'lock');
const PROGRAMS = {
  ...JSON.parse(readFileSync(join(ROOT, 'tools', 'programs.json'), 'utf8')),
  // The Temporal server whose clock skips, for workflow tests: the one program that is not Go.
  'temporal-test-server': {
    // Without the second, its log library complains on stderr at every start.
    maven: ['io.temporal:temporal-test-server:1.31.0', 'org.slf4j:slf4j-nop:1.7.36'],
    main: 'io.temporal.testserver.TestServer',
    version: '1.31.0',
    system: ['java', 'mvn'],
  },
};
const GO_HELP = 'see https://go.dev/dl (on Debian: golang-go from backports)';
/** A link step takes about 1 GiB and every core: more than two at a time only thrash. */
const AT_ONCE = 2;

class SetupError extends Error {}

async function setup(names) {
  const unknown = names.filter((name) => !Object.hasOwn(PROGRAMS, name));
  if (unknown.length > 0) {
    throw new SetupError(`unknown program ${unknown.join(', ')}; known: ${Object.keys(PROGRAMS).join(', ')}`);
  }
  if (names.every(ready)) return;
  mkdirSync(BIN, { recursive: true });
  mkdirSync(STAMPS, { recursive: true });
  await locked(() => buildAll(names));
}

async function buildAll(names) {
  const todo = names.filter((name) => !ready(name) && !adopt(name));
  if (todo.length === 0) return;
  const lacking = missing([...new Set(todo.flatMap((name) => PROGRAMS[name].system ?? []))]);
  if (todo.some((name) => PROGRAMS[name].module) && !onPath('go')) lacking.push(`go is missing: ${GO_HELP}`);
  if (lacking.length > 0) throw new SetupError(lacking.join('\n'));
  console.error(`Preparing ${todo.length} program(s) in .tools/bin (a first build takes minutes)`);
  const queue = [...todo];
  let done = 0;
  const work = async () => {
    for (let name = queue.shift(); name; name = queue.shift()) {
      const since = Date.now();
      console.error(`  ${name} ${PROGRAMS[name].version} …`);
      await (PROGRAMS[name].module ? buildGo(name) : fetchMaven(name));
      done += 1;
      const seconds = ((Date.now() - since) / 1000).toFixed(1);
      console.error(`  [${done} of ${todo.length}] ${name} ${PROGRAMS[name].version} (${seconds} s)`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

/** `go install MODULE@VERSION` refuses modules with `replace` or `exclude`, so: download, then build inside the module. */
async function buildGo(name) {
  const { module, package: path, version, ldflags } = PROGRAMS[name];
  const download = await go(ROOT, ['mod', 'download', '-json', `${module}@v${version}`]);
  const folder = JSON.parse(download).Dir;
  const target = join(BIN, name);
  const temporary = `${target}.${process.pid}.new`;
  const flags = ['-mod=readonly', '-trimpath', '-buildvcs=false', `-ldflags=-s -w ${ldflags}`];
  try {
    await go(folder, ['build', ...flags, '-o', temporary, path]);
    const said = versionOf(name, temporary);
    if (said !== version) throw new SetupError(`${name} was built from ${version} but says ${said ?? 'no version'}`);
    renameSync(temporary, target);
  } finally {
    rmSync(temporary, { force: true });
  }
  remember(name, target);
}

async function go(cwd, args) {
  try {
    // No C compiler is asked of the machine, and the same binary comes out with and without one.
    return await run('go', args, { cwd, env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '', GOWORK: 'off' } });
  } catch (error) {
    const tooOld = /go\.mod requires go >= ([\d.]+)|requires go ([\d.]+) or later|invalid go version/.exec(
      error.message,
    );
    if (!tooOld) throw error;
    const wanted = tooOld[1] ?? tooOld[2] ?? '1.21';
    const hint = `install Go ${wanted}, or let Go 1.21 or newer fetch it itself with GOTOOLCHAIN=auto; ${GO_HELP}`;
    throw new SetupError(`the installed Go is too old for ${cwd}: ${hint}`);
  }
}

/** Copies a Java program and all it needs at run time to .tools/<name>, with a script that starts it in .tools/bin. */
async function fetchMaven(name) {
  const { maven, main } = PROGRAMS[name];
  const dependencies = maven.map((artifact) => {
    const [groupId, artifactId, version] = artifact.split(':');
    const coordinates = `<groupId>${groupId}</groupId><artifactId>${artifactId}</artifactId><version>${version}</version>`;
    return `<dependency>${coordinates}</dependency>`;
  });
  const target = join(TOOLS, name);
  const temporary = `${target}.${process.pid}.new`;
  mkdirSync(temporary, { recursive: true });
  const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
  <groupId>dev.houba</groupId><artifactId>tools</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>${dependencies.join('')}</dependencies></project>\n`;
  writeFileSync(join(temporary, 'pom.xml'), pom);
  const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies';
  try {
    await run('mvn', ['-q', '-B', goal, '-DincludeScope=runtime', '-DoutputDirectory=.'], { cwd: temporary });
    rmSync(target, { recursive: true, force: true });
    renameSync(temporary, target);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  const script = join(BIN, name);
  // The quick compiler alone: such a server lives for seconds.
  const launch = `exec java -XX:TieredStopAtLevel=1 -cp "$(dirname "$0")/../${name}/*" ${main} "$@"`;
  writeFileSync(`${script}.new`, `#!/bin/sh\n${launch}\n`);
  chmodSync(`${script}.new`, 0o755);
  renameSync(`${script}.new`, script);
  remember(name, script);
}

/** Takes a program that is already on PATH, or in .tools/bin, if it says the pinned version. */
function adopt(name) {
  for (const path of [join(BIN, name), onPath(name)]) {
    if (!path || !existsSync(path) || versionOf(name, path) !== PROGRAMS[name].version) continue;
    remember(name, path);
    return true;
  }
  return false;
}

function versionOf(name, path) {
  const { versionArgs, versionPattern = '\\bv?(\\d+\\.\\d+\\.\\d+)' } = PROGRAMS[name];
  if (!versionArgs) return;
  const { stdout = '', stderr = '' } = spawnSync(path, versionArgs, { encoding: 'utf8', timeout: 20_000 });
  return new RegExp(versionPattern).exec(`${stdout}\n${stderr}`)?.[1];
}

/** A stamp names the pin and the file that satisfied it, so that a ready program costs one `stat`, not a process. */
function remember(name, path) {
  writeFileSync(join(STAMPS, name), JSON.stringify({ pin: PROGRAMS[name], path, modified: statSync(path).mtimeMs }));
}

function ready(name) {
  try {
    const { pin, path, modified } = JSON.parse(readFileSync(join(STAMPS, name), 'utf8'));
    const reachable = path === join(BIN, name) || path === onPath(name);
    return reachable && statSync(path).mtimeMs === modified && JSON.stringify(pin) === JSON.stringify(PROGRAMS[name]);
  } catch {
    return false;
  }
}

/** One set-up at a time: a second one waits, and takes over when the holder is gone. */
async function locked(work) {
  for (let told = false; ; told = true) {
    try {
      const file = openSync(LOCK, 'wx');
      writeFileSync(file, String(process.pid));
      closeSync(file);
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    if (!told) console.error('Another set-up is at work here; waiting for it');
    if (!alive(LOCK)) rmSync(LOCK, { force: true });
    else await new Promise((resolve) => setTimeout(resolve, 500));
  }
  const release = () => rmSync(LOCK, { force: true });
  process.once('exit', release);
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => process.exit(130));
  await work();
}

function alive(lock) {
  try {
    const pid = Number(readFileSync(lock, 'utf8'));
    // A lock without a number is one that is being written.
    if (!pid) return Date.now() - statSync(lock).mtimeMs < 5_000;
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

function run(program, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    const output = { stdout: '', stderr: '' };
    for (const stream of ['stdout', 'stderr']) {
      child[stream].setEncoding('utf8').on('data', (text) => {
        output[stream] += text;
      });
    }
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) return resolve(output.stdout);
      const tail = `${output.stdout}${output.stderr}`.trim().slice(-2000);
      reject(new SetupError(`\`${program} ${args.join(' ')}\` failed:\n${tail}`));
    });
  });
}

try {
  await setup(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  for (const line of error.message.split('\n')) console.error(`error: ${line}`);
  process.exit(3);
}
