import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Cosign, type CosignOptions, createCosign } from '../../adapters/cosign.js';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { programPath } from '../../config/programs.js';
import { buildStatement } from '../../domain/evidence/statement.js';
import { digestFor } from '../support/durable-samples.js';
import { makeKeyService } from '../support/sigstore.js';
import { type CosignKey, type StockCosign, stockCosign } from '../support/upstream-signer.js';

const TYPE = 'https://houba.dev/predicate/transform/v1';
const digest = digestFor('an image');
const statement = buildStatement([{ name: 'registry.example/a:1', digest }], TYPE, { policy: 'redis' });

let folder = '';
let workDir = '';
let stock: StockCosign;
let key: CosignKey;
let other: CosignKey;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-cosign-'));
  workDir = join(folder, 'work');
  stock = await stockCosign(join(folder, 'stock'));
  key = await stock.makeKey('ours');
  other = await stock.makeKey('other');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function open(attest: Partial<CosignOptions['attest']> = {}, environment: Record<string, string> = {}): Cosign {
  return createCosign({
    program: programPath('cosign') ?? 'cosign',
    attest: {
      signer: 'key',
      keyRef: key.privateFile,
      fulcioUrl: '',
      rekorUrl: '',
      tsaUrl: '',
      trustedRoot: '',
      builderId: '',
      ...attest,
    },
    workDir,
    environment: { ...childEnvironment(readEnvironment()), ...environment },
    secrets: [],
    cacheDir: join(folder, 'cache'),
  });
}

const trust = () => ({ publicKey: key.publicPem });
const claim = { digest, predicateType: TYPE };

describe('a statement signed with a key, offline', () => {
  it('verifies, and gives its predicate back', async () => {
    const bundle = await open().signStatement(statement);
    expect(await open().verifyBundle(bundle, claim, trust())).toEqual({ predicate: { policy: 'redis' } });
    expect(await readdir(workDir)).toEqual([]);
  });

  it('verifies with nothing but the public key: no signer is needed to look', async () => {
    const bundle = await open().signStatement(statement);
    const reader = open({ signer: '', keyRef: '' });
    expect(await reader.verifyBundle(bundle, claim, trust())).toEqual({ predicate: { policy: 'redis' } });
  });

  it.each([
    ['about another digest', () => ({ ...claim, digest: digestFor('another image') }), trust, /subject|digest/i],
    ['of another type', () => ({ ...claim, predicateType: 'https://spdx.dev/Document' }), trust, /predicate type/],
    ['of another key', () => claim, () => ({ publicKey: other.publicPem }), /signature/],
  ])('is refused as one %s', async (_, claimed, trusted, reason) => {
    const bundle = await open().signStatement(statement);
    expect(await open().verifyBundle(bundle, claimed(), trusted())).toEqual({
      predicate: null,
      reason: expect.stringMatching(reason),
    });
  });

  it('is refused when a byte of it has changed', async () => {
    const bundle = JSON.parse(Buffer.from(await open().signStatement(statement)).toString());
    const payload = Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString().replace('redis', 'radis');
    bundle.dsseEnvelope.payload = Buffer.from(payload).toString('base64');
    const changed = new TextEncoder().encode(JSON.stringify(bundle));
    expect(await open().verifyBundle(changed, claim, trust())).toEqual({
      predicate: null,
      reason: expect.stringMatching(/signature/),
    });
  });

  it('of many megabytes is signed and verifies', async () => {
    const packages = Array.from({ length: 60_000 }, (_, n) => ({ name: `package-${n}`, versionInfo: '1.0', n }));
    const document = new TextEncoder().encode(JSON.stringify({ spdxVersion: 'SPDX-2.3', packages }));
    const predicateType = 'https://spdx.dev/Document';
    const bundle = await open().signStatement(buildStatement([{ name: 'a', digest }], predicateType, document));
    const { predicate } = await open().verifyBundle(bundle, { digest, predicateType }, trust());
    expect((predicate as { packages: unknown[] }).packages).toHaveLength(60_000);
  });
});

describe('a key', () => {
  it('gives its public half, as a file of either kind and as PEM', async () => {
    for (const ref of [key.privateFile, key.publicFile, key.publicPem]) {
      expect(await open().publicKey(ref)).toBe(key.publicPem);
    }
  });

  it('with a password signs with it, and says what to do without', async () => {
    const prefix = join(folder, 'locked');
    const password = { COSIGN_PASSWORD: 'correct-horse' };
    const program = programPath('cosign') ?? 'cosign';
    await promisify(execFile)(program, ['generate-key-pair', '--output-key-prefix', prefix], {
      env: { ...password, HOME: folder },
    });
    const cosign = open({ keyRef: `${prefix}.key` }, password);
    const bundle = await cosign.signStatement(statement);
    const publicKey = await cosign.publicKey(`${prefix}.key`);
    expect(await cosign.verifyBundle(bundle, claim, { publicKey })).toEqual({ predicate: { policy: 'redis' } });
    await expect(open({ keyRef: `${prefix}.key` }).signStatement(statement)).rejects.toMatchObject({
      code: 'ConfigInvalid',
      hint: expect.stringContaining('COSIGN_PASSWORD'),
    });
  });

  it.each([
    ['that is not there', () => join(folder, 'nowhere.key')],
    ['that is none', () => join(folder, 'stock', 'signing-config.json')],
    ['that is the public one', () => key.publicFile],
    ['of a key service without a plugin', () => 'nobody://key'],
  ])('%s is a mistake of the configuration', async (_, keyRef) => {
    await expect(open({ keyRef: keyRef() }).signStatement(statement)).rejects.toMatchObject({ code: 'ConfigInvalid' });
    expect(await readdir(workDir)).toEqual([]);
  });
});

describe('a key service', () => {
  it('signs through its plugin on the PATH', async () => {
    const plugins = join(folder, 'plugins');
    const publicPem = await makeKeyService(plugins, 'local');
    const cosign = open({ signer: 'kms', keyRef: 'local://key/1' }, { PATH: `${plugins}:${process.env.PATH}` });
    const publicKey = await cosign.publicKey('local://key/1');
    expect(publicKey.trim()).toBe(publicPem.trim());
    const bundle = await cosign.signStatement(statement);
    expect(await open().verifyBundle(bundle, claim, { publicKey })).toEqual({ predicate: { policy: 'redis' } });
  });

  it('that fails is tried again', async () => {
    const plugins = join(folder, 'broken');
    await makeKeyService(plugins, 'broken');
    await writeFile(
      join(plugins, 'sigstore-kms-broken'),
      '#!/bin/sh\necho \'{"errorMessage":"the service is away"}\'\n',
    );
    const cosign = open({ signer: 'kms', keyRef: 'broken://key' }, { PATH: `${plugins}:${process.env.PATH}` });
    await expect(cosign.signStatement(statement)).rejects.toMatchObject({
      code: 'ToolFailed',
      message: expect.stringContaining('the service is away'),
    });
  });
});
