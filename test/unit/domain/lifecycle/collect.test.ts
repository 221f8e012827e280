import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Digest } from '../../../../domain/digest.js';
import {
  readNotes,
  readScanReports,
  type ScanReport,
  type SignedScan,
  supersededManifests,
  supersededNote,
  supersededScans,
  type ThreadLink,
} from '../../../../domain/lifecycle/collect.js';
import type { StoredManifest } from '../../../../domain/lifecycle/manifest-graph.js';
import { MARK_ARTIFACT_TYPE, pendingMark, readMarks } from '../../../../domain/lifecycle/mark.js';
import { DAY, daysAgo, digest, NOW, SUBJECT } from './samples.js';

const GRACE = 30 * DAY;

function report(number: number, days: number | null, tool = 'trivy'): ScanReport {
  return { digest: digest(number), tool, format: 'sarif', timestamp: days === null ? null : daysAgo(days) };
}

/** The twin of report n has the number 100 + n. */
function twin(number: number, days: number | null): SignedScan {
  return {
    digest: digest(100 + number),
    kind: 'scan',
    report: digest(number),
    attestedAt: days === null ? null : daysAgo(days),
    valid: true,
  };
}

function collect(
  reports: readonly ScanReport[],
  signed: readonly SignedScan[] = [],
  keep = 1,
  graceMs = GRACE,
): number[] {
  return numbers(supersededScans(reports, signed, keep, graceMs, NOW));
}

function numbers(digests: readonly Digest[]): number[] {
  return digests.map((one) => Number.parseInt(one.slice(7), 16));
}

describe('supersededScans', () => {
  it.each([
    ['the newest is kept, however old', [report(1, 60), report(2, 40)], 1, [1]],
    ['what is younger than the grace time is kept', [report(1, 2), report(2, 1)], 1, []],
    ['what is exactly as old is kept', [report(1, 30), report(2, 1)], 1, []],
    ['every tool is kept its own', [report(1, 60), report(2, 40, 'grype')], 1, []],
    [
      'one that does not say when is never collected, and not counted',
      [report(1, null), report(2, 60), report(3, 50)],
      1,
      [2],
    ],
    ['as many as asked for are kept', [report(1, 60), report(2, 50), report(3, 40)], 2, [1]],
    ['keep 0 keeps none', [report(1, 60)], 0, [1]],
  ])('%s', (_, reports, keep, expected) => {
    expect(collect(reports, [], keep)).toEqual(expected);
  });

  it('keeps every format its own', () => {
    expect(collect([report(1, 60), { ...report(2, 40), format: 'other' }])).toEqual([]);
  });

  it('collects the signed twin with its report, the twin first', () => {
    const signed = [twin(1, 60), twin(2, 40)];
    expect(collect([report(1, 60), report(2, 40)], signed)).toEqual([101, 1]);
  });

  it('never collects the newest signed one, nor its report, when newer ones are not signed', () => {
    const reports = [report(1, 80), report(2, 60), report(3, 40)];
    expect(collect(reports, [twin(1, 80), twin(2, 60)])).toEqual([101, 1]);
  });

  it('goes by when it was attested, as an admission rule does', () => {
    const reports = [report(1, 80), report(2, 60), report(3, 40)];
    expect(collect(reports, [twin(1, 1), twin(2, 60)])).toEqual([102, 2]);
  });

  it.each([null, 'long ago'])('never collects a signed one whose time of attestation is %j', (attestedAt) => {
    const signed = [{ ...twin(1, 60), attestedAt }, twin(2, 40)];
    expect(collect([report(1, 60), report(2, 40)], signed)).toEqual([]);
  });

  it('leaves a signed one alone that does not say which report it is of', () => {
    const stray: SignedScan = { ...twin(100, 90), report: null };
    expect(collect([report(1, 60), report(2, 40)], [stray])).toEqual([1]);
  });

  it('neither collects what only claims to be signed, nor lets it take the place of what is', () => {
    const reports = [report(1, 80), report(2, 70), report(3, 60), report(4, 40)];
    const forged: SignedScan = { ...twin(2, 1), valid: false };
    expect(collect(reports, [twin(1, 80), forged])).toEqual([3]);
    const older: SignedScan = { ...twin(2, 90), valid: false };
    expect(collect(reports, [twin(1, 80), older])).toEqual([3, 2]);
  });

  it('collects a vulnerability statement with its report, and keeps no report for it', () => {
    const vulns: SignedScan = { ...twin(1, null), kind: 'vulns' };
    expect(collect([report(1, 60), report(2, 40)], [vulns])).toEqual([101, 1]);
    expect(collect([report(1, 60), report(2, 40)], [twin(1, 60), { ...vulns, digest: digest(201) }])).toEqual([]);
    expect(collect([report(1, 60), report(2, 40)], [{ ...vulns, valid: false }])).toEqual([1]);
  });

  it('keeps the newest of each tool and the newest signed one, whatever there is', () => {
    const some = fc.array(fc.record({ days: fc.nat(90), tool: fc.constantFrom('a', 'b'), signed: fc.boolean() }), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(some, fc.integer({ min: 1, max: 3 }), (scans, keep) => {
        const reports = scans.map(({ days, tool }, index) => report(index, days, tool));
        const signed = scans.flatMap((scan, index) => (scan.signed ? [twin(index, scan.days)] : []));
        const gone = new Set(collect(reports, signed, keep));
        for (const name of ['a', 'b']) {
          const ages = scans.flatMap(({ days, tool }, index) => (tool === name ? [{ days, index }] : []));
          const newest = ages.toSorted((x, y) => x.days - y.days)[0];
          if (newest !== undefined) {
            expect(ages.some(({ days, index }) => days === newest.days && !gone.has(index))).toBe(true);
          }
        }
        const freshest = Math.min(...scans.filter((scan) => scan.signed).map(({ days }) => days));
        for (const [index, { days, signed: isSigned }] of scans.entries()) {
          if (isSigned && days === freshest) expect(gone.has(index) || gone.has(100 + index)).toBe(false);
          if (isSigned) expect(gone.has(100 + index)).toBe(gone.has(index));
        }
      }),
    );
  });
});

