import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { rewritePackageSources } from '../../../../domain/transform/rewrite-package-sources.js';
import { imageOf, resourcesOf, type Tree, written } from './images.js';

const mirrors = {
  both: { apt: 'https://apt.corp:8443', apk: 'http://apk.corp' },
  apt: { apt: 'https://apt.corp' },
};
const apply = (tree: Tree, mirror = 'both') =>
  rewritePackageSources.apply(
    { mirror },
    resourcesOf({}, mirrors),
    imageOf(tree, rewritePackageSources.wantedPaths({ mirror })),
  );

describe('rewritePackageSources', () => {
  it.each<[string, string, string, string]>([
    [
      'one line of apt',
      '/etc/apt/sources.list',
      'deb http://deb.debian.org/debian bookworm main\n',
      'deb https://apt.corp:8443/debian bookworm main\n',
    ],
    [
      'options, which stay',
      '/etc/apt/sources.list.d/x.list',
      'deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://download.x.example/linux stable x\n',
      'deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://apt.corp:8443/linux stable x\n',
    ],
    [
      'deb822, every address of a field',
      '/etc/apt/sources.list.d/debian.sources',
      'Types: deb\nURIs: http://deb.debian.org/debian\n https://other.example:81/debian\nSuites: bookworm\n' +
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp\n',
      'Types: deb\nURIs: https://apt.corp:8443/debian\n https://apt.corp:8443/debian\nSuites: bookworm\n' +
        'Signed-By: /usr/share/keyrings/debian-archive-keyring.pgp\n',
    ],
    [
      'apk, with its tags',
      '/etc/apk/repositories',
      'https://dl-cdn.alpinelinux.org/alpine/v3.20/main\n@edge https://dl-cdn.alpinelinux.org/alpine/edge/main',
      'http://apk.corp/alpine/v3.20/main\n@edge http://apk.corp/alpine/edge/main',
    ],
    [
      'a host without a path',
      '/etc/apt/sources.list',
      'deb http://deb.example bookworm main\n',
      'deb https://apt.corp:8443 bookworm main\n',
    ],
    [
      'a login in the address, which goes',
      '/etc/apt/sources.list',
      'deb https://user:secret@deb.example/debian bookworm main\n',
      'deb https://apt.corp:8443/debian bookworm main\n',
    ],
    [
      'no comment, and nothing without a host',
      '/etc/apt/sources.list',
      '# http://snapshot.debian.org/a\ndeb http://x.example/d s m # see https://y.example/z\n' +
        'deb cdrom:[Debian 12]/ s m\ndeb file:/srv/d s m\ndeb mirror+file:/etc/apt/mirrors/d.list s m\n',
      '# http://snapshot.debian.org/a\ndeb https://apt.corp:8443/d s m # see https://y.example/z\n' +
        'deb cdrom:[Debian 12]/ s m\ndeb file:/srv/d s m\ndeb mirror+file:/etc/apt/mirrors/d.list s m\n',
    ],
  ])('rewrites %s', (_what, path, before, after) => {
    expect(written(apply({ [path]: before }))).toEqual({ [path]: after });
  });

  it('rewrites every file of a system, each once, in its own mode, and those of no other name', () => {
    const text = 'deb http://x.example/d s m\n';
    const effect = apply({
      '/etc/apt/sources.list': { link: 'sources.list.d/main.list' },
      '/etc/apt/sources.list.d/main.list': { mode: 0o600, text },
      '/etc/apt/sources.list.d/more.sources': 'URIs: http://x.example/d\n',
      '/etc/apt/sources.list.d/file.list': 'deb file:/srv/d s m\n',
      '/etc/apt/sources.list.d/old.list.save': text,
      '/etc/apk/repositories.d/extra.list': 'https://y.example/extra\n',
    });
    expect(written(effect)).toEqual({
      '/etc/apt/sources.list.d/main.list': 'deb https://apt.corp:8443/d s m\n',
      '/etc/apt/sources.list.d/more.sources': 'URIs: https://apt.corp:8443/d\n',
      '/etc/apk/repositories.d/extra.list': 'http://apk.corp/extra\n',
    });
    expect(effect.files[0]?.content).toMatchObject({ mode: 0o600 });
    expect(effect.env).toEqual({});
  });

  it('keeps bytes that are no text', () => {
    const before = Uint8Array.from([0x23, 0xe9, 0xff, 0x0a, ...new TextEncoder().encode('http://x/y')]);
    const effect = apply({ '/etc/apk/repositories': before });
    expect(effect.files[0]?.content).toEqual({
      bytes: Uint8Array.from([0x23, 0xe9, 0xff, 0x0a, ...new TextEncoder().encode('http://apk.corp/y')]),
      mode: 0o644,
    });
  });

  it('is content with one of two systems when the mirror has that one', () => {
    const tree = { '/etc/apt/sources.list': 'deb http://x/d s m\n', '/etc/apk/repositories': 'http://x/y\n' };
    expect(Object.keys(written(apply(tree, 'apt')))).toEqual(['/etc/apt/sources.list']);
  });

  it.each<[string, Tree, string, string]>([
    ['an image without package sources', {}, 'both', 'the image has no sources of apt or apk to rewrite'],
    [
      'an image whose sources name no host',
      { '/etc/apt/sources.list': '# http://x.example/d\ndeb file:/srv/d s m\n' },
      'both',
      'the image has no sources of apt or apk to rewrite',
    ],
    [
      'an image of a system the mirror does not have',
      { '/etc/apk/repositories': 'https://dl-cdn.alpinelinux.org/alpine/v3.20/main\n' },
      'apt',
      'the image installs packages with apk, for which the mirror "apt" has no address',
    ],
  ])('cannot be applied to %s', (_what, tree, mirror, sentence) => {
    expect(() => apply(tree, mirror)).toThrow(
      expect.objectContaining({ code: 'PolicyInvalid', message: `rewritePackageSources: ${sentence}` }),
    );
  });

  it('changes nothing when it is applied again', () => {
    const word = fc.constantFrom(
      'deb',
      '#',
      'http://',
      'https://',
      'x.example',
      '/',
      ' ',
      '\n',
      '[a=b]',
      'file:',
      'é',
      '$1',
      '@',
    );
    const text = fc.array(word, { maxLength: 30 }).map((words) => `${words.join('')}\ndeb http://x/y\n`);
    fc.assert(
      fc.property(text, text, (apt, apk) => {
        const image = imageOf({ '/etc/apt/sources.list': apt, '/etc/apk/repositories': apk });
        const resources = resourcesOf({}, mirrors);
        const first = rewritePackageSources.apply({ mirror: 'both' }, resources, image);
        const second = rewritePackageSources.apply({ mirror: 'both' }, resources, image.with(first.files));
        expect(second.files).toEqual([]);
      }),
    );
  });
});

