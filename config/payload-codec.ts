import { promisify } from 'node:util';
import { deflate, inflate } from 'node:zlib';
import type { DataConverter, Payload, PayloadCodec } from '@temporalio/common';

/**
 * The data converter of every client, worker and replay; compresses large payloads
 * (docs/rules/durability.md#histories-stay-small).
 */
export const dataConverter: DataConverter = { payloadCodecs: [zlibCodec()] };

const ENCODING = 'binary/zlib';
const INNER_ENCODING = 'houba-inner-encoding';
/** Smaller payloads gain nothing, and stay readable in Temporal's UI. */
const COMPRESS_ABOVE = 4 * 1024;
/** No payload of houba is near this size: a larger one is an attack. */
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