describe('readScanReports', () => {
  const artifactType = 'application/vnd.houba.scan.result.v1';

  it('reads tool, format and time, and nothing that is not there', () => {
    const annotations = {
      'io.houba.scan.tool': 'trivy',
      'io.houba.scan.format': 'sarif',
      'io.houba.scan.timestamp': '2026-06-01T00:00:00+00:00',
    };
    const referrers = [
      { digest: digest(1), artifactType, annotations },
      { digest: digest(2), artifactType, annotations: {} },
      { digest: digest(3), artifactType: 'application/spdx+json', annotations },
    ];
    expect(readScanReports(referrers, 'io.houba')).toEqual([
      { digest: digest(1), tool: 'trivy', format: 'sarif', timestamp: '2026-06-01T00:00:00+00:00' },
      { digest: digest(2), tool: '', format: '', timestamp: null },
    ]);
    expect(readScanReports(referrers, '')).toEqual([]);
  });
});

/** What each manifest of a thread of numbers holds. */
function graph(...threads: readonly (readonly number[])[]): Map<Digest, StoredManifest> {
  const all = new Map<Digest, StoredManifest>();
  const put = (number: number, links: Partial<StoredManifest> = {}) => {
    const empty = { children: [], referrers: [], subject: null, originals: [], supersedes: [] };
    all.set(digest(number), { ...empty, ...all.get(digest(number)), digest: digest(number), ...links });
  };
  for (const thread of threads) {
    for (const [index, number] of thread.entries()) {
      const next = thread[index + 1];
      put(number, {
        referrers: [digest(number + 100)],
        originals: [digest(number + 200)],
        supersedes: next === undefined ? [] : [digest(next)],
      });
      put(number + 100, { subject: digest(number) });
      put(number + 200);
    }
  }
  return all;
}

