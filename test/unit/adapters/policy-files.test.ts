import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readPolicyFiles } from '../../../adapters/policy-files.js';
import { HoubaError } from '../../../domain/errors.js';
import { formatIssue, PolicySetInvalid } from '../../../domain/policy/issues.js';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'houba-policies-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function policy(name: string, more = ''): string {
  return `apiVersion: houba.io/v1alpha1
kind: MirrorPolicy
metadata: {name: ${name}}
spec:
  artifactType: image
  source: {registry: docker.io, repository: library/redis}
  imports:
    - name: v
      tags: {}
      destinations: [{project: p, repository: ${name}}]
${more}`;
}

function put(files: Record<string, string | Uint8Array>): void {
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
}

/** The mistakes of the folder, one line each, without its name; empty when there are none. */
async function mistakes(path = folder): Promise<string[]> {
  try {
    await readPolicyFiles(path);
    return [];
  } catch (error) {
    if (error instanceof PolicySetInvalid)
      return error.issues.map((issue) => formatIssue(issue).replaceAll(`${folder}/`, ''));
    throw error;
  }
}

async function mistakesOf(content: string | Uint8Array): Promise<string[]> {
  put({ 'a.yaml': content });
  return mistakes();
}

describe('which files are read', () => {
  it('regular .yml and .yaml files, recursively, in sorted path order', async () => {
    put({
      'b.yaml': policy('b'),
      'a/z.yml': policy('z'),
      'a/more.yaml/c.yaml': policy('c'),
      'a/notes.txt': 'no policy',
      'a/yaml': 'no policy',
      '.github/workflow.yaml': 'no policy',
      '..data/b.yaml': policy('b'),
    });
    const files = await readPolicyFiles(folder);
    expect(files.map((one) => [one.file, one.policy.metadata.name])).toEqual([
      [join(folder, 'a/more.yaml/c.yaml'), 'c'],
      [join(folder, 'a/z.yml'), 'z'],
      [join(folder, 'b.yaml'), 'b'],
    ]);
  });

  it('a single file of any name', async () => {
    put({ policy: policy('one'), 'other.yaml': 'broken' });
    expect(await readPolicyFiles(join(folder, 'policy'))).toHaveLength(1);
  });

  it('files mounted by Kubernetes, which are links inside the folder; links to folders are not followed', async () => {
    put({ '..2026/a.yaml': policy('a') });
    symlinkSync('..2026', join(folder, '..data'));
    symlinkSync('..data/a.yaml', join(folder, 'a.yaml'));
    symlinkSync('.', join(folder, 'loop.yaml'));
    expect(await readPolicyFiles(folder)).toHaveLength(1);
  });

  it('a link out of the folder, to nowhere or to itself is a mistake', async () => {
    symlinkSync('/etc/hostname', join(folder, 'a.yaml'));
    symlinkSync('nowhere', join(folder, 'b.yaml'));
    symlinkSync('c.yaml', join(folder, 'c.yaml'));
    expect(await mistakes()).toEqual([
      'a.yaml:1:1: the link leads out of the folder',
      'b.yaml:1:1: the file cannot be read (ENOENT)',
      'c.yaml:1:1: the file cannot be read (ELOOP)',
    ]);
  });

  it('a pipe is a mistake, and is not read', async () => {
    execFileSync('mkfifo', [join(folder, 'pipe.yaml')]);
    expect(await mistakes()).toEqual(['pipe.yaml:1:1: not a regular file']);
  });

  it.each(['', 'missing', 'empty', 'empty/none.txt/..'])(
    'nothing to read at %j is a configuration error',
    async (path) => {
      mkdirSync(join(folder, 'empty', 'none.txt'), { recursive: true });
      const failure = await readPolicyFiles(join(folder, path)).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(HoubaError);
      expect(failure).toMatchObject({ code: 'ConfigInvalid', message: expect.stringContaining('no policies at') });
    },
  );

  it('something that is neither file nor folder is a configuration error', async () => {
    await expect(readPolicyFiles('/dev/null')).rejects.toMatchObject({ code: 'ConfigInvalid' });
  });
});

