// The local demo: `up` starts a stack with real images and reconciles it, `again` reconciles once more, `logs` follows
// the stack, `down` ends it and removes what it left. All it makes lies under .state/.
import { execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { onPath } from '../tools/system.mjs';
import { keysIn, makeKeys, needsOfKeys, signingPassword } from './keys.mjs';
import { lookingWith } from './look.mjs';
import { DemoError, processesIn, requirePort } from './processes.mjs';
import { fillUpstream, makeRootFileSystems, needsOfUpstream, PLATFORM } from './upstream.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const STATE = join(ROOT, '.state', 'demo');
const CACHE = join(ROOT, '.state', 'cache');
const FACTS = join(STATE, 'demo.json');
const BIN = join(ROOT, '.tools', 'bin');
const HOUBA = join(ROOT, 'bin', 'houba');
const KEYS = keysIn(STATE);
const BUILDKIT = `unix://${join(STATE, 'buildkitd.sock')}`;
/** What a rebuilt image is told to get its packages from. Nobody answers there, and nobody has to: steps run nothing. */
const PACKAGE_MIRROR = 'https://packages.corp.example';
/** Where Debian images say what they get packages from: mmdebstrap's, and those of Docker Hub. */
const SOURCES = { local: '/etc/apt/sources.list', 'docker.io': '/etc/apt/sources.list.d/debian.sources' };

/** Where everything listens: on 127.0.0.1, each port moved by its variable. */
const PORTS = { DEMO_REGISTRY_PORT: 15000, DEMO_UPSTREAM_PORT: 15001, DEMO_TEMPORAL_PORT: 17233, DEMO_UI_PORT: 18233 };

const { start, stop, alive, until } = processesIn(STATE);
const execute = promisify(execFile);

const VERBS = { up, again, logs, down };
try {
  const verb = VERBS[process.argv[2]];
  if (!verb) throw new DemoError(`say one of: ${Object.keys(VERBS).join(', ')}`);
  await verb();
} catch (error) {
  if (!(error instanceof DemoError)) throw error;
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}

async function up() {
  const facts = isUp() ? readFacts() : await chooseFacts();
  const local = facts.upstream === 'local';
  const buildkit = wantsBuildkit(local);

  step('What the machine must bring');
  const installed = local ? [...needsOfUpstream, ...(buildkit ? ['runc'] : [])] : [];
  await runNode('tools/system.mjs', needsOfKeys.concat(installed));
  const prepared = prepare(local, buildkit);
  try {
    await prepared.programs;
    step(local ? 'The local stack, and real images for its upstream' : 'The local stack');
    mkdirSync(STATE, { recursive: true });
    writeFacts(facts);
    makeKeys(KEYS, program('cosign'));
    await startRegistry(facts, 'registry', 'DEMO_REGISTRY_PORT');
    if (local) await startRegistry(facts, 'upstream', 'DEMO_UPSTREAM_PORT');
    for (const host of hosts(facts)) await regctl('registry', 'set', host, '--tls', 'disabled');
    const filled = local
      ? fillUpstream({ regctl, host: host(facts, 'DEMO_UPSTREAM_PORT'), cache: CACHE, made: prepared.made })
      : Promise.resolve();
    filled.catch(() => {}); // told below
    facts.rebuilds = buildkit && (await startBuildkit());
    if (!buildkit) console.log('  buildkitd: left out (it needs root and runc on Linux)');
    writeFacts(facts);
    await prepared.build;
    await startHouba(facts);
    await filled;
  } catch (error) {
    throw prepared.firstFailure() ?? error;
  } finally {
    await prepared.end();
  }
  const policies = renderPolicies(facts);
  step(`houba reconcile ${policies}`);
  const outcome = await houba(facts, ['reconcile', policies]);
  if (outcome !== 0) throw new DemoError(`houba reconcile ended with exit code ${outcome}; \`make logs\` shows more`);
  await show(facts);
}

/**
 * Begins with packages, programs and the build, and meanwhile with the root file systems, which wait for a Debian mirror
 * mostly. When one fails the others end; `end` ends what still goes on.
 */
function prepare(local, buildkit) {
  step(`Outside programs and build${local ? '; root file systems' : ''}`);
  console.log(
    '  How long programs take is said next; the rest of a first demo takes about a minute on two idle cores.',
  );
  const failure = new AbortController();
  const { signal } = failure;
  const names = ['regctl', 'syft', 'cosign', 'temporal', 'olareg', ...(buildkit ? ['buildctl', 'buildkitd'] : [])];
  // The largest root file system takes longest: these leave it a core.
  const nice = (what, ...command) => run(what, 'nice', ['-n', '5', ...command], signal);
  const nicely = (script, ...args) => nice(script, process.execPath, join(ROOT, script), ...args);
  const packages = nice('npm ci', 'make', '--no-print-directory', 'node_modules/.package-lock.json');
  const work = {
    programs: packages.then(() => nicely('tools/setup.mjs', ...names)),
    build: packages.then(() => nicely('tools/build.mjs')),
  };
  const made = local ? makeRootFileSystems(CACHE, signal) : new Map();
  const all = [...Object.values(work), ...made.values()];
  for (const each of all) each.catch((error) => failure.abort(error));
  // What is ended fails as well, and not for its own reason.
  const firstFailure = () => (signal.aborted ? signal.reason : null);
  const end = async () => {
    failure.abort();
    await Promise.allSettled(all);
  };
  return { ...work, made, firstFailure, end };
}

async function again() {
  const facts = requireDemo();
  await runNode('tools/build.mjs');
  const before = writes();
  const policies = renderPolicies(facts);
  step(`houba reconcile ${policies}`);
  const outcome = await houba(facts, ['reconcile', policies]);
  if (outcome !== 0) throw new DemoError(`houba reconcile ended with exit code ${outcome}`);
  console.log(`\nWrite requests that the destination registry saw meanwhile: ${writes() - before}`);
}

async function logs() {
  requireDemo();
  const files = ['.', 'home'].flatMap((folder) => readdirSync(join(STATE, folder)).map((name) => join(folder, name)));
  const following = ['-n', '20', '-F', ...files.filter((path) => path.endsWith('.log'))];
  spawnSync('tail', following, { cwd: STATE, stdio: 'inherit' });
}

async function down() {
  if (!existsSync(STATE)) return console.log('No demo is up.');
  if (hasStack() && (await houba(readFacts(), ['down'])) !== 0) {
    throw new DemoError(`houba down failed; what it left is in ${STATE}`);
  }
  await Promise.all(['buildkitd', 'upstream', 'registry'].map(stop));
  rmSync(STATE, { recursive: true, force: true });
  const kept = existsSync(CACHE) ? ` The images of a later demo stay in ${CACHE}.` : '';
  console.log(`The demo has ended and ${STATE} is removed.${kept}`);
}

/** Whether anything of an earlier `make demo` still runs; this one then joins it, on its ports. */
function isUp() {
  return existsSync(FACTS) && (hasStack() || ['registry', 'upstream', 'buildkitd'].some(alive));
}

function hasStack() {
  return existsSync(join(STATE, 'home', 'stack.json'));
}

/** What a demo is started with; later commands read it back, so that they need no variables. */
async function chooseFacts() {
  const upstream = process.env.UPSTREAM || 'local';
  if (!['local', 'docker.io'].includes(upstream))
    throw new DemoError('UPSTREAM is `local` (the default) or `docker.io`');
  const ports = {};
  for (const [name, fallback] of Object.entries(PORTS)) {
    ports[name] = Number(process.env[name] || fallback);
    const valid = Number.isInteger(ports[name]) && ports[name] > 0 && ports[name] < 65_536;
    if (!valid) throw new DemoError(`${name}=${process.env[name]} is not a port (1 to 65535)`);
    if (name !== 'DEMO_UPSTREAM_PORT' || upstream === 'local') await requirePort(ports[name], name);
  }
  return { upstream, ports };
}

function writeFacts(facts) {
  writeFileSync(FACTS, JSON.stringify(facts, null, 2));
}

function readFacts() {
  return JSON.parse(readFileSync(FACTS, 'utf8'));
}

function requireDemo() {
  if (!existsSync(FACTS)) throw new DemoError('no demo is up: run `make demo`');
  return readFacts();
}

function host(facts, variable) {
  return `127.0.0.1:${facts.ports[variable]}`;
}

function hosts(facts) {
  const upstream = facts.upstream === 'local' ? [host(facts, 'DEMO_UPSTREAM_PORT')] : [];
  return [host(facts, 'DEMO_REGISTRY_PORT'), ...upstream];
}

async function startRegistry(facts, name, variable) {
  if (alive(name)) return;
  const store = join(STATE, name);
  mkdirSync(store, { recursive: true });
  const address = ['--addr', '127.0.0.1', '--port', String(facts.ports[variable])];
  // `trace` is the level that logs each request: `make demo-run` counts the writes among them.
  start(name, program('olareg'), ['serve', ...address, '--dir', store, '--api-delete', '-v', 'trace']);
  await until(name, 10_000, async () => (await fetch(`http://${host(facts, variable)}/v2/`)).ok);
  console.log(`  ${name}: http://${host(facts, variable)}`);
}

function wantsBuildkit(local) {
  if (process.env.DEMO_BUILDKIT === 'no') return false;
  const able = process.platform === 'linux' && process.getuid() === 0;
  // Debian packages are installed for the local upstream alone.
  return able && (local ? Boolean(onPath('apt-get')) : Boolean(onPath('runc')));
}

/** @returns whether there is a daemon for rebuilds; a machine that cannot run one still has the copies */
async function startBuildkit() {
  if (alive('buildkitd')) return true;
  const config = join(STATE, 'buildkitd.toml');
  writeFileSync(config, '[worker.oci]\n  networkMode = "host"\n[worker.containerd]\n  enabled = false\n');
  const root = ['--root', join(STATE, 'buildkit'), '--addr', BUILDKIT, '--config', config];
  start('buildkitd', program('buildkitd'), root);
  try {
    await until('buildkitd', 15_000, async () => {
      await said(program('buildctl'), ['--addr', BUILDKIT, 'debug', 'workers']);
      return true;
    });
    console.log(`  buildkitd: ${BUILDKIT}`);
    return true;
  } catch (error) {
    await stop('buildkitd');
    console.log(`  buildkitd: left out (${error.message})`);
    return false;
  }
}

async function startHouba(facts) {
  const { DEMO_TEMPORAL_PORT: temporal, DEMO_UI_PORT: ui } = facts.ports;
  const outcome = await houba(facts, ['up', '--temporal-port', String(temporal), '--ui-port', String(ui)]);
  if (outcome !== 0) throw new DemoError(`houba up ended with exit code ${outcome}`);
}

/** A copy of the reference policies, with the local upstream for docker.io, and with what this machine can do. */
function renderPolicies(facts) {
  const reference = join(ROOT, 'examples', 'reference');
  const folder = join(STATE, 'policies');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const leftOut = [];
  for (const name of readdirSync(reference)) {
    let text = readFileSync(join(reference, name), 'utf8').replace('../../docs/', `${ROOT}/docs/`);
    if (facts.upstream === 'local') {
      text = text.replace('registry: docker.io', `registry: ${host(facts, 'DEMO_UPSTREAM_PORT')}`);
    }
    if (!facts.rebuilds && text.includes('transform:')) leftOut.push(name);
    else writeFileSync(join(folder, name), text);
  }
  const changed = facts.upstream === 'local' ? ' with docker.io replaced by the local upstream' : '';
  console.log(`\nPolicies: examples/reference${changed}, in ${folder}`);
  if (leftOut.length > 0) {
    console.log(`Left out, because there is no BuildKit daemon to rebuild with: ${leftOut.join(', ')}.`);
    console.log('What is copied is signed all the same.');
  }
  return folder;
}

/** Runs houba with the demo's settings and none of the caller's. Resolves with its exit code. */
async function houba(facts, args) {
  const child = spawn(HOUBA, args, { env: houbaEnvironment(facts), stdio: 'inherit' });
  const [status] = await once(child, 'close');
  return status ?? 4;
}

function houbaEnvironment(facts) {
  const foreign = /^(HOUBA_|TEMPORAL_|COSIGN_|SIGSTORE_|BUILDKIT_)/;
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
  return { ...inherited, ...houbaSettings(facts) };
}

function houbaSettings(facts) {
  const plain = (variable) => ({ host: host(facts, variable), tls_verify: false });
  const upstream =
    facts.upstream === 'local' ? { upstream: { ...plain('DEMO_UPSTREAM_PORT'), source_only: true } } : {};
  return {
    HOUBA_HOME: join(STATE, 'home'),
    HOUBA_WORK_DIR: join(STATE, 'work'),
    HOUBA_REGISTRIES: JSON.stringify({ main: plain('DEMO_REGISTRY_PORT'), ...upstream }),
    HOUBA_TRANSFORM_CA_CERTS: JSON.stringify({ corp: { path: KEYS.ca } }),
    HOUBA_TRANSFORM_PACKAGE_MIRRORS: JSON.stringify({ inside: { apt: PACKAGE_MIRROR } }),
    HOUBA_BUILD_PLATFORM: PLATFORM,
    HOUBA_ATTEST_SIGNER: 'key',
    HOUBA_ATTEST_KEY_REF: KEYS.private,
    HOUBA_ATTEST_BUILDER_ID: 'https://houba.dev/demo',
    BUILDKIT_HOST: BUILDKIT,
    ...signingPassword(KEYS),
  };
}

/** For a shell that wants to go on with the demo: the settings it runs houba with. */
function writeSettings(facts) {
  const path = join(STATE, 'env');
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const lines = Object.entries(houbaSettings(facts)).map(([name, value]) => `export ${name}=${quoted(value)}\n`);
  writeFileSync(path, lines.join(''), { mode: 0o600 });
  return path;
}

function regctl(...args) {
  return said(program('regctl'), args);
}

/** As anyone would call it who holds the public key: with a home of its own, and no password. */
function cosign(...args) {
  return said(program('cosign'), args, { ...process.env, HOME: join(STATE, 'cosign') });
}

/** @returns what a program writes to stdout */
async function said(file, args, env = process.env) {
  try {
    // A signed SBOM is megabytes.
    const options = { env: { ...env, REGCTL_CONFIG: join(STATE, 'regctl.json') }, maxBuffer: 256 * 1024 * 1024 };
    return (await execute(file, args, options)).stdout;
  } catch ({ stdout, stderr, message }) {
    // What houba verify finds wrong is its result, on stdout.
    const told = [stdout, stderr].map((text) => text?.trim()).filter(Boolean);
    throw new DemoError(`${basename(file)} ${args.join(' ')}: ${told.join('\n') || message}`);
  }
}

function program(name) {
  const built = join(BIN, name);
  return existsSync(built) ? built : onPath(name);
}

async function show(facts) {
  const registry = host(facts, 'DEMO_REGISTRY_PORT');
  const { look, stamp, stampBeside, timeZone, trustStore, evidence } = lookingWith({ regctl, cosign, keys: KEYS });
  const copied = `${registry}/demo/busybox:1.37.0`;
  step('What regctl reads back: a copy');
  await look('tag', 'ls', `${registry}/demo/busybox`);
  await stamp(copied);
  if (facts.rebuilds) {
    const european = `${registry}/demo/debian-tz:bookworm-slim-eu`;
    const hardened = `${registry}/demo/debian-hardened:bookworm-slim`;
    const hello = `${registry}/demo/hello-world:linux`;
    step('A rebuild: time zone, certificate and package sources');
    await stamp(european);
    await timeZone(european);
    await look('image', 'get-file', european, SOURCES[facts.upstream]);
    await trustStore(european);
    step('A rebuild whose stamp lies beside it');
    await stampBeside(hardened);
    step('An image that held one file, and now has a trust store');
    await trustStore(hello);
    step('What stock cosign verifies, from the tag');
    const verified = [european, hardened, hello].map((image) => verify(facts, image));
    const [, ...outputs] = await Promise.all([evidence(european), ...verified]);
    for (const text of outputs) console.log(text);
  } else {
    step('What stock cosign verifies, from the tag');
    await evidence(copied);
    console.log(await verify(facts, copied));
  }
  step('To look at');
  console.log(`  Temporal UI    http://127.0.0.1:${facts.ports.DEMO_UI_PORT}`);
  console.log(`  destination    http://${registry}/v2/_catalog`);
  if (facts.upstream === 'local')
    console.log(`  upstream       http://${host(facts, 'DEMO_UPSTREAM_PORT')}/v2/_catalog`);
  console.log(`  houba          . ${writeSettings(facts)}; ${HOUBA} status`);
  console.log(`  regctl         REGCTL_CONFIG=${join(STATE, 'regctl.json')} ${program('regctl')}`);
  console.log(`  public key     ${KEYS.public}`);
  console.log('\nThe stack stays up. `make demo-run` reconciles again, `make logs` follows it, `make down` ends it.');
}

/** @returns the command and what it says. Throws when it does not pass. */
async function verify(facts, image) {
  const args = ['verify', image, '--require', 'stamp,sbom,signature,provenance'];
  return `\n$ houba ${args.join(' ')}\n${await said(HOUBA, args, houbaEnvironment(facts))}`.trimEnd();
}

/** Write requests in the destination registry's log. */
function writes() {
  const log = readFileSync(join(STATE, 'registry.log'), 'utf8');
  return (log.match(/ method=(PUT|POST|PATCH|DELETE) /g) ?? []).length;
}

async function runNode(script, args = []) {
  await run(script, process.execPath, [join(ROOT, script), ...args]);
}

/** @param what it is called in an error */
async function run(what, command, args, signal = undefined) {
  const child = spawn(command, args, { cwd: ROOT, stdio: 'inherit', signal });
  const [status] = await once(child, 'close');
  if (status !== 0) throw new DemoError(`${what} failed (see above)`);
}

function step(title) {
  console.log(`\n== ${title}`);
}