/** A thread by number and age in days; a restamp keeps the age of what it restamps. A note is of what stands before. */
function thread(...links: readonly [number: number, days: number | null, notedDays?: number][]): ThreadLink[] {
  return links.map(([number, days, noted], index) => ({
    digest: digest(number),
    created: days === null ? null : daysAgo(days),
    notes: new Map(noted === undefined ? [] : [[digest(links[index - 1]?.[0] ?? 0), daysAgo(noted)]]),
    stays: false,
  }));
}

function superseded(...threads: readonly (readonly ThreadLink[])[]) {
  const all = graph(...threads.map((links) => numbers(links.map((link) => link.digest))));
  const { collected, unnoted } = supersededManifests(all, threads, GRACE, NOW);
  return { collected: numbers(collected), unnoted: numbers(unnoted.map((one) => one.digest)) };
}

describe('supersededManifests', () => {
  it('collects what was superseded longer ago than the grace time, evidence and original first', () => {
    expect(superseded(thread([1, 40], [2, 90]))).toEqual({ collected: [102, 202, 2], unnoted: [] });
  });

  it('counts from when the successor was placed, and keeps what was superseded within the grace time', () => {
    expect(superseded(thread([1, 30], [2, 900]))).toEqual({ collected: [], unnoted: [] });
    expect(superseded(thread([1, 10], [2, 40], [3, 90])).collected).toEqual([103, 203, 3]);
  });

  it('takes a thread up from its far end', () => {
    expect(superseded(thread([1, 40], [2, 60], [3, 90])).collected).toEqual([103, 203, 3, 102, 202, 2]);
  });

  it('cannot tell from a restamp when it superseded: it asks for a note, and counts from there', () => {
    expect(superseded(thread([1, 900], [2, 900]))).toEqual({ collected: [], unnoted: [2] });
    expect(superseded(thread([1, 900], [2, 900, 30]))).toEqual({ collected: [], unnoted: [] });
    expect(superseded(thread([1, 900], [2, 900, 31]))).toEqual({ collected: [102, 202, 2], unnoted: [] });
  });

  it('lets a later update of a restamp bound the time', () => {
    expect(superseded(thread([1, 40], [2, 900], [3, 900])).collected).toEqual([103, 203, 3, 102, 202, 2]);
  });

  it('collects nothing nearer than something that has to stay, or that would be lost', () => {
    expect(superseded(thread([1, 40], [2, 90, 60], [3, 90]), thread([3, 90])).collected).toEqual([102, 202, 2]);
    const unbounded = thread([1, 50], [2, 60], [3, null], [4, null]);
    expect(superseded(unbounded).collected).toEqual([104, 204, 4, 103, 203, 3, 102, 202, 2]);
    expect(superseded(thread([1, null], [2, null]))).toEqual({ collected: [], unnoted: [2] });
  });

  it('keeps what has to stay, and what lies nearer, or that would be lost', () => {
    const [one, two, three, four] = thread([1, 40], [2, 50], [3, null], [4, 90]) as ThreadLink[];
    const kept = [one, two, { ...three, stays: true }, four] as ThreadLink[];
    expect(superseded(kept)).toEqual({ collected: [104, 204, 4], unnoted: [] });
    expect(superseded([one, { ...two, stays: true }] as ThreadLink[])).toEqual({ collected: [], unnoted: [] });
  });

  it('does not believe a successor that says to be older', () => {
    expect(superseded(thread([1, 900], [2, 1]))).toEqual({ collected: [], unnoted: [2] });
    expect(superseded(thread([1, 900], [2, 40, 31])).collected).toEqual([102, 202, 2]);
  });

  it('counts from what superseded it last, whatever was noted when something else did', () => {
    const [one, two] = thread([1, 900], [2, 900]) as [ThreadLink, ThreadLink];
    const notes = new Map([[digest(7), daysAgo(90)]]);
    expect(superseded([one, { ...two, notes }])).toEqual({ collected: [], unnoted: [2] });
    const updated = thread([1, 10])[0] as ThreadLink;
    expect(superseded([updated, { ...two, notes }])).toEqual({ collected: [], unnoted: [] });
  });

  it('takes no more at once than asked for, from the far ends, and says that there is more', () => {
    const threads = [thread([1, 40], [2, 60], [3, 90]), thread([11, 40], [12, 60])];
    const all = graph([1, 2, 3], [11, 12]);
    const find = (most: number) => supersededManifests(all, threads, GRACE, NOW, most);
    expect(numbers(find(1).collected)).toEqual([103, 203, 3]);
    expect(numbers(find(2).links)).toEqual([3, 2]);
    expect([find(2).more, find(3).more]).toEqual([true, false]);
  });

  it('takes what it may, where what comes first is needed', () => {
    const threads = [thread([1, 40], [2, 90]), thread([11, 40], [12, 60])];
    const all = graph([1, 2], [11, 12]);
    all.set(digest(11), { ...(all.get(digest(11)) as StoredManifest), children: [digest(2)] });
    expect(supersededManifests(all, threads, GRACE, NOW, 1)).toMatchObject({ links: [digest(12)], more: false });
  });

  it('keeps what another tag shows, or had not so long ago', () => {
    expect(superseded(thread([1, 40], [2, 90]), thread([2, 90]))).toEqual({ collected: [], unnoted: [] });
    expect(superseded(thread([1, 40], [2, 90]), thread([3, 5], [2, 90])).collected).toEqual([]);
  });

  it('neither collects nor notes what a tag shows', () => {
    expect(superseded(thread([1, 90], [2, 90]), thread([2, 90]))).toEqual({ collected: [], unnoted: [] });
    expect(superseded([], thread([1, 900]))).toEqual({ collected: [], unnoted: [] });
  });

  it('keeps an original that is still somebody’s', () => {
    const shared = graph([1, 2]);
    shared.set(digest(1), { ...(shared.get(digest(1)) as StoredManifest), originals: [digest(202)] });
    const { collected } = supersededManifests(shared, [thread([1, 40], [2, 90])], GRACE, NOW);
    expect(numbers(collected)).toEqual([102, 2]);
  });
});

