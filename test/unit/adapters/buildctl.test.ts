import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Buildctl, type BuildctlOptions, type BuildRequest, createBuildctl } from '../../../adapters/buildctl.js';
import { digestOf } from '../../../domain/digest.js';
import { type FakeProgram, fakeProgram } from '../../support/fake-program.js';

const never = new AbortController().signal;
const base = digestOf(new Uint8Array([1]));

/** Writes down what the daemon would be given. */
const LOOK = `
const path = require('node:path');
const local = args.find((arg) => arg.startsWith('--local=context='))?.slice('--local=context='.length);
if (local) note('context', Object.fromEntries(fs.readdirSync(local).map((name) => [name, fs.readFileSync(path.join(local, name)).length])));
if (local) note('dockerfile', fs.readFileSync(path.join(local, 'Dockerfile'), 'utf8'));
note('cwd', process.cwd());
note('home', fs.statSync(env.HOME).mode & 0o777);
`;

let folder = '';
let workDir = '';
let request: BuildRequest;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-buildctl-'));
  workDir = join(folder, 'work');
  request = {
    base: { layout: join(folder, 'base'), manifest: base },
    platform: 'linux/arm64',
    dockerfile: 'FROM base\nADD 1-injectCA.tar /\n',
    layers: new Map([['1-injectCA.tar', [{ path: '/a', content: { link: 'b' } }]]]),
    sourceDateEpoch: 1714979289,
    output: join(folder, 'out, put'),
  };
  await mkdir(request.output);
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function fake(
  body: string,
  options: Partial<BuildctlOptions> = {},
): Promise<{ program: FakeProgram; buildctl: Buildctl }> {
  const program = await fakeProgram(folder, 'buildctl', LOOK + body);
  const common = { program: program.path, address: 'unix:///run/b.sock', workDir, environment: { PATH: '/usr/bin' } };
  return { program, buildctl: createBuildctl({ ...common, ...options }) };
}

async function onlyCall(program: FakeProgram) {
  const [call, ...more] = await program.calls();
  if (call === undefined || more.length > 0) throw new Error(`${more.length + 1} calls`);
  return call;
}

describe('a build', () => {
  it('is told everything by arguments and folders, and no registry is among it', async () => {
    const { program, buildctl } = await fake('');
    await buildctl.build(request, never);
    const { args, notes, env } = await onlyCall(program);
    expect(args).toEqual([
      '--addr=unix:///run/b.sock',
      'build',
      '--progress=plain',
      '--frontend=dockerfile.v0',
      `--local=context=${env.HOME}/context`,
      `--local=dockerfile=${env.HOME}/context`,
      '--opt=filename=Dockerfile',
      `--oci-layout=base=${folder}/base`,
      `--opt=context:base=oci-layout://base@${base}`,
      '--opt=platform=linux/arm64',
      '--opt=build-arg:SOURCE_DATE_EPOCH=1714979289',
      '--opt=force-network-mode=none',
      '--opt=attest:provenance=mode=max',
      '--output=type=oci,dest=.,tar=false,rewrite-timestamp=true,oci-mediatypes=true',
    ]);
    expect(notes).toMatchObject({
      cwd: request.output,
      dockerfile: request.dockerfile,
      context: { Dockerfile: request.dockerfile.length, '1-injectCA.tar': 1536 },
      home: 0o700,
    });
  });

  it('gets no credential: a home and a Docker configuration that are empty', async () => {
    const { program, buildctl } = await fake(`note('config', fs.existsSync(env.DOCKER_CONFIG + '/config.json'));`);
    await buildctl.build(request, never);
    const { env, notes } = await onlyCall(program);
    expect(env).toEqual({ PATH: '/usr/bin', HOME: env.DOCKER_CONFIG, DOCKER_CONFIG: expect.stringContaining(workDir) });
    expect(notes.config).toBe(false);
    expect(await readdir(workDir)).toEqual([]);
  });

  it('leaves the address to buildctl when there is none', async () => {
    const { program, buildctl } = await fake('', { address: null });
    await buildctl.build(request, never);
    expect((await onlyCall(program)).args[0]).toBe('build');
  });

  it('shows what BuildKit reports as whole lines, the last one too', async () => {
    const lines: string[] = [];
    const said = `process.stderr.write('#1 load'); setTimeout(() => process.stderr.write(' base\\n\\n#2 ADD\\r\\n#3 end'), 20);`;
    const { buildctl } = await fake(said, { onLine: (line) => lines.push(line) });
    await buildctl.build(request, never);
    expect(lines).toEqual(['#1 load base', '#2 ADD', '#3 end']);
  });

  it('that is cancelled ends the program and leaves no folder', async () => {
    const ready = join(folder, 'ready');
    const { buildctl } = await fake(`fs.mkdirSync(${JSON.stringify(ready)}); setInterval(() => {}, 1000);`);
    const abort = new AbortController();
    const building = buildctl.build(request, abort.signal);
    await expect.poll(() => existsSync(ready)).toBe(true);
    const reason = new Error('cancelled');
    abort.abort(reason);
    await expect(building).rejects.toBe(reason);
    expect(await readdir(workDir)).toEqual([]);
  });

  it('that never ends is ended', async () => {
    const { buildctl } = await fake('setInterval(() => {}, 1000);', { timeoutMs: 200 });
    await expect(buildctl.build(request, never)).rejects.toMatchObject({ code: 'ToolFailed' });
  });
});

