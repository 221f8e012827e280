import { beforeEach, describe, expect, it } from 'vitest';
import { type Attacher, type AttachRequest, attachDocument } from '../../../../activities/evidence/attach-document.js';
import { verifyImage } from '../../../../activities/evidence/verify-image.js';
import type { ReferrerDescriptor } from '../../../../adapters/registry.js';
import type { Digest } from '../../../../domain/digest.js';
import { HoubaError } from '../../../../domain/errors.js';
import { parseReport, parseVex } from '../../../../domain/evidence/attach/attachment.js';
import { parseReference } from '../../../../domain/reference.js';
import {
  createMemoryRegistries,
  type MemoryRegistries,
  storeImage,
  storeIndex,
} from '../../../support/memory-registries.js';
import { played, playingCosign } from '../../../support/playing-cosign.js';

const IMAGE = { host: 'registry.example', path: 'lib/redis' };
const REF = 'registry.example/lib/redis:7';
const SCAN = 'https://houba.dev/predicate/scan/v1';
const VULNS = 'https://in-toto.io/attestation/vulns/v0.2';
const NOW = Date.parse('2026-03-09T00:00:00Z');
const RAW = {
  version: '2.1.0',
  runs: [{ tool: { driver: { name: 'grype', version: '1' } }, results: [{ ruleId: 'CVE-1', level: 'error' }] }],
};
const VEX = {
  '@context': 'https://openvex.dev/ns/v0.2.0',
  '@id': 'https://example.org/vex/1',
  author: 'sec',
  timestamp: '2026-03-09T00:00:00Z',
  statements: [{ vulnerability: { name: 'CVE-1' }, status: 'fixed' }],
};

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const report = (raw: unknown = RAW) => parseReport(encode(raw), null);

let registries: MemoryRegistries;
let image: Digest;
let signed: { readonly subject: { name: string; digest: Record<string, string> }[]; readonly predicateType: string }[];
beforeEach(() => {
  registries = createMemoryRegistries();
  image = storeImage(registries.store(IMAGE), {});
  registries.store(IMAGE).tags.set('7', image);
  signed = [];
});

/** Signs as `playingCosign` reads it. */
async function sign(bytes: Uint8Array): Promise<Uint8Array> {
  const statement = JSON.parse(new TextDecoder().decode(bytes));
  signed.push(statement);
  const { predicateType, predicate, subject } = statement;
  return played({ by: 'ours', digest: `sha256:${subject[0].digest.sha256}` as Digest, predicateType, predicate });
}

function attacher(facts: Partial<Attacher> = {}): Attacher {
  const { reader, regctl } = registries;
  const openSigner = async () => ({ signStatement: sign });
  return { ...{ reader, regctl, prefix: 'io.houba', builderId: '', readBackMs: 0, openSigner }, ...facts };
}

function attach(facts: Partial<AttachRequest> = {}, by: Partial<Attacher> = {}, signal = new AbortController().signal) {
  const { ref = REF } = facts;
  const request = { reference: parseReference(ref), platform: null, attachment: report(), now: NOW, dryRun: false };
  return attachDocument(attacher(by), { ...request, ...facts, ref }, signal);
}

const referrersOf = (digest: Digest): Promise<ReferrerDescriptor[]> => registries.reader.listReferrers(IMAGE, digest);

