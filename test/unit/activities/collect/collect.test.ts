import { beforeEach, describe, expect, it } from 'vitest';
import type { Collection } from '../../../../activities/collect/superseded-scans.js';
import type { Cosign } from '../../../../adapters/cosign.js';
import type { Digest } from '../../../../domain/digest.js';
import { HoubaError } from '../../../../domain/errors.js';
import { MARK_ARTIFACT_TYPE } from '../../../../domain/lifecycle/mark.js';
import type { UsageAnswer, UsageQuestion } from '../../../../domain/lifecycle/usage.js';
import type { Repository } from '../../../../domain/reference.js';
import { type ActivityWorld, createWorld, run } from '../../../support/activity-world.js';
import { DESTINATION, placementOf } from '../../../support/durable-samples.js';
import { storeImage } from '../../../support/memory-registries.js';

const SOURCE = { host: 'upstream.example', path: 'library/redis' };
const DAY = 86_400_000;
const NOW = Date.parse('2026-06-01T00:00:00Z');
const SCAN = 'application/vnd.houba.scan.result.v1';
const BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json';

let world: ActivityWorld;
beforeEach(() => {
  world = createWorld();
});

const source = () => world.registries.store(SOURCE);
const mirror = () => world.registries.store(DESTINATION);
const daysAgo = (days: number) => new Date(NOW - days * DAY).toISOString().replace('Z', '+00:00');

/** Moves a tag to another image, as placed so many days ago. */
async function place(tag: string, salt: string, days: number): Promise<Digest> {
  const baseDigest = storeImage(source(), { salt });
  source().tags.set(tag, baseDigest);
  const current = mirror().tags.get(tag) ?? null;
  const planned = placementOf('lib/redis', tag, { baseDigest, current });
  const placement = { ...planned, label: { ...planned.label, created: daysAgo(days) } };
  const inspection = await run(world.steps.inspectPlacement, placement);
  await run(world.steps.writeImage, { placement, inspection });
  const { destination } = placement;
  const published = { destination, tag, digest: inspection.stamped, expected: current, journal: {} };
  await run(world.steps.publishTag, published);
  return inspection.stamped;
}

function plan(more: object = {}): Promise<Collection> {
  const now = new Date(NOW).toISOString();
  const request = { repository: DESTINATION, keep: 2, olderThanDays: 30, now, apply: true, ...more };
  return run(world.steps.planCollection, request);
}

async function collect(planned: Collection) {
  world.registries.writes.length = 0;
  return run(world.steps.collect, { repository: DESTINATION, planned });
}

const attach = (subject: Digest, artifactType: string, annotations: Record<string, string>, body?: unknown) =>
  world.registries.regctl.putArtifact(DESTINATION, subject, {
    artifactType,
    annotations,
    ...(body === undefined
      ? {}
      : { file: { bytes: new TextEncoder().encode(JSON.stringify(body)), mediaType: artifactType } }),
  });

