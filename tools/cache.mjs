// Programs that are ready, kept for every checkout of this user: one folder for each pin, so that moving a pin makes one
// program anew. Folders appear by a rename, whole or not at all; what is being made lies in a work folder beside them.
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { BIN, isPinned, PROGRAMS, TOOLS } from './programs.mjs';
import { PLATFORM } from './release.mjs';

const DAY_MS = 24 * 60 * 60 * 1000;
const CACHE = writable(join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'houba-tools'));

/** Puts a program that was made before, by whichever checkout, into .tools. @returns whether there was one */
export function takeCached(name) {
  const kept = keptAt(name);
  if (!existsSync(kept)) return false;
  if (isPinned(name, join(kept, 'bin', name))) {
    place(name, kept);
    return true;
  }
  rmSync(kept, { recursive: true, force: true });
  return false;
}

/** Keeps what was made in `folder`, and puts it into .tools. Another set-up may have kept the same program meanwhile. */
export function keep(name, folder) {
  const kept = keptAt(name);
  try {
    renameSync(folder, kept);
  } catch (error) {
    if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
  }
  place(name, kept);
}

/** A folder to make programs in; it goes with this process, or, should that be killed, with a set-up a day later. */
export function workFolder() {
  for (const name of readdirSync(CACHE).filter((entry) => entry.startsWith('work-'))) {
    const path = join(CACHE, name);
    if (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) > DAY_MS) remove(path);
  }
  const folder = mkdtempSync(join(CACHE, 'work-'));
  process.once('exit', () => remove(folder));
  return folder;
}

function keptAt(name) {
  const key = createHash('sha256')
    .update(JSON.stringify([PLATFORM, PROGRAMS[name]]))
    .digest('hex');
  return join(CACHE, `${name}-${key.slice(0, 16)}`);
}

function place(name, kept) {
  const beside = join(TOOLS, name);
  remove(beside);
  if (existsSync(join(kept, name))) {
    mkdirSync(beside);
    for (const file of readdirSync(join(kept, name))) link(join(kept, name, file), join(beside, file));
  }
  link(join(kept, 'bin', name), join(BIN, name));
}

function link(from, to) {
  const temporary = `${to}.${process.pid}.new`;
  rmSync(temporary, { force: true });
  try {
    linkSync(from, temporary);
  } catch {
    // Another file system, or one without links.
    copyFileSync(from, temporary);
  }
  renameSync(temporary, to);
}

function remove(folder) {
  rmSync(folder, { recursive: true, force: true });
}

/** The user's folder, or one in this checkout where the user has none to write to. */
function writable(folder) {
  try {
    mkdirSync(folder, { recursive: true });
    rmSync(mkdtempSync(join(folder, 'work-')), { recursive: true });
    return folder;
  } catch {
    const own = join(TOOLS, 'cache');
    mkdirSync(own, { recursive: true });
    return own;
  }
}
