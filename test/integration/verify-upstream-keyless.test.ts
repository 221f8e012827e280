import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createVerifyUpstream } from '../../activities/place/verify-upstream.js';
import { createCosign } from '../../adapters/cosign.js';
import { createRegistryReader, type RegistryReader } from '../../adapters/registry.js';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { programPath } from '../../config/programs.js';
import { planSigning } from '../../domain/evidence/signing-config.js';
import { type PushedManifest, pushImage } from '../support/images.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import { type LocalSigstore, startSigstore } from '../support/sigstore.js';
import { type StockCosign, stockCosign } from '../support/upstream-signer.js';
import { readerOptions, rosterEntry } from '../unit/adapters/registry/support.js';

const SIGNER = 'publisher@example.org';

let folder: string;
let registry: RunningRegistry;
let reader: RegistryReader;
let sigstore: LocalSigstore;
let stock: StockCosign;
let count = 0;
let path: string;
let image: PushedManifest;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-keyless-'));
  registry = await startOlareg({ inMemory: true });
  reader = createRegistryReader(readerOptions([rosterEntry(registry.host)]));
  sigstore = await startSigstore(join(folder, 'sigstore'));
  stock = await stockCosign(join(folder, 'cosign'));
});
afterAll(async () => {
  await reader?.close();
  await registry?.stop();
  await sigstore?.stop();
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  path = `library/app-${count++}`;
  image = await pushImage(registry.host, path, '1.0', { 'etc/motd': path });
});

/** As a publisher without a key of their own does, whose services are ours. */
async function sign(email: string, format: 'bundle' | 'tag'): Promise<void> {
  const { fulcioUrl, tsaUrl, trustedRoot } = sigstore;
  const services = { fulcioUrl, rekorUrl: '', tsaUrl, trustedRoot };
  const { config } = planSigning({ signer: 'keyless', builderId: '', ...services });
  const file = join(folder, 'signing-config.json');
  await writeFile(file, JSON.stringify(config));
  const how =
    format === 'bundle'
      ? [`--signing-config=${file}`]
      : [
          ...['--new-bundle-format=false', '--use-signing-config=false', '--tlog-upload=false'],
          ...[`--fulcio-url=${fulcioUrl}`, `--timestamp-server-url=${tsaUrl}`],
        ];
  await stock(
    ...['sign', '--yes', `--identity-token=${sigstore.identityToken(email)}`, `--trusted-root=${trustedRoot}`],
    ...[...how, '--allow-http-registry', '--allow-insecure-registry', `${registry.host}/${path}@${image.digest}`],
  );
}

function verify(identity: string, { issuer = sigstore.issuer, trustedRoot = sigstore.trustedRoot } = {}) {
  const services = { fulcioUrl: '', rekorUrl: '', tsaUrl: '', trustedRoot };
  const cosign = createCosign({
    program: programPath('cosign') ?? 'cosign',
    attest: { signer: '', keyRef: '', builderId: '', ...services },
    workDir: join(folder, 'work'),
    environment: childEnvironment(readEnvironment()),
    secrets: [],
    cacheDir: join(folder, 'cache'),
  });
  const step = createVerifyUpstream({ reader, cosign, settings: { verifyKms: [] } });
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  const input = { source: { host: registry.host, path }, digest: image.digest, signer: { identity, issuer } };
  return environment.run(step as (...args: unknown[]) => Promise<string>, input) as Promise<string>;
}

describe.each(['bundle', 'tag'] as const)('a keyless signature of upstream, in a %s', (format) => {
  it('passes for the identity and issuer that the policy names', async () => {
    await sign(SIGNER, format);
    expect(await verify(SIGNER)).toBe(`${SIGNER} ${sigstore.issuer}`);
  });

  it('is refused when it is of somebody else, who is named', async () => {
    await sign('somebody@example.org', format);
    await expect(verify(SIGNER)).rejects.toMatchObject({
      type: 'SignatureInvalid',
      message: expect.stringContaining(`it is by "somebody@example.org", not "${SIGNER}"`),
    });
  });

  it('is refused when another issuer vouches for the identity', async () => {
    await sign(SIGNER, format);
    await expect(verify(SIGNER, { issuer: 'https://issuer.example' })).rejects.toMatchObject({
      type: 'SignatureInvalid',
      message: expect.stringContaining('vouches for its signer, not "https://issuer.example"'),
    });
  });

  it('does not hold for part of an identity', async () => {
    await sign(SIGNER, format);
    await expect(verify('publisher@example.or')).rejects.toMatchObject({ type: 'SignatureInvalid' });
    await expect(verify('.*')).rejects.toMatchObject({ type: 'SignatureInvalid' });
  });

  it('is refused when its certificate is of an authority that nobody here trusts', async () => {
    await sign(SIGNER, format);
    const trustedRoot = join(folder, 'nobody.json');
    await writeFile(
      trustedRoot,
      JSON.stringify({ mediaType: 'application/vnd.dev.sigstore.trustedroot+json;version=0.1' }),
    );
    await expect(verify(SIGNER, { trustedRoot })).rejects.toMatchObject({ type: 'SignatureInvalid' });
  });
});
