import { beforeEach, describe, expect, it } from 'vitest';
import type { AuditRequest } from '../../../../activities/audit/audit-repository.js';
import type { Digest } from '../../../../domain/digest.js';
import type { AuditInput } from '../../../../domain/durable/audit.js';
import { HoubaError } from '../../../../domain/errors.js';
import { bundleArtifact, signedAs } from '../../../../domain/evidence/attestation.js';
import { formatInstant } from '../../../../domain/instant.js';
import {
  type ActivityWorld,
  activityEnvironment,
  createWorld,
  run,
  type WorldFacts,
} from '../../../support/activity-world.js';
import { storeImage } from '../../../support/memory-registries.js';
import { played, playingCosign } from '../../../support/playing-cosign.js';

const REPOSITORY = { registry: 'main', host: 'main.example', path: 'lib/redis' };
const BASE = { 'org.opencontainers.image.base.digest': `sha256:${'a'.repeat(64)}` };
const STAMP = { ...BASE, 'io.houba.policy': 'redis' };
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const TRANSFORM = 'https://houba.dev/predicate/transform/v1';
const SPDX = 'application/spdx+json';
const SCAN = 'https://houba.dev/predicate/scan/v1';
const REPORT = 'application/vnd.houba.scan.result.v1';
const DAY_MS = 86_400_000;
const NO_SCAN = { scan: null, scanned_at: null };

let world: ActivityWorld;
function open(facts: WorldFacts = {}): void {
  world = createWorld({ ...facts, tools: { cosign: playingCosign(), ...facts.tools } });
}
beforeEach(() => open());

const TRUSTING: WorldFacts = { readTrust: async () => ({ publicKey: 'ours' }) };

function tagged(tag: string, annotations: Readonly<Record<string, string>> = STAMP): Digest {
  const store = world.registries.store(REPOSITORY);
  const digest = storeImage(store, { salt: tag, annotations });
  store.tags.set(tag, digest);
  return digest;
}

const attach = (subject: Digest, artifactType: string, annotations: Readonly<Record<string, string>> = {}) =>
  world.registries.regctl.putArtifact(REPOSITORY, subject, { artifactType, annotations });

function sign(subject: Digest, by = 'ours', predicateType = TRANSFORM, digest = subject) {
  const annotations = { 'dev.sigstore.bundle.predicateType': predicateType };
  const file = { bytes: played({ by, digest, predicateType }), mediaType: BUNDLE };
  return world.registries.regctl.putArtifact(REPOSITORY, subject, { artifactType: BUNDLE, annotations, file });
}

/** As `attach` does it. @param signed whether the list of referrers names the blob too; null: nobody signs */
async function scan(subject: Digest, daysAgo: number, by: string | null = 'ours', named = true): Promise<void> {
  const attested_at = formatInstant(Date.now() - daysAgo * DAY_MS);
  const report = await attach(subject, REPORT, { 'io.houba.scan.timestamp': attested_at });
  if (by === null) return;
  const predicate = { scanner: { name: 'grype' }, report_digest: report, attested_at, summary: {} };
  const bytes = played({ by, digest: subject, predicateType: SCAN, predicate });
  const annotations = { ...signedAs(SCAN), 'io.houba.scan.report': report };
  const artifact = bundleArtifact(bytes, annotations, named ? 'io.houba' : '');
  await world.registries.regctl.putArtifact(REPOSITORY, subject, artifact);
}

const daysAgo = (days: number) => expect.stringMatching(formatInstant(Date.now() - days * DAY_MS).slice(0, 10));

const losePayloads = () => world.registries.store(REPOSITORY).blobs.clear();
const audit = (request: Partial<AuditRequest> = {}) =>
  run(world.steps.auditRepository, { repository: REPOSITORY, signed: false, sbom: false, limit: null, ...request });
const readsOf = (verb: string) => world.registries.reads.filter((call) => call.startsWith(`${verb} `)).length;

