import { describe, expect, it } from 'vitest';
import { selectTags, type TagSelection } from '../../../../domain/selection/select.js';
import { realTags } from './real-tags.js';

const EVERYTHING: TagSelection = { includeRegex: null, excludeRegex: [], semverOnly: true, names: [], aliases: [] };

describe('the newest of real tag lists', () => {
  it.each<[Parameters<typeof realTags>[0], Partial<TagSelection>, string]>([
    ['postgres', { newest: 2 }, '18.6-trixie 18.6'],
    ['postgres', { newest: 2, finalsOnly: true }, '18.4 18.6'],
    [
      'postgres',
      { order: 'docker', newest: 1 },
      '19beta3 19beta3-alpine 19beta3-alpine3.23 19beta3-alpine3.24 19beta3-bookworm 19beta3-trixie',
    ],
    ['postgres', { order: 'docker', newest: 1, finalsOnly: true, semverRange: '9.6' }, '9.6.24 9.6.24-alpine'],
    ['debian', { order: 'docker', newest: 1 }, '13.6 13.6-slim'],
    ['debian', { order: 'docker', newest: 2, semverRange: '12' }, '12.14 12.15 12.14-slim 12.15-slim'],
    ['node', { newest: 2 }, '24.19.0-bookworm-slim 24.19.0'],
    ['node', { newest: 2, finalsOnly: true }, '24.18.1 24.19.0'],
    [
      'node',
      { order: 'docker', newest: 1, finalsOnly: true },
      '24.19.0 24.19.0-alpine 24.16.0-alpine3.22 24.19.0-alpine3.23 24.19.0-bookworm-slim',
    ],
    [
      'redis',
      { order: 'docker', newest: 2, includeRegex: '^[^-]+(-alpine)?$' },
      '8.10.0 8.10.1 8.10.0-alpine 8.10.1-alpine',
    ],
    ['redis', { order: 'docker', newest: 2, semverRange: '6.0', includeRegex: '-32bit$' }, ''],
    ['redis', { order: 'docker', newest: 2, includeRegex: '^6.*-32bit$' }, '6.0-rc-32bit 6.0-rc1-32bit'],
  ])('%s with %j', (image, rules, expected) => {
    expect(selectTags(realTags(image), { ...EVERYTHING, ...rules }).selected.join(' ')).toBe(expected);
  });

  it('of dated tags is that of each release', () => {
    const rules: TagSelection = { ...EVERYTHING, order: 'calver', newest: 1, includeRegex: '-\\d{8}' };
    expect(selectTags(realTags('debian'), rules).selected).toEqual([
      'bookworm-20260803',
      'bookworm-20260803-slim',
      'rc-buggy-20260803',
      'trixie-20260803',
      'trixie-20260803-slim',
    ]);
  });
});
