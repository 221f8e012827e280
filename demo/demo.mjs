// The local demo: `up` starts a stack with real images and reconciles it, `again` reconciles once more, `logs` follows
// the stack, `down` ends it and removes what it left. All it makes lies under .state/.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onPath } from '../tools/system.mjs';
import { DemoError, processesIn, requirePort } from './processes.mjs';
import { fillUpstream, needsOfUpstream } from './upstream.mjs';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const STATE = join(ROOT, '.state', 'demo');
const CACHE = join(ROOT, '.state', 'cache');
const FACTS = join(STATE, 'demo.json');
const BIN = join(ROOT, '.tools', 'bin');

/** Where everything listens: on 127.0.0.1, each port moved by its variable. */
const PORTS = { DEMO_REGISTRY_PORT: 15000, DEMO_UPSTREAM_PORT: 15001, DEMO_TEMPORAL_PORT: 17233, DEMO_UI_PORT: 18233 };

const { start, stop, alive, until } = processesIn(STATE);

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
  runNode('tools/system.mjs', ...(local ? needsOfUpstream : []), ...(buildkit && local ? ['runc'] : []));
  step('Outside programs and build');
  runNode('tools/setup.mjs', 'regctl', 'syft', 'temporal', 'olareg', ...(buildkit ? ['buildctl', 'buildkitd'] : []));
  runNode('tools/build.mjs');

  step('The local stack');
  mkdirSync(STATE, { recursive: true });
  writeFileSync(FACTS, JSON.stringify(facts, null, 2));
  await startRegistry(facts, 'registry', 'DEMO_REGISTRY_PORT');
  if (local) await startRegistry(facts, 'upstream', 'DEMO_UPSTREAM_PORT');
  if (buildkit) await startBuildkit();
  else console.log('  buildkitd: left out (it needs root and runc on Linux; this reconcile rebuilds nothing)');
  startHouba(facts);
  for (const host of hosts(facts)) regctl('registry', 'set', host, '--tls', 'disabled');

  if (local) {
    step('Real images for the upstream');
    fillUpstream({ regctl, host: host(facts, 'DEMO_UPSTREAM_PORT'), cache: CACHE });
  }
  const policies = renderPolicies(facts);
  step(`houba reconcile ${policies}`);
  const outcome = houba(facts, ['reconcile', policies]);
  if (outcome !== 0) throw new DemoError(`houba reconcile ended with exit code ${outcome}; \`make logs\` shows more`);
  show(facts);
}