describe('what buildctl says becomes a code', () => {
  it.each([
    [
      'error: listing workers for Build: failed to list workers: Unavailable: connection error: desc = "transport: error while dialing: dial unix /run/b.sock: connect: no such file or directory"',
      'BuilderUnavailable',
    ],
    [
      'error: failed to solve: rpc error: code = Unavailable desc = error reading from server: EOF',
      'BuilderUnavailable',
    ],
    ['error: dial tcp 10.0.0.1:1234: connect: connection refused', 'BuilderUnavailable'],
    ['error: failed to solve: failed to read dockerfile: no such file or directory', 'BuildFailed'],
    ['error: failed to solve: write /blobs: no space left on device', 'MachineFailed'],
    ['error: failed to solve: failed to compute cache key: failed to copy: unsupported offset', 'ToolFailed'],
    ['error: something else', 'ToolFailed'],
  ])('%s: %s', async (said, code) => {
    const { buildctl } = await fake(`process.stderr.write(${JSON.stringify(said)}); process.exitCode = 1;`);
    await expect(buildctl.build(request, never)).rejects.toMatchObject({ code });
    expect(await readdir(workDir)).toEqual([]);
  });

  it('and what went wrong is told without what went well before', async () => {
    const said = '#1 [internal] load build definition\n#1 DONE 0.0s\nerror: failed to solve: no such file';
    const { buildctl } = await fake(`process.stderr.write(${JSON.stringify(said)}); process.exitCode = 1;`);
    await expect(buildctl.build(request, never)).rejects.toMatchObject({
      message: 'BuildKit could not build the image: failed to solve: no such file',
    });
  });

  it('but half a base that the daemon cannot use is cleaned up, and the build made again, once', async () => {
    const cut = `if (args.includes('build')) { process.stderr.write('error: unsupported offset'); process.exitCode = 1; }`;
    const { program, buildctl } = await fake(cut);
    await expect(buildctl.build(request, never)).rejects.toMatchObject({ code: 'ToolFailed' });
    expect((await program.calls()).map((call) => call.args[1])).toEqual(['build', 'prune', 'build']);
  });

  it('and an unreachable daemon has its address and a hint', async () => {
    const { buildctl } = await fake(`process.stderr.write('connection refused'); process.exitCode = 1;`);
    await expect(buildctl.ping()).rejects.toMatchObject({
      code: 'BuilderUnavailable',
      message: expect.stringContaining('unix:///run/b.sock'),
      hint: expect.stringContaining('BUILDKIT_HOST'),
    });
  });
});
