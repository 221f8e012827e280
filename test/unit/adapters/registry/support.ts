import { createHash } from 'node:crypto';
import type { RegistryAccess } from '../../../../adapters/credentials.js';
import {
  createRegistryReader,
  type RegistryReader,
  type RegistryReaderOptions,
} from '../../../../adapters/registry.js';
import type { Digest } from '../../../../domain/digest.js';
import type { HoubaError } from '../../../../domain/errors.js';
import { startFakeRegistry } from '../../../support/fake-registry.js';

export const MANIFEST_TYPE = 'application/vnd.oci.image.manifest.v1+json';
export const INDEX_TYPE = 'application/vnd.oci.image.index.v1+json';

export function rosterEntry(host: string, more: Partial<RegistryAccess> = {}): RegistryAccess {
  const plain = {
    namespace: null,
    tlsVerify: false,
    deletionMode: null,
    sourceOnly: false,
    username: null,
    password: null,
    caCert: null,
  };
  return { name: host, host, ...plain, ...more };
}

/** Options for a reader that knows these hosts, by plain HTTP unless an entry says otherwise, and no credentials file. */
export function readerOptions(
  entries: readonly RegistryAccess[],
  more: Partial<RegistryReaderOptions> = {},
): RegistryReaderOptions {
  return {
    access: new Map(entries.map((entry) => [entry.name, entry])),
    userAgent: 'houba/0.0.0-test',
    concurrency: 4,
    dockerConfigDir: null,
    environment: {},
    findProgram: () => null,
    ...more,
  };
}

/** A clock on which waiting takes no time, and that remembers for how long it was asked to wait. */
export function fakeClock(start = Date.UTC(2030, 0, 1)) {
  const waits: number[] = [];
  let time = start;
  return {
    waits,
    now: () => time,
    elapsed: () => time,
    advance: (ms: number) => {
      time += ms;
    },
    wait: async (ms: number, signal: AbortSignal | undefined) => {
      signal?.throwIfAborted();
      waits.push(ms);
      time += ms;
    },
  };
}

export function sha256(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;
}

export function descriptor(bytes: Uint8Array | string, mediaType: string) {
  return { mediaType, digest: sha256(bytes), size: Buffer.byteLength(bytes) };
}

/** An image manifest's text, with whatever is to differ. */
export function imageManifest(more: object = {}): string {
  const config = descriptor('{}', 'application/vnd.oci.image.config.v1+json');
  const layers = [descriptor('layer', 'application/vnd.oci.image.layer.v1.tar+gzip')];
  return JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST_TYPE, config, layers, ...more });
}

export type OpenRegistries = Awaited<ReturnType<typeof openRegistries>>;

/** Two fake registries, a clock, and a way to make readers of them; `close` ends them all. */
export async function openRegistries() {
  const [fake, other] = [await startFakeRegistry(), await startFakeRegistry()];
  const clock = fakeClock();
  const readers: RegistryReader[] = [];
  return {
    ...{ fake, other, clock },
    read(entries: readonly RegistryAccess[], more: Partial<RegistryReaderOptions> = {}): RegistryReader {
      const reader = createRegistryReader(readerOptions(entries, { clock, ...more }));
      readers.push(reader);
      return reader;
    },
    async close(): Promise<void> {
      await Promise.all(readers.map((reader) => reader.close()));
      await Promise.all([fake.stop(), other.stop()]);
    },
  };
}

/** The error of a promise that must fail. */
export async function failure(work: Promise<unknown>): Promise<HoubaError> {
  try {
    await work;
  } catch (error) {
    return error as HoubaError;
  }
  throw new Error('it did not fail');
}
