import { describe, expect, it } from 'vitest';
import type { FleetImage } from '../../../../../domain/report/fleet/fleet-report.js';
import { imageDetails, imageTable, orderImages } from '../../../../../domain/report/fleet/image-table.js';
import { fleetImage, fleetReport } from '../../../../support/fleet-samples.js';

const NONE = { critical: 0, high: 0, medium: 0, low: 0, unknown: 0 };

/** The text of one image's row, cell by cell. */
function cellsOf(facts: Partial<FleetImage>): string[] {
  const [, row = ''] = imageTable(fleetReport([fleetImage(facts)]), [0]).text.split('<tbody role="rowgroup">');
  return row
    .split(/(?=<t[hd] )/)
    .slice(1)
    .map((cell) => textOf(cell));
}

function textOf(markup: string): string {
  return markup
    .replace(/<p>Opening this needs JavaScript.<\/p>/g, '')
    .replace(/<wbr>/g, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/ +/g, ' ')
    .trim();
}

describe('the row of an image', () => {
  it('says what it is, whose, how far its evidence goes, and how old that is', () => {
    expect(cellsOf({ owners: ['a', 'b'], running_in: ['prod-eu', 'prod-us'] })).toEqual([
      'registry.example/ lib/redis :7.2',
      'a b policy redis',
      'stamp SBOM signature scan',
      'clean',
      'placed 12 d ago scanned 6 h ago',
      'runs in prod-eu, prod-us',
    ]);
  });

  it('never calls clean what has no scan', () => {
    expect(cellsOf({ findings: null, scanned_at: null })[3]).toBe('– not scanned');
    expect(cellsOf({ findings: null })[3]).toBe('not counted');
    expect(cellsOf({ findings: { ...NONE, high: 2, unknown: 1_234 } })[3]).toBe('2 high 1,234 unknown');
  });

  it('names what lacks, and is silent about what nobody asked for', () => {
    expect(cellsOf({ stamped: false, sbom: null, signed: null, scanned_at: null })[2]).toBe('no stamp no scan');
    expect(cellsOf({ sbom: false, signed: false })[2]).toBe('stamp no SBOM no signature scan');
  });

  it.each([
    [{ until: '2026-06-03T06:30:00Z', reason: 'moved' }, 'held , 2 d left'],
    [{ until: '2026-06-01T06:00:00Z', reason: 'moved' }, 'held , due now'],
    [{ until: null, reason: 'a person holds it' }, 'held , no end known'],
  ])('says of %o: %s', (held, text) => {
    expect(cellsOf({ held })[5]).toBe(text);
  });

  it('says since when it is pending deletion', () => {
    const pending_deletion = { since: '2026-05-22T06:30:00Z', policy: null };
    expect(cellsOf({ pending_deletion })[5]).toBe('pending deletion , marked 10 d ago');
  });

  it('of an image of which nothing is known has no owner, policy or age', () => {
    expect(cellsOf({ owners: [], policy: null, placed_at: null }).slice(1, 5)).toEqual([
      '',
      'stamp SBOM signature scan',
      'clean',
      'placed at an unknown time scanned 6 h ago',
    ]);
  });

  it('opens to everything in full, with the packages that are in it', () => {
    const report = fleetReport(
      [
        fleetImage({
          held: { until: '2026-06-03T06:30:00Z', reason: 'moved' },
          pending_deletion: { since: '2026-05-22T06:30:00Z', policy: 'redis' },
        }),
        fleetImage({ packages: null, base_name: null, platforms: [] }),
      ],
      [{ name: 'libc6', ecosystem: 'deb', versions: [{ version: '2.36', images: [0] }] }],
    );
    const first = textOf(imageDetails(report, 0).text);
    expect(first).toContain(`Digest ${report.images[0]?.digest}`);
    expect(first).toContain('Held moved (until 2026-06-03 06:30 UTC)');
    expect(first).toContain('Marked 2026-05-22 06:30 UTC by policy redis');
    expect(first).toContain('2 packages libc6 2.36');
    const second = textOf(imageDetails(report, 1).text);
    expect(second).toContain('Packages no inventory was read');
    expect(second).not.toMatch(/Base docker|Platforms|libc6/);
    expect(imageDetails(report, 2).text).toBe('');
  });
});

describe('the order of images', () => {
  const report = fleetReport([
    fleetImage({ tag: 'd', findings: null, placed_at: '2026-01-01T00:00:00Z' }),
    fleetImage({ tag: 'c', findings: { ...NONE, high: 9, medium: 9 }, placed_at: '2026-03-01T00:00:00Z' }),
    fleetImage({ tag: 'b', findings: NONE, placed_at: null }),
    fleetImage({ tag: 'a', findings: { ...NONE, critical: 1 }, placed_at: '2025-12-31T20:00:00-05:00' }),
    fleetImage({ tag: 'e', findings: NONE, placed_at: null }),
  ]);
  it.each([
    ['name', ['a', 'b', 'c', 'd', 'e']],
    ['findings', ['a', 'c', 'b', 'e', 'd']],
    ['age', ['d', 'a', 'c', 'b', 'e']],
  ] as const)('by %s: what is not known comes last', (order, tags) => {
    const all = report.images.map((_, index) => index);
    expect(orderImages(report, all, order).map((index) => report.images[index]?.tag)).toEqual(tags);
    expect(orderImages(report, [99], order)).toEqual([]);
  });
});
