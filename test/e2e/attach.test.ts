import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { AttachReport } from '../../domain/evidence/attach/attach-report.js';
import type { GcReport } from '../../domain/report/collect-report.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import { createHouba, type Ended, type Houba, leftIn, type RegctlReader, regctlReader } from '../support/stack.js';
import { image, index, push } from '../support/upstream-images.js';
import { type CosignKey, type StockCosign, stockCosign } from '../support/upstream-signer.js';

const SCAN = 'https://houba.dev/predicate/scan/v1';
const VULNS = 'https://in-toto.io/attestation/vulns/v0.2';
const LOCAL = ['--insecure-ignore-tlog=true', '--allow-http-registry', '--allow-insecure-registry'];

const validate = new Ajv2020({ strict: true }).compile(
  JSON.parse(readFileSync('docs/reference/attach-report.schema.json', 'utf8')),
);

/** A report as Grype writes it, as far as it matters. */
function grype(...scores: readonly (readonly [id: string, score: string])[]): object {
  const rules = scores.map(([id, score]) => ({ id, properties: { 'security-severity': score } }));
  const results = scores.map(([ruleId]) => ({ ruleId, level: 'warning', message: { text: 'found' } }));
  const driver = { name: 'grype', version: '0.90.0', informationUri: 'https://github.com/anchore/grype', rules };
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [{ tool: { driver }, results }],
  };
}

const HIGH = grype(['CVE-2026-1', '7.5'], ['CVE-2026-2', '5.0']);
const CLEAN = grype();
const VEX = {
  '@context': 'https://openvex.dev/ns/v0.2.0',
  '@id': 'https://example.org/vex/1',
  author: 'sec@example.org',
  timestamp: '2026-03-09T00:00:00Z',
  version: 1,
  statements: [
    { vulnerability: { name: 'CVE-2026-1' }, status: 'not_affected', justification: 'component_not_present' },
  ],
};

interface World {
  readonly registry: RunningRegistry;
  readonly houba: Houba;
  readonly stock: StockCosign;
  readonly ours: CosignKey;
  readonly regctl: RegctlReader;
  named(path: string): string;
  /** Writes a file of these contents; returns its path. */
  file(name: string, content: unknown): string;
  /** `houba attach … --output json`. */
  attach(ref: string, ...options: readonly string[]): Promise<Ended & { readonly report: AttachReport }>;
  verify(ref: string, ...options: readonly string[]): Promise<number | null>;
  /** The predicates that stock cosign believes. */
  believed(ref: string, type: string): Promise<unknown[]>;
  artifacts(ref: string): Promise<string[]>;
}

async function createWorld(start: () => Promise<RunningRegistry>): Promise<World> {
  const registry = await start();
  const houba = await createHouba({ main: { host: registry.host, tls_verify: false } }, { HOUBA_ATTEST_SIGNER: 'key' });
  const stock = await stockCosign(join(houba.folder, 'cosign'));
  const ours = await stock.makeKey('ours');
  houba.env.HOUBA_ATTEST_KEY_REF = ours.privateFile;
  houba.env.COSIGN_PASSWORD = '';
  const regctl = regctlReader(houba.folder, [registry.host]);
  const named = (path: string) => `${registry.host}/${path}`;
  return {
    ...{ registry, houba, stock, ours, regctl, named },
    file: (name, content) => {
      const path = join(houba.folder, name);
      const isText = typeof content === 'string' || content instanceof Uint8Array;
      writeFileSync(path, isText ? content : JSON.stringify(content));
      return path;
    },
    attach: async (ref, ...options) => {
      const ended = await houba.run('attach', named(ref), '--output', 'json', ...options);
      const report = ended.stdout === '' ? null : JSON.parse(ended.stdout);
      if (report !== null) expect(validate(report), JSON.stringify(validate.errors)).toBe(true);
      return { ...ended, report };
    },
    verify: async (ref, ...options) =>
      (await houba.run('verify', named(ref), '--require', 'scan-pass', ...options)).code,
    believed: async (ref, type) => {
      const said = await stock(
        'verify-attestation',
        `--key=${ours.publicFile}`,
        `--type=${type}`,
        ...LOCAL,
        named(ref),
      );
      return said
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(Buffer.from(JSON.parse(line).payload, 'base64').toString('utf8')).predicate);
    },
    artifacts: async (ref) => (await regctl.artifacts(named(ref))).map(({ digest }) => digest),
  };
}

