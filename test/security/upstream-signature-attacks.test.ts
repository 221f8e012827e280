import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, sign as signWith } from 'node:crypto';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { createCosign } from '../../adapters/cosign.js';
import { programPath } from '../../config/programs.js';
import { upstreamKeyProblem } from '../../domain/evidence/upstream/upstream-key.js';
import { digestFor } from '../support/durable-samples.js';

const folder = mkdtempSync(join(tmpdir(), 'houba-signature-'));
afterAll(() => rmSync(folder, { recursive: true }));

const PASSWORD = 'correct-horse-battery';
const services = { fulcioUrl: '', rekorUrl: '', tsaUrl: '', trustedRoot: '' };
const cosign = createCosign({
  program: programPath('cosign') ?? 'cosign',
  attest: { signer: '', keyRef: '', builderId: '', ...services },
  workDir: join(folder, 'work'),
  environment: { PATH: process.env.PATH ?? '', COSIGN_PASSWORD: PASSWORD },
  secrets: [PASSWORD],
  cacheDir: join(folder, 'cache'),
});

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString();
const other = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;

const digest = digestFor('an image');
const TYPE = 'https://sigstore.dev/cosign/sign/v1';
const IN_TOTO = 'application/vnd.in-toto+json';

function statement(facts: object = {}): object {
  const subject = [{ name: '', digest: { sha256: digest.slice(7) } }];
  return { _type: 'https://in-toto.io/Statement/v1', predicateType: TYPE, subject, predicate: {}, ...facts };
}

interface Envelope {
  readonly payload?: Buffer;
  /** What the signature is over, when that is not the envelope. */
  readonly signed?: Buffer;
  readonly payloadType?: string;
  readonly key?: typeof privateKey;
}

/** A bundle as whoever owns the key can make it, with whatever they want in it. */
function bundle({ payload, signed, payloadType = IN_TOTO, key = privateKey }: Envelope = {}): Buffer {
  const body = payload ?? Buffer.from(JSON.stringify(statement()));
  const encoded = Buffer.from(`DSSEv1 ${payloadType.length} ${payloadType} ${body.length} `);
  const sig = signWith('sha256', signed ?? Buffer.concat([encoded, body]), key);
  return Buffer.from(
    JSON.stringify({
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      verificationMaterial: { publicKey: { hint: '' }, tlogEntries: [] },
      dsseEnvelope: {
        payload: body.toString('base64'),
        payloadType,
        signatures: [{ sig: sig.toString('base64') }],
      },
    }),
  );
}

const judge = (bytes: Buffer) => cosign.verifyBundle(bytes, { digest, predicateType: TYPE }, { publicKey });
const said = (facts: object) => ({ payload: Buffer.from(JSON.stringify(statement(facts))) });

describe('a bundle', () => {
  it('made by the key, about the digest, holds', async () => {
    expect(await judge(bundle())).toEqual({ predicate: {} });
  });

  it.each<[string, Envelope]>([
    ['by another key', { key: other }],
    [
      'whose signature is over the statement alone, as a signature of a file is',
      { signed: Buffer.from(JSON.stringify(statement())) },
    ],
    ['that is signed as something else than a statement', { payloadType: 'text/plain' }],
    [
      'that is signed as the older kind of signature',
      { payloadType: 'application/vnd.dev.cosign.simplesigning.v1+json' },
    ],
    ['of another predicate type', said({ predicateType: 'https://slsa.dev/provenance/v1' })],
    ['about nothing', said({ subject: [] })],
    [
      'about another digest by a digest of another kind',
      said({ subject: [{ name: 'a', digest: { sha512: digest.slice(7) } }] }),
    ],
    [
      'about a name that looks like the digest',
      said({ subject: [{ name: digest, digest: { sha256: '0'.repeat(64) } }] }),
    ],
    [
      'that says its subject twice, the second time in another case',
      {
        payload: Buffer.from(
          JSON.stringify(statement({ subject: [{ name: '', digest: { sha256: '0'.repeat(64) } }] })).replace(
            /}$/,
            `,"Subject":[{"name":"","digest":{"sha256":"${digest.slice(7)}"}}]}`,
          ),
        ),
      },
    ],
  ])('%s does not', async (_, envelope) => {
    expect(await judge(bundle(envelope))).toMatchObject({ predicate: null, reason: expect.any(String) });
  });

  it('about several digests holds for each of them', async () => {
    const subject = [
      { name: '', digest: { sha256: '0'.repeat(64) } },
      { name: '', digest: { sha256: digest.slice(7) } },
    ];
    expect(await judge(bundle(said({ subject })))).toEqual({ predicate: {} });
  });

  it('signed with a key is none of an identity', async () => {
    writeFileSync(
      join(folder, 'root.json'),
      '{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}',
    );
    const keyless = createCosign({
      program: programPath('cosign') ?? 'cosign',
      attest: { signer: '', keyRef: '', builderId: '', ...services, trustedRoot: join(folder, 'root.json') },
      workDir: join(folder, 'work'),
      environment: { PATH: process.env.PATH ?? '' },
      secrets: [],
      cacheDir: join(folder, 'cache'),
    });
    const trust = { identity: 'signer@example.org', identityRegexp: null, issuer: 'https://issuer.example' };
    expect(await keyless.verifyBundle(bundle(), { digest, predicateType: TYPE }, trust)).toMatchObject({
      predicate: null,
    });
  });
});

describe('a key that a policy names', () => {
  it.each([
    ['a device without an end', () => '/dev/zero'],
    [
      'a pipe that nobody writes to',
      () => {
        execFileSync('mkfifo', [join(folder, 'pipe')]);
        return join(folder, 'pipe');
      },
    ],
    ['a directory', () => folder],
    [
      'a file of ten gigabytes',
      () => {
        writeFileSync(join(folder, 'huge'), '');
        truncateSync(join(folder, 'huge'), 10 * 1024 ** 3);
        return join(folder, 'huge');
      },
    ],
  ])('is not read when it is %s', async (_, file) => {
    await expect(cosign.publicKeyFile(file())).rejects.toMatchObject({ code: 'ConfigInvalid' });
  });

  it('gives away neither what is in a file nor whether it is there', async () => {
    const nearly = join(folder, 'nearly');
    writeFileSync(nearly, `password: ${PASSWORD}\n${publicKey}`);
    const own = join(folder, 'own');
    writeFileSync(own, privateKey.export({ type: 'pkcs8', format: 'pem' }));
    const files = ['/etc/passwd', '/proc/self/environ', '/etc', '/dev/zero', join(folder, 'nowhere'), nearly, own];
    for (const file of files) {
      const error = await cosign.publicKeyFile(file).catch((thrown: Error) => thrown);
      expect(String(error)).toBe(`HoubaError: ${file} is not a file with a public key in PEM that the worker can read`);
      expect(error).not.toHaveProperty('cause', expect.anything());
    }
  });

  it.each([
    'http://inside/key',
    'env://COSIGN_PASSWORD',
    'k8s://ns/secret',
    'file:///etc/shadow',
    '../key',
    'awskms://inside:443/alias/x',
    'pkcs11:token=x;?module-path=/tmp/x.so',
    '--help',
  ])('cannot be %s', (key) => {
    expect(upstreamKeyProblem(key)).not.toBeNull();
  });
});
