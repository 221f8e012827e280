import { describe, expect, it } from 'vitest';
import { createImageFiles, replaceFile } from '../../../../domain/transform/image-files.js';
import { DIRECTORY, imageOf } from './images.js';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('resolving a path in an image', () => {
  const image = imageOf({
    '/bin': { link: 'usr/bin' },
    '/usr/bin/sh': { mode: 0o755, text: 'sh' },
    '/etc/ssl': { link: '../usr/lib/./ssl/' },
    '/usr/lib/ssl/certs': { link: '/var/certs' },
    '/var/certs/one.pem': { link: '../../../../share/one.pem' },
    '/share/one.pem': 'one',
    '/etc/gone': { link: 'nowhere/at/all' },
    '/etc/loop': { link: '/etc/pool' },
    '/etc/pool': { link: 'loop/' },
    '/etc/empty': DIRECTORY,
  });

  it.each([
    ['a relative link to a directory', '/bin/sh', '/usr/bin/sh', 'file'],
    ['links upon links, which never leave the image', '/etc/ssl/certs/one.pem', '/share/one.pem', 'file'],
    ['a directory by a link', '/etc/ssl/certs/', '/var/certs', 'directory'],
    ['a directory that holds something and was never named', '/usr/lib', '/usr/lib', 'directory'],
    ['the root', '/', '/', 'directory'],
    ['above the root', '/../../share/one.pem', '/share/one.pem', 'file'],
    ['what is absent: where it would land', '/etc/ssl/certs/new/two.pem', '/var/certs/new/two.pem', 'absent'],
    ['a link to nowhere: where it points', '/etc/gone', '/etc/nowhere/at/all', 'absent'],
  ])('follows %s', (_what, path, place, kind) => {
    expect(image.resolve(path)).toMatchObject({ path: place, kind });
  });

  it('takes a loop of links for absent', () => {
    expect(image.resolve('/etc/loop').kind).toBe('absent');
    expect(image.read('/etc/loop')).toBeNull();
  });

  it('says the mode of what is there, and 0644 for what is not', () => {
    expect(image.resolve('/bin/sh').mode).toBe(0o755);
    expect(image.resolve('/etc/new').mode).toBe(0o644);
  });

  it('locates an entry without following it', () => {
    expect(image.locate('/etc/ssl/certs')).toBe('/usr/lib/ssl/certs');
    expect(image.locate('/etc/gone')).toBe('/etc/gone');
    expect(image.locate('/bin')).toBe('/bin');
  });

  it('lists the names directly in a directory, sorted, links and directories too', () => {
    expect(image.list('/etc')).toEqual(['empty', 'gone', 'loop', 'pool', 'ssl']);
    expect(image.list('/')).toEqual(['bin', 'etc', 'share', 'usr', 'var']);
    expect(image.list('/etc/ssl/certs/')).toEqual(['one.pem']);
    expect(image.list('/etc/empty')).toEqual([]);
    expect(image.list('/absent')).toEqual([]);
  });
});

describe('reading from an image', () => {
  it('follows links, and finds nothing in directories', () => {
    const image = imageOf({ '/a': { link: 'b' }, '/b': 'text', '/c': DIRECTORY });
    expect(image.read('/a')).toEqual(bytes('text'));
    expect(image.read('/c')).toBeNull();
    expect(image.read('/d')).toBeNull();
  });

  it('never takes a file whose content is unknown for one that is not there', () => {
    const image = createImageFiles(new Map([['/a', { kind: 'file', mode: 0o600 }]]), new Map());
    expect(() => image.read('/a')).toThrow('the content of /a was not taken out of the image');
  });

  it('takes a link without a target for one to its own directory', () => {
    const image = createImageFiles(new Map([['/etc/a', { kind: 'link', mode: 0o777 }]]), new Map());
    expect(image.resolve('/etc/a')).toMatchObject({ path: '/etc', kind: 'directory' });
  });
});

describe('an image with files put in', () => {
  it('shows them and the directories they need, and the image before stays as it was', () => {
    const before = imageOf({ '/etc/localtime': { link: '/zones/UTC' }, '/zones/UTC': 'utc' });
    const after = before.with([
      { path: '/etc/localtime', content: { link: '/zones/Rome' } },
      { path: '/zones/Rome', content: { bytes: bytes('rome'), mode: 0o600 } },
      { path: '/opt/a/b', content: { bytes: bytes('b'), mode: 0o644 } },
    ]);
    expect(after.read('/etc/localtime')).toEqual(bytes('rome'));
    expect(after.resolve('/zones/Rome').mode).toBe(0o600);
    expect(after.resolve('/opt/a').kind).toBe('directory');
    expect(before.read('/etc/localtime')).toEqual(bytes('utc'));
    expect(before.resolve('/opt').kind).toBe('absent');
  });
});

describe('replacing a file', () => {
  const image = imageOf({ '/etc/a': { link: '/lib/a' }, '/lib/a': { mode: 0o400, text: 'old' } });

  it('writes where the links lead, in the mode that was there', () => {
    expect(replaceFile(image, '/etc/a', bytes('new'))).toEqual([
      { path: '/lib/a', content: { bytes: bytes('new'), mode: 0o400 } },
    ]);
  });

  it('writes nothing when the content is there already', () => {
    expect(replaceFile(image, '/etc/a', bytes('old'))).toEqual([]);
  });
});
