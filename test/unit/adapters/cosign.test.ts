import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Cosign, type CosignOptions, createCosign, type Trust } from '../../../adapters/cosign.js';
import { buildStatement } from '../../../domain/evidence/statement.js';
import { digestFor } from '../../support/durable-samples.js';
import { type FakeProgram, fakeProgram } from '../../support/fake-program.js';

const PASSWORD = 'correct-horse-battery';
const TOKEN = 'header.claims.proof-of-identity';
const PUBLIC_KEY = '-----BEGIN PUBLIC KEY-----\nMFkw\n-----END PUBLIC KEY-----\n';
const TYPE = 'https://houba.dev/predicate/transform/v1';
const digest = digestFor('an image');
const claim = { digest, predicateType: TYPE };
const statement = buildStatement([{ name: 'a', digest }], TYPE, { policy: 'redis' });
const identity: Trust = { identity: 'signer@example.org', identityRegexp: null, issuer: 'https://issuer.example' };

/** Writes down the files that it is given, and writes the bundle that it is asked for. */
const LOOK = `
const path = require('node:path');
for (const arg of args) {
  const [, flag, file] = /^--([a-z-]+)=(.*)$/.exec(arg) ?? [];
  if (flag === undefined || !fs.existsSync(file)) continue;
  note(flag, fs.readFileSync(file, 'utf8'));
  note(flag + ' mode', (fs.statSync(file).mode & 0o777).toString(8));
  note('folder mode', (fs.statSync(path.dirname(file)).mode & 0o777).toString(8));
}
if (args[0] === 'attest-blob') fs.writeFileSync(args.find((arg) => arg.startsWith('--bundle=')).slice(9), '{"a":"bundle"}');
`;

let folder = '';
let workDir = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-cosign-'));
  workDir = join(folder, 'work');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function fake(
  body = '',
  attest: Partial<CosignOptions['attest']> = {},
  environment: Record<string, string> = {},
): Promise<{ program: FakeProgram; cosign: Cosign }> {
  const program = await fakeProgram(folder, 'cosign', LOOK + body);
  const cosign = createCosign({
    program: program.path,
    attest: {
      ...{ signer: 'key', keyRef: '/keys/ours.key', fulcioUrl: '', rekorUrl: '', tsaUrl: '' },
      ...{ trustedRoot: '', builderId: '', ...attest },
    },
    workDir,
    environment: {
      ...{ PATH: '/usr/bin', HOME: '/home/someone', HTTPS_PROXY: 'http://proxy:1' },
      ...{ COSIGN_PASSWORD: PASSWORD, AWS_SECRET_ACCESS_KEY: 'cloud-secret', ...environment },
    },
    secrets: [PASSWORD, TOKEN, 'cloud-secret'],
    cacheDir: join(folder, 'cache'),
  });
  return { program, cosign };
}

const says = (text: string) => `process.stderr.write(${JSON.stringify(text)}); process.exitCode = 1;`;

/** What a key made; the signature is not looked at here. */
const bundleOf = (signed: Uint8Array) =>
  new TextEncoder().encode(
    JSON.stringify({
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      dsseEnvelope: { payload: Buffer.from(signed).toString('base64') },
    }),
  );

describe('signing with a key', () => {
  it('hands over the statement and how to sign, and nothing that reaches outside', async () => {
    const { program, cosign } = await fake();
    expect(Buffer.from(await cosign.signStatement(statement)).toString()).toBe('{"a":"bundle"}');
    const [call] = await program.calls();
    expect(call?.args).toEqual([
      ...['attest-blob', '--yes', expect.stringMatching(/^--statement=/), expect.stringMatching(/^--signing-config=/)],
      ...[expect.stringMatching(/^--bundle=/), expect.stringMatching(/^--trusted-root=/), '--key=/keys/ours.key'],
    ]);
    expect(call?.notes.statement).toBe(new TextDecoder().decode(statement));
    expect(JSON.parse(String(call?.notes['signing-config']))).toEqual({
      mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
      ...{ rekorTlogConfig: {}, tsaConfig: {} },
    });
    expect(JSON.parse(String(call?.notes['trusted-root']))).toEqual({
      mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1',
    });
  });

  it('has a private home that is gone afterwards, and the password in its environment alone', async () => {
    const { program, cosign } = await fake();
    await cosign.signStatement(statement);
    const [call] = await program.calls();
    expect(call?.notes).toMatchObject({ 'statement mode': '600', 'folder mode': '700' });
    expect(call?.env).toMatchObject({
      ...{ COSIGN_PASSWORD: PASSWORD, AWS_SECRET_ACCESS_KEY: 'cloud-secret', TUF_ROOT: join(folder, 'cache') },
      ...{ HOME: expect.stringContaining(workDir), TMPDIR: expect.stringContaining(workDir) },
    });
    expect(JSON.stringify(call?.args)).not.toContain(PASSWORD);
    expect(await readdir(workDir)).toEqual([]);
  });

  it('without a password says so, where cosign would ask for one', async () => {
    const { program, cosign } = await fake('', {}, { COSIGN_PASSWORD: '' });
    await cosign.signStatement(statement);
    expect((await program.calls())[0]?.env.COSIGN_PASSWORD).toBe('');
  });

  it('is refused before anything is started where nothing is to be signed', async () => {
    const { program, cosign } = await fake('', { signer: '' });
    await expect(cosign.signStatement(statement)).rejects.toMatchObject({ code: 'ConfigInvalid' });
    expect(await program.calls()).toEqual([]);
  });
});