describe('what a tag showed before', () => {
  it('goes with its original once it was superseded long enough ago, and not before', async () => {
    const first = await place('7', 'one', 90);
    const firstBase = source().tags.get('7') as Digest;
    const second = await place('7', 'two', 40);
    const secondBase = source().tags.get('7') as Digest;
    const third = await place('7', 'three', 10);
    const planned = await plan();
    expect([...planned.manifests].sort()).toEqual([first, firstBase].sort());
    expect(planned.outcomes).toMatchObject([
      { kind: 'superseded', image_ref: 'registry.example/lib/redis', kept: 1, applied: false },
    ]);
    expect(planned.kept).toEqual([second]);
    expect(await collect(planned)).toEqual({ leftBehind: [] });
    const left = [second, secondBase, third, source().tags.get('7') as Digest].sort();
    expect([...mirror().manifests.keys()].sort()).toEqual(left);
    expect((await plan()).outcomes).toEqual([]);
  });

  it('stays while another tag shows it, or comes to show it before it is collected', async () => {
    const first = await place('7', 'one', 90);
    await place('7', 'two', 40);
    mirror().tags.set('pinned', first);
    expect((await plan()).manifests).toEqual([]);
    mirror().tags.delete('pinned');
    const planned = await plan();
    expect(planned.manifests).toContain(first);
    mirror().tags.set('pinned', first);
    await collect(planned);
    expect(mirror().manifests.has(first)).toBe(true);
    expect(world.registries.writes).toEqual([]);
  });

  it('is collected to its end by a second attempt', async () => {
    const first = await place('7', 'one', 90);
    await place('7', 'two', 40);
    const planned = await plan();
    const last = planned.manifests.at(-1);
    world.registries.before = (call) => {
      if (call === `DELETE registry.example/lib/redis@${last}`) throw new HoubaError('RegistryUnavailable', 'away');
    };
    await expect(collect(planned)).rejects.toThrow();
    world.registries.before = () => undefined;
    await collect(planned);
    expect(mirror().manifests.has(first)).toBe(false);
    expect(mirror().manifests.size).toBe(2);
  });

  it('that does not say since when it is superseded gets a note, and goes when that is old enough', async () => {
    const first = await place('7', 'one', 90);
    // A restamp keeps the time of what it restamps.
    const base = source().tags.get('7') as Digest;
    const planned = placementOf('lib/redis', '7', { baseDigest: base, current: first, kind: 'restamped' });
    const placement = { ...planned, label: { ...planned.label, created: daysAgo(90), vendor: 'V' } };
    const inspection = await run(world.steps.inspectPlacement, placement);
    await run(world.steps.writeImage, { placement, inspection });
    const published = { destination: DESTINATION, tag: '7', digest: inspection.stamped, expected: first, journal: {} };
    await run(world.steps.publishTag, published);

    world.registries.writes.length = 0;
    expect((await plan({ apply: false })).manifests).toEqual([]);
    expect(world.registries.writes).toEqual([]);
    expect((await plan()).manifests).toEqual([]);
    expect(world.registries.writes).toEqual([`ATTACH registry.example/lib/redis@${first} ${MARK_ARTIFACT_TYPE}`]);
    expect((await plan()).manifests).toEqual([]);
    expect(world.registries.writes).toHaveLength(1);
    const later = new Date(NOW + 31 * DAY).toISOString();
    const due = await plan({ now: later });
    expect(due.manifests).toContain(first);
    await collect(due);
    expect(mirror().manifests.has(first)).toBe(false);
    expect(mirror().manifests.has(base)).toBe(true);
  });

  it('stays while somebody wants it kept, and while it is not houba’s', async () => {
    const foreign = storeImage(mirror(), { salt: 'theirs' });
    mirror().tags.set('7', foreign);
    const first = await place('7', 'one', 90);
    await place('7', 'two', 40);
    await attach(first, MARK_ARTIFACT_TYPE, {
      'io.houba.lifecycle.state': 'restored',
      'io.houba.lifecycle.tag': '7',
    });
    expect((await plan()).manifests).toEqual([]);
    const [mark] = await world.registries.reader.listReferrers(DESTINATION, first);
    mirror().manifests.delete(mark?.digest as Digest);
    const planned = await plan();
    expect(planned.manifests).toContain(first);
    expect(planned.manifests).not.toContain(foreign);
  });

  it('takes what is kept of it under evidence tags along', async () => {
    const first = await place('7', 'one', 90);
    const original = source().tags.get('7') as Digest;
    const second = await place('7', 'two', 40);
    const named = (digest: Digest) => `${digest.replace(':', '-')}.sig`;
    for (const digest of [first, original, second]) {
      mirror().tags.set(named(digest), storeImage(mirror(), { salt: `signature of ${digest}` }));
    }
    await collect(await plan());
    expect([...mirror().tags.keys()].sort()).toEqual(['7', named(second)].sort());
    expect(mirror().manifests.size).toBe(3);
  });

  it('stays while the oracle knows of a use, or says nothing', async () => {
    const answers: UsageAnswer[] = [
      { kind: 'seen', atMs: NOW, detail: 'web-1' },
      { kind: 'unknown', detail: 'away' },
      { kind: 'unseen', detail: '' },
    ];
    const asked: UsageQuestion[] = [];
    const ask = async (question: UsageQuestion) => {
      asked.push(question);
      return answers[0] as UsageAnswer;
    };
    world = createWorld({ openOracle: () => ({ ask }) });
    const first = await place('7', 'one', 90);
    const original = source().tags.get('7') as Digest;
    const second = await place('7', 'two', 80);
    await place('7', 'three', 40);
    // The far end is in use, and what lies nearer must not lose it.
    expect((await plan()).manifests).toEqual([]);
    expect(asked.map(({ digest }) => digest)).toEqual(expect.arrayContaining([first, second]));
    expect(asked[0]).toMatchObject({ identity: { policy: 'redis' }, image_ref: `registry.example/lib/redis@${first}` });
    expect(world.journal).toContainEqual({
      event: 'superseded.kept',
      fields: { dest: 'registry.example/lib/redis', digest: first, use: 'seen', detail: 'web-1' },
    });
    answers.shift();
    expect((await plan()).manifests).toEqual([]);
    answers.shift();
    asked.length = 0;
    expect((await plan()).manifests).toEqual(expect.arrayContaining([first, original, second]));
    expect(asked.map(({ digest }) => digest)).toEqual(expect.arrayContaining([first, original, second]));
  });

  it('is not touched any more once somebody places an image in the repository', async () => {
    let busy: string | null = null;
    world = createWorld({ whoIsAtWork: async () => busy });
    await place('7', 'one', 90);
    await place('7', 'two', 40);
    const planned = await plan();
    expect(planned.manifests).toHaveLength(2);
    world.registries.before = (call) => {
      if (call.startsWith('DELETE')) busy = 'place/registry.example/lib/redis:8';
    };
    await expect(collect(planned)).rejects.toThrow('place/registry.example/lib/redis:8 is at work');
    expect(mirror().manifests.size).toBe(3);
    busy = null;
    world.registries.before = () => undefined;
    await collect(planned);
    expect(mirror().manifests.size).toBe(2);
  });

  it('is not even announced while somebody places an image in the repository', async () => {
    const announced: Repository[] = [];
    world = createWorld({
      whoIsAtWork: async () => 'place/registry.example/lib/redis:8',
      deletions: {
        during: (repository, work) => {
          announced.push(repository);
          return work();
        },
        since: async () => 'none',
      },
    });
    await place('7', 'one', 90);
    await place('7', 'two', 40);
    await expect(collect(await plan())).rejects.toThrow('place/registry.example/lib/redis:8 is at work');
    expect(announced).toEqual([]);
  });

  it('is left where the registry does not delete, and that is said', async () => {
    await place('7', 'one', 90);
    await place('7', 'two', 40);
    const planned = await plan();
    world.registries.deletes = false;
    expect(await collect(planned)).toEqual({ leftBehind: planned.manifests });
  });

  it('is not looked for without a label prefix', async () => {
    Object.assign(world.settings, { prefix: '' });
    expect(await plan()).toEqual({ outcomes: [], scans: [], manifests: [], kept: [], more: false });
  });
});

