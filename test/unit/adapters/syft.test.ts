import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CredentialSource, RegistryAccess } from '../../../adapters/credentials.js';
import { createSyft, type Syft } from '../../../adapters/syft.js';
import { digestOf } from '../../../domain/digest.js';
import type { Repository } from '../../../domain/reference.js';
import { type FakeProgram, fakeProgram } from '../../support/fake-program.js';

const PASSWORD = 'correct-horse-battery';
const digest = digestOf(new TextEncoder().encode('an image'));
const repository: Repository = { host: 'r.example:5000', path: 'cache/redis' };

/** Writes down its configuration as it was found. */
const LOOK = `
const path = require('node:path');
const file = args[args.indexOf('-c') + 1];
if (args[0] === 'scan') {
  note('config', JSON.parse(fs.readFileSync(file, 'utf8')));
  note('docker', JSON.parse(fs.readFileSync(path.join(env.DOCKER_CONFIG, 'config.json'), 'utf8')));
  note('files', fs.readdirSync(env.HOME, { withFileTypes: true }).filter((entry) => entry.isFile()));
  note('folderMode', (fs.statSync(env.HOME).mode & 0o777).toString(8));
}
`;
const WRITE = `for (const arg of args) { const [format, out] = arg.split('='); if (out) fs.writeFileSync(out, '{"is":"' + format + '"}'); }`;

let folder = '';
let workDir = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-syft-'));
  workDir = join(folder, 'work');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const entry: RegistryAccess = {
  name: 'main',
  host: 'r.example:5000',
  namespace: null,
  tlsVerify: true,
  deletionMode: null,
  sourceOnly: false,
  username: 'robot',
  password: PASSWORD,
  caCert: '/etc/ca.pem',
};
const basic: CredentialSource = { credentialsFor: async () => ({ username: 'robot', password: PASSWORD }) };

async function fake(
  body: string,
  more: { entry?: RegistryAccess; credentials?: CredentialSource } = {},
): Promise<{ program: FakeProgram; syft: Syft }> {
  const program = await fakeProgram(folder, 'syft', LOOK + body);
  const syft = createSyft({
    program: program.path,
    access: new Map([['main', more.entry ?? entry]]),
    credentials: more.credentials ?? basic,
    workDir,
    environment: { PATH: '/usr/bin', HOME: '/home/someone' },
    mostDisk: 1024 ** 3,
  });
  return { program, syft };
}