describe('signing by an identity', () => {
  it('hands the token over in a file, and nowhere else', async () => {
    const { program, cosign } = await fake('', { signer: 'keyless', keyRef: '' }, { SIGSTORE_ID_TOKEN: TOKEN });
    await cosign.signStatement(statement);
    const [call] = await program.calls();
    expect(call?.notes).toMatchObject({ 'identity-token': TOKEN, 'identity-token mode': '600' });
    expect(JSON.stringify([call?.args, call?.env])).not.toContain(TOKEN);
    expect(call?.args.filter((arg) => /^--(key|trusted-root)=/.test(arg))).toEqual([]);
  });

  it('leaves it to cosign to find one where none is given', async () => {
    const { program, cosign } = await fake('', { signer: 'keyless', keyRef: '' });
    await cosign.signStatement(statement);
    expect((await program.calls())[0]?.args.filter((arg) => arg.startsWith('--identity-token'))).toEqual([]);
  });

  it('at services of our own believes the trusted root that is given', async () => {
    const own = { fulcioUrl: 'https://f.example', tsaUrl: 'https://t.example', trustedRoot: '/etc/root.json' };
    const { program, cosign } = await fake('', { signer: 'keyless', keyRef: '', ...own });
    await cosign.signStatement(statement);
    expect((await program.calls())[0]?.args).toContain('--trusted-root=/etc/root.json');
  });
});

describe('a signature that fails', () => {
  const key = 'Error: creating bundle: getting keypair and token: getting signer: reading key:';
  it.each([
    [`${key} decrypt: encrypted: decryption failed`, 'ConfigInvalid', /COSIGN_PASSWORD/],
    [`${key} open /keys/ours.key: no such file or directory`, 'ConfigInvalid', /HOUBA_ATTEST_KEY_REF/],
    [`${key} loading URL: unrecognized scheme: hsm://`, 'ConfigInvalid', /sigstore-kms-/],
    [`${key} kms get: plugin returned error: away`, 'ToolFailed', undefined],
    ['Error: retrieving ID token: selecting OIDC issuer: no matching service', 'ConfigInvalid', /SIGSTORE_ID_TOKEN/],
    ['Error: error signing bundle: Fulcio returned 400: {"message":"identity token"}', 'Unauthorized', /expired/],
    ['Error: error signing bundle: Fulcio returned 503: {}', 'ToolFailed', undefined],
    ['Error: Post "https://t": dial tcp 127.0.0.1:9: connect: connection refused', 'ToolFailed', undefined],
    ['Error: failed to verify leaf certificate', 'SignatureInvalid', /HOUBA_ATTEST_TRUSTED_ROOT/],
    ['Error: something else', 'ToolFailed', undefined],
  ])('with %s is %s, without a secret', async (said, code, hint) => {
    const { cosign } = await fake(says(`Using statement\n${said}\nmain.go:1: again ${PASSWORD}\n`));
    const error = await cosign.signStatement(statement).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code, hint: hint === undefined ? undefined : expect.stringMatching(hint) });
    expect(String(error)).toContain(said.slice('Error: '.length, 40));
    expect(String(error)).not.toMatch(/horse|Using statement|again/);
    expect(await readdir(workDir)).toEqual([]);
  });

  it('without a bundle is none', async () => {
    const { cosign } = await fake(`fs.rmSync(args.find((arg) => arg.startsWith('--bundle=')).slice(9));`);
    await expect(cosign.signStatement(statement)).rejects.toMatchObject({ code: 'ToolFailed' });
  });

  it('quotes no secret even where cosign does', async () => {
    const { cosign } = await fake(says(`Error: bad ${PASSWORD} and cloud-secret\n`));
    const error = await cosign.signStatement(statement).catch((reason: unknown) => reason);
    expect(String(error)).toContain('bad *** and ***');
  });
});