describe('scan reports', () => {
  let subject: Digest;
  beforeEach(async () => {
    subject = await place('7', 'one', 90);
  });

  const report = (days: number, facts: Record<string, string> = {}) =>
    attach(
      subject,
      SCAN,
      {
        'io.houba.scan.tool': 'grype',
        'io.houba.scan.format': 'sarif',
        'io.houba.scan.timestamp': daysAgo(days),
        ...facts,
      },
      { runs: [], days },
    );

  function sign(predicate: object): Promise<Digest> {
    const type = 'https://houba.dev/predicate/scan/v1';
    const statement = { _type: 'https://in-toto.io/Statement/v1', predicateType: type, predicate };
    const payload = Buffer.from(JSON.stringify(statement)).toString('base64');
    return attach(subject, BUNDLE, { 'dev.sigstore.bundle.predicateType': type }, { dsseEnvelope: { payload } });
  }

  it('beyond the newest go with their signed twins once they are old enough', async () => {
    const oldest = await report(90);
    const twin = await sign({ report_digest: oldest, attested_at: daysAgo(90) });
    const older = await report(80);
    const young = await report(20);
    const newest = await report(10);
    const newestTwin = await sign({ report_digest: newest, attested_at: daysAgo(10) });
    const planned = await plan();
    expect(planned.outcomes).toMatchObject([
      { kind: 'scans', image_ref: `registry.example/lib/redis@${subject}`, kept: 2 },
    ]);
    expect(planned.scans.map(({ digest }) => digest).sort()).toEqual([oldest, older, twin].sort());
    await collect(planned);
    const left = (await world.registries.reader.listReferrers(DESTINATION, subject)).map(({ digest }) => digest);
    expect(left.sort()).toEqual([young, newest, newestTwin].sort());
  });

  it('take the vulnerability statements along that name them, and no others', async () => {
    const vulns = (facts: Record<string, string>) => {
      const type = 'https://in-toto.io/attestation/vulns/v0.2';
      return attach(subject, BUNDLE, { 'dev.sigstore.bundle.predicateType': type, ...facts }, { facts });
    };
    const oldest = await report(90);
    const twin = await sign({ report_digest: oldest, attested_at: daysAgo(90) });
    const along = await vulns({ 'io.houba.scan.report': oldest });
    await vulns({});
    await vulns({ 'io.houba.scan.report': 'sha256:soon' });
    for (const days of [20, 10]) {
      const young = await report(days);
      await sign({ report_digest: young, attested_at: daysAgo(days) });
      await vulns({ 'io.houba.scan.report': young });
    }
    const planned = await plan();
    expect(planned.scans.map(({ digest }) => digest)).toEqual([expect.anything(), expect.anything(), oldest]);
    expect(planned.scans.map(({ digest }) => digest).sort()).toEqual([oldest, twin, along].sort());
  });

  it('whose signed twin is the newest stays, whatever came after it unsigned', async () => {
    const signed = await report(90);
    await sign({ report_digest: signed, attested_at: daysAgo(90) });
    await report(10);
    await report(5);
    expect((await plan()).scans).toEqual([]);
  });

  it('are told apart from statements of which nobody knows who made them', async () => {
    const trusted = new Set<string>();
    const cosign = {
      verifyBundle: async (bundle: Uint8Array) =>
        trusted.has(Buffer.from(bundle).toString()) ? { predicate: {} } : { predicate: null, reason: 'not by us' },
    } as unknown as Cosign;
    world = createWorld({ tools: { cosign }, readTrust: async () => ({ publicKey: 'ours' }) });
    subject = await place('7', 'one', 90);
    const oldest = await report(100);
    const real = await sign({ report_digest: oldest, attested_at: daysAgo(100) });
    const older = await report(90);
    const forged = await sign({ report_digest: older, attested_at: daysAgo(1) });
    for (const days of [50, 40]) await report(days);
    for (const { digest } of await world.registries.reader.listReferrers(DESTINATION, subject)) {
      if (digest !== real) continue;
      const { layers } = JSON.parse(new TextDecoder().decode(mirror().manifests.get(digest)?.bytes));
      trusted.add(new TextDecoder().decode(mirror().blobs.get(layers[0].digest)));
    }
    // The forged one cannot take the place of the newest signed one.
    expect((await plan()).scans).toEqual([]);
    await report(30);
    const newer = await report(20);
    const replacing = await sign({ report_digest: newer, attested_at: daysAgo(20) });
    for (const { digest } of await world.registries.reader.listReferrers(DESTINATION, subject)) {
      if (digest !== replacing) continue;
      const { layers } = JSON.parse(new TextDecoder().decode(mirror().manifests.get(digest)?.bytes));
      trusted.add(new TextDecoder().decode(mirror().blobs.get(layers[0].digest)));
    }
    const gone = (await plan()).scans.map(({ digest }) => digest);
    expect(gone).toEqual(expect.arrayContaining([real, oldest]));
    expect(gone).not.toContain(forged);
    expect(gone).not.toContain(older);
  });

  it('with one document are not mixed up by a statement that names the document', async () => {
    const twice = (days: number) =>
      attach(
        subject,
        SCAN,
        {
          ...{ 'io.houba.scan.tool': 'grype', 'io.houba.scan.format': 'sarif' },
          'io.houba.scan.timestamp': daysAgo(days),
        },
        { runs: [] },
      );
    const reports = [];
    for (const days of [90, 80, 10, 5]) reports.push(await twice(days));
    const [layer] = JSON.parse(new TextDecoder().decode(mirror().manifests.get(reports[0] as Digest)?.bytes)).layers;
    await sign({ report_digest: layer.digest, attested_at: daysAgo(90) });
    expect((await plan()).scans.map(({ digest }) => digest).sort()).toEqual(reports.slice(0, 2).sort());
  });

  it('that do not say how old they are, or whose twin says nothing, stay', async () => {
    await report(90, { 'io.houba.scan.timestamp': 'soon' });
    for (const days of [3, 2, 1]) await report(days);
    await sign({ report_digest: 'not a digest' });
    await attach(
      subject,
      BUNDLE,
      { 'dev.sigstore.bundle.predicateType': 'https://houba.dev/predicate/scan/v1' },
      'none',
    );
    expect((await plan()).scans).toEqual([]);
  });
});

