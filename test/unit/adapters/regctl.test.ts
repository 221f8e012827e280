import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CredentialSource, RegistryAccess } from '../../../adapters/credentials.js';
import { createRegctl, type Regctl } from '../../../adapters/regctl.js';
import { type Digest, digestOf } from '../../../domain/digest.js';
import type { Repository } from '../../../domain/reference.js';
import { type FakeProgram, fakeProgram } from '../../support/fake-program.js';

const PASSWORD = 'correct-horse-battery';
const bytes = new TextEncoder().encode('{"schemaVersion":2}');
const digest = digestOf(bytes);
const source: Repository = { host: 'docker.io', path: 'library/redis' };
const destination: Repository = { host: 'r.example:5000', path: 'cache/redis' };
const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

/** Writes down its configuration as it was found, and prints what `print` says. */
const LOOK = `
note('config', JSON.parse(fs.readFileSync(env.REGCTL_CONFIG, 'utf8')));
note('files', fs.readdirSync(env.HOME));
note('folderMode', (fs.statSync(env.HOME).mode & 0o777).toString(8));
`;

const TOLD_TO_SAY_WHEN_IT_WAITS = ['--verbosity', 'debug'];

let folder = '';
let workDir = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-regctl-'));
  workDir = join(folder, 'work');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const access: ReadonlyMap<string, RegistryAccess> = new Map([
  [
    'main',
    {
      name: 'main',
      host: 'r.example:5000',
      namespace: null,
      tlsVerify: false,
      deletionMode: null,
      sourceOnly: false,
      username: 'robot',
      password: PASSWORD,
      caCert: null,
    },
  ],
]);

const credentials: CredentialSource = {
  async credentialsFor(host) {
    if (host === 'r.example:5000') return { username: 'robot', password: PASSWORD };
    return host === 'acr.example' ? { identityToken: `refresh-${PASSWORD}` } : null;
  },
};

async function fake(body: string, roster = access): Promise<{ program: FakeProgram; regctl: Regctl }> {
  const program = await fakeProgram(folder, 'regctl', LOOK + body);
  const environment = { PATH: '/usr/bin', HTTPS_PROXY: 'http://proxy:3128' };
  return {
    program,
    regctl: createRegctl({ program: program.path, access: roster, credentials, workDir, environment }),
  };
}

async function onlyCall(program: FakeProgram) {
  const [call, ...more] = await program.calls();
  if (call === undefined || more.length > 0) throw new Error(`${more.length + 1} calls`);
  return call;
}

describe('the configuration of a call', () => {
  it('holds exactly the hosts of the call, and no file has it, neither then nor afterwards', async () => {
    const { program, regctl } = await fake('');
    await regctl.copyImage({ repository: source, digest }, destination);
    const call = await onlyCall(program);
    expect(call.notes).toEqual({
      config: {
        version: 1,
        incDockerCred: false,
        incDockerCert: false,
        hosts: {
          'docker.io': { tls: 'enabled' },
          'r.example:5000': { tls: 'disabled', user: 'robot', pass: PASSWORD },
        },
      },
      files: [],
      folderMode: '700',
    });
    expect(await readdir(workDir)).toEqual([]);
  });

  it('is gone after a failure as well', async () => {
    const { regctl } = await fake('process.exitCode = 1;');
    await expect(regctl.copyImage({ repository: source, digest }, destination)).rejects.toThrow();
    expect(await readdir(workDir)).toEqual([]);
  });

  it('brings the CA of the registry, and an identity token', async () => {
    const caCert = join(folder, 'ca.pem');
    await writeFile(caCert, '-----BEGIN CERTIFICATE-----\n');
    const main = access.get('main');
    if (main === undefined) throw new Error('no entry');
    const { program, regctl } = await fake(
      '',
      new Map([['acr', { ...main, host: 'acr.example', tlsVerify: true, username: null, password: null, caCert }]]),
    );
    await regctl.copyImage({ repository: source, digest }, { host: 'acr.example', path: 'a/b' });
    const call = await onlyCall(program);
    expect(call.notes.config).toMatchObject({
      hosts: {
        'acr.example': {
          tls: 'enabled',
          regcert: '-----BEGIN CERTIFICATE-----\n',
          token: `refresh-${PASSWORD}`,
        },
      },
    });
  });

  it('is the only place of a credential: not in arguments, environment or errors', async () => {
    const { program, regctl } = await fake(
      `process.stderr.write('login robot:' + JSON.parse(fs.readFileSync(env.REGCTL_CONFIG)).hosts['r.example:5000'].pass + ' refused [http 401]');
       process.exitCode = 1;`,
    );
    const error = await regctl.deleteManifest(destination, digest).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'Unauthorized', message: expect.stringContaining('***') });
    const [call] = await program.calls();
    const seen = JSON.stringify([call?.args, call?.env, String(error), (error as Error).stack, error]);
    expect(seen).not.toContain('horse');
    expect(call?.env).toMatchObject({ HTTPS_PROXY: 'http://proxy:3128', HOME: expect.stringContaining(workDir) });
  });
});

