import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { readReportFile } from '../../../../client/cli/report-file.js';
import { LARGEST_DOCUMENT } from '../../../../domain/evidence/attach/json-document.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'houba-report-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.restoreAllMocks();
});

const read = (path: string, signal = new AbortController().signal) => readReportFile('report', path, signal);

function input(stream: Readable): void {
  vi.spyOn(process, 'stdin', 'get').mockReturnValue(stream as typeof process.stdin);
}

/** Endless, and counts what was taken of it. */
function endless(): { readonly stream: Readable; taken: number } {
  const chunk = Buffer.alloc(1024 * 1024, ' ');
  const counted = {
    stream: new Readable({
      read() {
        counted.taken += chunk.length;
        this.push(chunk);
      },
    }),
    taken: 0,
  };
  return counted;
}

describe('a report', () => {
  it('is read from a file, byte for byte', async () => {
    const bytes = Buffer.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d, 0]);
    writeFileSync(join(folder, 'report'), bytes);
    expect(Buffer.from(await read(join(folder, 'report')))).toEqual(bytes);
  });

  it('is read from standard input, however it comes in', async () => {
    input(Readable.from([Buffer.from('{"a"'), Buffer.from(':1}')]));
    expect(new TextDecoder().decode(await read('-'))).toBe('{"a":1}');
  });

  it('of 200 MB is refused unread', async () => {
    const file = join(folder, 'large');
    writeFileSync(file, '');
    truncateSync(file, 200_000_000);
    const before = process.memoryUsage().rss;
    await expect(read(file)).rejects.toMatchObject({
      code: 'ReportInvalid',
      message: `${file} is larger than 64 MiB`,
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(150_000_000);
  });

  it('that does not end is read no further than it may be long', async () => {
    const counted = endless();
    input(counted.stream);
    await expect(read('-')).rejects.toMatchObject({ code: 'ReportInvalid' });
    expect(counted.taken).toBeLessThan(LARGEST_DOCUMENT + 4 * 1024 * 1024);
    expect(counted.stream.destroyed).toBe(true);
  });

  it.each([
    ['a file that is not there', () => join(folder, 'missing'), /missing: it cannot be read \(ENOENT\)/],
    ['a folder', () => folder, /EISDIR/],
  ])('in %s is a bad argument', async (_, path, message) => {
    await expect(read(path())).rejects.toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringMatching(message),
    });
  });

  it('that does not come can be given up', async () => {
    const stopping = new AbortController();
    input(new Readable({ read: () => undefined }));
    const waiting = read('-', stopping.signal);
    stopping.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
  });
});
