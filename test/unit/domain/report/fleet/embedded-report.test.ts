import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { embedReport, readEmbedded } from '../../../../../domain/report/fleet/embedded-report.js';
import { fleetReport, sampleFleet } from '../../../../support/fleet-samples.js';

describe('the report inside the page', () => {
  it('is read back as it was, however far apart the images of a package are', () => {
    const indexes = fc.uniqueArray(fc.nat({ max: 5_000_000 })).map((some) => some.sort((a, b) => a - b));
    fc.assert(
      fc.property(fc.array(indexes), (lists) => {
        const versions = lists.map((images, at) => ({ version: `${at}`, images }));
        const report = fleetReport([], [{ name: 'libc6', ecosystem: 'deb', versions }]);
        expect(readEmbedded(JSON.parse(JSON.stringify(embedReport(report))))).toEqual(report);
      }),
    );
    expect(readEmbedded(embedReport(sampleFleet()))).toEqual(sampleFleet());
  });

  it('takes one character for an image that is near the one before', () => {
    const images = Array.from({ length: 1_000 }, (_, index) => index * 32);
    const report = fleetReport([], [{ name: 'libc6', ecosystem: 'deb', versions: [{ version: '1', images }] }]);
    expect(embedReport(report).packages[0]?.versions[0]?.images).toHaveLength(1_000);
  });
});