describe('judging a bundle', () => {
  it('asks for exactly this digest and type by this key, and tells cosign no secret', async () => {
    const { program, cosign } = await fake();
    const verdict = await cosign.verifyBundle(bundleOf(statement), claim, { publicKey: PUBLIC_KEY });
    expect(verdict).toEqual({ predicate: { policy: 'redis' } });
    const [call] = await program.calls();
    expect(call?.args).toEqual([
      ...['verify-blob-attestation', expect.stringMatching(/^--bundle=/), `--type=${TYPE}`, '--check-claims=true'],
      ...[`--digest=${digest.slice(7)}`, '--digestAlg=sha256', expect.stringMatching(/^--key=.*key\.pub$/)],
      '--insecure-ignore-tlog=true',
    ]);
    expect(call?.notes.key).toBe(PUBLIC_KEY);
    expect(Object.keys(call?.env ?? {}).sort()).toEqual(['HOME', 'HTTPS_PROXY', 'PATH', 'TMPDIR', 'TUF_ROOT']);
  });

  it.each<[string, Trust, string[]]>([
    ['an identity', identity, ['--certificate-identity=signer@example.org']],
    ['a pattern', { ...identity, identity: null, identityRegexp: '^s' }, ['--certificate-identity-regexp=^s']],
  ])('by %s relies on the public services, log included', async (_, trust, expected) => {
    const { program, cosign } = await fake();
    await cosign.verifyBundle(bundleOf(statement), claim, trust);
    const flags = (await program.calls())[0]?.args.slice(6);
    expect(flags).toEqual([...expected, '--certificate-oidc-issuer=https://issuer.example']);
  });

  it.each<[string, object, string[]]>([
    ['logs', { tlogs: [{}], ctlogs: [{}] }, []],
    ['no logs', {}, ['--insecure-ignore-tlog=true', '--use-signed-timestamps=true', '--insecure-ignore-sct=true']],
    ['no log of certificates', { tlogs: [{}] }, ['--insecure-ignore-sct=true']],
  ])('by a trusted root with %s asks for what that can vouch for', async (_, root, expected) => {
    const trustedRoot = join(folder, 'root.json');
    await writeFile(trustedRoot, JSON.stringify(root));
    const { program, cosign } = await fake('', { trustedRoot });
    await cosign.verifyBundle(bundleOf(statement), claim, identity);
    expect((await program.calls())[0]?.args.slice(8)).toEqual([`--trusted-root=${trustedRoot}`, ...expected]);
  });

  it.each([
    ['a trusted root that is none', { trustedRoot: '/nowhere/root.json' }, identity],
    ['nobody to trust', {}, { ...identity, identity: null }],
  ])('with %s is a mistake of the configuration', async (_, attest, trust) => {
    const { cosign } = await fake('', attest);
    await expect(cosign.verifyBundle(bundleOf(statement), claim, trust)).rejects.toMatchObject({
      code: 'ConfigInvalid',
    });
  });

  it.each([
    ['it is not JSON', 'no'],
    ['it is of the older kind, for which cosign would ask the public log', '{"base64Signature":"","rekorBundle":{}}'],
  ])('does not come to cosign when %s', async (_, text) => {
    const { program, cosign } = await fake();
    const verdict = await cosign.verifyBundle(new TextEncoder().encode(text), claim, identity);
    expect(verdict).toEqual({ predicate: null, reason: 'it is not a Sigstore bundle' });
    expect(await program.calls()).toEqual([]);
  });

  it.each([
    ['another digest', buildStatement([{ name: 'a', digest: digestFor('other') }], TYPE, {})],
    ['another type', buildStatement([{ name: 'a', digest }], 'https://spdx.dev/Document', {})],
    ['no statement', new TextEncoder().encode('[]')],
  ])('refuses what reads as %s to us, whatever cosign says', async (_, signed) => {
    const { cosign } = await fake();
    const { reason } = await cosign.verifyBundle(bundleOf(signed), claim, identity);
    expect(reason).toBe('it can be read in two ways');
  });

  it('tells why cosign refuses', async () => {
    const { cosign } = await fake(says('Error: failed to verify signature: invalid\nmain.go:74: error: …\n'));
    expect(await cosign.verifyBundle(bundleOf(statement), claim, identity)).toEqual({
      predicate: null,
      reason: 'failed to verify signature: invalid',
    });
  });

  it('cannot be led by the bundle to take a bad signature for a failure of ours', async () => {
    const { cosign } = await fake(says('Error: subject "dial tcp: i/o timeout, unexpected EOF" does not match\n'));
    const { reason } = await cosign.verifyBundle(bundleOf(statement), claim, { publicKey: PUBLIC_KEY });
    expect(reason).toContain('does not match');
  });

  it('is tried again when the public trusted root cannot be had', async () => {
    const { cosign } = await fake(says('Error: setting trusted material: getting trusted root from TUF: no network\n'));
    await expect(cosign.verifyBundle(bundleOf(statement), claim, identity)).rejects.toMatchObject({
      code: 'ToolFailed',
    });
  });
});

