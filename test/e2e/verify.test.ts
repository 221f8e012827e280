import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pushImage } from '../support/images.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import { createHoubaWithInstantSyft, type Houba, leftIn, type RegctlReader, regctlReader } from '../support/stack.js';
import { image, index, push } from '../support/upstream-images.js';
import { type CosignKey, type StockCosign, stockCosign } from '../support/upstream-signer.js';

const SCAN = 'https://houba.dev/predicate/scan/v1';
const ELSEWHERE = JSON.stringify({ other: { host: 'registry.example' } });
const ALL = 'stamp,sbom,signature,provenance';

let registry: RunningRegistry;
let houba: Houba;
let stock: StockCosign;
let ours: CosignKey;
let theirs: CosignKey;
let regctl: RegctlReader;

beforeAll(async () => {
  registry = await startOlareg({ inMemory: true });
  houba = await createHoubaWithInstantSyft({ main: { host: registry.host, tls_verify: false } });
  stock = await stockCosign(join(houba.folder, 'cosign'));
  [ours, theirs] = await Promise.all([stock.makeKey('ours'), stock.makeKey('theirs')]);
  regctl = regctlReader(houba.folder, [registry.host]);
  houba.env.HOUBA_ATTEST_KEY_REF = ours.publicFile;
});

afterAll(async () => {
  await houba?.dispose();
  await registry?.stop();
});

async function verify(ref: string, ...options: readonly string[]) {
  const ended = await houba.run('verify', `${registry.host}/${ref}`, '--output', 'json', ...options);
  return { ...ended, report: ended.stdout === '' ? null : JSON.parse(ended.stdout) };
}

function attest(key: CosignKey, ref: string, type: string, predicate: unknown): Promise<void> {
  return stock.attest(key, `${registry.host}/${ref}`, type, predicate);
}

describe('what houba placed and signed', () => {
  beforeAll(async () => {
    await push(registry.host, 'upstream/box', ['1.0.0'], image('box'));
    const dir = houba.policies({ name: 'box', from: `${registry.host}/upstream/box`, to: ['main:demo/box'] });
    houba.env.HOUBA_ATTEST_SIGNER = 'key';
    houba.env.HOUBA_ATTEST_KEY_REF = ours.privateFile;
    houba.env.HOUBA_ATTEST_BUILDER_ID = 'https://builder.example';
    const { code, stderr } = await houba.reconcile(dir);
    expect(code, stderr).toBe(0);
    delete houba.env.HOUBA_ATTEST_SIGNER;
    houba.env.HOUBA_ATTEST_KEY_REF = ours.publicFile;
  });

  afterAll(() => {
    delete houba.env.HOUBA_ATTEST_BUILDER_ID;
  });

  it('passes, and a person reads it', async () => {
    const { code, stdout, stderr } = await houba.run('verify', `${registry.host}/demo/box:1.0.0`, '--require', ALL);
    expect(stderr).toBe('');
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^✓ stamp +policy box, import all, variant default\n✓ sbom .*\n✓ signature .*\n✓ provenance /,
    );
    expect(stdout).toMatch(/\nPASSED \S+demo\/box:1\.0\.0 sha256:[0-9a-f]{64}\n$/);
  });

  it('passes by its digest as well', async () => {
    const digest = await regctl.digest(`${registry.host}/demo/box:1.0.0`);
    const { code, report } = await verify(`demo/box@${digest}`, '--require', ALL);
    expect(code).toBe(0);
    expect(report).toMatchObject({ schema_version: 1, digest, passed: true });
    expect(report.requirements.map(({ requirement }: { requirement: string }) => requirement)).toEqual(ALL.split(','));
  });

  it('has not been scanned', async () => {
    const { code, report } = await verify('demo/box:1.0.0');
    expect(code).toBe(1);
    expect(report.requirements).toEqual([
      { requirement: 'scan-pass', passed: false, detail: 'there is no scan attestation' },
    ]);
  });

  it('is signed by nobody for whom another key counts', async () => {
    houba.env.HOUBA_ATTEST_KEY_REF = theirs.publicFile;
    const { code, report } = await verify('demo/box:1.0.0', '--require', ALL);
    houba.env.HOUBA_ATTEST_KEY_REF = ours.publicFile;
    expect(code).toBe(1);
    expect(report.requirements.map(({ passed }: { passed: boolean }) => passed)).toEqual([true, true, false, false]);
  });

  it('was built by somebody else where another builder is expected', async () => {
    houba.env.HOUBA_ATTEST_BUILDER_ID = 'https://other.example';
    const { code, report } = await verify('demo/box:1.0.0', '--require', 'provenance');
    houba.env.HOUBA_ATTEST_BUILDER_ID = 'https://builder.example';
    expect(code).toBe(1);
    expect(report.requirements[0].detail).toContain('"https://builder.example", not "https://other.example"');
  });

  it('fails while somebody else has signed an SBOM in our name, and not for what bears no mark of ours', async () => {
    const repository = `${registry.host}/demo/box`;
    const digest = await regctl.digest(`${repository}:1.0.0`);
    const before = await regctl.artifacts(`${repository}@${digest}`);
    await attest(theirs, `demo/box@${digest}`, 'spdxjson', { spdxVersion: 'SPDX-2.3', name: 'forged' });
    expect((await verify('demo/box:1.0.0', '--require', 'signature')).code).toBe(0);

    const known = new Set(before.map((artifact) => artifact.digest));
    const forged = (await regctl.artifacts(`${repository}@${digest}`)).find((artifact) => !known.has(artifact.digest));
    const bundle = join(houba.folder, 'bundle.json');
    writeFileSync(bundle, await regctl('artifact', 'get', `${repository}@${forged?.digest}`));
    const type = 'application/vnd.dev.sigstore.bundle.v0.3+json';
    const marked = { ...forged?.annotations, 'io.houba.sbom.format': 'spdx-json' };
    await regctl(
      ...['artifact', 'put', '--subject', `${repository}@${digest}`, '--artifact-type', type],
      ...['--file', bundle, '--file-media-type', type],
      ...Object.entries(marked).flatMap(([key, value]) => ['--annotation', `${key}=${value}`]),
    );
    const { code, report } = await verify('demo/box:1.0.0', '--require', 'signature');
    expect(code).toBe(1);
    expect(report.requirements[0].detail).toMatch(
      /^1 of 2 SBOM attestations: https:\/\/spdx\.dev\/Document \(sha256:\w+\): it is by another key/,
    );
  });
});

