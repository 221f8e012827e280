// Fills the demo's upstream registry with real images that need no internet but a Debian mirror: three busybox versions
// as Debian released them, and a Debian root file system.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { onPath } from '../tools/system.mjs';
import { DemoError } from './processes.mjs';

/** Names in tools/system.mjs. */
export const needsOfUpstream = ['mmdebstrap'];

const BUSYBOX = ['--variant=extract', '--include=busybox-static'];
/** Each Debian release froze one busybox; `moving` are tags beside it that the reference policy must not select. */
const IMAGES = [
  { repository: 'library/busybox', tag: '1.30.1', suite: 'bullseye', options: BUSYBOX, moving: [] },
  { repository: 'library/busybox', tag: '1.35.0', suite: 'bookworm', options: BUSYBOX, moving: [] },
  { repository: 'library/busybox', tag: '1.37.0', suite: 'trixie', options: BUSYBOX, moving: ['latest', '1.37.0-rc'] },
  {
    repository: 'library/debian',
    tag: 'bookworm-slim',
    suite: 'bookworm',
    options: ['--variant=minbase'],
    moving: ['bookworm'],
  },
];
/** Node's word for the machine's processor, in that of container images. */
const ARCHITECTURES = { x64: 'amd64', arm64: 'arm64' };

/**
 * Pushes what is not there yet. Root file systems are kept in `cache`, so that a second demo is quick.
 * @param regctl runs regctl with the given arguments and returns its output, or throws
 * @param host the upstream registry, `127.0.0.1:15001`
 */
export function fillUpstream({ regctl, host, cache }) {
  const platform = `linux/${ARCHITECTURES[process.arch] ?? process.arch}`;
  mkdirSync(cache, { recursive: true });
  for (const { repository, tag, suite, options, moving } of IMAGES) {
    const image = `${host}/${repository}:${tag}`;
    if (present(regctl, `${host}/${repository}`, tag)) continue;
    const layer = rootFileSystem(join(cache, `${repository.replace('/', '-')}-${suite}.tar`), suite, options);
    // The tag appears with its layer: an image without one must not look finished to a second attempt.
    const scratch = `${host}/${repository}:scratch`;
    regctl('image', 'create', scratch, '--platform', platform, '--created', 'now');
    regctl('image', 'mod', scratch, '--create', image, '--layer-add', `tar=${layer},platform=${platform}`);
    regctl('tag', 'delete', scratch);
    for (const name of moving) regctl('image', 'copy', image, `${host}/${repository}:${name}`);
    console.log(`  ${[image, ...moving].join(', ')}`);
  }
}

function present(regctl, repository, tag) {
  try {
    return regctl('tag', 'ls', repository).split('\n').includes(tag);
  } catch {
    // The registry does not know the repository before its first push.
    return false;
  }
}

function rootFileSystem(path, suite, options) {
  if (existsSync(path)) return path;
  console.log(`  mmdebstrap ${options.join(' ')} ${suite}`);
  const temporary = `${path}.new`;
  const { status, stderr } = spawnSync(
    'mmdebstrap',
    ['--quiet', '--format=tar', ...options, suite, temporary, ...mirrors()],
    {
      encoding: 'utf8',
    },
  );
  if (status !== 0) {
    rmSync(temporary, { force: true });
    throw new DemoError(`mmdebstrap could not make ${suite}: ${stderr.trim().split('\n').slice(-5).join('\n')}`);
  }
  renameSync(temporary, path);
  return path;
}

/** The mirror of Debian's main archive that this machine's apt uses, if it is not the one that mmdebstrap takes anyway. */
function mirrors() {
  if (!onPath('apt-get')) return [];
  const query = ['indextargets', '--format', '$(SITE)', 'Created-By: Packages', 'Origin: Debian', 'Label: Debian'];
  const site = spawnSync('apt-get', query, { encoding: 'utf8' }).stdout?.split('\n')[0];
  return site && !/^https?:\/\/deb\.debian\.org\/debian\/?$/.test(site) ? [site] : [];
}
