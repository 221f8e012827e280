import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseQuery, queryTest } from '../../../../domain/packages/query.js';
import { DEEPEST_COMPONENT, MOST_PACKAGES, packagesIn } from '../../../../domain/packages/sbom-packages.js';

const LIBLZMA = 'pkg:deb/debian/liblzma5@5.6.1-1?arch=amd64&distro=debian-13&upstream=xz-utils';
const LOG4J = 'pkg:maven/org.apache.logging.log4j/log4j-core@2.14.1';

/** As syft 1.54 writes it. */
function spdxPackage(name: string, purl: string, sourceInfo: string) {
  return {
    ...{ name, SPDXID: `SPDXRef-Package-${name}`, versionInfo: '1.0', supplier: 'NOASSERTION', sourceInfo },
    externalRefs: [
      {
        referenceCategory: 'SECURITY',
        referenceType: 'cpe23Type',
        referenceLocator: 'cpe:2.3:a:x:x:1.0:*:*:*:*:*:*:*',
      },
      { referenceCategory: 'PACKAGE-MANAGER', referenceType: 'purl', referenceLocator: purl },
    ],
  };
}

function spdx(...packages: unknown[]) {
  return { spdxVersion: 'SPDX-2.3', name: 'app', packages };
}

function component(name: string, purl: string, properties: Readonly<Record<string, string>> = {}) {
  const listed = Object.entries(properties).map(([key, value]) => ({ name: key, value }));
  return { 'bom-ref': name, type: 'library', name, version: '1.0', purl, properties: listed };
}

function cyclonedx(...components: unknown[]) {
  return { bomFormat: 'CycloneDX', specVersion: '1.6', metadata: { component: { type: 'container' } }, components };
}

describe('the packages of an SBOM', () => {
  it('of SPDX, without the image itself', () => {
    const document = spdx(
      spdxPackage('liblzma5', LIBLZMA, 'acquired package info from DPKG DB: /var/lib/dpkg/status, /usr/share/doc/x'),
      spdxPackage('log4j-core', LOG4J, 'acquired package info from installed java archive: /app/app.jar'),
      { ...spdxPackage('app', 'pkg:oci/app@1', ''), primaryPackagePurpose: 'CONTAINER' },
      { name: 'debian', versionInfo: '13', primaryPackagePurpose: 'OPERATING-SYSTEM' },
      { name: '/app', primaryPackagePurpose: 'FILE' },
    );
    expect(packagesIn(document)).toEqual({
      packages: [
        {
          ...{
            type: 'deb',
            namespace: 'debian',
            name: 'liblzma5',
            version: '5.6.1-1',
            distro: 'debian-13',
            purl: LIBLZMA,
          },
          ...{ source: { name: 'xz-utils', version: null }, location: '/var/lib/dpkg/status, /usr/share/doc/x' },
        },
        {
          ...{ type: 'maven', namespace: 'org.apache.logging.log4j', name: 'log4j-core', version: '2.14.1' },
          ...{ source: null, distro: null, purl: LOG4J, location: '/app/app.jar' },
        },
      ],
      skipped: 0,
      firstSkipped: null,
    });
  });

  it('of CycloneDX, with a jar in a jar of a jar', () => {
    const virtualPath = '/app/top-1.0.jar:lib/mid-1.0.jar:BOOT-INF/lib/log4j-core-2.14.1.jar';
    const document = cyclonedx(
      component('log4j-core', LOG4J, {
        'syft:package:type': 'java-archive',
        'syft:location:0:path': '/app/top-1.0.jar',
        'syft:metadata:virtualPath': virtualPath,
      }),
      component('liblzma5', LIBLZMA, { 'syft:location:0:path': '/var/lib/dpkg/status' }),
      { type: 'operating-system', name: 'debian', version: '13' },
      { type: 'file', name: '/app/top-1.0.jar' },
    );
    const { packages, skipped } = packagesIn(document);
    expect(packages.map(({ name, location }) => [name, location])).toEqual([
      ['log4j-core', virtualPath],
      ['liblzma5', '/var/lib/dpkg/status'],
    ]);
    expect(skipped).toBe(0);
    const asked = queryTest(parseQuery('log4j-core@<2.15'));
    expect(packages.map((one) => asked(one).kind)).toEqual(['asked', 'other']);
  });

  it('nested in one another', () => {
    const inner = component('inner', 'pkg:npm/inner@1.0.0');
    const middle = { ...component('middle', 'pkg:npm/middle@1.0.0'), components: [inner] };
    const document = cyclonedx({ type: 'file', name: '/app', components: [middle] });
    expect(packagesIn(document).packages.map(({ name }) => name)).toEqual(['middle', 'inner']);
  });

  it('are each there once, at the place that was named first', () => {
    const places = ['/a', '/b'].map((path) => component('x', 'pkg:npm/x@1.0.0', { 'syft:location:0:path': path }));
    const named = { type: 'library', name: 'y', version: '1' };
    expect(packagesIn(cyclonedx(...places, named, named)).packages).toMatchObject([{ location: '/a' }, { name: 'y' }]);
  });

  it('without a package URL count under their name, and under what syft says of them', () => {
    const properties = [{ name: 'syft:package:type', value: 'go-module' }];
    const document = cyclonedx(
      { type: 'library', group: 'example.org', name: 'mod', version: 'v1.0.0', properties },
      { type: 'application', name: 'busybox' },
    );
    expect(packagesIn(document).packages).toMatchObject([
      { type: 'golang', namespace: 'example.org', name: 'mod', version: 'v1.0.0', purl: null },
      { type: 'generic', namespace: null, name: 'busybox', version: null, purl: null },
    ]);
    const plain = { name: 'busybox', versionInfo: 'NOASSERTION', externalRefs: null };
    expect(packagesIn(cyclonedx({ name: 'x', purl: null, properties: null })).packages).toMatchObject([{ name: 'x' }]);
    expect(packagesIn(spdx(plain)).packages).toMatchObject([{ type: 'generic', name: 'busybox', version: null }]);
  });

  it('have the version beside the package URL where that has none', () => {
    expect(packagesIn(cyclonedx(component('x', 'pkg:npm/x'))).packages).toMatchObject([{ version: '1.0' }]);
  });

  it('are none where the SBOM has no list', () => {
    for (const document of [{ spdxVersion: 'SPDX-2.3' }, { bomFormat: 'CycloneDX', components: null }]) {
      expect(packagesIn(document)).toEqual({ packages: [], skipped: 0, firstSkipped: null });
    }
  });
});