describe('attaching a report', () => {
  it('writes the report as it came, the signed scan and the vulnerabilities, and tells where', async () => {
    const { report: told, unsigned } = await attach();
    expect(unsigned).toEqual([]);
    expect(told).toMatchObject({
      schemaVersion: 1,
      mode: 'apply',
      ref: REF,
      subjectDigest: image,
      tool: 'grype',
      toolVersion: '1',
      format: 'sarif',
      facts: { 'vuln.high': '1' },
      timestamp: '2026-03-09T00:00:00+00:00',
      attestation: { predicateType: SCAN },
      vulnsAttestation: { predicateType: VULNS },
    });
    const referrers = await referrersOf(image);
    const digests = [told.referrerDigest, told.attestation?.referrerDigest, told.vulnsAttestation?.referrerDigest];
    expect(referrers.map(({ digest }) => digest)).toEqual(digests);
    const [raw] = referrers;
    expect(raw?.artifactType).toBe('application/vnd.houba.scan.result.v1');
    const { layers } = JSON.parse(
      new TextDecoder().decode(registries.store(IMAGE).manifests.get(raw?.digest as Digest)?.bytes),
    );
    expect(layers).toEqual([expect.objectContaining({ mediaType: 'application/sarif+json' })]);
    expect(registries.store(IMAGE).blobs.get(layers[0].digest)).toEqual(encode(RAW));
  });

  it('resolves the tag once, and signs about its digest by the name of the tag', async () => {
    await attach();
    expect(registries.reads.filter((call) => call.includes(':7'))).toHaveLength(1);
    const subject = [{ name: REF, digest: { sha256: image.slice(7) } }];
    expect(signed).toMatchObject([
      { subject, predicateType: SCAN },
      { subject, predicateType: VULNS },
    ]);
  });

  it('finds everything in the list of referrers before it is told', async () => {
    const calls: string[] = [];
    registries.before = (call) => {
      calls.push(call.split(' ')[0] ?? '');
    };
    await attach();
    expect(calls.join(' ')).toMatch(/(ATTACH REFERRERS ?){3}$/);
  });

  it('is believed by verify, and judged by its counts', async () => {
    await attach();
    const openVerifier = async () => ({ cosign: playingCosign(), trust: { publicKey: 'ours' } });
    const inspector = { reader: registries.reader, prefix: 'io.houba', builderId: '', openVerifier };
    const judge = (maxSeverity: 'critical' | 'high') => {
      const asked = { ref: REF, reference: parseReference(REF), requirements: ['scan-pass' as const] };
      return verifyImage(inspector, { ...asked, maxSeverity, maxAgeMs: 1, now: NOW }, new AbortController().signal);
    };
    expect(await judge('critical')).toMatchObject({ passed: true });
    expect((await judge('high')).requirements).toMatchObject([
      { passed: false, detail: expect.stringContaining('high=1, at or above high') },
    ]);
  });

  it('a second time adds to the first', async () => {
    await attach();
    await attach({ now: NOW + 1_000 });
    expect(await referrersOf(image)).toHaveLength(6);
  });

  it('signs nothing where no signer is set, and says so', async () => {
    const { report: told, unsigned } = await attach({}, { openSigner: null });
    expect(told).toMatchObject({ attestation: null, vulnsAttestation: null });
    expect(unsigned).toEqual(['HOUBA_ATTEST_SIGNER is empty']);
    expect(await referrersOf(image)).toHaveLength(1);
  });

  it('of several scanners has no vulnerability statement, and says why', async () => {
    const runs = ['grype', 'trivy'].map((name) => ({ tool: { driver: { name } }, results: [] }));
    const { report: told, unsigned } = await attach({ attachment: report({ runs }) });
    expect(told).toMatchObject({ attestation: { predicateType: SCAN }, vulnsAttestation: null });
    expect(unsigned).toEqual(['no vulnerability statement: the report is of several scanners']);
  });

  it('in a dry run resolves and counts, and writes nothing', async () => {
    const { report: told } = await attach({ dryRun: true });
    expect(told).toMatchObject({ mode: 'dry-run', subjectDigest: image, referrerDigest: null, attestation: null });
    expect(told.facts['vuln.high']).toBe('1');
    expect(registries.writes).toEqual([]);
  });

  it('marks nothing where the prefix is empty', async () => {
    await attach({}, { prefix: '' });
    const [raw, twin] = await referrersOf(image);
    expect(raw?.annotations).toEqual({});
    expect(Object.keys(twin?.annotations ?? {}).every((key) => key.startsWith('dev.sigstore.'))).toBe(true);
  });
});

describe('a VEX document', () => {
  it('is attached and signed as itself', async () => {
    const { report: told } = await attach({ attachment: parseVex(encode(VEX)) });
    expect(told).toMatchObject({
      ...{ tool: 'sec', toolVersion: null, format: 'openvex', facts: { statements: '1', fixed: '1' } },
      ...{ attestation: { predicateType: 'https://openvex.dev/ns' }, vulnsAttestation: null },
    });
    expect(signed).toMatchObject([{ predicateType: 'https://openvex.dev/ns', predicate: VEX }]);
    expect((await referrersOf(image)).map(({ artifactType }) => artifactType)).toEqual([
      'application/vnd.openvex+json',
      'application/vnd.dev.sigstore.bundle.v0.3+json',
    ]);
  });
});