async function again() {
  const facts = requireDemo();
  runNode('tools/build.mjs');
  const before = writes();
  const policies = renderPolicies(facts);
  step(`houba reconcile ${policies}`);
  const outcome = houba(facts, ['reconcile', policies]);
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
  if (hasStack() && houba(readFacts(), ['down']) !== 0) {
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

/** BuildKit serves the rebuilds of other policies; a machine that cannot run it loses nothing here. */
async function startBuildkit() {
  if (alive('buildkitd')) return;
  const socket = `unix://${join(STATE, 'buildkitd.sock')}`;
  const config = join(STATE, 'buildkitd.toml');
  writeFileSync(config, '[worker.oci]\n  networkMode = "host"\n[worker.containerd]\n  enabled = false\n');
  const root = ['--root', join(STATE, 'buildkit'), '--addr', socket, '--config', config];
  start('buildkitd', program('buildkitd'), root);
  try {
    await until('buildkitd', 15_000, () => capture('buildctl', ['--addr', socket, 'debug', 'workers']).status === 0);
    console.log(`  buildkitd: ${socket}`);
  } catch (error) {
    await stop('buildkitd');
    console.log(`  buildkitd: left out (${error.message})`);
  }
}

function startHouba(facts) {
  const { DEMO_TEMPORAL_PORT: temporal, DEMO_UI_PORT: ui } = facts.ports;
  const outcome = houba(facts, ['up', '--temporal-port', String(temporal), '--ui-port', String(ui)]);
  if (outcome !== 0) throw new DemoError(`houba up ended with exit code ${outcome}`);
}

/** The reference policies name docker.io; with a local upstream houba gets a copy that names that one instead. */
function renderPolicies(facts) {
  const reference = join(ROOT, 'examples', 'reference');
  if (facts.upstream !== 'local') return reference;
  const folder = join(STATE, 'policies');
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(reference)) {
    const text = readFileSync(join(reference, name), 'utf8')
      .replace('registry: docker.io', `registry: ${host(facts, 'DEMO_UPSTREAM_PORT')}`)
      .replace('../../docs/', `${ROOT}/docs/`);
    writeFileSync(join(folder, name), text);
  }
  console.log(`\nPolicies: examples/reference with docker.io replaced by the local upstream, in ${folder}`);
  return folder;
}

/** Runs houba with the demo's settings and none of the caller's. Returns its exit code. */
function houba(facts, args) {
  const foreign = /^(HOUBA_|TEMPORAL_)/;
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !foreign.test(name)));
  const plain = (variable) => ({ host: host(facts, variable), tls_verify: false });
  const upstream = facts.upstream === 'local' ? { upstream: plain('DEMO_UPSTREAM_PORT') } : {};
  env.HOUBA_HOME = join(STATE, 'home');
  env.HOUBA_REGISTRIES = JSON.stringify({ main: plain('DEMO_REGISTRY_PORT'), ...upstream });
  const { status } = spawnSync(join(ROOT, 'bin', 'houba'), args, { env, stdio: 'inherit' });
  return status ?? 4;
}

function regctl(...args) {
  const { status, stdout, stderr } = capture('regctl', args);
  if (status !== 0) throw new DemoError(`regctl ${args.join(' ')}: ${stderr.trim()}`);
  return stdout;
}

function capture(name, args) {
  const env = { ...process.env, REGCTL_CONFIG: join(STATE, 'regctl.json') };
  return spawnSync(program(name), args, { env, encoding: 'utf8' });
}

function program(name) {
  const built = join(BIN, name);
  return existsSync(built) ? built : onPath(name);
}

function show(facts) {
  const registry = host(facts, 'DEMO_REGISTRY_PORT');
  const look = (...args) => console.log(`\n$ regctl ${args.join(' ')}\n${regctl(...args).trimEnd()}`);
  step('What regctl reads back');
  look('tag', 'ls', `${registry}/demo/busybox`);
  look('manifest', 'get', `${registry}/demo/busybox:1.37.0`, '--format', '{{jsonPretty .Annotations}}');
  look('artifact', 'list', `${registry}/demo/busybox:1.37.0`);
  look('artifact', 'list', `${registry}/demo/debian:bookworm-slim`);
  step('To look at');
  console.log(`  Temporal UI    http://127.0.0.1:${facts.ports.DEMO_UI_PORT}`);
  console.log(`  destination    http://${registry}/v2/_catalog`);
  if (facts.upstream === 'local')
    console.log(`  upstream       http://${host(facts, 'DEMO_UPSTREAM_PORT')}/v2/_catalog`);
  console.log(`  regctl         REGCTL_CONFIG=${join(STATE, 'regctl.json')} ${program('regctl')}`);
  console.log('\nThe stack stays up. `make demo-run` reconciles again, `make logs` follows it, `make down` ends it.');
}

/** Write requests in the destination registry's log. */
function writes() {
  const log = readFileSync(join(STATE, 'registry.log'), 'utf8');
  return (log.match(/ method=(PUT|POST|PATCH|DELETE) /g) ?? []).length;
}

function runNode(script, ...args) {
  const { status } = spawnSync(process.execPath, [join(ROOT, script), ...args], { stdio: 'inherit' });
  if (status !== 0) throw new DemoError(`${script} failed (see above)`);
}

function step(title) {
  console.log(`\n== ${title}`);
}