describe('what a file must be', () => {
  it.each<[string, string | Uint8Array, string]>([
    ['empty', '', '1:1: the file holds no policy'],
    ['comments alone', '# nothing\n', '1:1: the file holds no policy'],
    ['a list', '- a\n', '1:1: a policy is a mapping at its root'],
    ['not UTF-8', new Uint8Array([0x61, 0x3a, 0xff]), '1:1: the file is not UTF-8 text'],
    ['too large', `${policy('a')}# ${'x'.repeat(1024 * 1024)}`, '1:1: the file is larger than 1 MiB'],
    ['too deep', `a: ${'['.repeat(60)}${']'.repeat(60)}`, '1:53: nested deeper than 50 levels'],
    ['far too deep', '['.repeat(20_000), '1:51: nested deeper than 50 levels'],
    ['two documents', `${policy('a')}---\n${policy('b')}`, '11:1: a second document in one file'],
    ['a tag of its own', policy('!env x'), '3:18: Unresolved tag: !env'],
    ['a binary tag', policy('!!binary eA=='), '3:18: Unresolved tag'],
    ['a duplicate key', policy('a', 'kind: MirrorPolicy\n'), '11:1: the key kind stands twice in one mapping'],
    [
      'a duplicate key below',
      policy('{}').replace('{name: {}}', '{name: a, name: b}'),
      '3:21: the key name stands twice',
    ],
    ['a key that is a list', policy('a', '? [x]\n: 1\n'), '11:3: a key must be plain text'],
    ['an alias without anchor', policy('*a'), '3:18: the alias *a has no anchor before it'],
    ['an alias in its own anchor', policy('a', 'x: &a [*a]\n'), '11:8: the alias *a has no anchor before it'],
    ['a merge key', policy('a', '<<: {x: 1}\n'), '11:1: unknown key "<<" in the document'],
    ['a tab for a space', policy('a', 'x:\n\t- 1\n'), '12:1: Tabs are not allowed as indentation'],
    ['__proto__', policy('a', '__proto__: {x: 1}\n'), '11:1: unknown key "__proto__" in the document'],
    [
      'a label __proto__',
      policy('a').replace('{name: a}', '{name: a, labels: {__proto__: x}}'),
      '3:30: unknown key "__proto__" in metadata.labels',
    ],
    ['an infinite number', policy('a', '      transform: [{setTimezone: {zone: .inf}}]\n'), '11:40:'],
  ])('%s is refused where it stands', async (_what, content, expected) => {
    expect(await mistakesOf(content)).toContainEqual(expect.stringContaining(`a.yaml:${expected}`));
  });

  it('an alias bomb is stopped, and honest aliases are read', async () => {
    const row = (name: string, of: string) => `${name}: &${name} [${Array(9).fill(of).join(', ')}]\n`;
    const bomb = row('a', 'x') + row('b', '*a') + row('c', '*b') + row('d', '*c');
    expect(await mistakesOf(bomb)).toEqual([expect.stringContaining('aliases multiply the file beyond reason')]);
    const honest = policy('&n a').replace('repository: &n a', 'repository: *n');
    expect(await mistakesOf(honest)).toEqual([]);
  });

  it('a mistake reached through an alias is located where it is written', async () => {
    const text = policy(
      'a',
      '    - {name: w, tags: &t {semverOnly: 1}, destinations: [{project: p, repository: b}]}\n',
    );
    const twice = `${text}    - {name: x, tags: *t, destinations: [{project: p, repository: c}]}\n`;
    expect(await mistakesOf(twice)).toEqual([
      expect.stringContaining('a.yaml:11:39: spec.imports[1].tags.semverOnly'),
      expect.stringContaining('a.yaml:11:39: spec.imports[2].tags.semverOnly'),
    ]);
  });

  it('control characters of a file never reach a terminal', async () => {
    const [text] = await mistakesOf(policy('a', '"\\e[31mred\\r": 1\n'));
    expect(text).toContain('\\u001b[31mred');
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    expect(text).not.toMatch(/[\u0000-\u001f]/);
  });

  it('after a syntax error, what seems to be missing is not reported, what is wrong is', async () => {
    const text = `apiVersion: houba.io/v1alpha1\nkind: Policy\nmetadata: {name: a\nspec: {}\n`;
    const found = await mistakesOf(text);
    expect(found).toContainEqual(expect.stringContaining('a.yaml:2:7: kind: must be "MirrorPolicy"'));
    expect(found.filter((one) => one.includes('missing'))).toEqual([]);
  });

  it('a file says at most a hundred things', async () => {
    const keys = Array.from({ length: 300 }, (_, index) => `key${index}: 1`).join('\n');
    expect(await mistakesOf(keys)).toHaveLength(100);
  });
});

