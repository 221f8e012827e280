import { createColors } from 'picocolors';
import { readEnvironment } from '../../config/environment.js';
import { NO_PALETTE, type Palette } from '../../domain/report/palette.js';

/**
 * Writes a result to stdout and waits for it: a pipe takes 64 KiB at a time, and the process ends right after. A reader
 * that has gone (`| head`) is no failure.
 */
export async function print(text: string): Promise<void> {
  await written(process.stdout, text);
}

export async function printJson(value: unknown): Promise<void> {
  await print(`${JSON.stringify(value, null, 2)}\n`);
}

/** Writes a message to stderr (docs/rules/errors.md#results-on-stdout-the-rest-on-stderr). */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

export async function flush(): Promise<void> {
  await Promise.all([written(process.stdout, ''), written(process.stderr, '')]);
}

/** The colours of a terminal; none on a pipe, with `NO_COLOR`, or where they are not wanted. */
export function paletteFor(stream: NodeJS.WriteStream, wanted: boolean): Palette {
  if (!wanted || stream.isTTY !== true || readEnvironment().NO_COLOR !== undefined) return NO_PALETTE;
  const { green, yellow, red, dim } = createColors(true);
  return { good: green, doubtful: yellow, bad: red, minor: dim };
}

async function written(stream: NodeJS.WriteStream, text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(text, (error) => {
      const gone = (error as NodeJS.ErrnoException | null | undefined)?.code;
      if (error && gone !== 'EPIPE' && gone !== 'ERR_STREAM_DESTROYED') reject(error);
      else resolve();
    });
  });
}