describe('an index that houba placed and signed', () => {
  const platforms = [
    { os: 'linux', architecture: 'amd64' },
    { os: 'linux', architecture: 'arm64' },
  ];

  beforeAll(async () => {
    const images = platforms.map((platform) => image('multi', { platform }));
    await push(registry.host, 'upstream/multi', ['1.0.0'], index(images));
    const dir = houba.policies({
      name: 'multi',
      from: `${registry.host}/upstream/multi`,
      import: { stamp: 'referrer' },
      to: ['main:demo/multi'],
    });
    const signing = { HOUBA_ATTEST_SIGNER: 'key', HOUBA_ATTEST_KEY_REF: ours.privateFile };
    const before = { ...houba.env };
    Object.assign(houba.env, signing);
    const { code, stderr } = await houba.reconcile(dir);
    delete houba.env.HOUBA_ATTEST_SIGNER;
    Object.assign(houba.env, before);
    expect(code, stderr).toBe(0);
  });

  it('passes from the tag, with its stamp beside it', async () => {
    const { code, report } = await verify('demo/multi:1.0.0', '--require', ALL);
    expect(code, JSON.stringify(report)).toBe(0);
    expect(report.requirements[0].detail).toContain('(beside the image)');
    expect(report.requirements[2].detail).toContain('2 of 2 SBOM attestations');
  });

  it('passes from what a runtime reports, the digest of a platform', async () => {
    const { manifests = [] } = await regctl.manifest(`${registry.host}/demo/multi:1.0.0`);
    expect(manifests).toHaveLength(2);
    for (const { digest } of manifests) {
      const { code, report } = await verify(`demo/multi@${digest}`, '--require', 'sbom,signature,provenance');
      expect(code, JSON.stringify(report)).toBe(0);
      expect(report.requirements[1].detail).toContain('1 of 1 SBOM attestations');
    }
  });
});

