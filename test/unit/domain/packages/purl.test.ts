import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePurl } from '../../../../domain/packages/purl.js';

function written(text: string): string | null {
  const purl = parsePurl(text);
  if (purl === null) return null;
  const qualifiers = Array.from(purl.qualifiers, ([key, value]) => `${key}=${value}`);
  return [purl.type, purl.namespace ?? '-', purl.name, purl.version ?? '-', ...qualifiers].join(' ');
}

describe('a package URL is read by its grammar', () => {
  it.each([
    ['pkg:deb/debian/curl@7.50.3-1?arch=i386&distro=jessie', 'deb debian curl 7.50.3-1 arch=i386 distro=jessie'],
    [
      'pkg:deb/debian/liblzma5@5.6.1%2Breally5.4.5-1?upstream=xz-utils',
      'deb debian liblzma5 5.6.1+really5.4.5-1 upstream=xz-utils',
    ],
    [
      'pkg:deb/debian/libgcc-s1@1%3A12.2?upstream=gcc-12%4012.2.0-14%2Bdeb12u1',
      'deb debian libgcc-s1 1:12.2 upstream=gcc-12@12.2.0-14+deb12u1',
    ],
    ['pkg:deb/debian/x@1+b1?upstream=y@2+dfsg-1', 'deb debian x 1+b1 upstream=y@2+dfsg-1'],
    ['pkg:rpm/fedora/curl@7.50.3-1.fc25?arch=i386&epoch=1', 'rpm fedora curl 7.50.3-1.fc25 arch=i386 epoch=1'],
    ['pkg:npm/%40angular/animation@12.3.1', 'npm @angular animation 12.3.1'],
    ['pkg:npm/@angular/animation@12.3.1', 'npm @angular animation 12.3.1'],
    ['pkg:npm/@angular/animation', 'npm @angular animation -'],
    ['pkg:npm/foobar@12.3.1', 'npm - foobar 12.3.1'],
    ['pkg:golang/google.golang.org/genproto#googleapis/api/annotations', 'golang google.golang.org genproto -'],
    ['pkg:golang/github.com/a/b/v2@v2.0.0%2Bincompatible', 'golang github.com/a/b v2 v2.0.0+incompatible'],
    ['pkg:golang/example.com/x@v1.2', 'golang example.com x v1.2'],
    [
      'pkg:maven/org.apache.xmlgraphics/batik-anim@1.9.1?packaging=sources',
      'maven org.apache.xmlgraphics batik-anim 1.9.1 packaging=sources',
    ],
    ['pkg:maven/name@1', 'maven - name 1'],
    ['pkg:cran/A3', 'cran - A3 -'],
    ['pkg:docker/cassandra@sha256:244fd47e07d1004f0aed9c', 'docker - cassandra sha256:244fd47e07d1004f0aed9c'],
    [
      'pkg:generic/bitwarderl?vcs_url=git%2Bhttps://git.fsfe.org/dxtr/bitwarderl%40cc55108da32',
      'generic - bitwarderl - vcs_url=git+https://git.fsfe.org/dxtr/bitwarderl@cc55108da32',
    ],
    ['PKG://GEM//ruby-advisory-db-check@0.12.4', 'gem - ruby-advisory-db-check 0.12.4'],
    ['pkg:pypi/Django_package@1.11.1.dev1?', 'pypi - Django_package 1.11.1.dev1'],
    ['pkg:npm/a@', 'npm - a -'],
    ['pkg:npm/a?arch=', 'npm - a -'],
    ['pkg:generic/%E6%B5%8B', 'generic - 测 -'],
  ])('%s: %s', (text, expected) => {
    expect(written(text)).toBe(expected);
  });

  it.each([
    '',
    'pkg:',
    'pkg:npm',
    'pkg:npm/',
    'pkg:/npm',
    'pkg:EnterpriseLibrary.Common@6.0.1304',
    'EnterpriseLibrary.Common@6.0.1304',
    'pkg:n&g?inx/nginx@0.8.9',
    'pkg:3nginx/nginx@0.8.9',
    'pkg:nginx:a/nginx@0.8.9',
    'pkg%3Amaven/org.apache.commons/io',
    'pkg:npm/myartifact@1.0.0?in%20production=true',
    'pkg:npm/a@1?arch=x&arch=y',
    'pkg:npm/a@1?arch',
    'pkg:npm/a%zz@1',
    'pkg:npm/a@%zz',
    'pkg:npm/a@1?arch=%zz',
    `pkg:npm/${'a'.repeat(5_000)}`,
  ])('and %j is none', (text) => {
    expect(parsePurl(text)).toBeNull();
  });

  it('from any text, without an error', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: fc.constantFrom('/', '@', '?', '#', '%', '&', '=', 'a', '%40', ':') }),
    );
    fc.assert(
      fc.property(text, (tail) => {
        const purl = parsePurl(`pkg:npm/${tail}`);
        if (purl !== null) expect(purl.name).not.toBe('');
      }),
    );
  });
});