describe.each([
  ['olareg', startOlareg],
  ['distribution, which has no referrers API', startDistribution],
])('on %s', (_, start) => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld(start);
    for (const name of ['app', 'vex', 'gates', 'wrong'])
      await push(world.registry.host, `demo/${name}`, ['1'], image(name));
    const platforms = ['amd64', 'arm64'].map((architecture) =>
      image('multi', { platform: { os: 'linux', architecture } }),
    );
    await push(world.registry.host, 'demo/multi', ['1'], index(platforms));
  });
  afterAll(async () => {
    await world?.houba.dispose();
    await world?.registry.stop();
  });

  describe('a report', () => {
    it('is attached as it came, and signed for houba and for everybody', async () => {
      const file = world.file('high.json', HIGH);
      const { code, report, stderr } = await world.attach('demo/app:1', '--report', file);
      expect(code, stderr).toBe(0);
      expect(stderr).toBe('');
      expect(report).toMatchObject({
        subjectDigest: await world.regctl.digest(world.named('demo/app:1')),
        ...{ tool: 'grype', toolVersion: '0.90.0', format: 'sarif' },
        facts: { 'vuln.critical': '0', 'vuln.high': '1', 'vuln.medium': '1', 'policy.passed': '0' },
      });
      const { referrerDigest, attestation, vulnsAttestation, timestamp } = report;
      const digests = [referrerDigest, attestation?.referrerDigest, vulnsAttestation?.referrerDigest];
      expect((await world.artifacts('demo/app:1')).sort()).toEqual(digests.sort());
      const raw = await world.regctl('artifact', 'get', world.named(`demo/app@${referrerDigest}`));
      expect(raw).toBe(readFileSync(file, 'utf8'));
      const { annotations } = await world.regctl.manifest(world.named(`demo/app@${referrerDigest}`));
      expect(annotations).toMatchObject({ 'io.houba.scan.tool': 'grype', 'io.houba.scan.vuln.high': '1' });
      expect(await world.believed('demo/app:1', SCAN)).toEqual([
        expect.objectContaining({ format: 'sarif', report_digest: referrerDigest, attested_at: timestamp }),
      ]);
      expect(await world.believed('demo/app:1', VULNS)).toMatchObject([
        { scanner: { version: '0.90.0', result: [{ id: 'CVE-2026-1' }, { id: 'CVE-2026-2' }] } },
      ]);
    });

    it('lets verify pass or fail by what it found', async () => {
      expect(await world.verify('demo/app:1')).toBe(0);
      expect(await world.verify('demo/app:1', '--max-severity', 'critical', '--max-age', '1h')).toBe(0);
      expect(await world.verify('demo/app:1', '--max-severity', 'high')).toBe(1);
    });

    it('takes the place of the one before, from standard input as well', async () => {
      const file = world.file('clean.json', CLEAN);
      const houba = `"${process.execPath}" "${resolve('bin/houba')}"`;
      const command = `${houba} attach ${world.named('demo/app:1')} --report - < "${file}"`;
      const { env, folder } = world.houba;
      const said = await new Promise<string>((done, fail) => {
        execFile('sh', ['-c', command], { env, cwd: folder }, (error, stdout) => (error ? fail(error) : done(stdout)));
      });
      expect(said).toMatch(/^✓ ATTACHED to \S+demo\/app:1 sha256:\w{64}\n {2}document {2}grype 0\.90\.0, sarif/);
      expect(await world.verify('demo/app:1', '--max-severity', 'low')).toBe(0);
      expect(await world.artifacts('demo/app:1')).toHaveLength(6);
    });

    it('of a platform is that of its digest, and of no other', async () => {
      const file = world.file('clean.json', CLEAN);
      const { code, report, stderr } = await world.attach(
        'demo/multi:1',
        '--report',
        file,
        '--platform',
        'linux/arm64',
      );
      expect(code, stderr).toBe(0);
      const { manifests = [] } = await world.regctl.manifest(world.named('demo/multi:1'));
      expect(report.subjectDigest).toBe(manifests[1]?.digest);
      expect(await world.verify(`demo/multi@${manifests[1]?.digest}`)).toBe(0);
      expect(await world.verify(`demo/multi@${manifests[0]?.digest}`)).toBe(1);
      expect(await world.verify('demo/multi:1')).toBe(1);
    });
  });

  describe('a gate', () => {
    it('that is breached is one line and exit 1, and the report is attached all the same', async () => {
      const file = world.file('high.json', HIGH);
      const { code, report, stderr } = await world.attach('demo/gates:1', '--report', file, '--fail-on', 'high');
      expect(code).toBe(1);
      expect(stderr).toBe(`error: GateBreached: ${world.named('demo/gates:1')}: high=1, at or above high\n`);
      expect(await world.artifacts('demo/gates:1')).toContain(report.referrerDigest);
      expect(await world.verify('demo/gates:1')).toBe(0);
    });

    it('that is not breached is none', async () => {
      const file = world.file('high.json', HIGH);
      expect((await world.attach('demo/gates:1', '--report', file, '--fail-on', 'critical')).code).toBe(0);
    });

    it('holds in a dry run, which writes nothing', async () => {
      const before = await world.artifacts('demo/gates:1');
      const file = world.file('high.json', HIGH);
      const { code, report } = await world.attach('demo/gates:1', '--report', file, '--fail-on', 'high', '--dry-run');
      expect(code).toBe(1);
      expect(report).toMatchObject({ mode: 'dry-run', referrerDigest: null, facts: { 'vuln.high': '1' } });
      expect(await world.artifacts('demo/gates:1')).toEqual(before);
    });
  });

  it('a VEX document is attached, and cosign knows it as one', async () => {
    const { code, report, stderr } = await world.attach('demo/vex:1', '--vex', world.file('vex.json', VEX));
    expect(code, stderr).toBe(0);
    expect(report).toMatchObject({ format: 'openvex', tool: 'sec@example.org', facts: { not_affected: '1' } });
    expect(await world.believed('demo/vex:1', 'openvex')).toEqual([VEX]);
    expect(await world.verify('demo/vex:1')).toBe(1);
  });

  describe('what goes wrong', () => {
    it.each<[string, string | Uint8Array]>([
      ['nothing', ''],
      ['a report that is cut off', JSON.stringify(HIGH).slice(0, -9)],
      ['a report without a run', '{"version":"2.1.0","runs":[]}'],
      ['a run without results', '{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x"}}}]}'],
      ['runs twice', '{"runs":[{"results":[{"level":"error"}]}],"runs":[{"results":[]}]}'],
      ['a report that is nested too deep', '['.repeat(1_000_000)],
      ['a compressed report', gzipSync(JSON.stringify(HIGH))],
      ['a report in UTF-16', Buffer.from(`\ufeff${JSON.stringify(HIGH)}`, 'utf16le')],
    ])('%s is exit 1, and nothing is attached', async (_name, content) => {
      const { code, stdout, stderr } = await world.attach('demo/wrong:1', '--report', world.file('bad.json', content));
      expect(code, stderr).toBe(1);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/^error: ReportInvalid: /);
      expect(stderr).not.toMatch(/\n +at /);
      expect(await world.artifacts('demo/wrong:1')).toEqual([]);
    });

    it('what a report is called is harmless', async () => {
      const driver = { name: 'gr\u001b[2Jy\u0000pe\n=', version: '__proto__' };
      const runs = JSON.stringify([{ tool: { driver }, results: [] }]);
      const file = world.file('odd.json', `{"__proto__":{"runs":[]},"runs":${runs}}`);
      const ended = await world.attach('demo/wrong:1', '--report', file, '--dry-run');
      expect(ended.report).toMatchObject({ tool: 'gr\\x1b[2Jy\\x00pe\\x0a=', toolVersion: '__proto__' });
      const { code, stderr } = await world.attach('demo/wrong:1', '--report', file);
      expect(code, stderr).toBe(0);
    });

    it('a key that is not there is exit 2, with the report in place', async () => {
      const before = await world.artifacts('demo/wrong:1');
      world.houba.env.HOUBA_ATTEST_KEY_REF = '/no/key';
      const { code, stdout, stderr } = await world.attach('demo/wrong:1', '--report', world.file('high.json', HIGH));
      world.houba.env.HOUBA_ATTEST_KEY_REF = world.ours.privateFile;
      expect(code, stderr).toBe(2);
      expect(stdout).toBe('');
      const added = (await world.artifacts('demo/wrong:1')).filter((digest) => !before.includes(digest));
      expect(added).toHaveLength(1);
      expect(stderr).toContain(`is attached as ${world.named(`demo/wrong@${added[0]}`)}, but not all of it is signed`);
    });

    it('an image that is not there is exit 2, and one of no registry exit 3', async () => {
      const file = world.file('clean.json', CLEAN);
      expect((await world.attach('demo/none:1', '--report', file)).code).toBe(2);
      expect((await world.attach('demo/app:1', '--report', file, '--platform', 'linux/s390x')).code).toBe(2);
      expect((await world.houba.run('attach', 'registry.example/app:1', '--report', file)).code).toBe(3);
    });

    it('leaves nothing in the work folder', () => {
      expect(leftIn(world.houba.workDir)).toEqual([]);
    });
  });
});

