import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger, type JournalOptions, type Logger } from '../../../worker/journal.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'houba-journal-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** The lines that are written. */
function linesOf(write: (log: Logger) => void, options: Partial<JournalOptions> = {}): string[] {
  const destination = join(folder, 'logs', 'journal');
  write(createLogger({ format: 'json', level: 'info', destination, ...options }));
  return readFileSync(destination, 'utf8').split('\n').slice(0, -1);
}

describe('the journal', () => {
  it('is one event a line, with a UTC time and a level', () => {
    const [line = ''] = linesOf((log) => log.info({ policy: 'redis', count: 2 }, 'policy.completed'));
    const { time, ...rest } = JSON.parse(line);
    expect(rest).toEqual({ level: 'info', event: 'policy.completed', policy: 'redis', count: 2 });
    expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('can be read as text', () => {
    const [line = ''] = linesOf((log) => log.error({ policy: 'redis' }, 'policy.failed'), { format: 'text' });
    expect(line).toMatch(/^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] ERROR: policy\.failed \{"policy":"redis"\}$/);
  });

  it('leaves out what is below its level', () => {
    const lines = linesOf(
      (log) => {
        log.info('run.started');
        log.warn('worth knowing');
      },
      { level: 'warn' },
    );
    expect(lines.map((line) => JSON.parse(line).event)).toEqual(['worth knowing']);
  });

  it.each(['json', 'text'] as const)(
    'never lets what a registry said steer a terminal or forge a line: %s',
    (format) => {
      const said = 'gone\u001b[2J\u001b[1;1H\nforged line\u0007 \u202egnp.exe';
      const lines = linesOf((log) => log.error({ error: said }, said), { format });
      expect(lines).toHaveLength(1);
      expect(lines[0]).not.toMatch(/\p{Cc}/u);
      // What reorders a line on a screen is of no harm to a program.
      if (format === 'text') expect(lines[0]).not.toMatch(/\p{Cf}/u);
    },
  );

  it('tells what an error was', () => {
    const [line = ''] = linesOf((log) => log.error({ error: new Error('the queue is gone') }, 'worker failed'));
    expect(JSON.parse(line).error).toMatch(/^Error: the queue is gone\n/);
  });

  it('goes on where an earlier one ended', () => {
    linesOf((log) => log.info('first'));
    expect(linesOf((log) => log.info('second'))).toHaveLength(2);
  });
});
