import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { policyCommand } from '../../../../../client/cli/verbs/policy.js';
import { policyJsonSchema } from '../../../../../domain/policy/json-schema.js';
import { policyDocument } from '../../../domain/policy/documents.js';

let folder: string;
const policyFile = () => join(folder, 'policy.json.yaml');

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'houba-policy-command-'));
  const tags = { includeRegex: '^7', excludeRegex: ['-rc'], aliases: ['{major}.x'] };
  const variants = [{ name: 'plain' }, { name: 'eu', suffix: '-eu' }];
  // JSON is YAML.
  writeFileSync(policyFile(), JSON.stringify(policyDocument({ name: 'redis', imports: [{ tags, variants }, {}] })));
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

afterEach(() => {
  vi.restoreAllMocks();
});

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

type ListTags = Parameters<typeof policyCommand>[0]['listTags'];

/** Collects what is written to standard output; the write of the process is replaced, not the command's own code. */
function captureOutput(): string[] {
  const written: string[] = [];
  const write = (chunk: unknown, done: unknown) => {
    written.push(String(chunk));
    if (typeof done === 'function') done();
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(write);
  return written;
}

async function run(args: string[], listTags: ListTags = async () => ['7.1', 'latest']): Promise<string> {
  const written = captureOutput();
  await policyCommand({ listTags }).parseAsync(args, { from: 'user' });
  return written.join('');
}

describe('houba policy schema', () => {
  it('prints the JSON Schema', async () => {
    expect(JSON.parse(await run(['schema']))).toEqual(policyJsonSchema());
  });
});

describe('houba policy check', () => {
  it('counts policies and imports', async () => {
    expect(await run(['check', policyFile()])).toBe('1 policy, 2 imports: ok\n');
    expect(JSON.parse(await run(['check', policyFile(), '--output', 'json']))).toEqual({
      schema_version: 1,
      valid: true,
      policies: 1,
      imports: 2,
      issues: [],
      warnings: [
        {
          file: policyFile(),
          line: 1,
          column: expect.any(Number),
          path: 'spec.imports[1].tags',
          message: expect.stringContaining('likely to write the same tags of p/r, such as 7.2.4'),
          hint: expect.any(String),
        },
      ],
    });
  });

  it('tells on stderr of imports that are likely to write the same tags, and refuses those that name one', async () => {
    const stderr = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    expect(await run(['check', policyFile()])).toBe('1 policy, 2 imports: ok\n');
    expect(stderr.mock.calls.join('')).toMatch(/yaml:1:\d+: warning: import v1 .* is likely to write the same tags/);
    const imports = [{ tags: { names: ['7'] } }, { tags: { names: ['7'] } }];
    const path = file('named.txt', JSON.stringify(policyDocument({ name: 'named', imports })));
    await expect(run(['check', path])).rejects.toMatchObject({
      code: 'PolicyInvalid',
      message: expect.stringMatching(/named\.txt:1:\d+: import v1 .* writes p\/r:7 as well/),
    });
  });

  it('fails with every mistake, as JSON on standard output too', async () => {
    const path = file('wrong.txt', 'kind: x\nextra: 1\n');
    await expect(run(['check', path])).rejects.toMatchObject({ code: 'PolicyInvalid' });
    const written = captureOutput();
    const command = policyCommand({ listTags: async () => [] });
    await expect(command.parseAsync(['check', path, '--output', 'json'], { from: 'user' })).rejects.toThrow('mistakes');
    expect(JSON.parse(written.join(''))).toMatchObject({
      schema_version: 1,
      valid: false,
      issues: expect.arrayContaining([
        { file: path, line: 2, column: 1, path: 'extra', message: expect.any(String), hint: expect.any(String) },
      ]),
    });
  });

  it('says where a destination is longer than any registry takes', async () => {
    const destinations = [{ project: 'p'.repeat(200), repository: 'r'.repeat(60) }];
    const path = file('long.txt', JSON.stringify(policyDocument({ name: 'long', imports: [{ destinations }] })));
    await expect(run(['check', path])).rejects.toMatchObject({
      code: 'PolicyInvalid',
      message: expect.stringMatching(/long\.txt:\d+:\d+: the path has 261 characters, of at most 255/),
    });
  });
});

describe('houba policy test', () => {
  const selection = {
    name: 'v1',
    variants: [
      { name: 'plain', suffix: '' },
      { name: 'eu', suffix: '-eu' },
    ],
    selected: ['7.1', '7.2'],
    rejected: [
      { tag: '7.3-rc', rule: 'excludeRegex[0]' },
      { tag: 'latest', rule: 'includeRegex' },
    ],
    aliases: { '7.x': '7.2' },
    warnings: [],
  };

  it.each([
    ['tags/list JSON', '{"name": "library/redis", "tags": ["latest", "7.2", "7.1", "7.3-rc"]}'],
    ['a bare JSON list', '["latest", "7.2", "7.1", "7.3-rc"]'],
    ['one tag a line', 'latest\n7.2\r\n\n  7.1\n7.3-rc\n7.2'],
  ])('reads %s and reports what the selection decides', async (_form, list) => {
    const path = file('tags', list);
    const report = JSON.parse(
      await run(['test', policyFile(), '--tags-from', path, '--import', 'v1', '--output', 'json']),
    );
    expect(report).toEqual({ schema_version: 1, policy: 'redis', imports: [selection] });
  });

  it('asks the source when no list is given, and shows output tags per variant', async () => {
    const listTags = vi.fn<ListTags>(async () => ['7.1', 'latest']);
    const text = await run(['test', policyFile()], listTags);
    expect(listTags).toHaveBeenCalledWith({ registry: 'docker.io', repository: 'library/redis' });
    expect(text.split('\n').map((line) => line.replace(/ +/g, ' '))).toEqual([
      'policy redis source docker.io/library/redis 2 tags',
      '',
      'import v1 1 selected, 1 rejected, 1 alias',
      'variants: plain, eu (-eu)',
      'warning: excludeRegex[0] "-rc" leaves out nothing',
      ' + 7.1 selected -> 7.1, 7.1-eu',
      ' - latest includeRegex',
      ' @ 7.x, 7.x-eu alias -> 7.1, 7.1-eu',
      '',
      'import v2 1 selected, 1 rejected, 0 aliases',
      'variants: default',
      ' + 7.1 selected -> 7.1',
      ' - latest semverOnly',
      '',
    ]);
  });

  it('shows beside each tag what its order reads, where the policy names one', async () => {
    const tags = { order: 'docker', newest: 1 };
    const path = file('order.txt', JSON.stringify(policyDocument({ name: 'order', imports: [{ tags }] })));
    const text = await run(['test', path, '--tags-from', file('tags', '7.9\n7.10\n7.1-alpine\nlatest')]);
    expect(
      text
        .split('\n')
        .slice(4, 8)
        .map((line) => line.replace(/ +/g, ' ')),
    ).toEqual([
      ' + 7.10 selected -> 7.10 (version 7.10, number 1 of the newest 1)',
      ' + 7.1-alpine selected -> 7.1-alpine (version 7.1 flavour alpine, number 1 of the newest 1)',
      ' - 7.9 newest (version 7.9 is number 2, the newest 1 are taken)',
      ' - latest semverOnly (order docker reads no version in it)',
    ]);
  });

  it.each(['{"name": "x", "tags": null}', '{"name": "x"}'])(
    'an empty repository is no mistake, and is warned about: %s',
    async (page) => {
      const path = file('tags', page);
      expect(await run(['test', policyFile(), '--tags-from', path])).toContain('warning: no tag is selected');
    },
  );

  it.each([
    ['text that is no tag', 'not a tag\n', '"not a tag" is not a tag'],
    ['broken JSON', '{"tags": [', 'not valid JSON'],
    ['JSON without tags', '{"errors": []}', 'no list of tags'],
    ['JSON with numbers', '{"tags": [1]}', 'a list of something else'],
  ])('%s is a configuration error', async (_what, list, message) => {
    await expect(run(['test', policyFile(), '--tags-from', file('tags', list)])).rejects.toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringContaining(message),
    });
  });

  it('leaves out what is no tag, as a run does, and warns of it', async () => {
    const noted = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const path = file('tags', '7.1\r\nnot a\u001b[31m tag\r\nlatest\r\n');
    expect(await run(['test', policyFile(), '--tags-from', path, '--import', 'v2'])).toContain('2 tags');
    expect(noted.mock.calls).toEqual([
      [expect.stringMatching(/^warning: .*tags: left out, .*: "not a\\u001b\[31m tag"\n$/)],
    ]);
  });

  it('so is a list that is not there, an unknown import, a folder of several policies', async () => {
    const missing = run(['test', policyFile(), '--tags-from', join(folder, 'none')]);
    await expect(missing).rejects.toMatchObject({ code: 'ConfigInvalid' });
    const unknown = run(['test', policyFile(), '--import', 'v9']);
    await expect(unknown).rejects.toMatchObject({ code: 'ConfigInvalid', hint: 'its imports: v1, v2' });
    const second = policyDocument({ imports: [{ destinations: [{ project: 'p', repository: 's' }] }] });
    file('second.yaml', JSON.stringify(second));
    await expect(run(['test', folder])).rejects.toMatchObject({ message: expect.stringContaining('holds 2 policies') });
  });
});