describe('a scan', () => {
  const summary = { 'vuln.critical': '0', 'vuln.high': '2', 'vuln.medium': '0', 'vuln.low': '0', 'vuln.unknown': '0' };
  const scan = (ageHours: number) => ({
    scanner: { name: 'grype', version: '1' },
    format: 'sarif',
    summary,
    attested_at: new Date(Date.now() - ageHours * 3_600_000).toISOString(),
  });

  beforeAll(async () => {
    await pushImage(registry.host, 'demo/scanned', 'old', { 'etc/motd': 'old' });
    await attest(ours, 'demo/scanned:old', SCAN, scan(48));
    await pushImage(registry.host, 'demo/scanned', 'strange', { 'etc/motd': 'strange' });
    await attest(theirs, 'demo/scanned:strange', SCAN, scan(1));
  });

  it.each<[string[], number]>([
    [[], 0],
    [['--max-severity', 'critical'], 0],
    [['--max-severity', 'high'], 1],
    [['--max-age', '3d'], 0],
    [['--max-age', '47h'], 1],
    [['--max-age', '3d', '--max-severity', 'critical'], 0],
  ])('with %j ends with %i', async (options, code) => {
    const ended = await verify('demo/scanned:old', ...options);
    expect(ended.code, ended.stdout + ended.stderr).toBe(code);
  });

  it('that somebody else signed does not count', async () => {
    const { code, report } = await verify('demo/scanned:strange');
    expect(code).toBe(1);
    expect(report.requirements[0].detail).toMatch(/no scan attestation verifies/);
  });
});

describe('what cannot be judged', () => {
  it.each<[string, string[], Record<string, string>, number]>([
    ['an image that is not there', ['demo/box:9'], {}, 2],
    ['a reference without a tag', ['demo/box'], {}, 3],
    ['a requirement that nobody knows', ['demo/box:1.0.0', '--require', 'stamps'], {}, 3],
    ['no key', ['demo/box:1.0.0', '--require', 'signature'], { HOUBA_ATTEST_KEY_REF: '' }, 3],
    ['a key that is not there', ['demo/box:1.0.0', '--require', 'signature'], { HOUBA_ATTEST_KEY_REF: '/no/key' }, 3],
    ['a roster entry of another host', ['demo/box:1.0.0', '--registry', 'other'], { HOUBA_REGISTRIES: ELSEWHERE }, 3],
    ['a registry nobody knows', ['demo/box:1.0.0', '--registry', 'other'], {}, 3],
    ['an option nobody knows', ['demo/box:1.0.0', '--requires', 'stamp'], {}, 64],
  ])('%s', async (_, [ref = '', ...options], environment, code) => {
    const before = { ...houba.env };
    Object.assign(houba.env, environment);
    const ended = await verify(ref, ...options);
    Object.assign(houba.env, before);
    expect(ended.code, ended.stderr).toBe(code);
    expect(ended.stdout).toBe('');
    expect(ended.stderr).not.toMatch(/\n +at /);
  });

  it('a registry that does not answer', async () => {
    const ended = await houba.run('verify', '127.0.0.1:9/demo/box:1', '--require', 'stamp');
    expect(ended.code, ended.stderr).toBe(2);
  });

  it('a command that is interrupted says nothing of the image', async () => {
    const asked = createServer().listen(0, '127.0.0.1');
    await once(asked, 'listening');
    const host = `127.0.0.1:${(asked.address() as AddressInfo).port}`;
    const before = { ...houba.env };
    houba.env.HOUBA_REGISTRIES = JSON.stringify({ slow: { host, tls_verify: false } });
    const started = houba.start('verify', `${host}/demo/box:1`, '--require', 'stamp');
    Object.assign(houba.env, before);
    await Promise.race([once(asked, 'connection'), started.ended]);
    started.process.kill('SIGINT');
    const { code, stdout } = await started.ended;
    asked.close();
    expect(code).toBe(130);
    expect(stdout).toBe('');
  });

  it('needs no key for what is not signed', async () => {
    const before = { ...houba.env };
    delete houba.env.HOUBA_ATTEST_KEY_REF;
    expect((await verify('demo/box:1.0.0', '--require', 'stamp,sbom')).code).toBe(0);
    Object.assign(houba.env, before);
  });

  it('leaves nothing in the work folder', () => {
    expect(leftIn(houba.workDir)).toEqual([]);
  });

  it('is suggested what was meant', async () => {
    const { stderr } = await verify('demo/box:1.0.0', '--require', 'provenence');
    expect(stderr).toContain('Did you mean provenance?');
  });

  it('the help shows how to run it, and the completion knows it', async () => {
    const { stdout } = await houba.run('verify', '--help');
    expect(stdout).toMatch(/Example:\n {2}houba verify registry\.example/);
    expect((await houba.run('complete', '--', 'veri')).stdout).toContain('verify');
    expect((await houba.run('complete', '--', 'verify', '--max-severity', '')).stdout).toContain('critical');
  });
});