describe('a set of policies', () => {
  it('has unique names, also where a policy is wrong elsewhere', async () => {
    put({ 'a.yaml': policy('same'), 'b.yaml': policy('same', 'extra: 1\n'), 'c.yaml': policy('other') });
    expect(await mistakes()).toEqual([
      'b.yaml:3:18: two policies are named "same": this one and the one in a.yaml',
      expect.stringContaining('b.yaml:11:1: unknown key "extra"'),
    ]);
  });

  it('has one policy for each destination repository', async () => {
    put({ 'a.yaml': policy('a'), 'b.yaml': policy('b').replace('repository: b}', 'repository: a}') });
    expect(await mistakes()).toEqual([
      expect.stringContaining(
        'b.yaml:7:3: the repository (the one registry)/p/a is also a destination of the policy a in a.yaml',
      ),
    ]);
  });

  it('lets one policy write one repository from two imports', async () => {
    const more = '    - {name: w, tags: {}, destinations: [{project: p, repository: a}]}\n';
    put({ 'a.yaml': policy('a', more) });
    expect(await mistakes()).toEqual([]);
  });

  it('tells ten different mistakes of ten files in one run, each with its place', async () => {
    const wrong: [string, string][] = [
      [policy('a', 'extra: 1\n'), '11:1: unknown key "extra" in the document'],
      [policy('b', 'kind: MirrorPolicy\n'), '11:1: the key kind stands twice'],
      [policy('c').replace('image', 'picture'), '5:17: spec.artifactType: must be "image" or "helmChart" or "generic"'],
      [policy('d').replace('tags: {}', "tags: {includeRegex: '(?!x)'}"), '9:28: spec.imports[0].tags.includeRegex'],
      [policy('e', '      variants: []\n'), '11:17: variants is empty'],
      [policy('f').replace('[{project: p, repository: f}]', '[]'), '10:21: the import has no destinations'],
      [policy('g', "      owners: ['bad owner!']\n"), '11:16: spec.imports[0].owners[0]'],
      [policy('h', '      stability: {window: 7w}\n'), '11:27: spec.imports[0].stability.window'],
      [policy('i').replace('docker.io', 'docker'), '6:22: spec.source.registry'],
      ['- no policy\n', '1:1: a policy is a mapping at its root'],
    ];
    put(Object.fromEntries(wrong.map(([text], index) => [`${index}.yaml`, text])));
    expect(await mistakes()).toEqual(wrong.map(([, text], index) => expect.stringContaining(`${index}.yaml:${text}`)));
    await expect(readPolicyFiles(folder)).rejects.toMatchObject({
      code: 'PolicyInvalid',
      message: expect.stringMatching(/^10 mistakes in the policies:\n {2}/),
    });
  });

  it('tells ten mistakes of one file', async () => {
    const text = policy(
      'a',
      "      owners: ['!', '?']\n      variants: [{name: a, suffix: +}, {name: a}]\n      tagz: 1\n",
    )
      .replace('kind: MirrorPolicy', 'kind: Policy')
      .replace('docker.io', 'docker')
      .replace('tags: {}', 'tags: {semverOnly: maybe, names: [-x], aliases: ["{"]}');
    expect(await mistakesOf(text)).toHaveLength(10);
  });
});