describe('writing', () => {
  it('copies by digest on both sides', async () => {
    const { program, regctl } = await fake('');
    await regctl.copyImage({ repository: source, digest }, destination);
    expect((await onlyCall(program)).args).toEqual([
      'image',
      'copy',
      ...TOLD_TO_SAY_WHEN_IT_WAITS,
      '--',
      `docker.io/library/redis@${digest}`,
      `r.example:5000/cache/redis@${digest}`,
    ]);
  });

  it('puts a referrer again that is there, for it may not be in the list', async () => {
    const { program, regctl } = await fake('');
    await regctl.copyImage({ repository: source, digest }, destination, { subject: digest });
    expect((await onlyCall(program)).args.slice(0, 6)).toEqual([
      ...['image', 'copy', '--force-recursive', ...TOLD_TO_SAY_WHEN_IT_WAITS, '--'],
    ]);
  });

  it('brings an image to a layout and from there to a registry, knowing only the host it talks to', async () => {
    const layout = await mkdtemp(join(folder, 'a layout: with, odd@name-'));
    const { program, regctl } = await fake(`note('cwd', process.cwd());`);
    await regctl.exportImage({ repository: source, digest }, layout);
    await regctl.importImage(layout, digest, destination);
    const [exported, imported] = await program.calls();
    const here = `ocidir://.@${digest}`;
    const copying = ['image', 'copy', ...TOLD_TO_SAY_WHEN_IT_WAITS, '--'];
    expect(exported?.args).toEqual([...copying, `docker.io/library/redis@${digest}`, here]);
    expect(imported?.args).toEqual([...copying, here, `r.example:5000/cache/redis@${digest}`]);
    for (const call of [exported, imported]) expect(call?.notes.cwd).toBe(layout);
    expect(exported?.notes.config).toMatchObject({ hosts: { 'docker.io': { tls: 'enabled' } } });
    expect(JSON.stringify(imported?.notes.config)).not.toContain('docker.io');
  });

  it.each([
    [{ tag: '7.2' }, 'r.example:5000/cache/redis:7.2'],
    [{ digest }, `r.example:5000/cache/redis@${digest}`],
  ])('puts a manifest as %j, with its bytes on standard input', async (target, reference) => {
    const { program, regctl } = await fake(`console.log('${digest}');`);
    expect(await regctl.putManifest(destination, target, OCI_MANIFEST, bytes)).toBe(digest);
    const call = await onlyCall(program);
    expect(call.args).toContain(OCI_MANIFEST);
    expect(call.args.at(-1)).toBe(reference);
    expect(call.stdin).toBe('{"schemaVersion":2}');
  });

  it('refuses bytes that are not what they are called, before anything is written', async () => {
    const { program, regctl } = await fake('');
    const other = digestOf(new Uint8Array());
    const put = regctl.putManifest(destination, { digest: other }, OCI_MANIFEST, bytes);
    await expect(put).rejects.toMatchObject({ code: 'DigestMismatch' });
    expect(await program.calls()).toEqual([]);
  });

  it('notices when what was written is something else', async () => {
    const { regctl } = await fake(`console.log('sha256:' + '0'.repeat(64));`);
    const put = regctl.putManifest(destination, { tag: '7' }, OCI_MANIFEST, bytes);
    await expect(put).rejects.toMatchObject({ code: 'DigestMismatch' });
  });

  it('attaches an artifact and returns the digest of its referrer', async () => {
    const { program, regctl } = await fake(`process.stdout.write('${digest}');`);
    const artifact = {
      artifactType: 'application/spdx+json',
      annotations: { 'io.houba.sbom.tool': 'syft', 'io.houba.owners': 'a,b=c' },
      file: { bytes: new TextEncoder().encode('{}'), mediaType: 'application/spdx+json' },
    };
    expect(await regctl.putArtifact(destination, digest, artifact)).toBe(digest);
    const call = await onlyCall(program);
    expect(call.stdin).toBe('{}');
    expect(call.args).toEqual([
      ...['artifact', 'put', '--subject', `r.example:5000/cache/redis@${digest}`],
      ...['--artifact-type', 'application/spdx+json'],
      ...['--annotation', 'io.houba.sbom.tool=syft', '--annotation', 'io.houba.owners=a,b=c'],
      ...['--file-media-type', 'application/spdx+json'],
      ...['--format', '{{ .Manifest.GetDescriptor.Digest }}', ...TOLD_TO_SAY_WHEN_IT_WAITS],
    ]);
  });

  describe('where the tag of the list shows the subject itself', () => {
    const tag = digest.replace(':', '-');
    const artifact = { artifactType: 'a/b', annotations: {} };
    /** Attaches once there is a list, which another worker may have begun meanwhile; `isTaken`: a tag of somebody's. */
    const registry = (by: 'nobody' | 'another' | 'isTaken') => {
      const list = JSON.stringify(join(folder, 'list'));
      return fake(`
        const what = args.slice(0, 2).join(' ');
        if (what === 'tag ls') {
          if (${JSON.stringify(by)} === 'another') fs.writeFileSync(${list}, '');
          process.stdout.write(${JSON.stringify(by)} === 'nobody' ? '7' : '7\\n${tag}');
        } else if (what === 'manifest put') fs.writeFileSync(${list}, '');
        else if (what === 'image digest' || fs.existsSync(${list})) process.stdout.write('${digest}');
        else {
          process.stderr.write('manifest is not an OCI index: unsupported');
          process.exitCode = 1;
        }`);
    };

    it.each([
      ['begins it', 'nobody', 1],
      ['takes the one that another worker has begun', 'another', 0],
    ] as const)('%s', async (_, by, begun) => {
      const { program, regctl } = await registry(by);
      expect(await regctl.putArtifact(destination, digest, artifact)).toBe(digest);
      const puts = (await program.calls()).filter(({ args }) => args[0] === 'manifest');
      expect(puts).toHaveLength(begun);
      for (const { args } of puts) expect(args.at(-1)).toBe(`r.example:5000/cache/redis:${tag}`);
    });

    it('refuses to, and names the tag, where somebody has one', async () => {
      const { program, regctl } = await registry('isTaken');
      await expect(regctl.putArtifact(destination, digest, artifact)).rejects.toMatchObject({
        code: 'Unsupported',
        message: expect.stringContaining(`:${tag} shows something that is no list`),
      });
      expect((await program.calls()).map(({ args }) => args[0])).not.toContain('manifest');
    });
  });

  it('changes the referrers of one subject one after another, those of others beside it', async () => {
    const lock = join(folder, 'at-work');
    const { program, regctl } = await fake(`
      if (args.join(' ').includes(${JSON.stringify(digest)})) {
        note('alone', !fs.existsSync(${JSON.stringify(lock)}));
        fs.writeFileSync(${JSON.stringify(lock)}, '');
        for (const end = Date.now() + 50; Date.now() < end; );
        fs.rmSync(${JSON.stringify(lock)});
      }
      process.stdout.write(${JSON.stringify(digest)});`);
    const artifact = { artifactType: 'a/b', annotations: {} };
    const other = digestOf(new TextEncoder().encode('other'));
    await Promise.all([
      regctl.putArtifact(destination, digest, artifact),
      regctl.putArtifact(destination, digest, artifact),
      regctl.putArtifact(destination, other, artifact),
      regctl.deleteManifest(destination, other, undefined, digest),
      regctl.copyImage({ repository: source, digest }, destination, { subject: digest }),
    ]);
    const calls = await program.calls();
    expect(calls.map(({ notes }) => notes.alone).filter((alone) => alone !== undefined)).toEqual([true, true, true]);
    expect(calls).toHaveLength(6);
  });

  it('waits for its turn no longer than it is wanted', async () => {
    const { program, regctl } = await fake(`process.stdout.write(${JSON.stringify(digest)})`);
    const artifact = { artifactType: 'a/b', annotations: {} };
    const first = regctl.putArtifact(destination, digest, artifact);
    const second = regctl.putArtifact(destination, digest, artifact, AbortSignal.abort(new Error('cancelled')));
    await expect(second).rejects.toThrow('cancelled');
    expect(await first).toBe(digest);
    expect(await program.calls()).toHaveLength(1);
  });

  it('does not take anything but a digest for a digest', async () => {
    const { regctl } = await fake('');
    const put = regctl.putArtifact(destination, digest, { artifactType: 'a/b', annotations: {} });
    await expect(put).rejects.toMatchObject({ code: 'ReferenceInvalid' });
  });
});