describe('an audit of a repository', () => {
  it.each<[string, string, Readonly<Record<string, string>>, boolean, string | null]>([
    ['a stamp', 'io.houba', STAMP, true, 'redis'],
    ['no annotation at all', 'io.houba', {}, false, null],
    ["upstream's own base digest", 'io.houba', BASE, false, null],
    ['the stamp of another organisation', 'io.other', STAMP, false, null],
    ['a base digest, without a prefix', '', BASE, true, null],
    ['nothing, without a prefix', '', {}, false, null],
  ])('of an image with %s (prefix %j)', async (_, prefix, annotations, covered, policy) => {
    open({ settings: { prefix } });
    const digest = tagged('1', annotations);
    expect((await audit()).outcomes).toEqual([
      {
        image_ref: 'main.example/lib/redis:1',
        digest,
        covered,
        signed: null,
        sbom: null,
        ...NO_SCAN,
        policy,
        error: null,
      },
    ]);
  });

  it('finds a stamp beside an image, also through an alias', async () => {
    const digest = tagged('1', {});
    world.registries.store(REPOSITORY).tags.set('alias', digest);
    await attach(digest, 'application/vnd.houba.stamp.v1+json', { ...STAMP, 'io.houba.tag': '1' });
    const { outcomes } = await audit();
    expect(outcomes).toMatchObject([
      { image_ref: 'main.example/lib/redis:1', covered: true, policy: 'redis' },
      { image_ref: 'main.example/lib/redis:alias', covered: true, policy: 'redis' },
    ]);
  });

  it('passes over tags that hold evidence', async () => {
    const store = world.registries.store(REPOSITORY);
    const digest = tagged('1');
    for (const suffix of ['', '.sig', '.att', '.sbom']) store.tags.set(`sha256-${'b'.repeat(64)}${suffix}`, digest);
    store.tags.set('sha256-short', digest);
    const { outcomes } = await audit();
    expect(outcomes.map(({ image_ref }) => image_ref.split(':')[1])).toEqual(['1', 'sha256-short']);
  });

  it('reads each digest once, and referrers only where they may say something', async () => {
    const digest = tagged('1');
    for (const tag of ['2', '3', '4']) world.registries.store(REPOSITORY).tags.set(tag, digest);
    await audit();
    expect([readsOf('HEAD'), readsOf('GET'), readsOf('REFERRERS')]).toEqual([0, 4, 0]);
    world.registries.reads.length = 0;
    await audit({ signed: true, sbom: true, scanned: true });
    expect([readsOf('GET'), readsOf('REFERRERS')]).toEqual([4, 1]);
  });

  it('of an image with all its evidence costs four requests, and says how many there were', async () => {
    open(TRUSTING);
    for (const tag of ['1', '2', '3']) {
      const digest = tagged(tag);
      await sign(digest, 'upstream', 'https://slsa.dev/provenance/v1');
      const bundle = played({ by: 'ours', digest, predicateType: TRANSFORM });
      const artifact = bundleArtifact(bundle, { ...signedAs(TRANSFORM), 'io.houba.operation': 'x' }, 'io.houba');
      await world.registries.regctl.putArtifact(REPOSITORY, digest, artifact);
      await attach(digest, SPDX);
      for (const age of [40, 1, 20]) await scan(digest, age);
    }
    world.registries.reads.length = 0;
    const part = await audit({ signed: true, sbom: true, scanned: true, maxAgeMs: 7 * DAY_MS });
    expect(part.counts).toMatchObject({ signed: 3, with_sbom: 3, with_scan: 3 });
    expect([readsOf('TAGS'), readsOf('GET'), readsOf('REFERRERS'), readsOf('BLOB')]).toEqual([1, 3, 3, 6]);
    expect(part.requests).toBe(1 + 3 * 4);
  });

  it('looks for signatures and inventories of covered images alone', async () => {
    const [covered, strange] = [tagged('1'), tagged('2', {})];
    for (const subject of [covered, strange]) {
      await sign(subject);
      await attach(subject, SPDX);
    }
    tagged('3');
    await scan(strange, 0, null);
    const part = await audit({ signed: true, sbom: true, scanned: true });
    expect(part.outcomes).toMatchObject([
      { covered: true, signed: true, sbom: true, scan: false },
      { covered: false, signed: null, sbom: null, scan: null },
      { covered: true, signed: false, sbom: false, scan: false },
    ]);
    expect(part.counts).toEqual({
      ...{ scanned: 3, covered: 2, uncovered: 1, signed: 1, unsigned: 1, with_sbom: 1, without_sbom: 1, errored: 0 },
      ...{ with_scan: 0, without_scan: 2 },
    });
  });

  it.each<[string, boolean, (digest: Digest) => unknown]>([
    ['ours', true, (digest) => sign(digest)],
    ["somebody else's", false, (digest) => sign(digest, 'theirs')],
    ["somebody else's, and ours", true, async (digest) => [await sign(digest, 'theirs'), await sign(digest)]],
    ['ours, about another image', false, (digest) => sign(digest, 'ours', TRANSFORM, tagged('other', {}))],
    ['ours, about a scan alone', false, (digest) => scan(digest, 0)],
    ['ours, whose file is gone', false, (digest) => sign(digest).then(() => losePayloads())],
  ])('where the settings say whose count, believes a signature only when it verifies: %s', async (_, signed, put) => {
    open(TRUSTING);
    const digest = tagged('1');
    await put(digest);
    expect((await audit({ signed: true })).outcomes[0]).toMatchObject({ signed });
  });

  it.each<[string, boolean, unknown, (digest: Digest) => unknown]>([
    ['ours, of today', true, daysAgo(0), (digest) => scan(digest, 0)],
    ['ours, whose blob is not named beside it', true, daysAgo(0), (digest) => scan(digest, 0, 'ours', false)],
    ['ours, too old', false, daysAgo(9), (digest) => scan(digest, 9)],
    [
      'ours, two of which one is fresh',
      true,
      daysAgo(1),
      async (digest) => [await scan(digest, 9), await scan(digest, 1)],
    ],
    ["somebody else's", false, null, (digest) => scan(digest, 0, 'theirs')],
    [
      "somebody else's of today, and ours, too old",
      false,
      daysAgo(8),
      async (digest) => [await scan(digest, 0, 'theirs'), await scan(digest, 8)],
    ],
    [
      "somebody else's of today, and ours, fresh",
      true,
      daysAgo(2),
      async (digest) => [await scan(digest, 0, 'theirs'), await scan(digest, 2)],
    ],
    ["nobody's", false, null, (digest) => scan(digest, 0, null)],
    ['ours, about the image alone', false, null, (digest) => sign(digest)],
    ['ours, about another image', false, null, (digest) => sign(digest, 'ours', SCAN, tagged('other', {}))],
    ['ours, of no shape', false, null, (digest) => sign(digest, 'ours', SCAN)],
    ['ours, whose file is gone', false, null, (digest) => scan(digest, 0).then(() => losePayloads())],
    ['none', false, null, () => undefined],
  ])('where the settings say whose count, believes a scan only when it verifies: %s', async (_, found, at, put) => {
    open(TRUSTING);
    const digest = tagged('1');
    await put(digest);
    const { outcomes } = await audit({ scanned: true, maxAgeMs: 7 * DAY_MS });
    expect(outcomes[0]).toMatchObject({ scan: found, scanned_at: at, signed: null, sbom: null });
  });

  it.each<[string, boolean, number | null, (digest: Digest) => unknown]>([
    ['of today', true, 7, (digest) => scan(digest, 0, null)],
    ['too old', false, 7, (digest) => scan(digest, 8, null)],
    ['of any age', true, null, (digest) => scan(digest, 800, null)],
    ['without a time, where none is asked for', true, null, (digest) => attach(digest, REPORT)],
    ['without a time', false, 7, (digest) => attach(digest, REPORT)],
    [
      'with no time that can be read',
      false,
      7,
      (digest) => attach(digest, REPORT, { 'io.houba.scan.timestamp': 'soon' }),
    ],
    ['with and without a time', true, 7, async (digest) => [await attach(digest, REPORT), await scan(digest, 1, null)]],
    ['none', false, null, () => undefined],
  ])('where no setting does, a report counts by what it says of itself: %s', async (_, found, days, put) => {
    const digest = tagged('1');
    await put(digest);
    const age = days === null ? {} : { maxAgeMs: days * DAY_MS };
    expect((await audit({ scanned: true, ...age })).outcomes[0]).toMatchObject({ scan: found });
  });

  it('of a bundle whose blob is named wrongly reads the manifest', async () => {
    open(TRUSTING);
    const digest = tagged('1');
    const annotations = {
      'dev.sigstore.bundle.predicateType': TRANSFORM,
      'io.houba.bundle': `sha256:${'e'.repeat(64)}`,
    };
    const file = { bytes: played({ by: 'ours', digest, predicateType: TRANSFORM }), mediaType: BUNDLE };
    await world.registries.regctl.putArtifact(REPOSITORY, digest, { artifactType: BUNDLE, annotations, file });
    expect((await audit({ signed: true })).outcomes[0]).toMatchObject({ signed: true });
  });

  it('an image that cannot be read is an outcome, and stops no other', async () => {
    for (const tag of ['1', '3', 'gone']) tagged(tag);
    world.registries.before = (call) => {
      if (call === 'GET main.example/lib/redis:3') throw new HoubaError('Denied', 'no entry');
      if (call.startsWith('GET') && call.endsWith(':gone')) world.registries.store(REPOSITORY).tags.delete('gone');
    };
    const part = await audit();
    expect(part.counts).toMatchObject({ scanned: 2, covered: 1, errored: 1 });
    expect(part.outcomes).toMatchObject([
      { covered: true },
      { digest: null, covered: null, error: { type: 'Denied', exit_code: 2 } },
    ]);
  });

  it('a tag that one answer hides is an error, not gone; a manifest that says nothing keeps its digest', async () => {
    const digest = tagged('1');
    const store = world.registries.store(REPOSITORY);
    const hidden = store.manifests.get(digest) as { bytes: Uint8Array; mediaType: string };
    world.registries.before = (call) => {
      if (call.startsWith('GET')) store.manifests.delete(digest);
      else store.manifests.set(digest, hidden);
    };
    expect((await audit()).outcomes).toMatchObject([{ covered: null, error: { type: 'RegistryUnavailable' } }]);
    world.registries.before = () => undefined;
    store.manifests.set(digest, { ...hidden, bytes: new TextEncoder().encode('{}') });
    expect((await audit()).outcomes).toMatchObject([{ digest, covered: null, error: { type: 'Unsupported' } }]);
  });

  it('of a repository that cannot be listed fails, and of one that is not there finds nothing', async () => {
    expect(await audit({ repository: { ...REPOSITORY, path: 'lib/none' } })).toMatchObject({ outcomes: [] });
    world.registries.before = () => {
      throw new HoubaError('Denied', 'no entry');
    };
    await expect(audit()).rejects.toMatchObject({ type: 'Denied' });
  });

  it('stops after as many images as it was told, and when it is cancelled', async () => {
    for (const tag of ['1', '2', '3']) tagged(tag);
    expect((await audit({ limit: 2 })).counts.scanned).toBe(2);
    const environment = activityEnvironment();
    world.registries.before = (call) => {
      if (call.startsWith('GET')) environment.cancel();
    };
    const request = { repository: REPOSITORY, signed: false, sbom: false, limit: null };
    await expect(run(world.steps.auditRepository, request, environment)).rejects.toThrow(/cancel/i);
  });

  it('writes nothing', async () => {
    await sign(tagged('1'));
    world.registries.writes.length = 0;
    await audit({ signed: true, sbom: true, scanned: true });
    expect(world.registries.writes).toEqual([]);
  });
});

