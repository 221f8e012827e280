import { existsSync, mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  ARCH,
  archive,
  type Checkout,
  entries,
  finished,
  Machine,
  OS,
  PLATFORM,
  programSaying,
  ReleaseServer,
  sha256,
} from './checkout.js';

const PLAIN = Buffer.from(programSaying('1.2.3 released'));
const PLAIN_PATH = `/acme/one/releases/download/v1.2.3/one-${PLATFORM}`;
const PACKED_PATH = `/acme/two/releases/download/v2.0.0/two_2.0.0_${OS}_${ARCH}.tar.gz`;

let machine: Machine;
let server: ReleaseServer;
let mirror = '';
let here: Checkout;
beforeEach(async () => {
  machine = new Machine();
  server = new ReleaseServer();
  mirror = await server.start();
  here = machine.checkout('here');
});
afterEach(async () => {
  await server.stop();
  machine.remove();
});

/** A program whose release file is the program itself. */
function one(sum: string | null = sha256(PLAIN)) {
  const release = { path: 'acme/one/releases/download/v{version}/one-{os}-{arch}', megabytes: 12 };
  return goPin('acme.example/one', '1.2.3', { ...release, sha256: { [PLATFORM]: sum } });
}

/** A program in an archive, beside others. */
function two(bytes: Buffer, file: string) {
  const release = { path: 'acme/two/releases/download/v{version}/two_{version}_{os}_{arch}.tar.gz', megabytes: 30 };
  return goPin('acme.example/two', '2.0.0', { ...release, file, sha256: { [PLATFORM]: sha256(bytes) } });
}

function goPin(module: string, version: string, release: object) {
  return { module, package: './cmd', version, versionArgs: [], ldflags: '', compileSeconds: 90, release };
}

function setup(checkout: Checkout, names: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  return checkout.run('setup.mjs', names, { HOUBA_TOOLS_MIRROR: mirror, ...environment });
}

async function says(checkout: Checkout, name: string): Promise<string> {
  return (await finished(checkout.program(name), [], {})).stdout.trim();
}

describe('a release file', () => {
  it('is installed when it has the pinned SHA-256, and says what it takes', async () => {
    here.pin({ one: one() });
    server.serve(PLAIN_PATH, PLAIN);
    const { code, stdout } = await setup(here, ['one']);
    expect({ code, says: await says(here, 'one') }).toEqual({ code: 0, says: 'version 1.2.3 released' });
    expect(stdout).toContain(`Release files from ${mirror}: one\n`);
    expect(stdout).toContain('about 12 MB, which take 10 s at 50 Mbit/s');
    expect(stdout).toContain('[1 of 1] one 1.2.3: release file');
  });

  it('is fetched once for two programs that lie in it', async () => {
    const packed = await archive({
      'README.md': 'x'.repeat(100_000),
      './bin/two': programSaying('2.0.0'),
      'bin/three': programSaying('2.0.0 third'),
    });
    here.pin({ two: two(packed, 'bin/two'), three: two(packed, 'bin/three') });
    server.serve(PACKED_PATH, packed);
    expect((await setup(here, ['two', 'three'])).code).toBe(0);
    expect(await says(here, 'two')).toBe('version 2.0.0');
    expect(await says(here, 'three')).toBe('version 2.0.0 third');
    expect(server.asked).toEqual([PACKED_PATH]);
  });

  it('with another SHA-256 ends the set-up, and nothing of it is kept', async () => {
    await machine.installGo('1.2.3');
    here.pin({ one: one() });
    server.serve(PLAIN_PATH, Buffer.from(programSaying('1.2.3 of somebody else')));
    const { code, stderr } = await setup(here, ['one']);
    expect(code).toBe(3);
    expect(stderr).toContain(`${sha256(PLAIN)} is pinned`);
    expect(stderr).toContain('HOUBA_TOOLS_MIRROR');
    expect([here.installed(), entries(machine.cache)]).toEqual([[], []]);
  });

  it('is never fetched without a pinned SHA-256: the program is compiled', async () => {
    await machine.installGo('1.2.3');
    here.pin({ one: one(null) });
    server.serve(PLAIN_PATH, PLAIN);
    const { code, stdout } = await setup(here, ['one']);
    expect({ code, says: await says(here, 'one') }).toEqual({ code: 0, says: 'version 1.2.3 compiled' });
    expect(stdout).toContain(`Compiled from source: one; no release file for ${PLATFORM} is pinned of one\n`);
    expect(stdout).toContain('about 2 min on two idle cores');
    expect(server.asked).toEqual([]);
  });
});