describe('tags with their stamps beside one image', () => {
  /** Gives an image the stamps of these tags, each with what the tag showed before. */
  async function stamp(subject: Digest, days: number, before: Readonly<Record<string, Digest | null>>): Promise<void> {
    for (const [tag, supersedes] of Object.entries(before)) {
      await attach(subject, 'application/vnd.houba.stamp.v1+json', {
        'org.opencontainers.image.base.digest': subject,
        'org.opencontainers.image.created': daysAgo(days),
        'io.houba.artifact.type': 'image',
        'io.houba.policy': 'redis',
        'io.houba.tag': tag,
        ...(supersedes === null ? {} : { 'io.houba.supersedes': supersedes }),
      });
    }
  }

  it('that always move together have one thread between them', async () => {
    let last: Digest | null = null;
    const past: Digest[] = [];
    for (let days = 75; days > 35; days--) {
      const digest = storeImage(mirror(), { salt: `day ${days}` });
      await stamp(digest, days, { '7': last, '7.2': last, latest: last });
      past.push(digest);
      last = digest;
    }
    for (const tag of ['7', '7.2', 'latest']) mirror().tags.set(tag, last as Digest);
    const { manifests } = await plan();
    expect(past.filter((digest) => manifests.includes(digest))).toEqual(past.slice(0, -1));
  });

  it('that part and meet too often are left alone, and that is an error', async () => {
    let one: Digest | null = null;
    let two: Digest | null = null;
    for (let days = 75; days > 35; days -= 2) {
      const here = { '7': one, '7.2': two };
      const digest = storeImage(mirror(), { salt: `met ${days}` });
      await stamp(digest, days, here);
      one = storeImage(mirror(), { salt: `one ${days}` });
      await stamp(one, days - 1, { '7': digest });
      two = storeImage(mirror(), { salt: `two ${days}` });
      await stamp(two, days - 1, { '7.2': digest });
    }
    mirror().tags.set('7', one as Digest);
    mirror().tags.set('7.2', two as Digest);
    await expect(plan()).rejects.toThrow(/threads/);
  });
});