describe('what cannot be read in an SBOM', () => {
  it.each<[what: string, document: unknown, first: string]>([
    ['an entry that is no object', cyclonedx(null, 'x', []), 'components[0]: it is no object'],
    ['a list that is none', { bomFormat: 'CycloneDX', components: { name: 'x' } }, 'components: it is no object'],
    [
      'a package URL that is none',
      cyclonedx(component('x', 'pkg:npm')),
      'components[0]: what should be its package URL is none',
    ],
    [
      'a package URL that is no text',
      spdx({ name: 'x', externalRefs: [{ referenceType: 'purl', referenceLocator: 5 }] }),
      'packages[0]: what should be its package URL is none',
    ],
    ['an entry without a name', spdx({ versionInfo: '1' }), 'packages[0]: it has neither a package URL nor a name'],
    ['a name without end', spdx({ name: 'x'.repeat(2_000) }), 'packages[0]: it has neither a package URL nor a name'],
    [
      'a nested entry',
      cyclonedx({ ...component('x', 'pkg:npm/x'), components: [{}] }),
      'components[0].components[0]: it has neither a package URL nor a name',
    ],
  ])('is counted: %s', (_, document, first) => {
    const { skipped, firstSkipped } = packagesIn(document);
    expect(skipped).toBeGreaterThan(0);
    expect(firstSkipped).toBe(first);
  });

  it('leaves the others', () => {
    const document = cyclonedx(null, component('x', 'pkg:npm/x@1.0.0'), { type: 'library' });
    expect(packagesIn(document)).toMatchObject({ packages: [{ name: 'x' }], skipped: 2 });
  });

  it('is what lies too deep', () => {
    let nested: unknown = component('deepest', 'pkg:npm/deepest@1.0.0');
    for (let depth = 0; depth < 100_000; depth += 1) nested = { type: 'file', components: [nested] };
    const { packages, skipped, firstSkipped } = packagesIn(cyclonedx(nested));
    expect([packages.length, skipped]).toEqual([0, 1]);
    expect(firstSkipped?.split('components')).toHaveLength(DEEPEST_COMPONENT + 2);
  });

  it('is what there is too much of', () => {
    const many = Array.from({ length: MOST_PACKAGES + 5 }, (_, index) => ({ type: 'library', name: `p${index}` }));
    const { packages, skipped, firstSkipped } = packagesIn({ ...cyclonedx(), components: many });
    expect([packages.length, skipped]).toEqual([MOST_PACKAGES, 5]);
    expect(firstSkipped).toContain('it comes behind 200000 packages');
  });

  it.each([null, [], 'SPDX', {}, { spdxVersion: 'SPDX-3.0' }, { bomFormat: 'other' }, { spdxVersion: 2 }])(
    'is a document that is no SBOM: %j',
    (document) => {
      expect(() => packagesIn(document)).toThrow(expect.objectContaining({ code: 'Unsupported' }));
    },
  );

  it('never stops the reader', () => {
    const odd = fc.oneof(fc.jsonValue({ maxDepth: 4 }), fc.constant({ toString: 5, valueOf: null }));
    const fields = fc.record(
      {
        ...{
          name: odd,
          version: odd,
          versionInfo: odd,
          purl: odd,
          type: odd,
          properties: odd,
          components: odd,
          group: odd,
        },
        ...{ externalRefs: odd, primaryPackagePurpose: odd, sourceInfo: odd },
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(odd, fields)), (entries) => {
        for (const document of [spdx(...entries), cyclonedx(...entries)]) {
          const { packages, skipped, firstSkipped } = packagesIn(document);
          expect(firstSkipped === null).toBe(skipped === 0);
          for (const one of packages) expect(queryTest(parseQuery('x@<1'))(one).kind).toBeTypeOf('string');
        }
      }),
      { numRuns: 500 },
    );
  });
});
