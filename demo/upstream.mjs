// Fills the demo's upstream registry with real images that need no internet but a Debian mirror: two busybox versions
// as Debian released them, a Debian root file system, and one static program with nothing around it.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { onPath } from '../tools/system.mjs';
import { DemoError } from './processes.mjs';

/** Names in tools/system.mjs. */
export const needsOfUpstream = ['mmdebstrap'];

/** Debian's own words for what a root file system holds. */
const BUSYBOX = { variant: 'extract', packages: ['busybox-static'] };
const DEBIAN = { variant: 'minbase', packages: ['ca-certificates', 'tzdata'] };
/** As in Debian's slim images. Nothing of it has to outlive a crash, so that dpkg need not wait for the disk. */
const SLIM = [
  '--dpkgopt=force-unsafe-io',
  ...['doc', 'man', 'info', 'locale'].map((folder) => `--dpkgopt=path-exclude=/usr/share/${folder}/*`),
];
const HELLO = JSON.stringify(['/busybox', 'echo', 'Hello from an image that holds one file.']);
/**
 * Each Debian release froze one busybox; `moving` are tags beside it that the reference policy must not select. `only` is the
 * one file of the root file system that goes in, at the top.
 */
const IMAGES = [
  { repository: 'library/debian', tag: 'bookworm-slim', suite: 'bookworm', holds: DEBIAN, moving: ['bookworm'] },
  { repository: 'library/busybox', tag: '1.35.0', suite: 'bookworm', holds: BUSYBOX },
  { repository: 'library/busybox', tag: '1.37.0', suite: 'trixie', holds: BUSYBOX, moving: ['latest', '1.37.0-rc'] },
  {
    repository: 'library/hello-world',
    tag: 'linux',
    suite: 'trixie',
    holds: BUSYBOX,
    only: 'usr/bin/busybox',
    config: ['--config-entrypoint', HELLO],
  },
];
/** Node's word for the machine's processor, in that of container images. */
const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };

/** The platform of this machine, and so of the images made here. */
export const PLATFORM = `linux/${ARCHITECTURES[process.arch] ?? process.arch}`;

/**
 * Begins with the root file systems that are not in `cache` yet; they stay there, so that a second demo is quick.
 * @param signal ends it halfway
 * @returns by path, when each is there
 */
export function makeRootFileSystems(cache, signal) {
  mkdirSync(cache, { recursive: true });
  const mirrors = debianMirrors();
  const made = new Map();
  // All at once: each waits for the mirror most of the time.
  for (const { suite, holds } of IMAGES) {
    const path = rootFileSystem(cache, suite, holds);
    if (!made.has(path))
      made.set(path, existsSync(path) ? Promise.resolve() : bootstrap(path, suite, holds, mirrors, signal));
  }
  return made;
}

/**
 * Pushes what is not there yet, each image as soon as its root file system is made.
 * @param regctl runs regctl with the given arguments, resolves with its output, or rejects
 * @param host the upstream registry, `127.0.0.1:15001`
 * @param made as `makeRootFileSystems` returns
 */
export async function fillUpstream({ regctl, host, cache, made }) {
  await Promise.all(IMAGES.map((image) => pushImage({ regctl, host, cache, made }, image)));
}

async function pushImage(
  { regctl, host, cache, made },
  { repository, tag, suite, holds, only, config = [], moving = [] },
) {
  const image = `${host}/${repository}:${tag}`;
  if (await present(regctl, `${host}/${repository}`, tag)) return;
  const files = rootFileSystem(cache, suite, holds);
  await made.get(files);
  const layer = only === undefined ? files : oneFile(files, only);
  // The tag appears with its layer: an image without one must not look finished to a second attempt.
  const scratch = `${image}-scratch`;
  await regctl('image', 'create', scratch, '--platform', PLATFORM, '--created', 'now');
  const added = `tar=${layer},platform=${PLATFORM}`;
  await regctl('image', 'mod', scratch, '--create', image, '--layer-add', added, ...config);
  await regctl('tag', 'delete', scratch);
  for (const name of moving) await regctl('image', 'copy', image, `${host}/${repository}:${name}`);
  console.log(`  ${[image, ...moving].join(', ')}`);
}

async function present(regctl, repository, tag) {
  try {
    return (await regctl('tag', 'ls', repository)).split('\n').includes(tag);
  } catch {
    // The registry does not know the repository before its first push.
    return false;
  }
}

function rootFileSystem(cache, suite, { variant, packages }) {
  return join(cache, `${suite}-${variant}-${packages.join('-')}.tar`);
}

async function bootstrap(path, suite, { variant, packages }, mirrors, signal) {
  const options = [`--variant=${variant}`, `--include=${packages.join(',')}`];
  console.log(`  mmdebstrap ${options.join(' ')} ${suite}`);
  const temporary = `${path}.new`;
  const making = ['--quiet', '--format=tar', ...options, ...SLIM, suite, temporary, ...mirrors];
  // The demo waits for the large one: it comes before all else.
  const priority = variant === DEBIAN.variant ? '0' : '10';
  const child = spawn('nice', ['-n', priority, 'mmdebstrap', ...making], {
    stdio: ['ignore', 'ignore', 'pipe'],
    signal,
  });
  let words = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    words += text;
  });
  try {
    const [status] = await once(child, 'close');
    if (status !== 0) throw new Error(words.trim().split('\n').slice(-5).join('\n'));
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw new DemoError(`mmdebstrap could not make ${suite}: ${error.message}`);
  }
}

/** A tar with one file of another, without the folders it lies in. */
function oneFile(files, path) {
  const one = files.replace(/\.tar$/, `-only-${basename(path)}.tar`);
  if (existsSync(one)) return one;
  const folder = mkdtempSync(`${one}.`);
  try {
    tar('-xf', files, '-C', folder, `./${path}`);
    tar('-cf', `${one}.new`, '-C', join(folder, dirname(path)), basename(path));
    renameSync(`${one}.new`, one);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return one;
}

function tar(...args) {
  const { status, stderr } = spawnSync('tar', args, { encoding: 'utf8' });
  if (status !== 0) throw new DemoError(`tar ${args.join(' ')}: ${stderr?.trim()}`);
}

/** The mirror of Debian's main archive that this machine's apt uses, if it is not the one that mmdebstrap takes anyway. */
function debianMirrors() {
  if (!onPath('apt-get')) return [];
  const query = ['indextargets', '--format', '$(SITE)', 'Created-By: Packages', 'Origin: Debian', 'Label: Debian'];
  const site = spawnSync('apt-get', query, { encoding: 'utf8' }).stdout?.split('\n')[0];
  return site && !/^https?:\/\/deb\.debian\.org\/debian\/?$/.test(site) ? [site] : [];
}
