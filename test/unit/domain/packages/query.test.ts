import { describe, expect, it } from 'vitest';
import { packageOf } from '../../../../domain/packages/package.js';
import { parsePurl } from '../../../../domain/packages/purl.js';
import { parseQuery, queryTest } from '../../../../domain/packages/query.js';

const INVENTORY = [
  'pkg:deb/debian/liblzma5@5.6.1-1?arch=amd64&distro=debian-13&upstream=xz-utils',
  'pkg:deb/debian/xz-utils@5.6.1%2Breally5.4.5-1?arch=amd64&distro=debian-13',
  'pkg:deb/ubuntu/libgcc-s1@13.2.0-4ubuntu3?upstream=gcc-13%4013.2.0-4ubuntu3',
  'pkg:deb/debian/cpp@4%3A12.2.0-3?upstream=gcc-defaults%401.203',
  'pkg:rpm/fedora/xz-libs@5.6.1-1.fc40?arch=x86_64&epoch=1&upstream=xz-5.6.1-1.fc40.src.rpm',
  'pkg:rpm/redhat/perl-libs@5.26.3-422.el8?epoch=4&upstream=perl-5.26.3-422.el8.src.rpm',
  'pkg:apk/alpine/libcrypto3@3.1.4-r1?upstream=openssl',
  'pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1',
  'pkg:npm/%40babel/traverse@7.23.1',
  'pkg:npm/traverse@0.6.7',
  'pkg:golang/golang.org/x/crypto@v0.16.0',
  'pkg:golang/github.com/containerd/containerd/v2@v2.0.0',
  'pkg:golang/gopkg.in/yaml.v3@v3.0.1',
  'pkg:golang/stdlib@1.21.4',
  'pkg:pypi/ruamel-yaml-clib@0.2.8',
  'pkg:composer/monolog/monolog@2.9.1',
  'pkg:gem/Ascii85@1.1.0',
  'pkg:generic/openssl@1.1.1w',
  'pkg:maven/com.example/app@UNKNOWN',
].map((text) => {
  const purl = parsePurl(text);
  if (purl === null) throw new Error(text);
  return packageOf(purl);
});

/** The names of what is found, with `~` for a source, `?` where nobody can tell. */
function found(query: string): string {
  const test = queryTest(parseQuery(query));
  return INVENTORY.flatMap((one) => {
    const answer = test(one);
    if (answer.kind === 'other') return [];
    return `${answer.kind === 'unreadable' ? '?' : ''}${answer.by === 'source' ? '~' : ''}${one.name}`;
  }).join(' ');
}

describe('a query finds packages by the names of their ecosystem', () => {
  it.each([
    ['xz-utils', '~liblzma5 xz-utils'],
    ['XZ-Utils', '~liblzma5 xz-utils'],
    ['liblzma5', 'liblzma5'],
    ['lzma', ''],
    ['debian/xz-utils', '~liblzma5 xz-utils'],
    ['xz', '~xz-libs'],
    ['gcc-13', '~libgcc-s1'],
    ['openssl', '~libcrypto3 openssl'],
    ['log4j-core', 'log4j-core'],
    ['org.apache.logging.log4j:log4j-core', 'log4j-core'],
    ['org.apache.logging.log4j/log4j-core', ''],
    ['Log4j-Core', ''],
    ['com.other:log4j-core', ''],
    ['@babel/traverse', 'traverse'],
    ['@babel/traverse@7.23.1', 'traverse'],
    ['traverse@0.6.7', 'traverse'],
    ['traverse@7.23.1', ''],
    ['golang.org/x/crypto', 'crypto'],
    ['crypto', 'crypto'],
    ['github.com/containerd/containerd', 'v2'],
    ['github.com/containerd/containerd/v2', 'v2'],
    ['containerd@<2.0.1', 'v2'],
    ['gopkg.in/yaml.v3', 'yaml.v3'],
    ['yaml', 'yaml.v3'],
    ['stdlib@<1.21.5', 'stdlib'],
    ['ruamel.yaml.clib', 'ruamel-yaml-clib'],
    ['Ruamel_Yaml_Clib@0.2.8', 'ruamel-yaml-clib'],
    ['monolog', 'monolog'],
    ['monolog/monolog', 'monolog'],
    ['Ascii85', 'Ascii85'],
    ['ascii85', ''],
    ['Foo::Bar', ''],
    ['constructor', ''],
  ])('%s: %s', (query, expected) => {
    expect(found(query)).toBe(expected);
  });
});