describe('a scan', () => {
  it('is one for all formats, of the digest, and answers with the documents', async () => {
    const { program, syft } = await fake(WRITE);
    const documents = await syft.scan(repository, digest, ['spdx-json', 'cyclonedx-json']);
    expect([...documents].map(([format, bytes]) => [format, Buffer.from(bytes).toString()])).toEqual([
      ['spdx-json', '{"is":"spdx-json"}'],
      ['cyclonedx-json', '{"is":"cyclonedx-json"}'],
    ]);
    const [call, ...more] = await program.calls();
    expect(more).toEqual([]);
    expect(call?.args).toEqual([
      ...['scan', `registry:r.example:5000/cache/redis@${digest}`, '-c', expect.stringContaining(workDir)],
      ...['-o', expect.stringMatching(/^spdx-json=/), '-o', expect.stringMatching(/^cyclonedx-json=/)],
    ]);
  });

  it('has a configuration with this registry alone, and no file has it, neither then nor afterwards', async () => {
    const { program, syft } = await fake(WRITE);
    await syft.scan(repository, digest, ['spdx-json']);
    const [call] = await program.calls();
    expect(call?.notes).toEqual({
      config: {
        'check-for-app-update': false,
        log: { level: 'error' },
        registry: {
          'insecure-use-http': false,
          'insecure-skip-tls-verify': false,
          'ca-cert': '/etc/ca.pem',
          auth: [{ authority: 'r.example:5000', username: 'robot', password: PASSWORD }],
        },
      },
      docker: { auths: {} },
      files: [],
      folderMode: '700',
    });
    expect(JSON.stringify([call?.args, call?.env])).not.toContain('horse');
    for (const name of ['HOME', 'TMPDIR', 'DOCKER_CONFIG']) expect(call?.env[name]).toContain(workDir);
    expect(await readdir(workDir)).toEqual([]);
  });

  it('talks plain HTTP where the roster says so, and takes an identity token', async () => {
    const { program, syft } = await fake(WRITE, {
      entry: { ...entry, tlsVerify: false, caCert: null },
      credentials: { credentialsFor: async () => ({ identityToken: 'refresh' }) },
    });
    await syft.scan(repository, digest, ['spdx-json']);
    const [call] = await program.calls();
    expect(call?.notes).toMatchObject({
      config: { registry: { 'insecure-use-http': true, 'insecure-skip-tls-verify': true, auth: [] } },
      docker: { auths: { 'r.example:5000': { identitytoken: 'refresh' } } },
    });
  });

  it('knows Docker Hub by the name that syft uses', async () => {
    const { program, syft } = await fake(WRITE);
    await syft.scan({ host: 'docker.io', path: 'acme/redis' }, digest, ['spdx-json']);
    const [call] = await program.calls();
    expect(call?.notes.config).toMatchObject({ registry: { auth: [{ authority: 'index.docker.io' }] } });
  });

  it('without a document is a failure', async () => {
    const { syft } = await fake('');
    await expect(syft.scan(repository, digest, ['spdx-json'])).rejects.toMatchObject({
      code: 'ToolFailed',
      message: expect.stringContaining('no spdx-json document'),
    });
  });

  it.each([
    ['GET http://r/v2/a/manifests/x: MANIFEST_UNKNOWN: manifest unknown', 'NotFound'],
    ['GET http://r/v2/a/manifests/x: UNAUTHORIZED: authentication required', 'Unauthorized'],
    ['GET http://r/v2/a/manifests/x: DENIED: no', 'Denied'],
    ['GET http://r/v2/a/manifests/x: TOOMANYREQUESTS: slow down', 'RateLimited'],
    ['Get "https://r/v2/": dial tcp 127.0.0.1:5999: connect: connection refused', 'RegistryUnavailable'],
    ['unable to open the image', 'ToolFailed'],
  ])('that ends with %s fails as %s, without a credential', async (said, code) => {
    const { syft } = await fake(
      `process.stderr.write(${JSON.stringify(`${said} ${PASSWORD}`)}); process.exitCode = 1;`,
    );
    const error = await syft.scan(repository, digest, ['spdx-json']).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code });
    expect(String(error)).not.toContain('horse');
    expect(await readdir(workDir)).toEqual([]);
  });

  it('that is limited names the registry', async () => {
    const { syft } = await fake(`process.stderr.write('TOOMANYREQUESTS'); process.exitCode = 1;`);
    await expect(syft.scan(repository, digest, ['spdx-json'])).rejects.toMatchObject({
      message: expect.stringMatching(new RegExp(`^${repository.host} limits requests`)),
      facts: { registry: repository.host },
    });
  });
});

describe('the version', () => {
  it('is asked once', async () => {
    const { program, syft } = await fake(`console.log(JSON.stringify({ version: '1.54.0' }));`);
    expect([await syft.version(), await syft.version()]).toEqual(['1.54.0', '1.54.0']);
    expect(await program.calls()).toHaveLength(1);
  });

  it('is what syft says', async () => {
    const { syft } = await fake(`console.log(JSON.stringify({ version: '1.54.0' }));`);
    expect(await syft.version()).toBe('1.54.0');
  });

  it.each(['process.exitCode = 1;', `console.log('not json');`])('is null when it does not say: %s', async (body) => {
    expect(await (await fake(body)).syft.version()).toBeNull();
  });
});
