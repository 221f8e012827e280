import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cosign, type CosignOptions, createCosign, type Trust } from '../../adapters/cosign.js';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { programPath } from '../../config/programs.js';
import { EMPTY_TRUSTED_ROOT } from '../../domain/evidence/signing-config.js';
import { buildStatement } from '../../domain/evidence/statement.js';
import { digestFor } from '../support/durable-samples.js';
import { type LocalSigstore, startSigstore } from '../support/sigstore.js';
import { stockCosign } from '../support/upstream-signer.js';

const TYPE = 'https://slsa.dev/provenance/v1';
const SIGNER = 'signer@example.org';
const digest = digestFor('an image');
const claim = { digest, predicateType: TYPE };
const statement = buildStatement([{ name: 'registry.example/a:1', digest }], TYPE, { policy: 'redis' });

let folder = '';
let sigstore: LocalSigstore;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-keyless-'));
  sigstore = await startSigstore(join(folder, 'sigstore'));
});
afterAll(async () => {
  await sigstore?.stop();
  await rm(folder, { recursive: true, force: true });
});

function open(token: string, attest: Partial<CosignOptions['attest']> = {}): Cosign {
  const { fulcioUrl, tsaUrl, trustedRoot } = sigstore;
  return createCosign({
    program: programPath('cosign') ?? 'cosign',
    attest: { signer: 'keyless', keyRef: '', fulcioUrl, rekorUrl: '', tsaUrl, trustedRoot, builderId: '', ...attest },
    workDir: join(folder, 'work'),
    environment: { ...childEnvironment(readEnvironment()), ...(token === '' ? {} : { SIGSTORE_ID_TOKEN: token }) },
    secrets: [token],
    cacheDir: join(folder, 'cache'),
  });
}

const trust = (facts: object = {}): Trust => ({
  identity: SIGNER,
  identityRegexp: null,
  issuer: sigstore.issuer,
  ...facts,
});

describe('a statement signed by an identity', () => {
  it('verifies for that identity and issuer, also when the certificate has long expired', async () => {
    const bundle = await open(sigstore.identityToken(SIGNER)).signStatement(statement);
    const reader = open('', { signer: '' });
    expect(await reader.verifyBundle(bundle, claim, trust())).toEqual({ predicate: { policy: 'redis' } });
    const pattern = trust({ identity: null, identityRegexp: '^signer@' });
    expect(await reader.verifyBundle(bundle, claim, pattern)).toEqual({ predicate: { policy: 'redis' } });
    // The timestamp speaks for the certificate: without one it would only be good for minutes.
    expect(JSON.parse(Buffer.from(bundle).toString())).toMatchObject({
      verificationMaterial: { timestampVerificationData: { rfc3161Timestamps: [expect.anything()] } },
    });
  });

  it.each([
    ['another identity', () => trust({ identity: 'somebody@example.org' })],
    ['another issuer', () => trust({ issuer: 'https://accounts.example' })],
    ['a key', async () => ({ publicKey: await anyKey() })],
  ])('does not verify for %s', async (_, trusted) => {
    const bundle = await open(sigstore.identityToken(SIGNER)).signStatement(statement);
    expect(await open('').verifyBundle(bundle, claim, await trusted())).toEqual({
      predicate: null,
      reason: expect.stringMatching(/./),
    });
  });

  it('does not verify for whoever trusts other authorities', async () => {
    const bundle = await open(sigstore.identityToken(SIGNER)).signStatement(statement);
    const nobody = join(folder, 'nobody.json');
    await writeFile(nobody, JSON.stringify(EMPTY_TRUSTED_ROOT));
    const { reason } = await open('', { trustedRoot: nobody }).verifyBundle(bundle, claim, trust());
    expect(reason).toMatch(/./);
  });

  it('does not verify once its timestamp is gone', async () => {
    const bundle = JSON.parse(
      Buffer.from(await open(sigstore.identityToken(SIGNER)).signStatement(statement)).toString(),
    );
    delete bundle.verificationMaterial.timestampVerificationData;
    const bytes = new TextEncoder().encode(JSON.stringify(bundle));
    const { reason } = await open('').verifyBundle(bytes, claim, trust());
    expect(reason).toMatch(/timestamp/);
  });

  it('that is signed with a key may carry a timestamp as well', async () => {
    const stock = await stockCosign(join(folder, 'stock'));
    const key = await stock.makeKey('timed');
    const cosign = open('', { signer: 'key', keyRef: key.privateFile, fulcioUrl: '' });
    const bundle = await cosign.signStatement(statement);
    expect(Buffer.from(bundle).toString()).toContain('rfc3161Timestamps');
    expect(await cosign.verifyBundle(bundle, claim, { publicKey: key.publicPem })).toEqual({
      predicate: { policy: 'redis' },
    });
  });
});

describe('signing by an identity', () => {
  it.each([
    ['without one says how to give it', () => open(''), 'ConfigInvalid', 'SIGSTORE_ID_TOKEN'],
    [
      'that nobody vouches for is refused by Fulcio',
      () => open(`${sigstore.identityToken(SIGNER).slice(0, -8)}AAAAAAAA`),
      'Unauthorized',
      'identity token',
    ],
    [
      'with a trusted root of other services is refused before anything is attached',
      () => open(sigstore.identityToken(SIGNER), { trustedRoot: join(folder, 'nobody.json') }),
      'SignatureInvalid',
      'HOUBA_ATTEST_TRUSTED_ROOT',
    ],
    [
      'with a trusted root that is none names it',
      () => open(sigstore.identityToken(SIGNER), { trustedRoot: join(folder, 'nowhere.json') }),
      'ConfigInvalid',
      'nowhere.json',
    ],
  ])('%s', async (_, cosign, code, word) => {
    await writeFile(join(folder, 'nobody.json'), JSON.stringify(EMPTY_TRUSTED_ROOT));
    const error = await cosign()
      .signStatement(statement)
      .catch((reason: unknown) => reason as { code: string; message: string; hint?: string });
    expect(error).toMatchObject({ code });
    const { message, hint } = error as { message: string; hint?: string };
    expect(`${message} ${hint}`).toContain(word);
  });

  it.each([
    ['Fulcio', { fulcioUrl: 'http://127.0.0.1:9' }],
    ['the timestamp authority', { tsaUrl: 'http://127.0.0.1:9/api/v1/timestamp' }],
  ])('is tried again when %s cannot be reached, and never tells the token', async (_, attest) => {
    const token = sigstore.identityToken(SIGNER);
    const error = await open(token, attest)
      .signStatement(statement)
      .catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ToolFailed', message: expect.stringContaining('connection refused') });
    expect(JSON.stringify(error) + String(error)).not.toContain(token);
  });
});

async function anyKey(): Promise<string> {
  const stock = await stockCosign(join(folder, 'stock'));
  return readFile((await stock.makeKey('any')).publicFile, 'utf8');
}
