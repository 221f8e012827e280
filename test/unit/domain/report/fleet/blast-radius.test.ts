import { describe, expect, it } from 'vitest';
import { byBaseDigest, byOwner, byPackage } from '../../../../../domain/report/fleet/blast-radius.js';
import { imageFilter } from '../../../../../domain/report/fleet/image-filter.js';
import { fleetImage, fleetReport, sampleFleet } from '../../../../support/fleet-samples.js';

const REPORT = fleetReport(
  [
    fleetImage({ tag: '1', base_digest: 'sha256:b', owners: ['b', 'a'] }),
    fleetImage({ tag: '2', base_digest: 'sha256:b', owners: ['b', 'b'] }),
    fleetImage({ tag: '3', base_digest: 'sha256:a', owners: [] }),
    fleetImage({ tag: '4', base_digest: null, owners: ['c'] }),
  ],
  [
    { name: 'bash', ecosystem: 'deb', versions: [{ version: '5', images: [3] }] },
    {
      ...{ name: 'zlib', ecosystem: 'deb' },
      versions: [
        { version: '1.2', images: [0] },
        { version: '1.3', images: [0, 1, 2] },
      ],
    },
  ],
);
const ALL = [0, 1, 2, 3];

describe('the blast radius', () => {
  it('of a base digest, the most images first, those without one last', () => {
    expect(byBaseDigest(REPORT, ALL)).toEqual([
      { key: 'sha256:b', images: [0, 1] },
      { key: 'sha256:a', images: [2] },
      { key: null, images: [3] },
    ]);
  });

  it('of an owner counts an image for each of its owners once', () => {
    expect(byOwner(REPORT, ALL)).toEqual([
      { key: 'b', images: [0, 1] },
      { key: 'a', images: [0] },
      { key: 'c', images: [3] },
      { key: null, images: [2] },
    ]);
    expect(byOwner(REPORT, [2, 3])).toEqual([
      { key: 'c', images: [3] },
      { key: null, images: [2] },
    ]);
  });

  it('of a package counts an image with two versions of it once', () => {
    const groups = byPackage(REPORT, { images: ALL, named: null });
    expect(groups.map((one) => [one.package.name, one.images])).toEqual([
      ['zlib', 3],
      ['bash', 1],
    ]);
    expect(groups[0]?.versions).toEqual([
      { version: '1.3', images: [0, 1, 2] },
      { version: '1.2', images: [0] },
    ]);
  });

  it('of a package that the filter names shows that one alone, in the images that are left', () => {
    const groups = byPackage(REPORT, imageFilter(REPORT)('zlib@1.3 redis:1'));
    expect(groups.map((one) => [one.package.name, one.images])).toEqual([['zlib', 1]]);
    expect(groups[0]?.versions).toEqual([{ version: '1.3', images: [0] }]);
  });

  it('has every image of a realistic report, in every grouping', () => {
    const report = sampleFleet();
    const all = report.images.map((_, index) => index);
    const inGroups = (groups: readonly { images: readonly number[] }[]) =>
      [...new Set(groups.flatMap(({ images }) => images))].sort((a, b) => a - b);
    expect(inGroups(byBaseDigest(report, all))).toEqual(all);
    expect(inGroups(byOwner(report, all))).toEqual(all);
    const withPackages = all.filter((index) => report.images[index]?.packages !== null);
    const packages = byPackage(report, { images: all, named: null });
    expect(inGroups(packages.flatMap(({ versions }) => versions))).toEqual(withPackages);
  });
});
