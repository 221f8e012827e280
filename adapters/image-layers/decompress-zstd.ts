import { Duplex } from 'node:stream';
import { Decompress } from 'fzstd';

/** Largest window of a frame, bytes: as large as image builders use. Beyond 64 MiB fzstd 0.1.1 gives wrong bytes. */
const LARGEST_WINDOW = 32 * 1024 * 1024;

/** Bytes unpacked in one step, whose result is in memory: four bytes may become 128 KiB. */
const SLICE = 256;

/** Decompresses Zstandard with back-pressure; fails on malformed input and on a frame with too large a window. */
export function createUnzstd(): Duplex {
  return Duplex.from(async function* unpack(packed: AsyncIterable<Buffer>) {
    const frames = createFrameWatch();
    let unpacked: Uint8Array[] = [];
    const decompress = new Decompress((chunk) => {
      unpacked.push(chunk);
    });
    for await (const { buffer, byteOffset, byteLength } of packed) {
      for (let at = 0; at < byteLength; at += SLICE) {
        const slice = new Uint8Array(buffer, byteOffset + at, Math.min(SLICE, byteLength - at));
        frames.watch(slice);
        decompress.push(slice);
        yield* unpacked;
        unpacked = [];
      }
    }
    decompress.push(new Uint8Array(0), true);
    yield* unpacked;
  });
}

/** Bytes, packed or unpacked (RFC 8878, 3.1.1.2.4). */
const LARGEST_BLOCK = 128 * 1024;

/** Magic number, descriptor, window, dictionary and content size (RFC 8878, 3.1.1.1). */
const LONGEST_FRAME_HEADER = 18;
const ZSTD_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;

/** Follows the frame headers of a stream, without unpacking, and refuses too large a window. */
function createFrameWatch(): { watch(chunk: Uint8Array): void } {
  const header = Buffer.alloc(LONGEST_FRAME_HEADER);
  let have = 0;
  let skip = 0;
  let checksum = 0;
  let at: 'frame' | 'block' = 'frame';

  /** The length of the current header, as far as its first bytes tell. */
  function needed(): number {
    if (at === 'block') return 3;
    if (have < 5) return 5;
    if (isSkippable()) return 8;
    if (header.readUInt32LE(0) !== ZSTD_MAGIC) throw new Error('not a Zstandard frame');
    return frameHeaderLength(header[4] as number);
  }

  function isSkippable(): boolean {
    return (header.readUInt32LE(0) & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC;
  }

  function enter(): void {
    if (at === 'block') {
      const block = header.readUIntLE(0, 3);
      if (block >> 3 > LARGEST_BLOCK) throw new Error('a Zstandard block is too large');
      const repeatsOneByte = ((block >> 1) & 3) === 1;
      const isLast = (block & 1) === 1;
      skip = (repeatsOneByte ? 1 : block >> 3) + (isLast ? checksum : 0);
      at = isLast ? 'frame' : 'block';
    } else if (isSkippable()) {
      skip = header.readUInt32LE(4);
    } else {
      if (windowOf(header) > LARGEST_WINDOW) throw new Error('a Zstandard frame wants too large a window');
      checksum = ((header[4] as number) & 4) === 0 ? 0 : 4;
      at = 'block';
    }
  }

  return {
    watch(chunk) {
      for (let position = 0; position < chunk.length; ) {
        if (skip > 0) {
          const skipped = Math.min(skip, chunk.length - position);
          skip -= skipped;
          position += skipped;
          continue;
        }
        header[have++] = chunk[position++] as number;
        if (have < needed()) continue;
        enter();
        have = 0;
      }
    },
  };
}

function frameHeaderLength(descriptor: number): number {
  const single = (descriptor >> 5) & 1;
  const dictionary = [0, 1, 2, 4][descriptor & 3] as number;
  return 5 + (1 - single) + dictionary + contentSizeLength(descriptor);
}

function contentSizeLength(descriptor: number): number {
  const flag = descriptor >> 6;
  return flag === 0 ? (descriptor >> 5) & 1 : 1 << flag;
}

function windowOf(header: Buffer): number {
  const descriptor = header[4] as number;
  if (((descriptor >> 5) & 1) === 0) {
    const window = header[5] as number;
    const base = 2 ** (10 + (window >> 3));
    return base + (base / 8) * (window & 7);
  }
  const length = contentSizeLength(descriptor);
  const at = frameHeaderLength(descriptor) - length;
  if (length === 8) return Number(header.readBigUInt64LE(at));
  return header.readUIntLE(at, length) + (length === 2 ? 256 : 0);
}
