import { deflateSync } from 'node:zlib';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { defaultPayloadConverter } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { dataConverter } from '../../../config/payload-codec.js';

const codec = dataConverter.payloadCodecs?.[0] as PayloadCodec;

const operations = Array.from({ length: 500 }, (_, index) => ({ kind: 'imported', out_tag: `1.${index}` }));

function payload(value: unknown): Payload {
  return defaultPayloadConverter.toPayload(value);
}

async function roundTrip(value: unknown): Promise<{ wire: Payload; back: unknown }> {
  const [wire] = await codec.encode([payload(value)]);
  if (wire === undefined) throw new Error('a payload was lost');
  const [decoded] = await codec.decode([wire]);
  return { wire, back: defaultPayloadConverter.fromPayload(decoded ?? {}) };
}

describe('the payload codec', () => {
  it('leaves small payloads readable', async () => {
    const { wire, back } = await roundTrip({ policy: 'redis' });
    expect(wire).toEqual(payload({ policy: 'redis' }));
    expect(back).toEqual({ policy: 'redis' });
  });

  it('compresses large ones, and gives them back', async () => {
    const { wire, back } = await roundTrip(operations);
    expect(wire.data?.length ?? Number.POSITIVE_INFINITY).toBeLessThan(JSON.stringify(operations).length / 5);
    expect(back).toEqual(operations);
  });

  it('leaves what does not shrink', async () => {
    const noise = crypto.getRandomValues(new Uint8Array(8192));
    const { wire, back } = await roundTrip(noise);
    expect(wire.data).toHaveLength(8192);
    expect(back).toEqual(noise);
  });

  it('passes on what others encoded', async () => {
    const foreign: Payload = { metadata: { encoding: Buffer.from('binary/encrypted') }, data: Buffer.from('x') };
    expect(await codec.decode([foreign, {}])).toEqual([foreign, {}]);
  });

  it('does not unfold a payload beyond 64 MiB', async () => {
    const bomb: Payload = {
      metadata: { encoding: Buffer.from('binary/zlib'), 'houba-inner-encoding': Buffer.from('binary/plain') },
      data: deflateSync(Buffer.alloc(65 * 1024 * 1024)),
    };
    await expect(codec.decode([bomb])).rejects.toThrow(/larger than/i);
  });
});
