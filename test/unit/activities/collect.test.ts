import { beforeEach, describe, expect, it } from 'vitest';
import type { Collection } from '../../../activities/collect.js';
import type { Digest } from '../../../domain/digest.js';
import { MARK_ARTIFACT_TYPE } from '../../../domain/lifecycle/mark.js';
import { HoubaError } from '../../../domain/report/errors.js';
import { type ActivityWorld, createWorld, run } from '../../support/activity-world.js';
import { DESTINATION, placementOf } from '../../support/durable-samples.js';
import { storeImage } from '../../support/memory-registries.js';

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
  const request = { repository: DESTINATION, keep: 2, olderThanDays: 30, now, note: true, ...more };
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
    expect((await plan({ note: false })).manifests).toEqual([]);
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

  it('is not looked for without a label prefix', async () => {
    Object.assign(world.settings, { prefix: '' });
    expect(await plan()).toEqual({ outcomes: [], scans: [], manifests: [], kept: [] });
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

  it('whose signed twin is the newest stays, whatever came after it unsigned', async () => {
    const signed = await report(90);
    await sign({ report_digest: signed, attested_at: daysAgo(90) });
    await report(10);
    await report(5);
    expect((await plan()).scans).toEqual([]);
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
