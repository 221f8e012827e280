import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programPath } from '../../config/programs.js';
import type { AuditReport } from '../../domain/report/audit-report.js';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import { createHoubaWithInstantSyft, type Houba } from '../support/stack.js';
import { image, push } from '../support/upstream-images.js';
import { type CosignKey, type StockCosign, stockCosign } from '../support/upstream-signer.js';

const TRANSFORM = 'https://houba.dev/predicate/transform/v1';
const validate = new Ajv2020({ strict: true }).compile(
  JSON.parse(readFileSync('docs/reference/audit-report.schema.json', 'utf8')),
);

describe.each([
  ['olareg', startOlareg],
  ['distribution, which has no referrers API', startDistribution],
])('an audit on %s', (kind, startRegistry) => {
  let upstream: RunningRegistry;
  let registry: RunningRegistry;
  let proxy: CountingProxy;
  let houba: Houba;
  let stock: StockCosign;
  let ours: CosignKey;

  /** Signed as houba does it, an image, an artifact without inventory; unsigned, and pushed past houba. */
  beforeAll(async () => {
    upstream = await startOlareg({ inMemory: true });
    registry = await startRegistry();
    // houba knows the registry by this one's address.
    proxy = await startCountingProxy(registry.host);
    houba = await createHoubaWithInstantSyft({
      up: { host: upstream.host, tls_verify: false },
      main: { host: proxy.host, tls_verify: false },
    });
    stock = await stockCosign(join(houba.folder, 'cosign'));
    ours = await stock.makeKey('ours');
    const theirs = await stock.makeKey('theirs');
    await houba.upWith({ HOUBA_ATTEST_SIGNER: 'key', HOUBA_ATTEST_KEY_REF: ours.privateFile });
    await place('fine', 'image');
    await place('bare', 'generic');
    await attachScan('fine');
    await houba.upWith({ HOUBA_ATTEST_SIGNER: undefined, HOUBA_ATTEST_KEY_REF: undefined });
    await place('unsigned', 'image');
    await attachScan('unsigned');
    await stock.attest(theirs, `${registry.host}/demo/unsigned:1.0.0`, TRANSFORM, {});
    await push(registry.host, 'demo/fine', ['stray'], image('stray'));
    proxy.reset();
  });
  afterAll(async () => {
    await houba?.dispose();
    await proxy?.stop();
    await registry?.stop();
    await upstream?.stop();
  });

  async function place(name: string, artifactType: string): Promise<void> {
    await push(upstream.host, name, ['1.0.0'], image(name));
    const owned = { import: { owners: ['team-a'] }, to: [`main:demo/${name}`] };
    const dir = houba.policies({ name, artifactType, from: `${upstream.host}/${name}`, ...owned });
    const { code, stderr } = await houba.reconcile(dir);
    expect(code, stderr.slice(-3000)).toBe(0);
  }

  async function attachScan(name: string): Promise<void> {
    const report = join(houba.folder, 'scan.sarif');
    const driver = { name: 'grype', version: '0.90.0', rules: [] };
    const result = { level: 'error', message: { text: 'found' }, properties: { 'security-severity': '7.5' } };
    writeFileSync(report, JSON.stringify({ version: '2.1.0', runs: [{ tool: { driver }, results: [result] }] }));
    const { code, stderr } = await houba.run('attach', at(`${name}:1.0.0`), '--report', report);
    expect(code, stderr).toBe(0);
  }

  async function audit(...args: readonly string[]): Promise<{ code: number | null; report: AuditReport }> {
    const { code, stdout, stderr } = await houba.run('audit', '--registry', 'main', '--output', 'json', ...args);
    expect(stdout, stderr.slice(-3000)).not.toBe('');
    const report = JSON.parse(stdout) as AuditReport;
    expect(validate(report), JSON.stringify(validate.errors)).toBe(true);
    return { code, report };
  }

  const at = (name: string) => `${proxy.host}/demo/${name}`;

  it('tells covered images from those that were pushed past houba, and writes nothing', async () => {
    const { code, report } = await audit();
    expect(code).toBe(0);
    expect(report).toMatchObject({ registries: [proxy.host], verified: false, outcomes_cut: 0 });
    expect(report.counts).toMatchObject({ scanned: 4, covered: 3, uncovered: 1, signed: 0, with_sbom: 0, errored: 0 });
    expect(report.counts).toMatchObject({ with_scan: 0, without_scan: 0 });
    expect(
      report.outcomes.map(({ image_ref, covered, signed, sbom, policy }) => [
        ...[image_ref, covered, signed, sbom, policy],
      ]),
    ).toEqual([
      [at('bare:1.0.0'), true, null, null, 'bare'],
      [at('fine:1.0.0'), true, null, null, 'fine'],
      [at('fine:stray'), false, null, null, null],
      [at('unsigned:1.0.0'), true, null, null, 'unsigned'],
    ]);
    expect(proxy.writes()).toEqual([]);
    expect(report.requests).toBe(proxy.requests.length);
  });

  it('believes whoever signed as long as nothing says whose signatures count', async () => {
    const { report } = await audit('--signed', '--sbom', '--scanned', '--max-age', '1d');
    expect(report).toMatchObject({
      ...{ verified: false, max_age: '1d' },
      counts: { signed: 3, unsigned: 0, with_sbom: 2, without_sbom: 1, with_scan: 2, without_scan: 1 },
    });
  });

  it('verifies signatures where the settings say whose count, and a person reads one line a gap', async () => {
    await houba.upWith({ HOUBA_ATTEST_KEY_REF: ours.publicFile });
    const told = await houba.run('audit', '--registry', 'main', '--signed', '--sbom', '--output', 'text');
    expect(told.code, told.stderr).toBe(0);
    expect(told.stdout.replaceAll(/sha256:[0-9a-f]{64}/g, 'sha256:…').split('\n')).toEqual([
      `NO-SBOM   ${at('bare:1.0.0')} sha256:…  policy bare`,
      `UNCOVERED ${at('fine:stray')} sha256:…`,
      `UNSIGNED  ${at('unsigned:1.0.0')} sha256:…  policy unsigned`,
      expect.stringMatching(
        /^audit scanned=4 covered=3 uncovered=1 signed=2 unsigned=1 with_sbom=2 without_sbom=1 errored=0 requests=\d+ signatures=verified$/,
      ),
      '',
    ]);
  });

  it('believes a scan only when its statement verifies, and by its age', async () => {
    const { report } = await audit('--scanned', '--max-age', '7d');
    expect(report.outcomes.map(({ image_ref, scan, scanned_at }) => [image_ref, scan, scanned_at])).toEqual([
      [at('bare:1.0.0'), false, null],
      [at('fine:1.0.0'), true, expect.stringMatching(/^\d{4}-\d\d-\d\dT/)],
      [at('fine:stray'), null, null],
      [at('unsigned:1.0.0'), false, null],
    ]);
    const { code, report: later } = await audit('--fail-on-unscanned', '--max-age', '1s', '--repository', at('fine'));
    expect([code, later.counts.without_scan]).toEqual([1, 1]);
  });

  it('asks four times at most for an image with everything, and says how often it has asked in all', async () => {
    proxy.reset();
    const { report } = await audit('--signed', '--sbom', '--scanned');
    expect(report.requests).toBe(proxy.requests.length);
    const ofImages = proxy.requests.filter(({ path }) => /\/(?:manifests|blobs|referrers)\//.test(path));
    // Without a referrers API the list has to be found, and each referrer read.
    if (kind === 'olareg') expect(ofImages.length).toBeLessThanOrEqual(4 * report.counts.scanned);
    const { report: one } = await audit('--signed', '--sbom', '--scanned', '--repository', at('fine'));
    // Its tags, four for the image, two for the stray.
    if (kind === 'olareg') expect(one.requests).toBe(1 + 4 + 2);
  });

  it.each<[string, string[], number]>([
    ['an uncovered image', ['--fail-on-uncovered'], 1],
    ['an unsigned image', ['--fail-on-unsigned'], 1],
    ['an image without inventory', ['--fail-on-no-sbom'], 1],
    ['an image without a scan', ['--fail-on-unscanned'], 1],
    ['no gap among the first', ['--fail-on-uncovered', '--fail-on-unsigned', '--limit', '1'], 0],
    [
      'no gap in this repository',
      ['--fail-on-unsigned', '--fail-on-no-sbom', '--fail-on-unscanned', '--max-age', '1d', '--repository', 'HERE'],
      0,
    ],
  ])('exits as the gates say: %s', async (_what, args, exit) => {
    const { code, report } = await audit(...args.map((word) => (word === 'HERE' ? at('fine') : word)));
    expect(code, JSON.stringify(report.counts)).toBe(exit);
    expect(report.verified).toBe(args.some((word) => ['--fail-on-unsigned', '--fail-on-unscanned'].includes(word)));
    if (args.includes('--limit')) expect(report.counts.scanned).toBe(1);
  });

  it('of an image that cannot be read tells the error, which counts more than a gap', async () => {
    proxy.intercept = ({ method, path }) =>
      method === 'GET' && path.endsWith('/unsigned/manifests/1.0.0') ? { status: 403 } : null;
    const { code, report } = await audit('--fail-on-uncovered');
    proxy.intercept = null;
    expect(code).toBe(2);
    expect(report.counts).toMatchObject({ scanned: 4, covered: 2, uncovered: 1, errored: 1 });
    expect(report.outcomes.at(-1)).toMatchObject({
      ...{ image_ref: at('unsigned:1.0.0'), covered: null, error: { type: 'Denied', exit_code: 2 } },
    });
  });

  it('of everything does not pass over a registry that lists nothing', async () => {
    const { code, stdout, stderr } = await houba.run('audit', '--output', 'text');
    expect(code, stderr).toBe(1);
    expect(stdout).toMatch(new RegExp(`^ERROR     ${upstream.host}  Unsupported: `, 'm'));
  });

  it('of everything leaves out what is only a source, and names it', async () => {
    const roster = {
      up: { host: upstream.host, tls_verify: false, source_only: true },
      main: { host: proxy.host, tls_verify: false },
    };
    await houba.upWith({ HOUBA_REGISTRIES: JSON.stringify(roster) });
    const { code, stdout, stderr } = await houba.run('audit', '--output', 'text');
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^audit scanned=4 .* sources_skipped=up$/m);
    expect((await houba.run('audit', '--registry', 'up')).code).toBe(1);
    expect((await houba.run('gc', '--registry', 'up')).code).toBe(3);
    const dir = houba.policies({ name: 'fine', from: `${upstream.host}/fine`, to: ['up:demo/fine'] });
    const planned = await houba.run('plan', dir);
    expect([planned.code, planned.stdout, planned.stderr]).toEqual([
      3,
      '',
      expect.stringContaining('"up" is only a source'),
    ]);
  });

  it('is told by the stamps alone, where there is regctl and jq and nothing else', async () => {
    const env = {
      PATH: [dirname(programPath('regctl') ?? ''), process.env.PATH].join(delimiter),
      HOME: houba.folder,
      HOUBA_REGISTRIES: JSON.stringify({ main: { host: proxy.host, tls_verify: false } }),
      BLAST_REPOS: 'demo/fine,demo/bare',
    };
    const { stdout } = await promisify(execFile)('examples/blast-radius.sh', { env });
    const fine = new RegExp(`^${at('fine:1.0.0')} +team-a +- +H1 +${image('fine').digest}$`, 'm');
    expect(stdout).toMatch(fine);
    expect(stdout).toMatch(new RegExp(`^${at('bare:1.0.0')} +team-a +- +- +${image('bare').digest}$`, 'm'));
    expect(stdout).toMatch(/Coverage gap: 1 of 3 images have no base digest\n$/);
  });

  it.each<[string, string[], number]>([
    ['a registry that is not in the roster', ['--registry', 'nope'], 3],
    ['a repository that is in none of them', ['--registry', 'main', '--repository', 'elsewhere.example/a'], 3],
    ['no image at all', ['--limit', '0'], 3],
    ['an option nobody knows', ['--apply'], 64],
  ])('refuses %s', async (_what, args, exit) => {
    const { code, stdout } = await houba.run('audit', ...args);
    expect([code, stdout]).toEqual([exit, '']);
  });
});