describe('the note of what is superseded', () => {
  it('is found again by what superseded it, the earliest of several, and is no wish to delete', () => {
    const by = digest(9);
    const annotations = supersededNote('io.houba', by, NOW);
    expect(annotations).toEqual({
      'io.houba.lifecycle.state': 'superseded',
      'io.houba.lifecycle.superseded-by': by,
      'io.houba.lifecycle.marked-at': '2026-06-13T00:00:00+00:00',
    });
    const note = (number: number, more: object, artifactType = MARK_ARTIFACT_TYPE) => ({
      ...{ digest: digest(number), artifactType },
      annotations: { ...annotations, ...more },
    });
    const referrers = [
      { ...note(1, supersededNote('io.houba', by, NOW + DAY)) },
      note(2, {}),
      note(3, { 'io.houba.lifecycle.marked-at': 'soon' }),
      note(4, supersededNote('io.houba', digest(8), NOW + DAY)),
      note(5, supersededNote('io.houba', digest(7), NOW), 'application/spdx+json'),
      note(6, { 'io.houba.lifecycle.superseded-by': 'nobody' }),
    ];
    expect([...readNotes(referrers, 'io.houba')]).toEqual([
      [by, '2026-06-13T00:00:00+00:00'],
      [digest(8), '2026-06-14T00:00:00+00:00'],
    ]);
    expect(readNotes([], 'io.houba').size).toBe(0);
    expect(pendingMark(readMarks(SUBJECT, referrers, 'io.houba'), '7.2.1')).toBeNull();
  });
});
