import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { imageFilter } from '../../../../../domain/report/fleet/image-filter.js';
import { fleetImage, fleetReport, sampleFleet } from '../../../../support/fleet-samples.js';

const FOUND = { critical: 1, high: 0, medium: 2, low: 0, unknown: 0 };
const REPORT = fleetReport(
  [
    fleetImage({ tag: '7.2', running_in: ['prod-eu'], findings: FOUND }),
    fleetImage({
      repository: 'web/nginx',
      tag: '1.27',
      owners: ['Team Edge'],
      policy: 'front',
      platforms: ['linux/arm64'],
    }),
    fleetImage({
      ...{ repository: 'web/old', tag: 'xz', owners: [], policy: null, base_digest: null, base_name: null },
      ...{ stamped: false, sbom: false, signed: false, scanned_at: null, findings: null },
      held: { until: null, reason: 'moved' },
      pending_deletion: { since: '2026-05-01T00:00:00Z', policy: null },
    }),
  ],
  [
    {
      ...{ name: 'xz-utils', ecosystem: 'deb' },
      versions: [
        { version: '5.6.1-1', images: [0] },
        { version: '5.6.10', images: [1] },
      ],
    },
    { name: 'openssl', ecosystem: 'deb', versions: [{ version: '1:1.0.2k', images: [0, 1] }] },
    { name: '@babel/core', ecosystem: 'npm', versions: [{ version: 'v7.1.0', images: [1] }] },
  ],
);
const matching = imageFilter(REPORT);

describe('the filter', () => {
  it.each([
    ['', [0, 1, 2]],
    ['  ', [0, 1, 2]],
    ['redis', [0]],
    ['REDIS:7.2', [0]],
    ['web/', [1, 2]],
    ['team edge', [1]],
    ['edge team', [1]],
    ['front', [1]],
    ['arm64', [1]],
    ['prod-eu', [0]],
    ['debian:bookworm', [0, 1]],
    [`registry.example/lib/redis@${REPORT.images[0]?.digest}`, [0]],
    ['xz-utils', [0, 1]],
    ['xz', [0, 1, 2]],
    ['xz-utils@5.6.1', [0]],
    ['xz-utils@5.6', [0, 1]],
    ['xz-utils@5.6.10', [1]],
    ['xz-utils@6', []],
    ['xz-utils@', [0, 1]],
    ['z-utils@5.6.1', []],
    ['openssl@1.0.2', [0, 1]],
    ['openssl@1:1.0.2', [0, 1]],
    ['@babel/core', [1]],
    ['@babel/core@7', [1]],
    ['openssl redis', [0]],
    ['xz-utils @babel', [1]],
    ['nothing', []],
    ['redis nothing', []],
    ['has:critical', [0]],
    ['has:high', []],
    ['is:clean', [1]],
    ['no:scan', [2]],
    ['no:stamp', [2]],
    ['no:sbom', [2]],
    ['no:signature', [2]],
    ['no:owner', [2]],
    ['no:base', [2]],
    ['is:held', [2]],
    ['is:pending-deletion', [2]],
    ['.*', []],
    ['__proto__', []],
  ])('of %o leaves the images %o', (text, images) => {
    expect(matching(text).images).toEqual(images);
  });

  it.each([
    ['', null],
    ['redis', null],
    ['xz-utils@5.6.1', ['5.6.1-1']],
    ['openssl', ['1:1.0.2k']],
    ['openssl xz-utils', ['1:1.0.2k', '5.6.1-1', '5.6.10']],
  ])('of %o names the versions %o', (text, versions) => {
    const { named } = matching(text);
    expect(named === null ? null : Array.from(named, ({ version }) => version)).toEqual(versions);
  });

  it('takes nothing for an answer about images whose signature nobody asked for', () => {
    expect(imageFilter(fleetReport([fleetImage({ signed: null })]))('no:signature').images).toEqual([]);
  });

  it('leaves fewer images with each further word, in any order of the words', () => {
    const sample = imageFilter(sampleFleet());
    const word = fc.constantFrom(
      'redis',
      'platform',
      'xz-utils',
      'openssl@1',
      'has:critical',
      'eu',
      'arm64',
      'deb',
      '7',
    );
    fc.assert(
      fc.property(fc.array(word, { minLength: 1, maxLength: 4 }), (words) => {
        const { images } = sample(words.join(' '));
        expect(sample([...words].reverse().join(' ')).images).toEqual(images);
        expect(sample(words.slice(1).join(' ')).images).toEqual(expect.arrayContaining([...images]));
      }),
    );
  });
});