describe('a release file that cannot be had leads to compiling', () => {
  beforeEach(async () => {
    await machine.installGo('1.2.3');
    here.pin({ one: one() });
  });

  it('when the mirror has none', async () => {
    const { code, stdout } = await setup(here, ['one']);
    expect({ code, says: await says(here, 'one') }).toEqual({ code: 0, says: 'version 1.2.3 compiled' });
    expect(stdout).toContain(`one: compiling instead, because ${mirror}${PLAIN_PATH}: HTTP status 404`);
  });

  it('when nobody listens there', async () => {
    await server.stop();
    const { code, stdout } = await setup(here, ['one']);
    server = new ReleaseServer();
    await server.start();
    expect({ code, says: await says(here, 'one') }).toEqual({ code: 0, says: 'version 1.2.3 compiled' });
    expect(stdout).toContain(`${mirror} is out of reach (ECONNREFUSED): no release files\nCompiled from source: one\n`);
  });

  it('when the connection breaks halfway', async () => {
    server.serve(PLAIN_PATH, (response) => {
      response.writeHead(200, { 'content-length': PLAIN.length });
      response.write(PLAIN.subarray(0, 10), () => response.destroy());
    });
    const { code, stdout } = await setup(here, ['one']);
    expect({ code, says: await says(here, 'one') }).toEqual({ code: 0, says: 'version 1.2.3 compiled' });
    expect(stdout).toContain('one: compiling instead');
  });

  it('when it is another version than its name says', async () => {
    const old = Buffer.from(programSaying('1.2.2'));
    here.pin({ one: one(sha256(old)) });
    server.serve(PLAIN_PATH, old);
    const { code, stdout } = await setup(here, ['one']);
    expect({ code, says: await says(here, 'one') }).toEqual({ code: 0, says: 'version 1.2.3 compiled' });
    expect(stdout).toContain('one is pinned to 1.2.3, and what came says 1.2.2');
  });

  it('when the user wants none', async () => {
    server.serve(PLAIN_PATH, PLAIN);
    const { code } = await setup(here, ['one'], { HOUBA_TOOLS_MIRROR: 'none' });
    expect({ code, says: await says(here, 'one') }).toEqual({ code: 0, says: 'version 1.2.3 compiled' });
    expect(server.asked).toEqual([]);
  });
});

describe('a set-up that fails', () => {
  it('leaves nothing of a broken download where nothing can compile', async () => {
    here.pin({ one: one() });
    server.serve(PLAIN_PATH, (response) => {
      response.writeHead(200, { 'content-length': PLAIN.length });
      response.write(PLAIN.subarray(0, 10), () => response.destroy());
    });
    const { code, stderr } = await setup(here, ['one']);
    expect(code).toBe(3);
    expect(stderr).toContain('go is missing, and one is to be compiled');
    expect([here.installed(), entries(machine.cache)]).toEqual([[], []]);
  });

  it('installs no compiled program of another version', async () => {
    await machine.installGo('1.2.2');
    here.pin({ one: one(null) });
    const { code, stderr } = await setup(here, ['one']);
    expect(code).toBe(3);
    expect(stderr).toContain('one is pinned to 1.2.3, and what came says 1.2.2');
    expect([here.installed(), entries(machine.cache)]).toEqual([[], []]);
  });

  it('names the programs there are when it is asked for another', async () => {
    here.pin({ one: one() });
    const { code, stderr } = await setup(here, ['onne']);
    expect({ code, stderr }).toEqual({
      code: 3,
      stderr: 'error: unknown program onne; known: one, temporal-test-server, comparable-version\n',
    });
  });
});

