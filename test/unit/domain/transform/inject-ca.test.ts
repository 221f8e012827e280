import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { injectCA } from '../../../../domain/transform/inject-ca.js';
import { CERTIFICATES, OTHER, PLAIN, TWIN } from './certificates.js';
import { DIRECTORY, imageOf, resourcesOf, type Tree, written } from './images.js';

const resources = resourcesOf({ corp: PLAIN.pem, twin: TWIN.pem, other: OTHER.pem, pair: PLAIN.pem + TWIN.pem });
const apply = (tree: Tree, ...certs: string[]) =>
  injectCA.apply({ certs }, resources, imageOf(tree, injectCA.wantedPaths({ certs })));

const OWN = '/usr/local/share/ca-certificates';
const BUNDLE = '/etc/ssl/certs/ca-certificates.crt';
const hash = PLAIN.subjectHash;

describe('injectCA', () => {
  it('makes a bundle for an image that has none, and the link by which OpenSSL finds the certificate', () => {
    const effect = apply({ '/app': 'static binary' }, 'corp');
    expect(written(effect)).toEqual({
      [`${OWN}/corp.crt`]: PLAIN.pem,
      [BUNDLE]: PLAIN.pem,
      [`/etc/ssl/certs/${hash}.0`]: `-> ${OWN}/corp.crt`,
    });
    expect(effect.files[0]?.content).toMatchObject({ mode: 0o644 });
    expect(effect.env).toEqual({});
  });

  it('appends to the bundle that is there, byte for byte, in its mode, after a newline', () => {
    const before = `# é\n${OTHER.pem.trimEnd()}`;
    const effect = apply({ [BUNDLE]: { mode: 0o444, text: before } }, 'corp', 'twin');
    expect(written(effect)[BUNDLE]).toBe(`${before}\n${PLAIN.pem}${TWIN.pem}`);
    expect(effect.files.find(({ path }) => path === BUNDLE)?.content).toMatchObject({ mode: 0o444 });
  });

  it.each<[string, Tree, readonly string[]]>([
    ['Alpine', { [BUNDLE]: '', '/etc/ssl/cert.pem': { link: 'certs/ca-certificates.crt' } }, [BUNDLE]],
    [
      'a second bundle that is a file of its own',
      { [BUNDLE]: '', '/etc/ssl/cert.pem': '' },
      [BUNDLE, '/etc/ssl/cert.pem'],
    ],
    [
      'Red Hat',
      {
        '/etc/ssl/certs': { link: '../pki/tls/certs' },
        '/etc/pki/tls/cert.pem': { link: '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem' },
        '/etc/pki/tls/certs/ca-bundle.crt': { link: '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem' },
        '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem': '',
        '/etc/pki/ca-trust/source/anchors': DIRECTORY,
      },
      ['/etc/pki/ca-trust/source/anchors/corp.crt', '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem'],
    ],
    [
      'SUSE',
      {
        '/etc/ssl/certs': { link: '/var/lib/ca-certificates/pem' },
        '/etc/ssl/ca-bundle.pem': { link: '/var/lib/ca-certificates/ca-bundle.pem' },
        '/var/lib/ca-certificates/ca-bundle.pem': '',
        '/var/lib/ca-certificates/pem/11111111.0': '',
        '/etc/pki/trust/anchors': DIRECTORY,
      },
      [
        '/etc/pki/trust/anchors/corp.crt',
        '/var/lib/ca-certificates/ca-bundle.pem',
        `/var/lib/ca-certificates/pem/${hash}.0`,
      ],
    ],
    [
      'an image whose only bundle is a link to nowhere',
      { [BUNDLE]: { link: '/x' } },
      ['/x', `/etc/ssl/certs/${hash}.0`],
    ],
    ['a folder where a bundle should be', { '/etc/ssl/cert.pem': DIRECTORY }, [BUNDLE, `/etc/ssl/certs/${hash}.0`]],
  ])('knows %s, and writes each file once', (_what, tree, paths) => {
    expect(Object.keys(written(apply(tree, 'corp')))).toEqual([`${OWN}/corp.crt`, ...paths]);
  });

  it('writes through a folder that is a link', () => {
    const effect = apply({ '/usr/local/share': { link: '/opt/share' }, '/etc': { link: 'private/etc' } }, 'corp');
    expect(written(effect)).toEqual({
      '/opt/share/ca-certificates/corp.crt': PLAIN.pem,
      '/private/etc/ssl/certs/ca-certificates.crt': PLAIN.pem,
      [`/private/etc/ssl/certs/${hash}.0`]: '-> /opt/share/ca-certificates/corp.crt',
    });
  });

  it('writes once where two folders are one', () => {
    const paths = apply({ [BUNDLE]: '', '/etc/pki/trust/anchors': { link: OWN }, [`${OWN}/x`]: '' }, 'corp').files;
    expect(paths.map(({ path }) => path)).toEqual([`${OWN}/corp.crt`, BUNDLE]);
  });

  it('adds no link where OpenSSL finds certificates by the bundle alone', () => {
    expect(Object.keys(written(apply({ [BUNDLE]: OTHER.pem }, 'corp')))).toEqual([`${OWN}/corp.crt`, BUNDLE]);
  });

  it('takes the next number that is free when a hash is taken by another certificate', () => {
    const tree = {
      [BUNDLE]: OTHER.pem,
      [`/etc/ssl/certs/${hash}.0`]: { link: 'other.pem' },
      '/etc/ssl/certs/other.pem': OTHER.pem,
      [`/etc/ssl/certs/${hash}.1`]: { link: 'nowhere.pem' },
    };
    expect(written(apply(tree, 'corp', 'twin'))).toMatchObject({
      [`/etc/ssl/certs/${hash}.2`]: `-> ${OWN}/corp.crt`,
      [`/etc/ssl/certs/${hash}.3`]: `-> ${OWN}/twin.crt`,
    });
  });

  it('puts several certificates of one name into one file, with one link for those of one hash', () => {
    const files = written(apply({}, 'pair'));
    expect(files).toEqual({
      [`${OWN}/pair.crt`]: PLAIN.pem + TWIN.pem,
      [BUNDLE]: PLAIN.pem + TWIN.pem,
      [`/etc/ssl/certs/${hash}.0`]: `-> ${OWN}/pair.crt`,
    });
  });

  it('adds a certificate that stands under two names to a bundle once', () => {
    expect(written(apply({}, 'corp', 'pair', 'corp'))[BUNDLE]).toBe(PLAIN.pem + TWIN.pem);
  });

  it('leaves a bundle alone that holds the certificate, however its lines are broken', () => {
    const wide = PLAIN.pem.replace(/(?<=[A-Za-z0-9+/=])\n(?=[A-Za-z0-9+/=])/g, '');
    expect(Object.keys(written(apply({ [BUNDLE]: wide }, 'corp')))).toEqual([`${OWN}/corp.crt`]);
  });

  it('changes nothing when it is applied again, and asks for all it reads', () => {
    const name = fc.constantFrom(...Object.keys(certificates));
    const bundle = fc.array(name).map((names) => names.map((one) => certificates[one]).join('# text\n'));
    const place = fc.constantFrom(BUNDLE, '/etc/ssl/cert.pem', '/etc/pki/tls/certs/ca-bundle.crt', '/var/lib/x.pem');
    const folder = fc.constantFrom<[string, Tree[string]]>(
      ['/etc/ssl/certs', { link: '/etc/pki/tls/certs' }],
      ['/etc/ssl/certs/0a0a0a0a.0', 'x'],
      [`/etc/ssl/certs/${hash}.0`, OTHER.pem],
      ['/etc/ssl/cert.pem', { link: '/var/lib/x.pem' }],
      ['/etc/pki/ca-trust/source/anchors', DIRECTORY],
      ['/usr/local', { link: '/opt' }],
    );
    const trees = fc
      .tuple(fc.array(fc.tuple(place, bundle)), fc.array(folder))
      .map(([bundles, folders]): Tree => Object.fromEntries([...bundles, ...folders]));
    const all = resourcesOf(certificates);
    fc.assert(
      fc.property(trees, fc.uniqueArray(name, { minLength: 1 }), (tree, certs) => {
        const image = imageOf(tree, injectCA.wantedPaths({ certs }));
        const first = injectCA.apply({ certs }, all, image);
        expect(new Set(first.files.map(({ path }) => path)).size).toBe(first.files.length);
        expect(injectCA.apply({ certs }, all, image.with(first.files)).files).toEqual([]);
      }),
    );
  });

  it.each(['corp', 'Corp-2.x_y', '0'])('takes %s for a name', (name) => {
    expect(injectCA.params.safeParse({ certs: [name] }).success).toBe(true);
  });

  it.each(['', '.', '..', '../x', 'a/b', '.hidden', '-x', 'a b', 'a\nb', 'é', 'a'.repeat(101)])(
    'refuses %j for a name: it becomes a file',
    (name) => expect(injectCA.params.safeParse({ certs: [name] }).success).toBe(false),
  );
});

const certificates: Readonly<Record<string, string>> = Object.fromEntries(
  CERTIFICATES.map(({ pem }, index) => [`c${index}`, pem]),
);