describe('judging a detached signature', () => {
  const payload = new TextEncoder().encode('{"critical":{}}');

  it('gives cosign the payload and a bundle of the signature; with a key, without the certificate', async () => {
    const { program, cosign } = await fake(`note('payload', fs.readFileSync(args.at(-1), 'utf8'));`);
    const certificate = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    const signature = { base64: 'c2ln', certificate };
    expect(await cosign.verifyBlob(payload, signature, { publicKey: PUBLIC_KEY })).toEqual({ valid: true, reason: '' });
    await cosign.verifyBlob(payload, signature, identity);
    const [byKey, byIdentity] = await program.calls();
    expect(byKey?.args).toEqual([
      ...['verify-blob', expect.stringMatching(/^--bundle=/), expect.stringMatching(/^--key=/)],
      ...['--insecure-ignore-tlog=true', '--', expect.stringMatching(/payload$/)],
    ]);
    expect(byKey?.notes.payload).toBe('{"critical":{}}');
    expect(JSON.parse(String(byKey?.notes.bundle))).toMatchObject({
      verificationMaterial: { publicKey: {} },
      messageSignature: { signature: 'c2ln' },
    });
    expect(JSON.parse(String(byIdentity?.notes.bundle))).toMatchObject({
      verificationMaterial: { x509CertificateChain: { certificates: [{ rawBytes: 'AAAA' }] } },
    });
  });

  it('tells why it is refused', async () => {
    const { cosign } = await fake(says('Error: invalid signature\n'));
    expect(await cosign.verifyBlob(payload, { base64: 'c2ln' }, identity)).toEqual({
      valid: false,
      reason: 'invalid signature',
    });
  });
});

describe('the public key', () => {
  it('as PEM or in a file is read without cosign', async () => {
    const { program, cosign } = await fake();
    const file = join(folder, 'ours.pub');
    await writeFile(file, PUBLIC_KEY);
    expect(await cosign.publicKey(PUBLIC_KEY)).toBe(PUBLIC_KEY);
    expect(await cosign.publicKey(file)).toBe(PUBLIC_KEY);
    expect(await cosign.publicKeyFile(file)).toBe(PUBLIC_KEY);
    expect(await program.calls()).toEqual([]);
  });

  it.each(['a private file', 'awskms:///alias/houba'])('of %s is asked of cosign', async (ref) => {
    const { program, cosign } = await fake(`console.log(${JSON.stringify(PUBLIC_KEY)});`);
    const file = join(folder, 'ours.key');
    await writeFile(file, '-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n');
    const asked = ref === 'a private file' ? file : ref;
    expect(await cosign.publicKey(asked)).toContain(PUBLIC_KEY);
    expect((await program.calls())[0]?.args).toEqual(['public-key', `--key=${asked}`]);
  });

  it.each([
    ['a file that is not there', () => join(folder, 'nowhere'), ''],
    ['a private key in the text', () => '-----BEGIN PRIVATE KEY-----\nTOPSECRET\n', ''],
    ['a key with another password', () => 'env://KEY', says('Error: decrypt: encrypted: decryption failed\n')],
    ['a program that prints none', () => 'awskms://x', ''],
  ])('of %s is a mistake of the configuration', async (_, ref, body) => {
    const { cosign } = await fake(body);
    const error = await cosign.publicKey(ref()).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ConfigInvalid' });
    expect(String(error)).not.toContain('TOPSECRET');
  });

  it('of a key service that does not answer is asked for again', async () => {
    const { cosign } = await fake(says('Error: Get "https://kms": dial tcp: no such host\n'));
    await expect(cosign.publicKey('awskms://x')).rejects.toMatchObject({ code: 'ToolFailed' });
  });
});
