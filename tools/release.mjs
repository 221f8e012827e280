// Fetches the files that the projects themselves release, each pinned by its SHA-256 in programs.json.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { chmod, mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import pLimit from 'p-limit';
import { extract } from 'tar-stream';
import { PROGRAMS, SetupError } from './programs.mjs';

/** Where the projects release: their paths in programs.json continue this address. `none` takes no release file. */
export const MIRROR = (process.env.HOUBA_TOOLS_MIRROR || 'https://github.com').replace(/\/+$/, '');
const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };
/** This machine, as programs.json names it: `linux-amd64`. */
export const PLATFORM = `${process.platform}-${ARCHITECTURES[process.arch] ?? process.arch}`;
/** A machine without internet is to notice at once; a line that is merely slow answers a HEAD in less. */
const PROBE_MS = 4_000;
/** A download that brings nothing for so long is given up. */
const STALL_MS = 20_000;

/** The file cannot be had, and compiling is the way that is left. */
export class Unavailable extends Error {}

/** The file of a program for a platform: `{ path, sha256 }`, its sum null while it is not known; undefined if there is none. */
export function releaseOf({ release, version }, platform = PLATFORM) {
  const sha256 = release?.sha256[platform];
  if (sha256 === undefined) return;
  const [os, arch] = platform.split('-');
  const path = release.path.replaceAll('{version}', version).replaceAll('{os}', os).replaceAll('{arch}', arch);
  return { path, sha256 };
}

/** Asks the mirror once. @returns why it cannot be used; undefined if it answers, whatever it says */
export async function outOfReach() {
  try {
    await fetch(MIRROR, { method: 'HEAD', redirect: 'manual', signal: AbortSignal.timeout(PROBE_MS) });
  } catch (error) {
    return reason(error);
  }
}

const downloading = pLimit(4);
const arriving = new Map();

/**
 * Puts the program of a release file at `target`.
 * @param folder for what is on its way; two programs of one archive fetch it once
 * @throws Unavailable when the file cannot be had; SetupError when it is not the pinned one
 */
export async function fetchRelease(name, target, folder) {
  const { path, sha256 } = releaseOf(PROGRAMS[name]);
  if (!arriving.has(sha256)) {
    arriving.set(
      sha256,
      downloading(() => download(`${MIRROR}/${path}`, sha256, join(folder, sha256))),
    );
  }
  const file = await arriving.get(sha256);
  await mkdir(dirname(target), { recursive: true });
  if (/\.(tar\.gz|tgz)$/.test(path)) await unpack(file, PROGRAMS[name].release.file, target);
  else await rename(file, target);
  await chmod(target, 0o755);
}

async function download(url, sha256, file) {
  const watch = new AbortController();
  const timer = setTimeout(() => watch.abort(new Error(`nothing came for ${STALL_MS / 1000} s`)), STALL_MS);
  const hash = createHash('sha256');
  async function* hashed(chunks) {
    for await (const chunk of chunks) {
      timer.refresh();
      hash.update(chunk);
      yield chunk;
    }
  }
  try {
    const response = await fetch(url, { signal: watch.signal });
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    await pipeline(response.body, hashed, createWriteStream(file));
  } catch (error) {
    throw new Unavailable(`${url}: ${reason(error)}`);
  } finally {
    clearTimeout(timer);
  }
  const found = hash.digest('hex');
  if (found === sha256) return file;
  throw new SetupError(
    `${url} has the SHA-256 ${found}, and ${sha256} is pinned: it is not what was released, and nothing of it is kept\n` +
      'set HOUBA_TOOLS_MIRROR to another address of the release files, or to none to compile instead',
  );
}

/** Writes the one file of a .tar.gz that is wanted; nothing else of it touches the disk. */
async function unpack(archive, wanted, target) {
  const entries = extract();
  let found = false;
  const pick = async () => {
    for await (const entry of entries) {
      if (entry.header.type === 'file' && entry.header.name.replace(/^\.\//, '') === wanted) {
        await pipeline(entry, createWriteStream(target));
        found = true;
      } else {
        entry.resume();
      }
    }
  };
  await Promise.all([pipeline(createReadStream(archive), createGunzip(), entries), pick()]);
  if (!found) throw new Unavailable(`the release file holds no ${wanted}`);
}

/** fetch says `fetch failed`; what happened is the cause. */
function reason(error) {
  if (error.name === 'TimeoutError') return `no answer in ${PROBE_MS / 1000} s`;
  return error.cause?.code ?? error.cause?.message ?? error.message;
}
