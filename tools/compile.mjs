// Makes the programs from source: Go ones from the module proxy, under the module's own go.sum; the Java one from Maven.
import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pLimit from 'p-limit';
import { PROGRAMS, SetupError } from './programs.mjs';
import { onPath } from './system.mjs';

const GO_HELP = 'see https://go.dev/dl (on Debian: golang-go from backports)';
/** Modules arrive while others compile: fetching waits for the network, compiling for the processors. */
const fetching = pLimit(4);
/** A link step takes about 1 GiB and every core: more than two at a time only thrash. */
const building = pLimit(2);

/** Makes a program at `<folder>/bin/<name>`, and beside it what it needs at run time. */
export async function compile(name, folder) {
  mkdirSync(join(folder, 'bin'), { recursive: true });
  await (PROGRAMS[name].module ? buildGo(name, folder) : fetching(() => fetchMaven(name, folder)));
}

async function buildGo(name, folder) {
  if (!onPath('go')) throw new SetupError(`go is missing, and ${name} is to be compiled: ${GO_HELP}`);
  const { package: path, ldflags } = PROGRAMS[name];
  const source = await fetching(() => fetchModules(name, folder));
  const flags = ['-trimpath', '-buildvcs=false', `-ldflags=-s -w ${ldflags}`];
  await building(() => go(source, ['build', ...flags, '-o', join(folder, 'bin', name), path]));
}

/** `go install MODULE@VERSION` refuses modules with `replace` or `exclude`, so: download, then build inside the module. */
async function fetchModules(name, folder) {
  const { module, package: path, version } = PROGRAMS[name];
  const { Dir: source } = JSON.parse(await go(folder, ['mod', 'download', '-json', `${module}@v${version}`]));
  // Loading the packages brings the modules that they are in, and no others.
  await go(source, ['list', '-deps', path]);
  return source;
}

async function go(cwd, args) {
  try {
    // No C compiler is asked of the machine, and the same binary comes out with and without one.
    return await run('go', args, {
      cwd,
      env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' },
    });
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

/** Copies a Java program and all it needs at run time to <folder>/<name>, with a script that starts it in <folder>/bin. */
async function fetchMaven(name, folder) {
  const { maven, main } = PROGRAMS[name];
  const dependencies = maven.map((artifact) => {
    const [groupId, artifactId, version] = artifact.split(':');
    const coordinates = `<groupId>${groupId}</groupId><artifactId>${artifactId}</artifactId><version>${version}</version>`;
    return `<dependency>${coordinates}</dependency>`;
  });
  const jars = join(folder, name);
  mkdirSync(jars, { recursive: true });
  const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
  <groupId>dev.houba</groupId><artifactId>tools</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>${dependencies.join('')}</dependencies></project>\n`;
  writeFileSync(join(jars, 'pom.xml'), pom);
  const goal = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies';
  await run('mvn', ['-q', '-B', goal, '-DincludeScope=runtime', '-DoutputDirectory=.'], { cwd: jars });
  const script = join(folder, 'bin', name);
  // The quick compiler alone: such a server lives for seconds.
  const launch = `exec java -XX:TieredStopAtLevel=1 -cp "$(dirname "$0")/../${name}/*" ${main} "$@"`;
  writeFileSync(script, `#!/bin/sh\n${launch}\n`);
  chmodSync(script, 0o755);
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