describe('deleting', () => {
  const notFound = `process.stderr.write('request failed: not found [http 404]: {}'); process.exitCode = 1;`;
  const notAllowed = `process.stderr.write('Method Not Allowed [http 405]: {}'); process.exitCode = 1;`;
  const probe = `const isProbe = args[1] === 'delete' && !args.includes('--referrers') && args[0] === 'manifest';`;

  it.each([
    ['deleted', `${probe} if (isProbe) { ${notFound} }`],
    ['absent', notFound],
    ['unsupported', notAllowed],
  ])('answers %s', async (outcome, body) => {
    const { regctl } = await fake(body);
    expect(await regctl.deleteManifest(destination, digest)).toBe(outcome);
  });

  it('touches nothing where the registry refuses: regctl would take a referrer from its fallback list', async () => {
    const { program, regctl } = await fake(notAllowed);
    await regctl.deleteManifest(destination, digest);
    const call = await onlyCall(program);
    expect(call.args.slice(0, 2)).toEqual(['manifest', 'delete']);
    expect(call.args.at(-1)).not.toContain(digest);
  });
});

describe('what regctl says becomes a code', () => {
  it.each([
    ['failed to get manifest: request failed: not found [http 404]: {"errors":[]}', 'NotFound'],
    ['request failed: unauthorized [http 401]: ', 'Unauthorized'],
    ['request failed: unauthorized [http 403]: ', 'Denied'],
    ['request failed: rate limit exceeded [http 429]: ', 'RateLimited'],
    ['unexpected http status code: Unsupported Media Type [http 415]', 'Unsupported'],
    ['unexpected http status code: Bad Gateway [http 502]', 'RegistryUnavailable'],
    ['dial tcp 127.0.0.1:5999: connect: connection refused', 'RegistryUnavailable'],
    ['tls: failed to verify certificate: x509: certificate signed by unknown authority', 'RegistryUnavailable'],
    ['failed to write blob: write /w/blobs/x: no space left on device', 'MachineFailed'],
    ['unexpected http status code: [http 500]: no space left on device', 'RegistryUnavailable'],
    ['unexpected http status code: [http 400]: no space left on device', 'ToolFailed'],
    ['dial tcp 127.0.0.1:1: socket: too many open files', 'MachineFailed'],
    ['digest mismatch, expected sha256:1, computed sha256:2', 'DigestMismatch'],
    ['something else', 'ToolFailed'],
  ])('%s: %s', async (said, code) => {
    const { regctl } = await fake(`process.stderr.write(${JSON.stringify(said)}); process.exitCode = 1;`);
    const error = await regctl.copyImage({ repository: source, digest }, destination).catch((reason) => reason);
    expect(error).toMatchObject({ code });
  });

  it('and a program that is not there has a hint', async () => {
    const regctl = createRegctl({ program: join(folder, 'none'), access, credentials, workDir, environment: {} });
    await expect(regctl.version()).rejects.toMatchObject({ code: 'ToolMissing' });
  });
});

