import { describe, expect, it } from 'vitest';
import { laddersByRegistry } from '../../../../../domain/report/fleet/ladder.js';
import { fleetImage, fleetReport } from '../../../../support/fleet-samples.js';

const none = { reached: 0, unknown: 0 };
const one = { reached: 1, unknown: 0 };

describe('the ladders of the registries', () => {
  it('count what was reached, and apart from it what nobody can say', () => {
    const images = [
      fleetImage({ tag: '1' }),
      fleetImage({ tag: '2', signed: null, scanned_at: null, findings: null }),
      fleetImage({ repository: 'lib/a', tag: '3', stamped: null, sbom: null, signed: false }),
    ];
    const [ladder] = laddersByRegistry(fleetReport(images));
    expect(ladder).toEqual({
      registry: 'registry.example',
      ladder: {
        images: 3,
        rungs: {
          stamped: { reached: 2, unknown: 1 },
          sbom: { reached: 2, unknown: 1 },
          signed: { reached: 1, unknown: 1 },
          scanned: { reached: 2, unknown: 0 },
        },
      },
      repositories: [
        {
          repository: 'lib/a',
          ladder: {
            images: 1,
            rungs: { stamped: { ...none, unknown: 1 }, sbom: { ...none, unknown: 1 }, signed: none, scanned: one },
          },
        },
        expect.objectContaining({ repository: 'lib/redis' }),
      ],
    });
  });

  it('have every registry of the report, also one without images, and one that only an image names', () => {
    const report = fleetReport([fleetImage({ registry: 'other.example' })]);
    expect(laddersByRegistry(report).map(({ registry, ladder }) => [registry, ladder.images])).toEqual([
      ['registry.example', 0],
      ['other.example', 1],
    ]);
  });
});