describe('what was made before', () => {
  it('serves the next checkout, without network and compiler', async () => {
    here.pin({ one: one() });
    server.serve(PLAIN_PATH, PLAIN);
    await setup(here, ['one']);
    const there = machine.checkout('there');
    there.pin({ one: one() });
    const { code, stdout } = await setup(there, ['one'], { HOUBA_TOOLS_MIRROR: 'http://127.0.0.1:9' });
    expect({ code, stdout }).toEqual({ code: 0, stdout: 'Programs that were made before: one\n' });
    expect(await says(there, 'one')).toBe('version 1.2.3 released');
    expect(statSync(there.program('one')).ino).toBe(statSync(here.program('one')).ino);
  });

  it('costs nothing at all in the same checkout', async () => {
    here.pin({ one: one() });
    server.serve(PLAIN_PATH, PLAIN);
    await setup(here, ['one']);
    expect(await setup(here, ['one'])).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('is made anew for the one program whose pin moved', async () => {
    const packed = await archive({ two: programSaying('2.0.0') });
    here.pin({ one: one(), two: two(packed, 'two') });
    server.serve(PLAIN_PATH, PLAIN);
    server.serve(PACKED_PATH, packed);
    await setup(here, ['one', 'two']);
    const newer = Buffer.from(programSaying('1.3.0 released'));
    const moved = { ...one(sha256(newer)), version: '1.3.0' };
    server.serve(PLAIN_PATH.replace('1.2.3', '1.3.0'), newer);
    const there = machine.checkout('there');
    there.pin({ one: moved, two: two(packed, 'two') });
    const { stdout } = await setup(there, ['one', 'two']);
    expect(stdout).toContain('Programs that were made before: two\n');
    expect(await says(there, 'one')).toBe('version 1.3.0 released');
    expect(server.asked).toHaveLength(3);
  });

  it('is made anew when it was damaged', async () => {
    here.pin({ one: one() });
    server.serve(PLAIN_PATH, PLAIN);
    await setup(here, ['one']);
    const [kept] = entries(machine.cache);
    writeFileSync(join(machine.cache, kept ?? '', 'bin', 'one'), '');
    const there = machine.checkout('there');
    there.pin({ one: one() });
    await setup(there, ['one']);
    expect(await says(there, 'one')).toBe('version 1.2.3 released');
    expect(entries(machine.cache)).toEqual([kept]);
  });

  it('is whole after two checkouts made it at once', async () => {
    server.serve(PLAIN_PATH, PLAIN);
    const both = [here, machine.checkout('there')];
    for (const checkout of both) checkout.pin({ one: one() });
    const outcomes = await Promise.all(both.map((checkout) => setup(checkout, ['one'])));
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0]);
    for (const checkout of both) expect(await says(checkout, 'one')).toBe('version 1.2.3 released');
    expect(entries(machine.cache)).toHaveLength(1);
  });

  it('lies in the checkout where the user has no cache folder to write to', async () => {
    here.pin({ one: one() });
    server.serve(PLAIN_PATH, PLAIN);
    writeFileSync(join(machine.folder, 'file'), '');
    const { code } = await setup(here, ['one'], { XDG_CACHE_HOME: join(machine.folder, 'file') });
    expect({ code, says: await says(here, 'one') }).toEqual({ code: 0, says: 'version 1.2.3 released' });
  });

  it('outlives a set-up that was killed, whose rest goes a day later', async () => {
    here.pin({ one: one() });
    server.serve(PLAIN_PATH, PLAIN);
    const [today, longAgo] = ['work-today', 'work-long-ago'].map((name) => join(machine.cache, name)) as [
      string,
      string,
    ];
    for (const folder of [today, longAgo]) mkdirSync(folder, { recursive: true });
    utimesSync(longAgo, 0, 0);
    expect((await setup(here, ['one'])).code).toBe(0);
    expect([existsSync(today), existsSync(longAgo)]).toEqual([true, false]);
  });
});

describe('a program on PATH', () => {
  it('is used as it is when it has the pinned version', async () => {
    mkdirSync(machine.path, { recursive: true });
    writeFileSync(join(machine.path, 'one'), programSaying('1.2.3'), { mode: 0o755 });
    here.pin({ one: one() });
    expect(await setup(here, ['one'])).toEqual({ code: 0, stdout: '', stderr: '' });
    expect([here.installed(), server.asked]).toEqual([[], []]);
  });
});
