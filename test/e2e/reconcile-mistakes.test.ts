import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHouba, type Houba, leftIn } from '../support/stack.js';

const HEAD = 'apiVersion: houba.io/v1alpha1\nkind: MirrorPolicy\n';
const SPEC = `spec:
  artifactType: image
  source: { registry: docker.io, repository: library/redis }
`;
const IMPORTS = `  imports:
    - name: all
      tags: {}
      destinations: [{ registry: main, project: demo, repository: NAME }]
`;

function sound(name: string): string {
  return `${HEAD}metadata: { name: ${name} }\n${SPEC}${IMPORTS.replace('NAME', name)}`;
}

/** Ten files with a mistake each, and where a person finds it. */
const MISTAKES: Readonly<Record<string, { text: string; line: number; says: RegExp }>> = {
  'a-unknown-key.yaml': {
    text: sound('a').replace('tags: {}', 'tags: { includRegex: "^1" }'),
    line: 9,
    says: /includRegex.*includeRegex/s,
  },
  'b-duplicate-key.yaml': { text: sound('b').replace('kind:', 'kind: MirrorPolicy\nkind:'), line: 3, says: /kind/ },
  'c-bad-pattern.yaml': {
    text: sound('c').replace('tags: {}', 'tags: { includeRegex: "(1" }'),
    line: 9,
    says: /includeRegex/,
  },
  'd-lookahead.yaml': {
    text: sound('d').replace('tags: {}', 'tags: { includeRegex: "^(?!rc)1" }'),
    line: 9,
    says: /excludeRegex/,
  },
  'e-no-destinations.yaml': {
    text: sound('e').replace(/ {6}destinations.*\n/, ''),
    line: 8,
    says: /destination/,
  },
  'f-no-variants.yaml': {
    text: sound('f').replace('tags: {}', 'tags: {}\n      variants: []'),
    line: 10,
    says: /variants/,
  },
  'g-bad-owner.yaml': {
    text: sound('g').replace('tags: {}', 'tags: {}\n      owners: ["the platform team"]'),
    line: 10,
    says: /entity reference/,
  },
  'h-same-name.yaml': { text: sound('a').replace('repository: a', 'repository: h'), line: 3, says: /name/ },
  'i-same-repository.yaml': {
    text: sound('i').replace('repository: i', 'repository: b2'),
    line: 7,
    says: /repository/,
  },
  'j-wrong-type.yaml': {
    text: sound('j').replace('artifactType: image', 'artifactType: picture'),
    line: 5,
    says: /image/,
  },
};

let houba: Houba;

beforeAll(async () => {
  houba = await createHouba({ main: { host: 'registry.invalid' } });
});
afterAll(() => houba?.dispose());

function write(folder: string, files: Readonly<Record<string, string>>): string {
  const dir = join(houba.folder, folder);
  mkdirSync(dir);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  return dir;
}

describe('a directory with ten different mistakes', () => {
  it.each(['reconcile', 'plan', 'policy check'])(
    'houba %s: all of them in one run, each with its place',
    async (verb) => {
      const texts = Object.entries(MISTAKES).map(([name, { text }]): [string, string] => [name, text]);
      const dir = write(verb.replace(' ', '-'), { ...Object.fromEntries(texts), '0-owner-of-b2.yaml': sound('b2') });
      const { code, stdout, stderr } = await houba.run(...verb.split(' '), dir);
      expect(code).toBe(1);
      const lines = (stdout + stderr).split('\n');
      for (const [name, { line, says }] of Object.entries(MISTAKES)) {
        const told = lines.filter((text) => text.includes(`${join(dir, name)}:${line}:`));
        expect([name, told.length > 0]).toEqual([name, true]);
        expect(told.join('\n')).toMatch(says);
      }
      // Nothing was started for it.
      expect(leftIn(houba.home)).toEqual([]);
    },
  );
});

describe('what is wrong with the configuration or an option is told', () => {
  const cases: readonly [string, Record<string, string>, readonly string[], RegExp][] = [
    ['a folder that is not there', {}, ['reconcile', '/nowhere/at/all'], /\/nowhere\/at\/all/],
    ['a folder without policies', {}, ['reconcile', '.'], /no policies|\.ya?ml/],
    ['a roster that is not JSON', { HOUBA_REGISTRIES: '{main' }, [], /HOUBA_REGISTRIES/],
    ['a roster without a host', { HOUBA_REGISTRIES: '{"main":{}}' }, [], /HOUBA_REGISTRIES.*main.*host/s],
    ['half a credential', { HOUBA_REGISTRIES: '{"main":{"host":"r.invalid","username":"u"}}' }, [], /password/],
    [
      'a CA that is not there',
      { HOUBA_REGISTRIES: '{"main":{"host":"r.invalid","ca_cert":"/no.pem"}}' },
      [],
      /no\.pem/,
    ],
    ['a format that is not one', { HOUBA_SBOM_FORMATS: '["csv"]' }, [], /HOUBA_SBOM_FORMATS/],
    ['no concurrency', { HOUBA_MAX_CONCURRENCY: '0' }, [], /HOUBA_MAX_CONCURRENCY/],
    ['a shard that does not exist', {}, ['--shard-index', '2', '--shard-count', '2'], /shard/],
    ['a policy that does not exist', {}, ['--policy', 'nobody'], /nobody/],
  ];

  it.each(cases)('%s: exit 3', async (_, environment, words, says) => {
    const before = { ...houba.env };
    Object.assign(houba.env, environment);
    const empty = join(houba.folder, 'empty');
    mkdirSync(empty, { recursive: true });
    const dir = join(houba.folder, 'sound');
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, 'fine.yaml'), sound('fine'));
    const args =
      words[0] === 'reconcile' ? words.map((word) => (word === '.' ? empty : word)) : ['reconcile', dir, ...words];
    const { code, stderr, stdout } = await houba.run(...args);
    Object.assign(houba.env, before);
    for (const name of Object.keys(environment)) if (!(name in before)) delete houba.env[name];
    expect(stderr).toMatch(says);
    expect(code).toBe(3);
    expect(stdout).toBe('');
  });

  it('a misspelt variable gets a warning with the nearest name', async () => {
    houba.env.HOUBA_MAX_CONCURENCY = '3';
    const { stderr } = await houba.run('policy', 'check', join(houba.folder, 'sound'));
    const check = stderr.includes('HOUBA_MAX_CONCURRENCY') ? stderr : (await houba.run('config', 'show')).stderr;
    delete houba.env.HOUBA_MAX_CONCURENCY;
    expect(check).toMatch(/HOUBA_MAX_CONCURENCY.*HOUBA_MAX_CONCURRENCY/s);
  });

  it('a command line that cannot be parsed is something else: exit 64', async () => {
    expect((await houba.run('reconcile')).code).toBe(64);
    expect((await houba.run('reconcile', 'x', '--no-such-option')).code).toBe(64);
  });

  it('a Temporal that is not there: exit 69', async () => {
    houba.env.TEMPORAL_ADDRESS = '127.0.0.1:1';
    const { code } = await houba.run('reconcile', join(houba.folder, 'sound'));
    delete houba.env.TEMPORAL_ADDRESS;
    expect(code).toBe(69);
  });
});