describe('a mirror', () => {
  const resolve = (address: string) =>
    rewritePackageSources.resources({ mirror: 'm' }, resourcesOf({}, { m: { apk: address } }));

  it.each(['https://mirror.corp', 'http://10.0.0.1:8080', 'https://[fd00::1]:443', 'http://localhost'])(
    'may be %s',
    (address) => {
      expect(resolve(address)).toEqual([
        { apk: address, apt: null, content: null, filename: null, kind: 'packageMirror', name: 'm' },
      ]);
    },
  );

  it.each([
    'https://mirror.corp/',
    'https://mirror.corp/debian',
    'ftp://mirror.corp',
    'mirror.corp',
    'https://mirror corp',
    'https://mirror.corp?token=hush',
    'https://mirror.corp\nURIs: http://evil.example',
    '',
  ])('may not be %j: it is a scheme and a host', (address) => {
    expect(() => resolve(address)).toThrow(
      expect.objectContaining({
        code: 'ConfigInvalid',
        message: 'HOUBA_TRANSFORM_PACKAGE_MIRRORS: m.apk is not a scheme and a host, without path and final slash',
      }),
    );
  });

  it('never carries a login, and the message does not tell it', () => {
    expect(() => resolve('https://user:hush@mirror.corp')).toThrow(
      expect.objectContaining({
        code: 'ConfigInvalid',
        message: expect.stringMatching(/m\.apk carries .*(?<!hush.*)$/),
      }),
    );
  });
});
