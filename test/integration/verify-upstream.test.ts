import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createVerifyUpstream } from '../../activities/place/verify-upstream.js';
import { createCosign } from '../../adapters/cosign.js';
import { createRegistryReader, type RegistryReader } from '../../adapters/registry.js';
import { programPath } from '../../config/programs.js';
import { type Digest, digestOf } from '../../domain/digest.js';
import type { UpstreamSigner } from '../../domain/evidence/facts.js';
import { publicKeyFingerprint } from '../../domain/evidence/upstream/upstream-key.js';
import { type PushedManifest, pushImage } from '../support/images.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import { leftIn, type RegctlReader, regctlReader } from '../support/stack.js';
import { type CosignKey, type StockCosign, stockCosign } from '../support/upstream-signer.js';
import { readerOptions, rosterEntry } from '../unit/adapters/registry/support.js';

const run = promisify(execFile);

let folder: string;
let stock: StockCosign;
let ours: CosignKey;
let theirs: CosignKey;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-upstream-'));
  stock = await stockCosign(join(folder, 'cosign'));
  [ours, theirs] = await Promise.all([stock.makeKey('ours'), stock.makeKey('theirs')]);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each([
  ['olareg', () => startOlareg({ inMemory: true })],
  ['distribution, which has no referrers API', () => startDistribution()],
])('signatures at %s', (_, start) => {
  let registry: RunningRegistry;
  let reader: RegistryReader;
  let regctl: RegctlReader;
  let count = 0;
  let path: string;
  let image: PushedManifest;

  beforeAll(async () => {
    registry = await start();
    reader = createRegistryReader(readerOptions([rosterEntry(registry.host)]));
    regctl = regctlReader(folder, [registry.host]);
  });
  afterAll(async () => {
    await reader?.close();
    await registry?.stop();
  });
  beforeEach(async () => {
    path = `library/app-${count++}`;
    image = await pushImage(registry.host, path, '1.0', { 'etc/motd': path });
  });

  function verify(signer: UpstreamSigner = { key: ours.publicPem }, digest: Digest = image.digest): Promise<string> {
    const program = programPath('cosign') ?? 'cosign';
    const services = { fulcioUrl: '', rekorUrl: '', tsaUrl: '', trustedRoot: '' };
    const attest = { signer: '' as const, keyRef: '', builderId: '', ...services };
    const cosign = createCosign({
      program,
      attest,
      workDir: join(folder, 'work'),
      environment: { PATH: process.env.PATH ?? '' },
      secrets: [],
      cacheDir: join(folder, 'cache'),
    });
    const step = createVerifyUpstream({ reader, cosign, settings: { verifyKms: [] } });
    const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
    const input = { source: { host: registry.host, path }, digest, signer };
    return environment.run(step as (...args: unknown[]) => Promise<string>, input) as Promise<string>;
  }

  const pinned = () => `${registry.host}/${path}@${image.digest}`;
  const signatureTag = (digest: Digest = image.digest) => `${digest.replace(':', '-')}.sig`;

  it.each(['bundle', 'tag'] as const)('of the right key pass, in a %s', async (format) => {
    await stock.sign(ours, pinned(), format);
    expect(await verify()).toBe(publicKeyFingerprint(ours.publicPem));
    expect(await verify({ key: ours.publicFile })).toBe(publicKeyFingerprint(ours.publicPem));
  });

  it.each(['bundle', 'tag'] as const)('of another key do not, in a %s', async (format) => {
    await stock.sign(theirs, pinned(), format);
    await expect(verify()).rejects.toMatchObject({
      type: 'SignatureInvalid',
      message: expect.stringMatching(/@sha256:\w+ has no valid signature by the key sha256:\w+: it is by another key/),
    });
  });

  it('of both keys pass for either', async () => {
    for (const format of ['bundle', 'tag'] as const) {
      for (const key of [ours, theirs]) await stock.sign(key, pinned(), format);
    }
    expect(await verify()).toBe(publicKeyFingerprint(ours.publicPem));
    expect(await verify({ key: theirs.publicPem })).toBe(publicKeyFingerprint(theirs.publicPem));
  });

  it('that are not there are missed', async () => {
    await expect(verify()).rejects.toMatchObject({
      type: 'SignatureInvalid',
      message: expect.stringContaining('is not signed'),
    });
  });

  it('of an attestation alone are none of the image', async () => {
    await stock.attest(ours, pinned(), 'custom', {});
    await expect(verify()).rejects.toThrow('is not signed');
  });

  it('that vanish are missed at the next run', async () => {
    await stock.sign(ours, pinned(), 'bundle');
    await verify();
    for (const { digest } of await regctl.artifacts(pinned())) {
      await regctl('manifest', 'delete', '--referrers', `${registry.host}/${path}@${digest}`);
    }
    await expect(verify()).rejects.toThrow('is not signed');
  });

  describe('moved from another image', () => {
    let other: PushedManifest;
    beforeEach(async () => {
      other = await pushImage(registry.host, path, 'other', { 'etc/motd': 'other' });
    });

    it('do not hold, under a tag', async () => {
      await stock.sign(ours, `${registry.host}/${path}@${other.digest}`, 'tag');
      await regctl(
        ...['image', 'copy', `${registry.host}/${path}:${signatureTag(other.digest)}`],
        `${registry.host}/${path}:${signatureTag()}`,
      );
      await expect(verify()).rejects.toMatchObject({
        type: 'SignatureInvalid',
        message: expect.stringContaining(`a signature of another digest, ${other.digest}`),
      });
    });

    it('do not hold, in a bundle', async () => {
      await stock.sign(ours, `${registry.host}/${path}@${other.digest}`, 'bundle');
      const [referrer] = await reader.listReferrers({ host: registry.host, path }, other.digest);
      await moveBundle(referrer?.digest as Digest);
      await expect(verify()).rejects.toMatchObject({
        type: 'SignatureInvalid',
        message: expect.stringContaining('it is about another digest'),
      });
    });
  });

  it('over a payload that was changed do not hold, under a tag', async () => {
    await stock.sign(ours, pinned(), 'tag');
    await replaceLayer(signatureTag(), (bytes) => {
      const payload = JSON.parse(bytes.toString());
      payload.critical.identity['docker-reference'] = 'registry.example/other';
      return Buffer.from(JSON.stringify(payload));
    });
    await expect(verify()).rejects.toMatchObject({ type: 'SignatureInvalid' });
  });

  it('over a statement that was changed do not hold, in a bundle', async () => {
    const other = await pushImage(registry.host, path, 'other', { 'etc/motd': 'other' });
    await stock.sign(ours, `${registry.host}/${path}@${other.digest}`, 'bundle');
    const [referrer] = await reader.listReferrers({ host: registry.host, path }, other.digest);
    await moveBundle(referrer?.digest as Digest, (bytes) => {
      const bundle = JSON.parse(bytes.toString());
      const statement = Buffer.from(bundle.dsseEnvelope.payload, 'base64').toString();
      const forged = statement.replaceAll(other.digest.slice(7), image.digest.slice(7));
      expect(forged).not.toBe(statement);
      bundle.dsseEnvelope.payload = Buffer.from(forged).toString('base64');
      return Buffer.from(JSON.stringify(bundle));
    });
    await expect(verify()).rejects.toMatchObject({ type: 'SignatureInvalid' });
  });

  it('leave nothing behind in the work folder', async () => {
    expect(leftIn(join(folder, 'work'))).toEqual([]);
  });

  /** Attaches a bundle that hangs on another manifest to the image, changed if need be. */
  async function moveBundle(referrer: Digest, change: (bytes: Buffer) => Buffer = (bytes) => bytes): Promise<void> {
    const manifest = await regctl.manifest(`${registry.host}/${path}@${referrer}`);
    const bytes = await reader.getBlob(
      { host: registry.host, path },
      manifest.layers?.[0]?.digest as Digest,
      1_000_000,
    );
    const mediaType = manifest.layers?.[0]?.mediaType ?? '';
    const annotations = Object.entries(manifest.annotations ?? {}).flatMap(([key, value]) => [
      '--annotation',
      `${key}=${value}`,
    ]);
    await withInput(
      change(Buffer.from(bytes)),
      ...['artifact', 'put', '--subject', pinned(), '--artifact-type', mediaType, '--file-media-type', mediaType],
      ...annotations,
    );
  }

  /** Puts other bytes in the place of the one layer of an image, and leaves its annotations. */
  async function replaceLayer(tag: string, change: (bytes: Buffer) => Buffer): Promise<void> {
    const text = await regctl('manifest', 'get', `${registry.host}/${path}:${tag}`, '--format', 'raw-body');
    const manifest = JSON.parse(text);
    const [layer] = manifest.layers;
    const bytes = change(Buffer.from(await reader.getBlob({ host: registry.host, path }, layer.digest, 1_000_000)));
    await withInput(bytes, 'blob', 'put', `${registry.host}/${path}`);
    manifest.layers = [{ ...layer, digest: digestOf(bytes), size: bytes.length }];
    await withInput(JSON.stringify(manifest), 'manifest', 'put', `${registry.host}/${path}:${tag}`);
  }

  async function withInput(input: string | Buffer, ...args: readonly string[]): Promise<void> {
    const env = { PATH: process.env.PATH ?? '', HOME: folder, REGCTL_CONFIG: join(folder, 'regctl.json') };
    const work = run(programPath('regctl') ?? 'regctl', args, { env });
    work.child.stdin?.end(input);
    await work;
  }
});
