import { execFile } from 'node:child_process';
import { generateKeyPairSync, randomBytes, scryptSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { secretbox } from '@noble/ciphers/salsa.js';
import { programPath } from '../../config/programs.js';
import { EMPTY_TRUSTED_ROOT } from '../../domain/evidence/signing-config.js';

const run = promisify(execFile);

/** A key pair of cosign's, without a password. */
export interface CosignKey {
  readonly privateFile: string;
  readonly publicFile: string;
  readonly publicPem: string;
}

/** Stock cosign, as a publisher has it. */
export interface StockCosign {
  (...args: readonly string[]): Promise<string>;
  makeKey(name: string): Promise<CosignKey>;
  /** Signs what a plain-HTTP registry holds: in a Sigstore bundle, or under the tag `sha256-<hex>.sig`. */
  sign(key: CosignKey, reference: string, format: 'bundle' | 'tag'): Promise<void>;
  /** Attaches a signed statement about it. @param type as cosign names it, or a predicate type */
  attest(key: CosignKey, reference: string, type: string, predicate: unknown): Promise<void>;
}

/** @param folder for its home, its keys and its configuration, which names no service */
export async function stockCosign(folder: string): Promise<StockCosign> {
  await mkdir(folder, { recursive: true });
  const file = programPath('cosign');
  if (file === null) throw new Error('cosign is not there; run make setup');
  const env = { PATH: process.env.PATH ?? '', HOME: folder, DOCKER_CONFIG: folder, COSIGN_PASSWORD: '' };
  const offline = join(folder, 'signing-config.json');
  const nobody = join(folder, 'trusted-root.json');
  const withoutServices = [`--signing-config=${offline}`, `--trusted-root=${nobody}`];
  writeFileSync(
    offline,
    JSON.stringify({
      mediaType: 'application/vnd.dev.sigstore.signingconfig.v0.2+json',
      rekorTlogConfig: {},
      tsaConfig: {},
    }),
  );
  writeFileSync(nobody, JSON.stringify(EMPTY_TRUSTED_ROOT));
  const call = async (...args: readonly string[]) => (await run(file, args, { env, cwd: folder })).stdout.trim();
  return Object.assign(call, {
    async makeKey(name: string): Promise<CosignKey> {
      const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      const publicPem = publicKey.export({ format: 'pem', type: 'spki' }).toString();
      const [privateFile, publicFile] = [join(folder, `${name}.key`), join(folder, `${name}.pub`)];
      writeFileSync(privateFile, encryptedPem(privateKey.export({ format: 'der', type: 'pkcs8' })), { mode: 0o600 });
      writeFileSync(publicFile, publicPem);
      return { privateFile, publicFile, publicPem };
    },
    async sign({ privateFile }: CosignKey, reference: string, format: 'bundle' | 'tag'): Promise<void> {
      const how =
        format === 'bundle'
          ? withoutServices
          : ['--new-bundle-format=false', '--use-signing-config=false', '--tlog-upload=false'];
      await call('sign', '--yes', `--key=${privateFile}`, ...how, ...PLAIN_HTTP, reference);
    },
    async attest({ privateFile }: CosignKey, reference: string, type: string, predicate: unknown): Promise<void> {
      const document = join(folder, 'predicate.json');
      writeFileSync(document, JSON.stringify(predicate));
      const what = [`--key=${privateFile}`, `--predicate=${document}`, `--type=${type}`];
      await call('attest', '--yes', ...what, ...withoutServices, ...PLAIN_HTTP, reference);
    },
  });
}

/**
 * Encrypts a private key with an empty password as `cosign generate-key-pair` does, but for the cheapest derivation that
 * cosign takes: with its own, a third of a second of a processor is spent for each signature.
 */
function encryptedPem(pkcs8: Uint8Array): string {
  const params = { N: 2 ** 15, r: 8, p: 1 };
  const [salt, nonce] = [randomBytes(32), randomBytes(24)];
  const ciphertext = secretbox(scryptSync('', salt, 32, { ...params, maxmem: 64 * 2 ** 20 }), nonce).seal(pkcs8);
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  const kdf = { name: 'scrypt', params, salt: base64(salt) };
  const cipher = { name: 'nacl/secretbox', nonce: base64(nonce) };
  const body = base64(Buffer.from(JSON.stringify({ kdf, cipher, ciphertext: base64(ciphertext) })));
  const label = 'ENCRYPTED SIGSTORE PRIVATE KEY';
  return [`-----BEGIN ${label}-----`, ...(body.match(/.{1,64}/g) ?? []), `-----END ${label}-----`, ''].join('\n');
}

const PLAIN_HTTP = ['--allow-http-registry', '--allow-insecure-registry'];
