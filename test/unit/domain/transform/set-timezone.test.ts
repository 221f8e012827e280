import { describe, expect, it } from 'vitest';
import { setTimezone } from '../../../../domain/transform/set-timezone.js';
import { imageOf, resourcesOf, type Tree, written } from './images.js';

const none = resourcesOf({});
const zones: Tree = { '/usr/share/zoneinfo/Europe/Rome': 'TZif', '/usr/share/zoneinfo/Etc/UTC': 'TZif' };
const apply = (zone: string, tree: Tree) =>
  setTimezone.apply({ zone }, none, imageOf(tree, setTimezone.wantedPaths({ zone })));

describe('setTimezone', () => {
  it('links the local time, writes the name, sets TZ', () => {
    const effect = apply('Europe/Rome', zones);
    expect(written(effect)).toEqual({
      '/etc/localtime': '-> /usr/share/zoneinfo/Europe/Rome',
      '/etc/timezone': 'Europe/Rome\n',
    });
    expect(effect.env).toEqual({ TZ: 'Europe/Rome' });
  });

  it('replaces a link that is there, never the file behind it', () => {
    const effect = apply('Europe/Rome', { ...zones, '/etc/localtime': { link: '/usr/share/zoneinfo/Etc/UTC' } });
    expect(Object.keys(written(effect))).toEqual(['/etc/localtime', '/etc/timezone']);
  });

  it('finds the folder when it is a link itself', () => {
    const effect = apply('Etc/UTC', { ...zones, '/etc': { link: 'private/etc' } });
    expect(Object.keys(written(effect))).toEqual(['/private/etc/localtime', '/private/etc/timezone']);
  });

  it('keeps the mode of a file, and leaves one alone that says the same', () => {
    const other = apply('Etc/UTC', { ...zones, '/etc/timezone': { mode: 0o600, text: 'Europe/Rome\n' } });
    expect(other.files[1]?.content).toMatchObject({ mode: 0o600 });
    expect(apply('Etc/UTC', { ...zones, '/etc/timezone': 'Etc/UTC\n' }).files).toHaveLength(1);
  });

  it.each<[string, string, Tree, string]>([
    ['an image without zones', 'Europe/Rome', {}, 'use a zone of the image, or a base image that has tzdata'],
    ['a zone that does not exist', 'Europe/Roma', zones, 'did you mean Europe/Rome?'],
    ['a region', 'Europe', zones, 'use a zone of the image, or a base image that has tzdata'],
  ])('cannot be applied to %s', (_what, zone, tree, hint) => {
    expect(() => apply(zone, tree)).toThrow(
      expect.objectContaining({
        code: 'PolicyInvalid',
        message: `setTimezone: the image has no time zone file /usr/share/zoneinfo/${zone}`,
        hint,
      }),
    );
  });

  it.each(['Europe/Rome', 'UTC', 'Etc/GMT+5', 'America/Port-au-Prince', 'America/North_Dakota/New_Salem'])(
    'takes %s for a zone',
    (zone) => expect(setTimezone.params.safeParse({ zone }).success).toBe(true),
  );

  it.each([
    '',
    '../../etc/shadow',
    'Europe/../..',
    '/UTC',
    'UTC/',
    'a//b',
    'UTC; reboot',
    '$(id)',
    'UTC\n',
    'a'.repeat(101),
    1,
  ])('refuses %j for a zone', (zone) => expect(setTimezone.params.safeParse({ zone }).success).toBe(false));
});
