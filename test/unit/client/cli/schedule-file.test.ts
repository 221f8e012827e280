import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parseScheduleFile, readScheduleFile } from '../../../../client/cli/schedule-file.js';

const folder = mkdtempSync(join(tmpdir(), 'houba-schedules-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function settings(text: string) {
  return [...parseScheduleFile('s.yaml', text)].map(([{ id }, written]) => [id, written]);
}

function refusal(text: string): string {
  try {
    parseScheduleFile('s.yaml', text);
  } catch (error) {
    expect(error).toMatchObject({ code: 'ConfigInvalid', hint: expect.stringContaining('every: 30m') });
    return (error as Error).message;
  }
  throw new Error('it was read');
}

describe('a settings file', () => {
  it.each([
    ['YAML', 'reconcile:\n  every: 30m\n  jitter: 0\n'],
    ['JSON', '{"reconcile": {"every": "30m", "jitter": "0"}}'],
    ['the full name', 'houba-reconcile: { every: 30m, jitter: 0 }'],
    ['an anchor', 'reconcile: { every: &half 30m, jitter: 0s }\n'],
  ])('is read from %s', (_, text) => {
    expect(settings(text)).toEqual([['houba-reconcile', { every: 1_800_000, jitter: 0 }]]);
  });

  it('may name a schedule for its defaults alone', () => {
    expect(settings('reconcile:\n')).toEqual([['houba-reconcile', {}]]);
  });

  it.each([
    ['reconcile:\n  jitter: 1m\n  evry: 30m\n', 's.yaml:3: reconcile.evry is not a setting (did you mean every?)'],
    ['# top\nreconsile: {}\n', 's.yaml:2: no schedule is named "reconsile" (did you mean reconcile?)'],
    ['reconcile: 30m', 's.yaml:1: reconcile must be a mapping of settings'],
    ['reconcile: {}\nhoubareconcile: {}', 's.yaml:2: no schedule is named "houbareconcile" (did you mean reconcile?)'],
    ['reconcile: {}\nhouba-reconcile: {}', 's.yaml:2: houba-reconcile stands here twice'],
    ['reconcile: {}\nreconcile: {}', 's.yaml:2: Map keys must be unique'],
    ['reconcile: {every: 1h', 's.yaml:1: '],
    ['a: 1\n---\nb: 2', 's.yaml:'],
    ['reconcile: { jitter: !!js 5 }', 's.yaml:1: '],
    ['reconcile: *nothing', 's.yaml: Unresolved alias'],
    ['{}', 's.yaml: names no schedule'],
    ['', 's.yaml: not a mapping of schedules'],
    ['- reconcile', 's.yaml: not a mapping of schedules'],
    [`# ${'x'.repeat(70_000)}`, 's.yaml: larger than 64 KiB'],
    ['"re\\u001bcon": {}', 's.yaml:1: no schedule is named "re\\u001bcon"'],
  ])('%j is refused with its place', (text, message) => {
    expect(refusal(text)).toContain(message);
  });

  it('is refused with all its mistakes at once', () => {
    expect(refusal('reconcile:\n  evry: 1h\n  catchUp: 1s\nnothing: {}')).toMatch(
      /^3 mistakes:\n( {2}s\.yaml:\d: .*\n?){3}$/,
    );
  });

  it('is read from a path, whose absence is told', async () => {
    const file = join(folder, 'schedules.yaml');
    writeFileSync(file, 'reconcile: { every: 2h }');
    expect((await readScheduleFile(file)).size).toBe(1);
    await expect(readScheduleFile(join(folder, 'none.yaml'))).rejects.toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringContaining('none.yaml cannot be read (ENOENT)'),
    });
  });
});
