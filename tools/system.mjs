// What the machine's own packages must bring. `node tools/system.mjs NAME…` installs what is missing on Debian when
// it may (root, or sudo that asks nothing), and otherwise says what to install; `missing` only looks.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGES = {
  java: { debian: 'default-jre-headless', why: 'runs the time-skipping Temporal test server' },
  mvn: { debian: 'maven', why: 'fetches that server, and the order of Maven, from Maven Central' },
  mmdebstrap: { debian: 'mmdebstrap', why: 'makes the real Debian images of the demo' },
  openssl: { debian: 'openssl', why: 'makes the throw-away certificate authority of the demo' },
  rpm: { debian: 'rpm', why: "has RPM's order of versions, which a test compares with houba's" },
  'python3-packaging': {
    debian: 'python3-packaging',
    why: "has PyPI's order of versions, which a test compares with houba's",
    // A module, no program.
    there: () => ['python3', '/usr/bin/python3'].some(hasPackaging),
  },
  runc: { debian: 'runc', why: 'lets buildkitd run build steps' },
};

function hasPackaging(python) {
  return spawnSync(python, ['-c', 'import packaging.version'], { stdio: 'ignore' }).status === 0;
}

function isThere(name) {
  const { there = () => onPath(name) } = PACKAGES[name];
  return there();
}

/** The path of a program: on PATH, or where Debian keeps those of the superuser; undefined if there is none. */
export function onPath(name) {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin']) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      if (folder) return path;
    } catch {}
  }
}

/** Sentences, one for each of `names` that is not there, saying what to install. */
export function missing(names) {
  return names
    .filter((name) => !isThere(name))
    .map((name) => {
      const { debian, why } = PACKAGES[name];
      return `${name} is missing (it ${why}): on Debian run \`apt-get install ${debian}\``;
    });
}

function install(names) {
  const wanted = names.filter((name) => !isThere(name));
  if (wanted.length === 0) return;
  const sudo = process.getuid?.() === 0 ? [] : ['sudo', '-n'];
  const may = onPath('apt-get') && (sudo.length === 0 || spawnSync('sudo', ['-n', 'true']).status === 0);
  if (!may) fail(names);
  console.error('Installing Debian packages:');
  for (const name of wanted) console.error(`  ${PACKAGES[name].debian}: ${PACKAGES[name].why}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const apt = (...args) => {
    const [program, ...rest] = [...sudo, 'apt-get', '-qq', ...args];
    // apt's chatter goes to stderr, so that a caller's stdout stays its own.
    return spawnSync(program, rest, { env, stdio: ['ignore', 2, 2] }).status === 0;
  };
  const packages = wanted.map((name) => PACKAGES[name].debian);
  const done = apt('update') && apt('install', '-y', '--no-install-recommends', ...packages);
  if (!done) fail(names);
}

function fail(names) {
  for (const sentence of missing(names)) console.error(`error: ${sentence}`);
  process.exit(3);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) install(process.argv.slice(2));
