import { beforeEach, describe, expect, it } from 'vitest';
import type { AuditRequest } from '../../../../activities/audit/audit-repository.js';
import type { Digest } from '../../../../domain/digest.js';
import type { AuditInput } from '../../../../domain/durable/audit.js';
import { HoubaError } from '../../../../domain/errors.js';
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
      { image_ref: 'main.example/lib/redis:1', digest, covered, signed: null, sbom: null, policy, error: null },
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
    expect([readsOf('HEAD'), readsOf('GET'), readsOf('REFERRERS')]).toEqual([4, 1, 0]);
    world.registries.reads.length = 0;
    await audit({ signed: true, sbom: true });
    expect([readsOf('GET'), readsOf('REFERRERS')]).toEqual([1, 1]);
  });

  it('looks for signatures and inventories of covered images alone', async () => {
    const [covered, strange] = [tagged('1'), tagged('2', {})];
    for (const subject of [covered, strange]) {
      await sign(subject);
      await attach(subject, SPDX);
    }
    tagged('3');
    const part = await audit({ signed: true, sbom: true });
    expect(part.outcomes).toMatchObject([
      { covered: true, signed: true, sbom: true },
      { covered: false, signed: null, sbom: null },
      { covered: true, signed: false, sbom: false },
    ]);
    expect(part.counts).toEqual({
      ...{ scanned: 3, covered: 2, uncovered: 1, signed: 1, unsigned: 1, with_sbom: 1, without_sbom: 1, errored: 0 },
    });
  });

  it.each<[string, boolean, (digest: Digest) => unknown]>([
    ['ours', true, (digest) => sign(digest)],
    ["somebody else's", false, (digest) => sign(digest, 'theirs')],
    ["somebody else's, and ours", true, async (digest) => [await sign(digest, 'theirs'), await sign(digest)]],
    ['ours, about another image', false, (digest) => sign(digest, 'ours', TRANSFORM, tagged('other', {}))],
    ['ours, about a scan alone', false, (digest) => sign(digest, 'ours', 'https://houba.dev/predicate/scan/v1')],
    ['ours, whose file is gone', false, (digest) => sign(digest).then(() => losePayloads())],
  ])('where the settings say whose count, believes a signature only when it verifies: %s', async (_, signed, put) => {
    open(TRUSTING);
    const digest = tagged('1');
    await put(digest);
    expect((await audit({ signed: true })).outcomes[0]).toMatchObject({ signed });
  });

  it('an image that cannot be read is an outcome, and stops no other', async () => {
    for (const tag of ['1', '3', 'gone']) tagged(tag);
    world.registries.before = (call) => {
      if (call === 'HEAD main.example/lib/redis:3') throw new HoubaError('Denied', 'no entry');
      if (call.startsWith('HEAD') && call.endsWith(':gone')) world.registries.store(REPOSITORY).tags.delete('gone');
    };
    const part = await audit();
    expect(part.counts).toMatchObject({ scanned: 2, covered: 1, errored: 1 });
    expect(part.outcomes).toMatchObject([
      { covered: true },
      { digest: null, covered: null, error: { type: 'Denied', exit_code: 2 } },
    ]);
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
      if (call.startsWith('HEAD')) environment.cancel();
    };
    const request = { repository: REPOSITORY, signed: false, sbom: false, limit: null };
    await expect(run(world.steps.auditRepository, request, environment)).rejects.toThrow(/cancel/i);
  });

  it('writes nothing', async () => {
    await sign(tagged('1'));
    world.registries.writes.length = 0;
    await audit({ signed: true, sbom: true });
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
    });
    open(TRUSTING);
    expect([(await opened()).verified, (await opened({ signed: false })).verified]).toEqual([true, false]);
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
