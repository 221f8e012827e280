import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { HoubaError } from '../../domain/errors.js';
import { LARGEST_DOCUMENT, tooLarge } from '../../domain/evidence/attach/json-document.js';

/**
 * Reads a document that is to be attached; `-` is standard input. What is too large is not read to its end.
 * @param option that names the file, for messages. @throws HoubaError `ConfigInvalid`; `ReportInvalid` when it is too large
 */
export async function readReportFile(option: string, path: string, signal: AbortSignal): Promise<Uint8Array> {
  const isInput = path === '-';
  const name = isInput ? 'standard input' : path;
  try {
    // Of a pipe the size is not known.
    if (!isInput && (await stat(path)).size > LARGEST_DOCUMENT) throw tooLarge(name);
    return await readBounded(isInput ? process.stdin : createReadStream(path), name, signal);
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof HoubaError) throw cause;
    const reason = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new HoubaError('ConfigInvalid', `--${option} ${name}: it cannot be read (${reason})`, {
      hint: 'name a file, or - for standard input',
      cause,
    });
  }
}

async function readBounded(input: Readable, name: string, signal: AbortSignal): Promise<Uint8Array> {
  const stop = () => input.destroy(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  try {
    const chunks: Buffer[] = [];
    let size = 0;
    for await (const chunk of input as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
      if (size > LARGEST_DOCUMENT) throw tooLarge(name);
    }
    return Buffer.concat(chunks);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
