import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../../config/programs.js';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import { descriptor, image, OCI, push, rawManifest, type TestImage } from '../support/upstream-images.js';

const SCRIPT = 'examples/blast-radius.sh';
const REPORT = 'application/vnd.houba.scan.result.v1';
const BASE = `sha256:${'a'.repeat(64)}`;
const OTHER = `sha256:${'b'.repeat(64)}`;
const EMPTY = Buffer.from('{}');

function stamp(base: string, owners?: string): Record<string, string> {
  return {
    'io.houba.policy': 'box',
    'org.opencontainers.image.base.digest': base,
    ...(owners === undefined ? {} : { 'io.houba.owners': owners }),
  };
}

function found(at: string, counts: Readonly<Record<string, string>>): Record<string, string> {
  const told = Object.entries(counts).map(([name, count]) => [`io.houba.scan.vuln.${name}`, count]);
  return { 'io.houba.scan.timestamp': at, ...Object.fromEntries(told) };
}

const NONE = { critical: '0', high: '0', medium: '0', low: '0', unknown: '0' };

const hasJq = programPath('jq') !== null;

it('needs jq', () => {
  if (!hasJq) expect(process.env.CI, 'in CI, jq has to be there').toBeFalsy();
});

describe.skipIf(!hasJq)('the blast radius, by regctl and jq alone', () => {
  let registry: RunningRegistry;
  let proxy: CountingProxy;
  let home: string;
  const at = (name: string) => `${proxy.host}/${name}`;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'houba-blast-'));
    registry = await startOlareg({ inMemory: true });
    proxy = await startCountingProxy(registry.host);
    const put = (name: string, tag: string, annotations: Record<string, string>) => {
      const made = image(`${name} ${tag}`, { annotations });
      return push(registry.host, name, [tag], made).then(() => made);
    };
    const clean = await put('demo/box', '1.0', stamp(BASE, 'team-a,team-b'));
    const risky = await put('demo/box', '2.0', stamp(OTHER, 'team-b'));
    await put('demo/box', 'stray', { 'org.opencontainers.image.base.digest': BASE });
    const beside = await put('demo/vendor', '1', {});
    await attach('demo/box', clean, REPORT, found('2026-01-01T00:00:00+00:00', { ...NONE, critical: '9' }));
    await attach('demo/box', clean, REPORT, found('2026-03-01T00:00:00+00:00', NONE));
    await attach(
      'demo/box',
      risky,
      REPORT,
      found('2026-01-01T00:00:00+00:00', { ...NONE, critical: '100', high: '2' }),
    );
    await attach('demo/vendor', beside, 'application/vnd.houba.stamp.v1+json', {
      ...stamp(BASE, 'team-c'),
      'io.houba.tag': '1',
    });
    await attach('demo/vendor', beside, REPORT, found('2026-01-01T00:00:00+00:00', { high: '2' }));
  });
  afterAll(async () => {
    await proxy?.stop();
    await registry?.stop();
    rmSync(home, { recursive: true, force: true });
  });

  async function attach(name: string, to: TestImage, artifactType: string, annotations: Record<string, string>) {
    const artifact = rawManifest(
      {
        schemaVersion: 2,
        ...{ mediaType: OCI.manifest, artifactType, annotations },
        config: descriptor('application/vnd.oci.empty.v1+json', EMPTY),
        layers: [descriptor('application/vnd.oci.empty.v1+json', EMPTY)],
        subject: descriptor(to.mediaType, to.bytes),
      },
      OCI.manifest,
      [EMPTY],
    );
    await push(registry.host, name, [], artifact);
  }

  function blast(settings: Record<string, string>): Promise<{ code: number; stdout: string; stderr: string }> {
    const env = {
      PATH: [dirname(programPath('regctl') ?? ''), process.env.PATH].join(delimiter),
      HOME: home,
      HOUBA_REGISTRIES: JSON.stringify({
        main: { host: proxy.host, tls_verify: false },
        hub: { host: 'hub.example', source_only: true },
      }),
      ...settings,
    };
    return new Promise((resolve) => {
      execFile(SCRIPT, { env }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
      );
    });
  }

  const row = (ref: string, owners: string, scan: string, base: string) =>
    `${at(ref).padEnd(40)} ${owners.padEnd(30)} ${'-'.padEnd(18)} ${scan.padEnd(16)} ${base}`;
  const HEAD = `${'REF'.padEnd(40)} ${'OWNERS'.padEnd(30)} ${'RUNNING IN'.padEnd(18)} ${'SCAN'.padEnd(16)} BASE.DIGEST`;

  it('tells of every image base, owners and newest scan, then who is concerned, then the gap', async () => {
    const { code, stdout, stderr } = await blast({ BLAST_REPOS: 'demo/box, demo/vendor' });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.split('\n')).toEqual([
      `4/4 images of ${proxy.host}`,
      '',
      HEAD,
      row('demo/box:1.0', 'team-a,team-b', 'clean', BASE),
      row('demo/box:2.0', 'team-b', 'C100 H2', OTHER),
      row('demo/box:stray', '-', '-', '-'),
      // Half of the counts are no count.
      row('demo/vendor:1', 'team-c', '?', BASE),
      '',
      'By base digest',
      `  -  1  ${at('demo/box:stray')}`,
      `  ${BASE}  2  ${at('demo/box:1.0')} ${at('demo/vendor:1')}`,
      `  ${OTHER}  1  ${at('demo/box:2.0')}`,
      '',
      'By owner',
      `  -  1  ${at('demo/box:stray')}`,
      `  team-a  1  ${at('demo/box:1.0')}`,
      `  team-b  2  ${at('demo/box:1.0')} ${at('demo/box:2.0')}`,
      `  team-c  1  ${at('demo/vendor:1')}`,
      '',
      'Coverage gap: 1 of 4 images have no base digest',
      '',
    ]);
  });

  it.each<[string, Record<string, string>, string[]]>([
    ['a base digest', { BLAST_BASE_DIGEST: BASE }, ['demo/box:1.0', 'demo/vendor:1']],
    ['one of the owners', { BLAST_OWNER: 'team-b' }, ['demo/box:1.0', 'demo/box:2.0']],
    ['both', { BLAST_OWNER: 'team-b', BLAST_BASE_DIGEST: OTHER }, ['demo/box:2.0']],
    ['a part of an owner', { BLAST_OWNER: 'team' }, []],
  ])('selects by %s, and counts the gap over all', async (_, filter, refs) => {
    const { stdout } = await blast({ BLAST_REPOS: 'demo/box demo/vendor', BLAST_REGISTRY: 'main', ...filter });
    const lines = stdout.split('\n');
    expect(lines[0]).toBe(`${refs.length}/4 images of ${proxy.host}`);
    expect(lines.slice(3, lines.indexOf('', 3)).map((line) => line.split(' ')[0])).toEqual(refs.map(at));
    expect(lines.at(-2)).toBe('Coverage gap: 1 of 4 images have no base digest');
  });

  it('runs nothing and shows no control character of what an image or a registry says', async () => {
    const trap = join(home, 'trap');
    const owners = `$(touch ${trap}),\`touch ${trap}\`,* ?,-rf,\u001b[2J,a\nb,\u202egpj.exe,;touch ${trap}`;
    await push(registry.host, 'demo/hostile', ['1'], image('hostile', { annotations: stamp(BASE, owners) }));
    const tags = ['1', '$(touch trap)', '--format', '1 2', 'x\ny', '../../2', '', '\u001b[2J'];
    proxy.intercept = ({ path }) =>
      path.startsWith('/v2/demo/hostile/tags/list')
        ? {
            status: 200,
            body: JSON.stringify({ name: 'demo/hostile', tags }),
          }
        : null;
    const { code, stdout } = await blast({ BLAST_REPOS: 'demo/hostile' });
    proxy.intercept = null;
    expect(code).toBe(0);
    expect(existsSync(trap)).toBe(false);
    expect(stdout).not.toMatch(/[^\n -~]/);
    expect(stdout).toContain('1/1 images');
    expect(stdout).toContain('  a?b  1  ');
    expect(stdout).toContain('  * ?  1  ');
  });

  it.each<[string, Record<string, string>, number, RegExp]>([
    ['a repository without tags', { BLAST_REPOS: 'demo/bxo' }, 1, /demo\/bxo has no tag: is it spelt right/],
    ['no repository', {}, 3, /set BLAST_REPOS/],
    ['several registries', { HOUBA_REGISTRIES: '{"a":{"host":"a"},"b":{"host":"b"}}' }, 3, /set BLAST_REGISTRY/],
    ['a roster that is none', { HOUBA_REGISTRIES: '[' }, 3, /no JSON map/],
    ['no prefix', { HOUBA_LABEL_PREFIX: '' }, 3, /HOUBA_LABEL_PREFIX is empty/],
  ])('is never quiet about %s', async (_, settings, exit, said) => {
    const { code, stderr } = await blast(settings);
    expect([code, stderr]).toEqual([exit, expect.stringMatching(said)]);
  });

  it('goes on past an image that cannot be read, names it, and fails', async () => {
    proxy.intercept = ({ path }) => (path.endsWith('/demo/box/manifests/2.0') ? { status: 403 } : null);
    const { code, stdout, stderr } = await blast({ BLAST_REPOS: 'demo/box' });
    proxy.intercept = null;
    expect(code).toBe(1);
    expect(stderr).toContain(`${at('demo/box:2.0')} could not be read`);
    expect(stdout).toContain(row('demo/box:2.0', '-', '?', '-'));
    expect(stdout).toContain('Coverage gap: 2 of 3 images');
  });

  it('reads a list of tags to its end', async () => {
    proxy.intercept = ({ path }) => {
      const last = /tags\/list\?(?:.*&)?last=([^&]*)/.exec(path)?.[1];
      if (!path.startsWith('/v2/demo/box/tags/list')) return null;
      const tags = { '': ['1.0'], '1.0': ['2.0'], '2.0': ['stray'] }[last ?? ''] ?? [];
      return { status: 200, body: JSON.stringify({ name: 'demo/box', tags }) };
    };
    const { stdout } = await blast({ BLAST_REPOS: 'demo/box' });
    proxy.intercept = null;
    expect(stdout).toContain('3/3 images');
  });
});
