// Compares houba with regsync (and skopeo) in one run, on registries of its own: `node bench/run.mjs --help`.
// docs/performance.md tells what is measured and how.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programPath } from '../dist/config/programs.js';
import { startCounter } from './counter.mjs';
import { fillCopied, fillPlaced, fillPlain, tagOf } from './fill.mjs';
import { policyName, startStack, writePolicies } from './houba.mjs';
import { makeImage } from './images.mjs';
import { describeMachine, endTimed, median, memoryOf, resetPeak, timed } from './measure.mjs';
import { readOptions } from './options.mjs';
import { bareSyft, regsyncOnce, skopeoSync, writeRegsyncConfig } from './others.mjs';
import { startRegistry } from './registry.mjs';
import { methods, ratio, renderTable, seconds, verdicts } from './report.mjs';

const options = readOptions(process.argv.slice(2));
const folder = mkdtempSync(join(tmpdir(), 'houba-bench-'));
/** What must end with this run, the latest first. */
const running = [];

async function main() {
  const programs = await findPrograms();
  const machine = { ...describeMachine(), programs: programs.versions };
  print(
    `${machine.cpu}, ${machine.cores} cores, ${machine.memoryGiB} GiB, ${machine.system}, Node ${machine.node}, load ${machine.load}`,
  );
  print(
    Object.entries(programs.versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
  );
  const figures = { machine, tags: options.tags, images: options.images, quick: options.quick };
  if (options.parts.includes('idle')) figures.idle = await measureIdle(programs);
  if (options.parts.includes('first')) figures.first = await measureFirst(programs);
  const checks = verdicts(figures);
  print(`\n${renderTable([['limit', 'here', 'at most', ''], ...checks.map(verdictRow)])}`);
  if (options.json !== null) writeFileSync(options.json, `${JSON.stringify({ ...figures, checks }, null, 2)}\n`);
  if (options.quick) print('\n--quick: these figures mean nothing.');
}

function verdictRow({ what, value, limit, ok }) {
  return [what, value, limit, ok ? 'kept' : 'MISSED'];
}

/** Everything is in place already: what does it cost to find that out? */
async function measureIdle(programs) {
  const [upstream, placed, copied] = [await registry(programs), await registry(programs), await registry(programs)];
  const repositories = Array.from({ length: options.repositories }, (_, number) => `bench/r${number}`);
  await telling(`filling three registries with ${repositories.length} x ${options.tags} images`, async () => {
    await fillPlain(upstream.host, repositories[0], 1);
    const sbom = await sampleSbom(programs, upstream.host, repositories[0]);
    for (const repository of repositories) {
      await Promise.all([
        fillPlain(upstream.host, repository, options.tags),
        fillCopied(copied.host, repository, options.tags, sbom),
        fillPlaced(placed.host, repository, options.tags, sbom, upstream.host, policyName(repository)),
      ]);
    }
  });
  const stack = await stackFor('idle', upstream.host, placed.host);
  const idle = memoryOf(stack.pid)?.now ?? null;
  const results = [];
  for (const some of [repositories.slice(0, 1), repositories]) {
    const policies = writePolicies(join(folder, `policies-${some.length}`), upstream.host, some);
    const config = writeRegsyncConfig(folder, upstream.host, copied.host, some);
    const skopeo = () => skopeoSync(programs.skopeo, folder, upstream.host, copied.host, some);
    await telling(`warming up on ${some.length} x ${options.tags}`, async () => {
      requireIdle(await stack.reconcile(policies), some);
      await regsyncOnce(programs.regsync, config);
      if (programs.skopeo !== null && some.length === 1) await skopeo();
    });
    resetPeak(stack.pid);
    const since = new Date();
    const times = { houba: [], regsync: [], skopeo: [] };
    await telling(`measuring ${options.runs} runs on ${some.length} x ${options.tags}`, async () => {
      for (let run = 0; run < options.runs; run += 1) {
        const outcome = await stack.reconcile(policies);
        requireIdle(outcome, some);
        times.houba.push(outcome.seconds);
        times.regsync.push((await regsyncOnce(programs.regsync, config)).seconds);
      }
      if (programs.skopeo !== null) times.skopeo.push((await skopeo()).seconds);
    });
    const peak = memoryOf(stack.pid)?.peak ?? null;
    results.push({
      repositories: some.length,
      houba: summary(times.houba),
      regsync: summary(times.regsync),
      skopeo: times.skopeo.length > 0 ? summary(times.skopeo) : null,
      events: await stack.events(`WorkflowType = 'reconcilePolicy'`, since),
      memory: idle === null ? null : { idle, peak },
      allowed: { ratio: some.length === 1 ? 1.4 : 1.0, requests: allowedRequests(some.length) },
    });
  }
  await stack.stop();
  running.splice(running.indexOf(stack), 1);
  const counted = await countIdle(programs, upstream, placed, copied, repositories);
  for (const [number, result] of results.entries()) {
    result.counted = counted[number];
    printIdle(result);
  }
  await endAll();
  return results;
}

/** A tag list per page (1,000 tags) and side, and one after a round number of tags; two HEADs a tag. */
function allowedRequests(repositories) {
  return repositories * 2 * (Math.ceil(options.tags / 1_000) + 1 + options.tags);
}

/** The same runs once more through counting proxies, with a stack of their own, so that no time is disturbed. */
async function countIdle(programs, upstream, placed, copied, repositories) {
  const counters = [await counterFor(upstream), await counterFor(placed), await counterFor(copied)];
  const [from, to, target] = counters;
  const take = () => sumOf(counters.map((counter) => counter.take()));
  inheritCache('idle', placed.host, 'counting', to.host);
  const stack = await stackFor('counting', from.host, to.host);
  const results = [];
  for (const some of [repositories.slice(0, 1), repositories]) {
    await telling(`counting requests on ${some.length} x ${options.tags}`, async () => {
      const policies = writePolicies(join(folder, `counted-policies-${some.length}`), from.host, some);
      requireIdle(await stack.reconcile(policies), some);
      take();
      requireIdle(await stack.reconcile(policies), some);
      const houba = take();
      await regsyncOnce(programs.regsync, writeRegsyncConfig(folder, from.host, target.host, some));
      results.push({ houba: withAll(houba), regsync: withAll(take()) });
    });
  }
  return results;
}

/** Gives a stack what another one remembers of a registry's digests under its other name: it saves a slow warm-up. */
function inheritCache(name, host, heir, otherHost) {
  const [cache, copy] = [join(folder, name, 'cache'), join(folder, heir, 'cache')];
  mkdirSync(copy, { recursive: true });
  for (const file of readdirSync(cache)) {
    writeFileSync(join(copy, file), readFileSync(join(cache, file), 'utf8').replaceAll(host, otherHost));
  }
}

function requireIdle({ totals }, repositories) {
  const skipped = repositories.length * options.tags;
  const others = Object.entries(totals).filter(([kind, count]) => kind !== 'skipped' && count > 0);
  if (totals.skipped === skipped && others.length === 0) return;
  throw new Error(`${skipped} tags should have been left alone, but: ${JSON.stringify(totals)}`);
}

function printIdle({ repositories, houba, regsync, skopeo, counted, events, memory }) {
  const rows = [
    [`nothing to do, ${repositories} x ${options.tags} tags`, 'time', 'against regsync', 'requests'],
    ['houba', seconds(houba.median), ratio(houba.median, regsync.median), methods(counted.houba.methods)],
    ['regsync once', seconds(regsync.median), '', methods(counted.regsync.methods)],
  ];
  if (skopeo !== null) {
    rows.push(['skopeo sync', seconds(skopeo.median), ratio(skopeo.median, regsync.median), 'not counted']);
  }
  print(`\n${renderTable(rows)}`);
  print(`history events of a policy: ${events.most} at most`);
  if (memory !== null) {
    const mib = (value) => `${Math.round(value)} MiB`;
    print(`memory of the worker: idle ${mib(memory.idle)}, peak ${mib(memory.peak)}`);
  }
}

/** Everything is new: copy, inventory, stamp. */
async function measureFirst(programs) {
  const upstream = await registry(programs);
  const repository = 'bench/first';
  const count = options.images;
  await telling(`filling a registry with ${count} images`, () => fillPlain(upstream.host, repository, count));
  const empty = [await registry(programs), await registry(programs), await registry(programs)];
  const [placed, copied, scoped] = empty;
  const stack = await stackFor('first', upstream.host, placed.host);
  const idle = memoryOf(stack.pid)?.now ?? null;
  resetPeak(stack.pid);
  const policies = writePolicies(join(folder, 'policies-first'), upstream.host, [repository]);
  const since = new Date();
  const outcome = await telling(`houba imports ${count} images`, () => stack.reconcile(policies));
  if (outcome.totals.imported !== count || outcome.totals.failed > 0) {
    throw new Error(`${count} images should have been imported, but: ${JSON.stringify(outcome.totals)}`);
  }
  const peak = memoryOf(stack.pid)?.peak ?? null;
  const events = {
    policy: await stack.events(`WorkflowType = 'reconcilePolicy'`, since),
    placements: await stack.events(`WorkflowType = 'placeImage'`, since),
  };
  const regsync = await telling('regsync copies them', () =>
    regsyncOnce(programs.regsync, writeRegsyncConfig(folder, upstream.host, copied.host, [repository])),
  );
  const skopeo =
    programs.skopeo === null
      ? null
      : await telling('skopeo copies them', () =>
          skopeoSync(programs.skopeo, folder, upstream.host, scoped.host, [repository]),
        );
  const syft = { seconds: 0 };
  await telling(`${count} bare runs of syft, one after another`, async () => {
    for (let number = 0; number < count; number += 1) {
      const { seconds } = await bareSyft(programs.syft, `${upstream.host}/${repository}:${tagOf(number)}`);
      syft.seconds += seconds;
    }
  });
  const result = {
    houba: { seconds: outcome.seconds },
    regsync: { seconds: regsync.seconds },
    skopeo: skopeo === null ? null : { seconds: skopeo.seconds },
    syft,
    events,
    memory: idle === null ? null : { idle, peak },
  };
  printFirst(result);
  await endAll();
  return result;
}

function printFirst({ houba, regsync, skopeo, syft, events, memory }) {
  const row = (name, { seconds: time }) => [
    name,
    seconds(time),
    `${Math.round((time / options.images) * 1000)} ms`,
    ratio(time, syft.seconds),
  ];
  const rows = [
    [`first import of ${options.images} images`, 'time', 'an image', 'against syft'],
    row('houba (copy, SBOM, stamp)', houba),
    row('syft alone, one after another', syft),
    row('regsync once (copy alone)', regsync),
  ];
  if (skopeo !== null) rows.push(row('skopeo sync (copy alone)', skopeo));
  print(`\n${renderTable(rows)}`);
  print(
    `history events: ${events.policy.sum} in ${events.policy.runs} runs of the policy (${events.policy.most} at most), ` +
      `${events.placements.most} at most in a placement`,
  );
  if (memory !== null)
    print(`memory of the worker: idle ${Math.round(memory.idle)} MiB, peak ${Math.round(memory.peak)} MiB`);
}

async function findPrograms() {
  const path = (name) => {
    const found = programPath(name);
    if (found === null) throw new Error(`${name} is missing: \`make bench\` builds it`);
    return found;
  };
  const found = { olareg: path('olareg'), regsync: path('regsync'), syft: path('syft'), skopeo: programPath('skopeo') };
  const version = async (program, args) =>
    /\bv?(\d+\.\d+\.\d+)/.exec((await timed(program, args)).stdout)?.[1] ?? 'unknown';
  return {
    ...found,
    versions: {
      regsync: await version(found.regsync, ['version']),
      syft: await version(found.syft, ['version']),
      olareg: await version(found.olareg, ['version']),
      skopeo: found.skopeo === null ? 'none' : await version(found.skopeo, ['--version']),
    },
  };
}

/** A document that syft makes of the repository's image 0, to be attached to all with their own digests. */
async function sampleSbom(programs, host, repository) {
  const { stdout } = await bareSyft(programs.syft, `${host}/${repository}:${tagOf(0)}`);
  return { text: stdout, digest: makeImage(repository, 0).digest, toolVersion: programs.versions.syft };
}

async function registry(programs) {
  const root = mkdtempSync(join(folder, 'registry-'));
  return remembered(await startRegistry(programs.olareg, root));
}

async function counterFor(registry) {
  return remembered(await startCounter(registry.host));
}

async function stackFor(name, from, to) {
  const home = join(folder, name);
  mkdirSync(home, { recursive: true });
  const profiles = fileURLToPath(new URL('profiles', import.meta.url));
  const nodeArguments = options.profile ? ['--cpu-prof', `--cpu-prof-dir=${profiles}`] : [];
  return remembered(await telling(`starting a stack (${name})`, () => startStack(home, from, to, nodeArguments)));
}

function remembered(thing) {
  running.push(thing);
  return thing;
}

async function endAll() {
  while (running.length > 0) {
    await running
      .pop()
      .stop()
      .catch((error) => print(`could not stop something: ${error.message}`));
  }
}

function summary(times) {
  return { median: median(times), times };
}

function sumOf(counts) {
  const sum = {};
  for (const one of counts) for (const [method, count] of Object.entries(one)) sum[method] = (sum[method] ?? 0) + count;
  return sum;
}

function withAll(counts) {
  return { methods: counts, all: Object.values(counts).reduce((a, b) => a + b, 0) };
}

/** Says on stderr what is going on, and how long it took. */
async function telling(what, work) {
  const began = Date.now();
  process.stderr.write(`${what} ...`);
  const result = await work();
  process.stderr.write(` ${((Date.now() - began) / 1000).toFixed(1)} s\n`);
  return result;
}

function print(line) {
  process.stdout.write(`${line}\n`);
}

let ending;

/** Once, whoever asks: a signal while the last things are being stopped must not remove what they still need. */
function end() {
  ending ??= endAll().then(() => rmSync(folder, { recursive: true, force: true }));
  return ending;
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.once(signal, async () => {
    endTimed();
    await end();
    process.exit(code);
  });
}

try {
  await main();
} catch (error) {
  process.stderr.write(`\nerror: ${error.message}\n`);
  process.exitCode = 1;
} finally {
  await end();
}
