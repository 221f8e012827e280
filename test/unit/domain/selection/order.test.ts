import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { orderOf } from '../../../../domain/selection/order.js';
import { selectTags, type TagSelection } from '../../../../domain/selection/select.js';
import { type OrderName, sortByOrder, type TagVersion } from '../../../../domain/selection/tag-version.js';
import { sortTags } from '../../../../domain/selection/version.js';

const GROUPS = '^(?P<line>[a-z]*)-?v?(?P<major>\\d+)(?:\\.(?P<minor>\\d+))?(?:-(?P<prerelease>rc\\d+))?$';

function read(order: OrderName, tag: string): string | null {
  const version = orderOf({ order, includeRegex: GROUPS }).read(tag);
  return version === null ? null : written(version);
}

function written({ numbers, prerelease, build, flavour }: TagVersion): string {
  return [numbers.join('.'), prerelease ?? 'final', build, flavour].join('|');
}

describe('what an order reads of a tag', () => {
  it.each<[OrderName, string, string | null]>([
    ['semver', '7-alpine', '7.0.0|alpine||'],
    ['semver', '1.2.3_4', null],
    ['helm', '1.2.3_4', '1.2.3|final|4|'],
    ['helm', '1.2.3-rc.1_a.b', '1.2.3|rc.1|a.b|'],
    ['helm', '1.2.3', '1.2.3|final||'],
    ['helm', 'x_1', null],
    ['docker', '3.8.0b1-alpine3.19', '3.8.0|b1||alpine3.19'],
    ['docker', 'v1.2.3-rc.1', '1.2.3|rc.1||'],
    ['docker', '1.2.3-rc-1-slim', '1.2.3|rc.1||slim'],
    ['docker', '12.7.0-debian-10-r69', '12.7.0|final|r69|debian-10'],
    ['docker', '17.0.2_8-jre-alpine', '17.0.2|final|8|jre-alpine'],
    ['docker', 'v3.9.0-177-ged5bcde', '3.9.0|final|177|'],
    ['docker', '1.9.7.x', '1.9.7|final||x'],
    ['docker', '8.8-m03-alpine', '8.8|m03||alpine'],
    ['docker', '2.5.0p13', '2.5.0|final|p13|'],
    ['docker', '32bit', null],
    ['docker', 'debian-12', null],
    ['docker', '4f3a9b1', null],
    ['docker', '1234567', '1234567|final||'],
    ['calver', '2024.05.01-2-alpine', '2024.05.01.2|final||alpine'],
    ['calver', '24.04', '2024.04|final||'],
    ['calver', '24.13', null],
    ['calver', '7.2.5', null],
    ['calver', 'bookworm-20240513-slim', '2024.05.13|final||bookworm-slim'],
    ['calver', 'RELEASE.2023-06-02T23-17-26Z.fips', '2023.06.02.23.17.26|final||RELEASE-fips'],
    ['calver', '202405011230', '2024.05.01.12.30|final||'],
    ['calver', '20241301', null],
    ['calver', '2022-CU14-ubuntu', '2022|final||CU14-ubuntu'],
    ['numeric', 'build-1042', '1042|final||'],
    ['numeric', 'v1.2-rc3', '1.2|rc3||'],
    ['numeric', 'latest', null],
    ['numeric', '4f3a9b1', null],
    ['regex', 'edge-v7.2-rc1', '7.2...|rc1||edge'],
    ['regex', '7', '7....|final||'],
    ['regex', 'latest', null],
  ])('%s reads %s as %s', (order, tag, expected) => {
    expect(read(order, tag)).toBe(expected);
  });
});

describe('an order', () => {
  it.each<[OrderName, string[]]>([
    ['docker', ['2', '2.1-rc2', '2.1-rc10', '2.1', '2.1-3', '2.1.0', '2.10', '1.0-alpine', '3-alpine', 'edge']],
    ['docker', ['8.7-923.1669829893', '8.7-1049', '8.10']],
    ['calver', ['2023.12.1', '23.12.2', '20231203', '24.04', '2024-04-01', 'latest']],
    ['numeric', ['1.9.7.x', '1.10.0.x', 'build-9', 'r9-1', 'build-10', 'latest']],
    ['helm', ['1.2.3-rc1_9', '1.2.3', '1.2.3_9', '1.2.3_10', '1.2.4']],
  ])('%s puts the lowest first: %j', (order, ascending) => {
    expect(sortByOrder(orderOf({ order, includeRegex: null }), ascending.toReversed())).toEqual(ascending);
  });

  const tag = fc.oneof(
    fc.stringMatching(/^v?[0-9]{1,3}(\.[0-9]{1,2}){0,3}([-_](rc|r|alpine|p)?[0-9]{0,2}){0,2}$/),
    fc.stringMatching(/^[a-z]{0,3}-?20[0-9]{2}-?[01][0-9](-[a-c])?$/),
    fc.stringMatching(/^[a-f0-9]{1,9}$/),
  );

  it.each<OrderName>(['semver', 'helm', 'docker', 'calver', 'numeric', 'regex'])(
    '%s is total: sorting does not depend on the order given, and selection takes what is there',
    (name) => {
      const order = orderOf({ order: name, includeRegex: GROUPS });
      const rules: TagSelection = {
        order: name,
        includeRegex: name === 'regex' ? GROUPS : null,
        excludeRegex: [],
        semverOnly: false,
        names: ['1', 'x'],
        aliases: [],
        finalsOnly: true,
        newest: 2,
      };
      fc.assert(
        fc.property(fc.uniqueArray(tag), (tags) => {
          const sorted = sortByOrder(order, tags);
          expect(sortByOrder(order, tags.toReversed())).toEqual(sorted);
          const { selected } = selectTags(tags, rules);
          expect(selectTags(tags.toReversed(), rules).selected).toEqual(selected);
          expect(selected.every((one) => tags.includes(one))).toBe(true);
          const counted = selected.filter((one) => !rules.names.includes(one)).map((one) => order.read(one)?.flavour);
          expect(counted.every((flavour) => counted.filter((other) => other === flavour).length <= 2)).toBe(true);
        }),
      );
    },
  );

  it('reads the longest of hostile tags at once', () => {
    const ends = ['x', '!', '-', '.'];
    const fills = ['1', '1.', 'rc1', 'a1', '-1', '20240101', 'f0', 'rc.1.', 'T11-', '_-'];
    const hostile = ['1', '1rc', '1-rc', 'v20', ''].flatMap((start) =>
      fills.flatMap((fill) => ends.map((end) => `${start}${fill.repeat(128)}`.slice(0, 127) + end)),
    );
    const started = performance.now();
    for (const order of ['semver', 'helm', 'docker', 'calver', 'numeric', 'regex'] as const) {
      sortByOrder(orderOf({ order, includeRegex: GROUPS }), hostile);
    }
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('is the order from before where a policy names none', () => {
    fc.assert(
      fc.property(fc.uniqueArray(tag), (tags) => {
        expect(sortByOrder(orderOf({ includeRegex: null }), tags)).toEqual(sortTags(tags));
      }),
    );
  });
});
