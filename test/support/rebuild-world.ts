import { mkdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { RunReport } from '../../domain/report/run/run-report.js';
import { type RunningBuildkit, startBuildkitd } from './buildkitd.js';
import { makeCertificate } from './certificates.js';
import { type CountingProxy, startCountingProxy } from './counting-proxy.js';
import { directory, file, link, type RootImageOptions, rootImage, tarOf } from './layouts.js';
import { type RunningRegistry, startOlareg } from './registries.js';
import { createHouba, type Houba, operationsOf, type RegctlReader, regctlReader } from './stack.js';
import type { TestPlatform } from './upstream-images.js';
import { type CosignKey, type StockCosign, stockCosign } from './upstream-signer.js';

export const TYPES = {
  transform: 'https://houba.dev/predicate/transform/v1',
  stamp: 'application/vnd.houba.stamp.v1+json',
  bundle: 'application/vnd.dev.sigstore.bundle.v0.3+json',
  spdx: 'application/spdx+json',
  inToto: 'application/vnd.in-toto+json',
} as const;

export const BUNDLE_PATH = '/etc/ssl/certs/ca-certificates.crt';

/** Where images are rebuilt and signed: an upstream registry, one of our own behind a counter, BuildKit, a key. */
export interface RebuildWorld {
  readonly daemon: RunningBuildkit;
  readonly upstream: RunningRegistry;
  readonly registry: RunningRegistry;
  /** houba knows the registry by this one's address. */
  readonly proxy: CountingProxy;
  readonly houba: Houba;
  readonly regctl: RegctlReader;
  readonly stock: StockCosign;
  readonly key: CosignKey;
  /** The certificate called `corp`: houba reads the file each time. */
  readonly certificateFile: string;
  /** Takes the daemon away from where houba looks for it, and gives it back. */
  readonly builder: { leave(): void; comeBack(): void };
  /** `demo/box:1` as stock programs are to write it. */
  at(reference: string): string;
  /** Reconciles, and demands that nothing failed. */
  reconcile(dir: string, ...args: readonly string[]): Promise<RunReport>;
  /** Stock cosign judges the statements of a type. @returns them; throws when there is none that verifies */
  statements(type: string, reference: string): Promise<Statement[]>;
  artifacts(reference: string, type: string): ReturnType<RegctlReader['artifacts']>;
  fileIn(reference: string, path: string): Promise<string>;
  config(reference: string): Promise<ImageConfig>;
  stop(): Promise<void>;
}

export interface Statement {
  readonly predicateType: string;
  readonly subject: readonly { readonly name: string; readonly digest: { readonly sha256: string } }[];
  // biome-ignore lint/suspicious/noExplicitAny: a foreign document
  readonly predicate: any;
}

export interface ImageConfig {
  readonly architecture: string;
  readonly created: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly rootfs: { readonly diff_ids: readonly string[] };
}

/**
 * @param startRegistry that of the destination
 * @param settings more of houba's
 * @param create makes houba
 */
export async function createRebuildWorld(
  startRegistry: () => Promise<RunningRegistry>,
  settings: Readonly<Record<string, string>> = {},
  create: typeof createHouba = createHouba,
): Promise<RebuildWorld> {
  const folder = await mkdtemp(join(tmpdir(), 'houba-rebuild-'));
  const [daemon, upstream, registry, stock] = await Promise.all([
    startBuildkitd(),
    startOlareg(),
    startRegistry(),
    stockCosign(join(folder, 'cosign')),
  ]);
  const [proxy, key, certificateFile] = await Promise.all([
    startCountingProxy(registry.host),
    stock.makeKey('ours'),
    newCertificate(folder, 'corp'),
  ]);
  const socket = join(folder, 'buildkitd.sock');
  const builder = {
    leave: () => rmSync(socket),
    comeBack: () => symlinkSync(daemon.address.slice('unix://'.length), socket),
  };
  builder.comeBack();
  const houba = await create(
    {
      up: { host: upstream.host, tls_verify: false },
      main: { host: proxy.host, tls_verify: false },
      direct: { host: registry.host, tls_verify: false },
    },
    {
      BUILDKIT_HOST: `unix://${socket}`,
      HOUBA_TRANSFORM_CA_CERTS: JSON.stringify({ corp: { path: certificateFile } }),
      HOUBA_ATTEST_SIGNER: 'key',
      HOUBA_ATTEST_KEY_REF: key.privateFile,
      ...settings,
    },
  );
  const regctl = regctlReader(folder, [registry.host, upstream.host]);
  const at = (reference: string) => `${registry.host}/${reference}`;
  return {
    ...{ daemon, upstream, registry, proxy, houba, regctl, stock, key, certificateFile, builder, at },
    reconcile: async (dir, ...args) => {
      proxy.reset();
      const { code, report, stderr } = await houba.reconcile(dir, ...args);
      expect(report.policies.map(({ error }) => error)).toEqual(report.policies.map(() => null));
      expect(operationsOf(report).flatMap(({ error }) => (error === null ? [] : [error.message]))).toEqual([]);
      expect(code, stderr).toBe(0);
      return report;
    },
    statements: async (type, reference) => {
      const local = ['--insecure-ignore-tlog=true', '--allow-http-registry', '--allow-insecure-registry'];
      const verified = await stock(
        'verify-attestation',
        `--key=${key.publicFile}`,
        `--type=${type}`,
        ...local,
        reference,
      );
      return verified
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(Buffer.from(JSON.parse(line).payload, 'base64').toString('utf8')) as Statement);
    },
    artifacts: async (reference, type) =>
      (await regctl.artifacts(reference)).filter(({ artifactType }) => artifactType === type),
    fileIn: (reference, path) => regctl('image', 'get-file', reference, path),
    config: async (reference) =>
      JSON.parse(await regctl('image', 'config', reference, '--format', '{{jsonPretty .}}')) as ImageConfig,
    stop: async () => {
      await houba.dispose();
      await proxy.stop();
      await Promise.all([daemon.stop(), upstream.stop(), registry.stop()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** @returns the path of a certificate that nobody else has */
export async function newCertificate(folder: string, name: string): Promise<string> {
  const place = join(folder, `certificate-${name}`);
  mkdirSync(place);
  return (await makeCertificate(place)).caFile;
}

/** The lines of a certificate, without which a bundle does not hold it. */
export function pemOf(path: string): string {
  return readFileSync(path, 'utf8').trim();
}

/** Some other certificate, which the images' own bundle holds. */
export const UPSTREAM_CA = [
  '-----BEGIN CERTIFICATE-----',
  'MIIBdTCCARugAwIBAgIUY5o1Qz3pY0r8k1l0m2n3o4p5q6owCgYIKoZIzj0EAwIw',
  '-----END CERTIFICATE-----',
  '',
].join('\n');

export const BASE_CONFIG = {
  User: '65532:65532',
  Entrypoint: ['/usr/bin/tool', '--serve'],
  Env: ['PATH=/usr/bin', 'TOOL=1'],
  WorkingDir: '/srv',
  Labels: { 'org.example.team': 'tools' },
};

/** A Debian with one package, time zones, package sources and a bundle of certificates. */
export async function debianBase(text: string, platform: TestPlatform = AMD64, options: RootImageOptions = {}) {
  const status = [`Package: ${text}`, 'Status: install ok installed', 'Architecture: all', 'Version: 1.0-1'];
  const system = await tarOf([
    directory('etc'),
    file('etc/os-release', 'ID=debian\nVERSION_ID="12"\nVERSION_CODENAME=bookworm\nNAME="Debian"\n'),
    file('etc/apt/sources.list', 'deb http://deb.debian.org/debian bookworm main\n'),
    file('etc/ssl/certs/ca-certificates.crt', UPSTREAM_CA),
    link('etc/localtime', '/usr/share/zoneinfo/Etc/UTC'),
    ...['Etc/UTC', 'Europe/Rome', 'America/New_York', 'Asia/Tokyo'].map((zone) =>
      file(`usr/share/zoneinfo/${zone}`, `TZif ${zone}`),
    ),
    file('var/lib/dpkg/status', `${status.join('\n')}\nMaintainer: Nobody <n@example.org>\nDescription: a test\n\n`),
  ]);
  const tool = await tarOf([file('usr/bin/tool', `${text} ${platform.architecture}`, 0o755)]);
  return rootImage([system, tool], { platform, config: BASE_CONFIG, ...options });
}

export const AMD64: TestPlatform = { os: 'linux', architecture: 'amd64' };
export const ARM64: TestPlatform = { os: 'linux', architecture: 'arm64', variant: 'v8' };