describe('opening an audit', () => {
  const asked: AuditInput = { registries: null, repositories: null, signed: true, sbom: false, limit: null };
  const opened = (more: Partial<AuditInput> = {}) => run(world.steps.openAudit, { ...asked, ...more });

  it('names hosts and registries, and says whether signatures are verified', async () => {
    open({ roster: { a: {}, b: {}, c: {} } });
    expect(await opened({ registries: ['a', 'c'] })).toEqual({
      ...{ registries: ['a', 'c'], hosts: ['a.example', 'c.example'], verified: false, concurrency: 4 },
      sourcesSkipped: [],
    });
    open(TRUSTING);
    const verified = async (more: Partial<AuditInput>) => (await opened(more)).verified;
    expect(await verified({ signed: true })).toBe(true);
    expect(await verified({ signed: false })).toBe(false);
    expect(await verified({ signed: false, scanned: true })).toBe(true);
  });

  it('passes over what is only a source and says so, unless somebody asks for it by name', async () => {
    open({ roster: { main: {}, hub: { sourceOnly: true } } });
    expect(await opened()).toMatchObject({ registries: ['main'], sourcesSkipped: ['hub'] });
    expect(await opened({ registries: ['hub'] })).toMatchObject({ registries: ['hub'], sourcesSkipped: [] });
  });

  it.each<[string, Partial<AuditInput>, WorldFacts]>([
    ['a registry', { registries: ['main', 'nope'] }, {}],
    ['a repository', { repositories: ['other.example/a'] }, {}],
    ['any registry', {}, { roster: {} }],
    [
      'the key',
      {},
      {
        readTrust: async () => {
          throw new HoubaError('ConfigInvalid', 'no such key');
        },
      },
    ],
  ])('is refused where %s is not there', async (_, input, facts) => {
    open(facts);
    await expect(opened(input)).rejects.toMatchObject({ type: 'ConfigInvalid' });
  });
});
