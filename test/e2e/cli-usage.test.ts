import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createHouba, type Houba } from '../support/stack.js';

let houba: Houba;
let dir: string;
beforeAll(async () => {
  houba = await createHouba({ main: { host: '127.0.0.1:9', tls_verify: false } });
  dir = houba.policies({ name: 'box', from: '127.0.0.1:9/library/box', to: ['main:demo/box'] });
});
afterAll(() => houba.dispose());

describe('the command line', () => {
  it.each<[string, string[], number]>([
    ['no verb', [], 64],
    ['a verb nobody knows', ['recncile'], 64],
    ['reconcile without a folder', ['reconcile'], 64],
    ['an option nobody knows', ['reconcile', 'DIR', '--dryrun'], 64],
    ['an option without its value', ['reconcile', 'DIR', '--shard-count'], 64],
    ['one argument too many', ['reconcile', 'DIR', 'DIR'], 64],
    ['a shard that does not exist', ['reconcile', 'DIR', '--shard-index', '2', '--shard-count', '2'], 3],
    ['no concurrency at all', ['reconcile', 'DIR', '-j', '0'], 3],
    ['a format nobody knows', ['reconcile', 'DIR', '--output', 'xml'], 3],
    ['a duration that is none', ['reconcile', 'DIR', '--timeout', 'soon'], 3],
    ['a folder that is not there', ['reconcile', '/does/not/exist'], 3],
    ['help', ['--help'], 0],
    ['the version', ['version'], 0],
  ])('%s', async (_, words, code) => {
    const ended = await houba.run(...words.map((word) => (word === 'DIR' ? dir : word)));
    expect(ended.code, ended.stderr).toBe(code);
    if (code !== 0) {
      expect(ended.stdout).toBe('');
      expect(ended.stderr).not.toBe('');
    }
    expect(ended.stderr).not.toMatch(/\n +at /);
  });

  it('suggests the verb that was meant', async () => {
    expect((await houba.run('recncile')).stderr).toContain('Did you mean reconcile?');
  });

  it.each([
    ['reconcile', ['reconcile', 'plan', 'status', 'cancel', 'up', 'worker', 'policy check', 'config show', 'version']],
  ])('every verb shows how to run it', async (_, verbs) => {
    for (const verb of verbs) {
      const { stdout, code } = await houba.run(...verb.split(' '), '--help');
      expect(code).toBe(0);
      expect(stdout).toMatch(new RegExp(`Example:\\n {2}(\\w+=\\S+ )?houba ${verb}`));
    }
  });

  it('a setting that cannot be read is 3, and the value of a secret is not repeated', async () => {
    const broken = await createHouba({}, { HOUBA_REGISTRIES: '{"main":{"host":"r.io","username":"robot"}}' });
    const ended = await broken.run('reconcile', dir);
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain('HOUBA_REGISTRIES');
    broken.env.HOUBA_REGISTRIES = 'not json hunter2';
    const worse = await broken.run('reconcile', dir);
    expect(worse.code).toBe(3);
    expect(worse.stderr).not.toContain('hunter2');
    await broken.dispose();
  });

  it('a misspelt variable gets a warning with the name that was meant', async () => {
    const misspelt = await createHouba({}, { HOUBA_REGISTRY: '{}' });
    expect((await misspelt.run('config', 'show')).stderr).toMatch(/HOUBA_REGISTRY is not .*HOUBA_REGISTRIES/);
    await misspelt.dispose();
  });

  it('all mistakes of a policy set are told together, with their places', async () => {
    const folder = join(houba.folder, 'mistakes');
    mkdirSync(folder);
    writeFileSync(join(folder, 'a.yaml'), 'apiVersion: houba.io/v1alpha1\nkind: MirrorPolicy\nspecs: {}\n');
    writeFileSync(join(folder, 'b.yaml'), 'kind: [\n');
    const { code, stderr } = await houba.run('reconcile', folder);
    expect(code).toBe(1);
    expect(stderr).toMatch(/a\.yaml:3:1: .*specs/);
    expect(stderr).toMatch(/b\.yaml:\d+:\d+: /);
  });

  it('a Temporal that does not answer is 69', async () => {
    const away = await createHouba({}, { TEMPORAL_ADDRESS: '127.0.0.1:9' });
    const ended = await away.run('reconcile', dir);
    expect(ended.code).toBe(69);
    expect(ended.stderr).toContain('TEMPORAL_ADDRESS');
    await away.dispose();
  });

  it('a large result reaches a pipe whole', async () => {
    const { stdout } = await houba.run('policy', 'schema');
    expect(() => JSON.parse(stdout)).not.toThrow();
    const reference = await houba.run('config', 'reference');
    expect(reference.stdout.endsWith('\n')).toBe(true);
  });

  it('a pipe gets no colour and no cursor movement', async () => {
    const { stdout, stderr } = await houba.run('doctor');
    expect(stdout + stderr).not.toContain('\u001b');
  });
});