describe('a platform', () => {
  let amd64: Digest;
  let arm64: Digest;
  beforeEach(() => {
    const store = registries.store(IMAGE);
    amd64 = storeImage(store, { salt: 'amd64' });
    arm64 = storeImage(store, { salt: 'arm64', architecture: 'arm64' });
    const children = [amd64, arm64].map((digest, at) => ({
      digest,
      platform: ['linux/amd64', 'linux/arm64'][at] ?? '',
    }));
    store.tags.set('multi', storeIndex(store, children));
    const twice = storeImage(store, { salt: 'again' });
    store.tags.set('twice', storeIndex(store, [...children, { digest: twice, platform: 'linux/amd64' }]));
  });

  it.each([
    ['linux/arm64', () => arm64],
    ['linux/arm64/v8', () => arm64],
    ['linux/amd64', () => amd64],
  ])('%s of an index gets the report, and the index does not', async (platform, digest) => {
    const ref = 'registry.example/lib/redis:multi';
    const { report: told } = await attach({ ref, platform });
    expect(told.subjectDigest).toBe(digest());
    expect(signed[0]?.subject).toEqual([
      { name: `registry.example/lib/redis@${digest()}`, digest: { sha256: digest().slice(7) } },
    ]);
    expect(await referrersOf(digest())).toHaveLength(3);
    expect(await referrersOf(registries.store(IMAGE).tags.get('multi') as Digest)).toEqual([]);
  });

  it('of a single image is that of its configuration', async () => {
    expect((await attach({ platform: 'linux/amd64' })).report.subjectDigest).toBe(image);
  });

  it.each([
    ['redis:multi', 'linux/s390x', /has no linux\/s390x/, 'it has: linux/amd64, linux/arm64'],
    ['redis:7', 'linux/arm64', /has no linux\/arm64/, 'it has: linux/amd64'],
    ['redis:twice', 'linux/amd64', /has 2 images for linux\/amd64/, expect.stringMatching(/by its digest: sha256:/)],
  ])('of %s that is %s is an error, and nothing is written', async (name, platform, message, hint) => {
    await expect(attach({ ref: `registry.example/lib/${name}`, platform })).rejects.toMatchObject({
      code: 'NotFound',
      message: expect.stringMatching(message),
      hint,
    });
    expect(registries.writes).toEqual([]);
  });
});

describe('what goes wrong', () => {
  it('an image that is not there', async () => {
    await expect(attach({ ref: 'registry.example/lib/redis:8' })).rejects.toMatchObject({ code: 'NotFound' });
    expect(registries.writes).toEqual([]);
  });

  it('a registry that takes the report and does not list it has not got it', async () => {
    registries.shows = (store, read) => (read === 'referrers' ? { ...store, manifests: new Map() } : store);
    await expect(attach()).rejects.toMatchObject({
      code: 'DigestMismatch',
      message: expect.not.stringContaining('is attached'),
    });
  });

  it('a list that lags is asked again', async () => {
    let asked = 0;
    registries.shows = (store, read) =>
      read === 'referrers' && ++asked < 3 ? { ...store, manifests: new Map() } : store;
    expect(await attach({}, { openSigner: null, readBackMs: 10_000 })).toMatchObject({ report: { mode: 'apply' } });
  });

  it('an interruption ends the wait for such a list', async () => {
    const stopping = new AbortController();
    registries.shows = (store, read) => {
      if (read !== 'referrers') return store;
      setTimeout(() => stopping.abort(new Error('stopped')));
      return { ...store, manifests: new Map() };
    };
    await expect(attach({}, { readBackMs: 60_000 }, stopping.signal)).rejects.toThrow('stopped');
  });

  it.each([
    ['ConfigInvalid', 'ToolFailed'],
    ['SignatureInvalid', 'ToolFailed'],
    ['Unauthorized', 'Unauthorized'],
    ['ToolMissing', 'ToolMissing'],
  ] as const)('a signature that fails by %s is exit 2, with the report in place', async (code, told) => {
    const openSigner = async () => ({
      signStatement: async () => {
        throw new HoubaError(code, 'no such key', { hint: 'make one' });
      },
    });
    const failed = attach({}, { openSigner });
    await expect(failed).rejects.toMatchObject({ code: told, hint: 'make one' });
    const [raw, ...others] = await referrersOf(image);
    expect(others).toEqual([]);
    await expect(failed).rejects.toThrow(
      `the document is attached as registry.example/lib/redis@${raw?.digest}, but not all of it is signed: no such key`,
    );
  });

  it('a signer that cannot be opened leaves the report in place', async () => {
    const openSigner = async () => {
      throw new HoubaError('ToolMissing', 'no cosign');
    };
    await expect(attach({}, { openSigner })).rejects.toMatchObject({ code: 'ToolMissing' });
    expect(await referrersOf(image)).toHaveLength(1);
  });

  it('a fault of houba stays one', async () => {
    const openSigner = async () => {
      throw new TypeError('undefined is no function');
    };
    await expect(attach({}, { openSigner })).rejects.toBeInstanceOf(TypeError);
  });
});