describe('a query takes the versions of its range', () => {
  it.each([
    ['xz-utils@5.6.1', '~liblzma5'],
    ['xz-utils@>=5.6.0 <5.6.2', '~liblzma5'],
    ['xz-utils@5.4.5', 'xz-utils'],
    ['xz-utils@vers:deb/>=5.6.0|<5.6.2', '~liblzma5'],
    ['xz@vers:deb/>=5.6.0|<5.6.2', ''],
    ['xz@5.6.1', '~xz-libs'],
    ['xz@1:5.6.1', '~xz-libs'],
    ['xz@0:5.6.1', ''],
    ['perl@<4:5.26.4', '~perl-libs'],
    ['gcc-defaults@1.203', '~cpp'],
    ['gcc-defaults@12.2.0', ''],
    ['cpp@4:12.2.0', 'cpp'],
    ['openssl@<1.1.1x', 'openssl'],
    ['openssl@3.1.4', '~libcrypto3'],
    ['log4j-core@>=2.0-beta9 <2.15.0', 'log4j-core'],
    ['app@<1.0', '?app'],
    ['app@UNKNOWN', 'app'],
    ['app', 'app'],
    ['app@*', 'app'],
  ])('%s: %s', (query, expected) => {
    expect(found(query)).toBe(expected);
  });
});

describe('a query may be a package URL', () => {
  it.each([
    ['pkg:deb/debian/xz-utils', '~liblzma5 xz-utils'],
    ['pkg:deb/xz-utils', '~liblzma5 xz-utils'],
    ['pkg:deb/ubuntu/xz-utils', ''],
    ['pkg:deb/debian/xz-utils@5.6.1', '~liblzma5'],
    ['pkg:deb/debian/xz-utils@5.6.1-1?arch=arm64&distro=debian-12', '~liblzma5'],
    ['pkg:deb/debian/xz-utils@>=5.6.0 <5.6.2', '~liblzma5'],
    ['pkg:deb/debian/xz-utils@vers:deb/>=5.6.0|<5.6.2', '~liblzma5'],
    ['pkg:deb/debian/xz-utils@5.6.1%2Breally5.4.5-1', 'xz-utils'],
    ['pkg:npm/%40babel/traverse@7.23.1', 'traverse'],
    ['pkg:npm/@babel/traverse@<8', 'traverse'],
    ['pkg:npm/traverse', 'traverse'],
    ['pkg:maven/log4j-core', 'log4j-core'],
    ['pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1', 'log4j-core'],
    ['pkg:golang/github.com/containerd/containerd', 'v2'],
    ['pkg:golang/github.com/containerd/containerd/v2@v2.0.0', 'v2'],
    ['pkg:rpm/fedora/xz@5.6.1-1.fc40?epoch=1', '~xz-libs'],
    ['pkg:rpm/fedora/xz@5.6.1-1.fc40?epoch=2', ''],
    ['pkg:generic/openssl@1.1.1w', 'openssl'],
  ])('%s: %s', (query, expected) => {
    expect(found(query)).toBe(expected);
  });
});

describe('a query that is none is refused', () => {
  it.each([
    ['', 'the name of a package is missing'],
    ['@', 'the name of a package is missing'],
    ['xz-utils@', 'character 1: a version is missing'],
    ['xz-utils >=5', 'a range follows the name behind an @'],
    ['xz-utils>=5', 'a range follows the name behind an @'],
    ['xz-utils~5', 'a range follows the name behind an @'],
    ['org.example:app:1.0', 'a version follows group:artifact behind an @'],
    ['%40babel/traverse', 'a name is written as it is, without %'],
    [`pkg:deb/debian/x@${'1'.repeat(300)}`, 'a version is longer than 256 characters'],
    ['xz-utils@<', 'a version is missing behind <'],
    ['xz@1@2', '"1@2" is not a version'],
    ['x'.repeat(600), 'the name is longer than 512 characters'],
    ['pkg:deb', 'it is no package URL'],
    ['pkg:deb/', 'it is no package URL'],
    ['pkg:debian/xz-utils', 'no packages have the type debian'],
    ['pkg:mvaen/a/b', 'no packages have the type mvaen; did you mean maven?'],
    ['pkg:deb/debian/xz-utils@<', 'a version is missing behind <'],
  ])('%j: %s', (query, why) => {
    expect(() => parseQuery(query)).toThrow(
      expect.objectContaining({ code: 'ReferenceInvalid', message: expect.stringContaining(why) }),
    );
  });
});

describe('what a package URL says of a package', () => {
  it.each([
    [0, { name: 'liblzma5', source: { name: 'xz-utils', version: null }, distro: 'debian-13' }],
    [2, { name: 'libgcc-s1', source: { name: 'gcc-13', version: '13.2.0-4ubuntu3' }, distro: null }],
    [4, { version: '1:5.6.1-1.fc40', source: { name: 'xz', version: '1:5.6.1-1.fc40' } }],
    [7, { type: 'maven', namespace: 'org.apache.logging.log4j', name: 'log4j-core', version: '2.14.1', source: null }],
  ])('%i', (index, expected) => {
    expect(INVENTORY[index]).toMatchObject(expected);
  });
});
