// Puts the pinned outside programs that are asked for into .tools/bin: `node tools/setup.mjs regctl syft …`. A program of
// the pinned version on PATH is used as it is; else one that was made before; else the project's release file; and where
// that cannot be had, the program is compiled.
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { keep, takeCached, workFolder } from './cache.mjs';
import { compile } from './compile.mjs';
import { BIN, isPinned, PROGRAMS, SetupError, TOOLS, versionOf } from './programs.mjs';
import { fetchRelease, MIRROR, outOfReach, PLATFORM, releaseOf, Unavailable } from './release.mjs';
import { missing, onPath } from './system.mjs';

const STAMPS = join(TOOLS, 'stamps');
const LOCK = join(TOOLS, 'lock');
/** What the estimates are made with; they say so. */
const MEGABYTES_PER_SECOND = 6;

async function setup(names) {
  const unknown = names.filter((name) => !Object.hasOwn(PROGRAMS, name));
  if (unknown.length > 0) {
    throw new SetupError(`unknown program ${unknown.join(', ')}; known: ${Object.keys(PROGRAMS).join(', ')}`);
  }
  if (names.every(ready)) return;
  mkdirSync(BIN, { recursive: true });
  mkdirSync(STAMPS, { recursive: true });
  await locked(() => provideAll(names));
}

async function provideAll(names) {
  const todo = names.filter((name) => !ready(name) && !adopt(name));
  const lacking = missing([...new Set(todo.flatMap((name) => PROGRAMS[name].system ?? []))]);
  if (lacking.length > 0) throw new SetupError(lacking.join('\n'));
  const cached = todo.filter(takeCached);
  for (const name of cached) remember(name, join(BIN, name));
  if (cached.length > 0) console.log(`Programs that were made before: ${cached.join(', ')}`);
  const lacked = todo.filter((name) => !cached.includes(name));
  if (lacked.length === 0) return;

  const fetched = await announce(lacked);
  const work = workFolder();
  let done = 0;
  const provide = async (name) => {
    const since = Date.now();
    const way = (fetched.includes(name) && (await fetchOne(name, work))) || (await compileOne(name, work));
    done += 1;
    const seconds = ((Date.now() - since) / 1000).toFixed(1);
    console.log(`  [${done} of ${lacked.length}] ${name} ${PROGRAMS[name].version}: ${way} (${seconds} s)`);
  };
  await Promise.all(lacked.map(provide));
}

/** Says which way each program comes and how long that takes. @returns those that come as release files */
async function announce(names) {
  const released = names.filter((name) => releaseOf(PROGRAMS[name])?.sha256);
  const hindrance = released.length > 0 && MIRROR !== 'none' ? await outOfReach() : undefined;
  const fetched = MIRROR === 'none' || hindrance ? [] : released;
  const compiled = names.filter((name) => !fetched.includes(name));
  if (hindrance) console.log(`${MIRROR} is out of reach (${hindrance}): no release files`);
  if (fetched.length > 0) {
    const files = new Map(fetched.map((name) => [releaseOf(PROGRAMS[name]).path, PROGRAMS[name].release.megabytes]));
    const megabytes = sum([...files.values()]);
    console.log(`Release files from ${MIRROR}: ${fetched.join(', ')}`);
    console.log(`  about ${megabytes} MB, which take ${spoken(megabytes / MEGABYTES_PER_SECOND)} at 50 Mbit/s`);
  }
  const [go, java] = [
    compiled.filter((name) => PROGRAMS[name].module),
    compiled.filter((name) => PROGRAMS[name].maven),
  ];
  if (go.length > 0) {
    const unpinned = go.filter((name) => !released.includes(name));
    const why = unpinned.length > 0 ? `; no release file for ${PLATFORM} is pinned of ${unpinned.join(', ')}` : '';
    const seconds = sum(go.map((name) => PROGRAMS[name].compileSeconds));
    console.log(`Compiled from source: ${go.join(', ')}${why}`);
    console.log(`  about ${spoken(seconds)} on two idle cores (this machine has ${availableParallelism()})`);
  }
  if (java.length > 0) console.log(`From Maven Central: ${java.join(', ')}`);
  return fetched;
}

/** @returns how the program came; undefined when it is to be compiled after all */
async function fetchOne(name, work) {
  const folder = join(work, `${name}.fetched`);
  try {
    await fetchRelease(name, join(folder, 'bin', name), work);
    accept(name, folder, Unavailable);
    return 'release file';
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    console.log(`  ${name}: compiling instead, because ${error.message}`);
  }
}

async function compileOne(name, work) {
  const folder = join(work, `${name}.compiled`);
  await compile(name, folder);
  accept(name, folder, SetupError);
  return PROGRAMS[name].module ? 'compiled' : 'from Maven';
}

/** What does not say the pinned version is not installed, whichever way it came. */
function accept(name, folder, Complaint) {
  const program = join(folder, 'bin', name);
  if (!isPinned(name, program)) {
    const said = versionOf(name, program) ?? 'no version';
    throw new Complaint(`${name} is pinned to ${PROGRAMS[name].version}, and what came says ${said}`);
  }
  keep(name, folder);
  remember(name, join(BIN, name));
}

/** Takes a program that is already on PATH, or in .tools/bin, if it says the pinned version. */
function adopt(name) {
  if (!PROGRAMS[name].versionArgs) return false;
  const path = [join(BIN, name), onPath(name)].find((candidate) => candidate && isPinned(name, candidate));
  if (path) remember(name, path);
  return path !== undefined;
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

function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0);
}

function spoken(seconds) {
  return seconds < 60 ? `${Math.max(1, Math.ceil(seconds / 10)) * 10} s` : `${Math.ceil(seconds / 60)} min`;
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
    if (!told) console.log('Another set-up is at work here; waiting for it');
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

try {
  await setup(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  for (const line of error.message.split('\n')) console.error(`error: ${line}`);
  process.exit(3);
}
