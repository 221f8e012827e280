import { promisify } from 'node:util';
import { deflate, inflate } from 'node:zlib';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';
import { type ClientConnectConfig, loadClientConnectConfig } from '@temporalio/envconfig';
import type { Environment } from './environment.js';

/** How to reach Temporal. */
export interface TemporalSettings {
  /** `host:port`; null: nothing is configured, so the stack runs embedded. */
  readonly address: string | null;
  readonly namespace: string;
  /** For `Connection.connect` and `NativeConnection.connect`: TLS, API key, metadata. Null when embedded. */
  readonly connection: ClientConnectConfig['connectionOptions'] | null;
}

/**
 * Reads the standard variables and the profile of `temporal.toml`, when either is named.
 * @param problems gets a sentence for whatever is wrong
 */
export function loadTemporal(environment: Environment, problems: string[]): TemporalSettings {
  const embedded: TemporalSettings = { address: null, namespace: 'default', connection: null };
  if (!environment.TEMPORAL_ADDRESS && !environment.TEMPORAL_PROFILE) return embedded;

  const set: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) if (value !== undefined && value !== '') set[name] = value;
  let config: ClientConnectConfig;
  try {
    config = loadClientConnectConfig({ overrideEnvVars: set });
  } catch (error) {
    problems.push(`TEMPORAL_PROFILE: ${error instanceof Error ? error.message : String(error)}`);
    return embedded;
  }
  const address = config.connectionOptions.address ?? 'localhost:7233';
  const { tls } = config.connectionOptions;
  const encrypted = tls !== undefined && tls !== null && tls !== false;
  if (!encrypted && !isLoopback(address)) {
    if (tls !== false) {
      problems.push(
        `TEMPORAL_TLS: ${address} is not on this machine and would be reached in plain text; ` +
          'set TEMPORAL_TLS=true, or TEMPORAL_TLS=false to allow it',
      );
    } else if (config.connectionOptions.apiKey !== undefined) {
      problems.push('TEMPORAL_API_KEY: is not sent in plain text; set TEMPORAL_TLS=true');
    }
  }
  return {
    address,
    namespace: config.namespace ?? 'default',
    connection: { ...config.connectionOptions, address },
  };
}

function isLoopback(address: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i.test(address);
}

/**
 * What every client, worker and replay must share. Large payloads travel compressed, so that lists of operations stay far below
 * the limits of a history (docs/rules/durability.md#histories-stay-small).
 */
export const dataConverter: DataConverter = { payloadCodecs: [zlibCodec()] };

const ENCODING = 'binary/zlib';
const INNER_ENCODING = 'houba-inner-encoding';
/** Smaller ones gain nothing, and stay readable in Temporal's own UI. */
const COMPRESS_ABOVE = 4 * 1024;
/** Nothing houba sends is near this: a larger one is an attack. */
const LARGEST_INFLATED = 64 * 1024 * 1024;

const compress = promisify<Uint8Array, Buffer>(deflate);
const decompress = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflate);

function zlibCodec(): PayloadCodec {
  return {
    encode: (payloads) => Promise.all(payloads.map(encode)),
    decode: (payloads) => Promise.all(payloads.map(decode)),
  };
}

async function encode(payload: Payload): Promise<Payload> {
  const { metadata, data } = payload;
  if (data == null || data.length <= COMPRESS_ABOVE || metadata?.encoding == null) return payload;
  const small = await compress(data);
  if (small.length >= data.length) return payload;
  return {
    ...payload,
    metadata: { ...metadata, [INNER_ENCODING]: metadata.encoding, encoding: Buffer.from(ENCODING) },
    data: small,
  };
}

async function decode(payload: Payload): Promise<Payload> {
  const { metadata, data } = payload;
  const inner = metadata?.[INNER_ENCODING];
  if (data == null || metadata?.encoding == null || inner == null) return payload;
  if (Buffer.from(metadata.encoding).toString() !== ENCODING) return payload;
  const { [INNER_ENCODING]: _, ...rest } = metadata;
  return {
    ...payload,
    metadata: { ...rest, encoding: inner },
    data: await decompress(data, { maxOutputLength: LARGEST_INFLATED }),
  };
}