describe('a token that dies early', () => {
  const asked = 'time=2030 level=DEBUG msg="Auth request parsed" challenge="[]"\n';
  const noToken = `${asked}time=2030 level=DEBUG msg="Failed to handle auth request" URL=http://r Err=unauthorized\n`;
  const refused = asked + noToken;
  const took = 'time=2030 level=DEBUG msg="Upload location received" location=/v2/x\n';
  /** Fails so many times, having written something or not. */
  const dying = (times: number, said: string) => `
    const file = ${JSON.stringify(join(folder, 'runs'))};
    const runs = fs.existsSync(file) ? Number(fs.readFileSync(file, 'utf8')) : 0;
    fs.writeFileSync(file, String(runs + 1));
    if (runs < ${times}) {
      process.stderr.write(${JSON.stringify(`${said}failed: unauthorized [http 401]`)});
      process.exitCode = 1;
    }`;

  it('is followed by another one, as long as something gets through', async () => {
    const { program, regctl } = await fake(dying(7, took + refused));
    await regctl.copyImage({ repository: source, digest }, destination);
    expect(await program.calls()).toHaveLength(8);
  });

  it('is not taken for one that may not do this for ever', async () => {
    const { program, regctl } = await fake(dying(9, refused));
    const copying = regctl.copyImage({ repository: source, digest }, destination);
    await expect(copying).rejects.toMatchObject({ code: 'Unauthorized' });
    expect(await program.calls()).toHaveLength(3);
  });

  it('is not what wrong credentials look like', async () => {
    const { program, regctl } = await fake(dying(9, noToken));
    const copying = regctl.copyImage({ repository: source, digest }, destination);
    await expect(copying).rejects.toMatchObject({ code: 'Unauthorized' });
    expect(await program.calls()).toHaveLength(1);
  });
});