describe('beside it', () => {
  it('gc collects what newer reports have superseded, with both of its statements', async () => {
    const world = await createWorld(startOlareg);
    try {
      await push(world.registry.host, 'demo/app', ['1'], image('app'));
      const file = world.file('clean.json', CLEAN);
      const digestsOf = ({ referrerDigest, attestation, vulnsAttestation }: AttachReport) =>
        [referrerDigest, attestation?.referrerDigest, vulnsAttestation?.referrerDigest].sort();
      const attached: AttachReport[] = [];
      for (let count = 0; count < 3; count++)
        attached.push((await world.attach('demo/app:1', '--report', file)).report);
      const how = ['--apply', '--keep', '1', '--older-than-days', '0', '--repository', world.named('demo/app')];
      const { code, stdout, stderr } = await world.houba.run('gc', '--output', 'json', ...how);
      expect(code, stderr.slice(-3000)).toBe(0);
      const { outcomes } = JSON.parse(stdout) as GcReport;
      const [first, second, third] = attached.map(digestsOf);
      expect(outcomes.flatMap(({ collected }) => collected).sort()).toEqual(
        [...(first ?? []), ...(second ?? [])].sort(),
      );
      expect((await world.artifacts('demo/app:1')).sort()).toEqual(third);
      expect(await world.verify('demo/app:1', '--max-severity', 'unknown')).toBe(0);
    } finally {
      await world.houba.dispose();
      await world.registry.stop();
    }
  });

  it('the completion knows it', async () => {
    const houba = await createHouba({});
    expect((await houba.run('complete', '--', 'atta')).stdout).toContain('attach');
    expect((await houba.run('complete', '--', 'attach', '--fail-on', '')).stdout).toContain('critical');
    await houba.dispose();
  });
});