describe('a long wait', () => {
  const waits = (duration: string) =>
    `time=2030-01-01T00:00:00Z level=DEBUG msg="Sleeping for backoff" Host=r.example:5000 Duration=${duration}\n`;

  it.each([
    ['6h0m0.19998702s', 'for another 21601 s', 3_600_000],
    ['1m30.5s', 'for another 91 s', 90_500],
    ['31s', 'for another 31 s', 31_000],
  ])('of %s is left to the durable layer', async (duration, told, retryAfterMs) => {
    const said = JSON.stringify(waits(duration));
    const { regctl } = await fake(`process.stderr.write(${said}); setInterval(() => {}, 1000);`);
    await expect(regctl.copyImage({ repository: source, digest }, destination)).rejects.toMatchObject({
      code: 'RateLimited',
      message: `r.example:5000 limits requests ${told}`,
      facts: { registry: 'r.example:5000' },
      retryAfterMs,
    });
    expect(await readdir(workDir)).toEqual([]);
  });

  it('is none of half a minute, and no error quotes it', async () => {
    const said = `${waits('29.9s')}${waits('199.991366ms')}failed: [http 429]`;
    const { regctl } = await fake(`process.stderr.write(${JSON.stringify(said)}); process.exitCode = 1;`);
    await expect(regctl.copyImage({ repository: source, digest }, destination)).rejects.toMatchObject({
      code: 'RateLimited',
      message: 'r.example:5000 limits requests (regctl failed with exit 1: failed: [http 429])',
    });
  });
});

describe('cancelling', () => {
  it('ends the program and fails with the reason', async () => {
    const ready = join(folder, 'ready');
    const { regctl } = await fake(`fs.mkdirSync(${JSON.stringify(ready)}); setInterval(() => {}, 1000);`);
    const abort = new AbortController();
    const copying = regctl.copyImage({ repository: source, digest: digest as Digest }, destination, {}, abort.signal);
    await expect.poll(() => existsSync(ready)).toBe(true);
    const reason = new Error('cancelled');
    abort.abort(reason);
    await expect(copying).rejects.toBe(reason);
    expect(await readdir(workDir)).toEqual([]);
  });
});
