import { describe, expect, it } from 'vitest';
import { checkPolicy } from '../../../../domain/policy/check.js';
import { formatPath } from '../../../../domain/policy/issues.js';
import { policyDocument } from './documents.js';

/** `path: message (hint)` of everything wrong with a document. */
function mistakes(document: unknown): string[] {
  return checkPolicy(document).issues.map(
    ({ path, message, hint }) => `${formatPath(path)}: ${message} (${hint ?? ''})`,
  );
}

const ONE_STEP = [{ setTimezone: { zone: 'UTC' } }];

describe('a valid policy', () => {
  it('is what the document says, and nothing more', () => {
    const document = policyDocument();
    expect(checkPolicy(document)).toEqual({ policy: document, issues: [] });
  });

  it('may use every field', () => {
    const document = policyDocument({
      defaults: { tags: null, stability: null, archive: { keep: 0 }, verifyUpstream: { identity: 'i', issuer: 's' } },
      imports: [
        {
          tags: {
            includeRegex: '^(?P<a>7)',
            names: ['latest'],
            aliases: ['{major}.{a}', 'x-{minor}'],
            semverOnly: false,
          },
          platforms: ['linux/amd64', 'linux/arm/v7'],
          owners: ['group:default/payments', 'payments', 'a/b'],
          vendor: 'ACME Ltd.',
          stability: { window: '36h', maxWait: 0, newTags: null },
          transform: [{ injectCA: { certs: ['a'] } }, { setTimezone: { zone: 'Europe/Rome' } }],
          variants: [{ name: 'a' }, { name: 'b', suffix: '-b', transform: [] }],
          stamp: 'referrer',
          keepUpstreamEvidence: true,
          verifyUpstream: { key: '/etc/houba/upstream.pub' },
        },
      ],
    });
    expect(mistakes(document)).toEqual([]);
  });

  it.each(['helmChart', 'generic'] as const)('%s may have empty transforms', (artifactType) => {
    const variants = [{ name: 'a', transform: [] }];
    expect(mistakes(policyDocument({ artifactType, defaults: { transform: [] }, imports: [{ variants }] }))).toEqual(
      [],
    );
  });
});

describe('a field that is wrong', () => {
  it.each<[string, object, string]>([
    [
      'owners',
      { owners: ['bad owner!'] },
      'spec.imports[0].owners[0]: spec.imports[0].owners[0]: "bad owner!" is not an',
    ],
    ['archive below zero', { archive: { keep: -1 } }, 'must be at least 0'],
    ['archive in parts', { archive: { olderThanDays: 1.5 } }, 'must be a whole number, not 1.5'],
    ['a duration without its unit', { stability: { window: '7' } }, '"7" must be a whole number and d, h, m or s'],
    ['a duration as a number', { stability: { window: 7 } }, '7 must be a whole number and d, h, m or s'],
    ['a duration too long', { stability: { window: '99999d' } }, '"99999d" must be'],
    ['an empty pattern', { tags: { includeRegex: '' } }, 'must not be empty'],
    ['a pattern that does not compile', { tags: { includeRegex: '[' } }, 'not a usable pattern: "["'],
    ['lookaround', { tags: { excludeRegex: ['a', '(?!b)'] } }, 'excludeRegex[1]: not a usable pattern'],
    ['a long pattern', { tags: { includeRegex: 'a'.repeat(4001) } }, 'must be at most 4000 characters'],
    ['null for a list', { tags: { excludeRegex: null } }, 'must be a list, not null'],
    ['a tag of names', { tags: { names: ['-x'] } }, '"-x" is not a tag'],
    ['a number for a tag', { tags: { names: [1.2] } }, 'must be text (in quotes if it looks like a number), not 1.2'],
    ['an open placeholder', { tags: { aliases: ['{major'] } }, '"{major" is not an alias'],
    ['a format in a placeholder', { tags: { aliases: ['{major:02}'] } }, 'is not an alias'],
    ['an alias that starts with a dot', { tags: { aliases: ['.{major}'] } }, 'is not an alias'],
    ['a space in an alias', { tags: { aliases: ['a b'] } }, 'is not an alias'],
    ['an empty alias', { tags: { aliases: [''] } }, 'is not an alias'],
    ['semverOnly as text', { tags: { semverOnly: 'yes' } }, 'must be true or false, not "yes"'],
    ['a suffix', { variants: [{ name: 'a', suffix: '+b' }] }, '"+b" must keep a tag a tag'],
    ['a platform', { platforms: ['amd64'] }, '"amd64" is not a platform'],
    ['a stamp', { stamp: 'both' }, 'must be "annotations" or "referrer", not "both"'],
    ['a vendor of two lines', { vendor: 'a\nb' }, 'must be one line of'],
    [
      'a repository in upper case',
      { destinations: [{ project: 'P', repository: 'r' }] },
      '"P" is not a repository name',
    ],
    ['two keys in one step', { transform: [{ injectCA: {}, setTimezone: {} }] }, 'a step is one key'],
    ['no key in a step', { transform: [{}] }, 'a step is one key'],
    ['a step that is only a name', { transform: ['injectCA'] }, 'must be a mapping, not "injectCA"'],
    ['parameters that are no mapping', { transform: [{ injectCA: ['a'] }] }, 'must be a mapping, not a list'],
    ['neither key nor identity', { verifyUpstream: {} }, 'must be either {key}, or {identity, issuer}'],
    [
      'key and issuer',
      { verifyUpstream: { key: '/k', issuer: 'i' } },
      'unknown key "issuer" in spec.imports[0].verifyUpstream',
    ],
    [
      'a key that the worker would have to guess',
      { verifyUpstream: { key: 'cosign.pub' } },
      'spec.imports[0].verifyUpstream.key: verifyUpstream.key is neither PEM, an absolute path',
    ],
    ['a key from anywhere', { verifyUpstream: { key: 'env://TOKEN' } }, 'cannot be read from env://'],
    ['an import that is none', { tags: 'x' }, 'must be a mapping, not "x"'],
  ])('%s: says where and what', (_what, entry, expected) => {
    const [first, ...others] = mistakes(policyDocument({ imports: [entry] }));
    expect(first).toContain(expected);
    expect(others).toEqual([]);
  });

  it.each([
    ['docker', 'is not a registry host'],
    ['https://docker.io', 'is not a registry host'],
    ['docker.io/library', 'is not a registry host'],
  ])('a source registry %s', (registry, expected) => {
    const document = policyDocument();
    document.spec.source.registry = registry;
    expect(mistakes(document)).toEqual([expect.stringContaining(expected)]);
  });

  it.each(['', ' x', 'x ', 'a\u0000b', 'x'.repeat(254)])('a policy name %j', (name) => {
    expect(mistakes(policyDocument({ name }))).toEqual([expect.stringContaining('must be one line')]);
  });

  it('another kind, another version, no imports, no document', () => {
    const document = { ...policyDocument(), kind: 'Policy', apiVersion: 'v1' };
    expect(mistakes(document)).toEqual([
      expect.stringContaining('must be "houba.io/v1alpha1", not "v1"'),
      expect.stringContaining('must be "MirrorPolicy", not "Policy"'),
    ]);
    expect(mistakes(policyDocument({ imports: [] }))).toEqual([expect.stringContaining('at least one import')]);
    expect(mistakes('text')).toEqual([expect.stringContaining('the document: must be a mapping, not "text"')]);
    expect(mistakes({ ...policyDocument(), spec: { imports: [null] } })).toHaveLength(3);
  });
});

describe('unknown and missing keys', () => {
  it.each([
    ['tagz', 'did you mean "tags"?'],
    ['Destinations', 'did you mean "destinations"?'],
    ['include_regex', 'nearest: '],
    ['__proto__', 'known keys: name, tags,'],
  ])('%s is refused with the nearest known key', (key, hint) => {
    const entry = JSON.parse(`{"${key}": 1}`);
    const document = policyDocument();
    Object.defineProperty(document.spec.imports[0], key, { value: entry[key], enumerable: true });
    expect(mistakes(document)).toEqual([
      expect.stringContaining(`unknown key ${JSON.stringify(key)} in spec.imports[0]`),
    ]);
    expect(mistakes(document)[0]).toContain(hint);
  });

  it('at every level, each key on its own', () => {
    const document = {
      ...policyDocument({
        defaults: { name: 'x', archive: { keeps: 1 } },
        imports: [
          { destinations: [{ project: 'p', repository: 'r', host: 'h' }] } as object,
          { variants: [{ nam: 1 }] },
        ],
      }),
      extra: 1,
      more: 2,
    };
    const unknown = mistakes(document).filter((text) => text.includes('unknown key'));
    expect(unknown.map((text) => text.split(':')[0])).toEqual([
      'spec.defaults.archive.keeps',
      'spec.defaults.name',
      'spec.imports[0].destinations[0].host',
      'spec.imports[1].variants[0].nam',
      'extra',
      'more',
    ]);
  });

  it('a missing key is named, at the place where it is missed', () => {
    const document = policyDocument({ imports: [{ destinations: [{ project: 'p' }] } as object] });
    expect(mistakes({ ...document, metadata: {} })).toEqual([
      'metadata: the required key "name" is missing ()',
      'spec.imports[0].destinations[0]: the required key "repository" is missing ()',
    ]);
    expect(mistakes({})).toHaveLength(4);
  });
});

describe('rules across fields', () => {
  it('import names are unique', () => {
    expect(mistakes(policyDocument({ imports: [{ name: 'a' }, { name: 'b' }, { name: 'a' }] }))).toEqual([
      'spec.imports[2].name: two imports have the name "a": this one and spec.imports[0] ()',
    ]);
  });

  it('variant names and suffixes are unique in an import, the missing suffix included', () => {
    const variants = [{ name: 'a' }, { name: 'a', suffix: '-x' }, { name: 'b', suffix: '' }, { name: 'c' }];
    expect(mistakes(policyDocument({ imports: [{ variants }, { variants: [{ name: 'a' }] }] }))).toEqual([
      expect.stringContaining('spec.imports[0].variants[1].name: two variants have the name "a"'),
      expect.stringContaining('spec.imports[0].variants[2].suffix: two variants have the suffix ""'),
      expect.stringContaining('spec.imports[0].variants[3]: two variants have the suffix ""'),
    ]);
  });

  it('an import without variants, or without destinations after the merge, does nothing and is refused', () => {
    const none = [{ variants: [] }, { destinations: [] }, { destinations: null }];
    expect(mistakes(policyDocument({ imports: none }))).toEqual([
      expect.stringContaining('spec.imports[0].variants: variants is empty'),
      expect.stringContaining('spec.imports[1].destinations: the import has no destinations'),
      expect.stringContaining('spec.imports[2]: the import has no destinations'),
    ]);
    const defaults = { destinations: [{ project: 'p', repository: 'r' }] };
    expect(mistakes(policyDocument({ defaults, imports: [{ destinations: null }] }))).toEqual([]);
    expect(mistakes(policyDocument({ defaults, imports: [{ destinations: [] }] }))).toHaveLength(1);
  });

  it('one destination stands once', () => {
    const destination = { project: 'p', repository: 'r' };
    expect(mistakes(policyDocument({ imports: [{ destinations: [destination, destination] }] }))).toEqual([
      expect.stringContaining('spec.imports[0].destinations[1]: the same destination stands here twice'),
    ]);
  });

  it('knows the steps and their parameters, wherever they stand', () => {
    const document = policyDocument({
      defaults: { transform: [{ setTimezone: null }] },
      imports: [
        { transform: [...ONE_STEP, { injectCa: { certs: ['a'] } }] },
        { variants: [{ name: 'a', transform: [{ injectCA: { certs: ['a'], more: 1 } }] }] },
      ],
    });
    expect(mistakes(document)).toEqual([
      expect.stringMatching(/^spec.defaults.transform\[0\]: .*"zone" is missing/),
      expect.stringMatching(/^spec.imports\[0\].transform\[1\]: .*"injectCa".*did you mean injectCA/),
      expect.stringMatching(/^spec.imports\[1\].variants\[0\].transform\[0\]: .*"more"/),
    ]);
  });

  it.each(['generic', 'helmChart'] as const)('%s refuses a transform wherever it stands', (artifactType) => {
    const document = policyDocument({
      artifactType,
      defaults: { transform: ONE_STEP },
      imports: [{ transform: ONE_STEP }, { variants: [{ name: 'a', transform: ONE_STEP }] }],
    });
    expect(checkPolicy(document).issues.map(({ path }) => formatPath(path))).toEqual([
      'spec.defaults.transform',
      'spec.imports[0].transform',
      'spec.imports[1].variants[0].transform',
    ]);
  });

  it.each<[object, string]>([
    [
      { order: 'docket' },
      'spec.imports[0].tags.order: must be "semver" or "docker" or "calver" or "numeric" or "regex"',
    ],
    [{ order: 'helm' }, 'spec.imports[0].tags.order: must be "semver"'],
    [{ finalsOnly: 'yes' }, 'spec.imports[0].tags.finalsOnly: must be true or false'],
    [{ semverRange: 'latest' }, 'spec.imports[0].tags.semverRange: "latest" is not a range of versions such as ^1.2'],
    // npm would read these as <3, >=1.2, ^1 and everything.
    [{ semverRange: '>=1.2, <3' }, 'is not a range of versions'],
    [{ semverRange: '>=1.2 !=1.5' }, 'is not a range of versions'],
    [{ semverRange: '^1 || newest' }, 'is not a range of versions'],
    [{ semverRange: '^1 ||' }, 'has an empty alternative'],
    [{ semverRange: ' ' }, 'spec.imports[0].tags.semverRange: " " must not be empty'],
    [{ newest: 0 }, 'spec.imports[0].tags.newest: must be at least 1'],
    [{ newest: 1.5 }, 'spec.imports[0].tags.newest: must be a whole number'],
    [{ newset: 1 }, 'unknown key "newset"'],
    [{ order: 'regex' }, 'spec.imports[0].tags.order: order: regex needs an includeRegex with one of the named groups'],
    [{ order: 'regex', includeRegex: '^(?P<line>\\d+)' }, 'order: regex needs an includeRegex'],
    [{ order: 'regex', includeRegex: '(' }, 'not a usable pattern'],
  ])('tags %j are refused: %s', (tags, expected) => {
    expect(mistakes(policyDocument({ imports: [{ tags }] }))).toEqual([expect.stringContaining(expected)]);
  });

  it('takes the groups of an order from the defaults as well, and looks at each import', () => {
    const defaults = { tags: { includeRegex: '^(?P<major>\\d+)$', order: 'regex' } };
    expect(mistakes(policyDocument({ defaults, imports: [{ tags: {} }] }))).toEqual([]);
    expect(mistakes(policyDocument({ defaults, imports: [{ tags: { includeRegex: null } }] }))).toEqual([
      expect.stringContaining('spec.imports[0].tags: order: regex needs an includeRegex'),
    ]);
  });

  it('one mistake does not hide another', () => {
    const document = policyDocument({ imports: [{ name: 'a', variants: [] }, { name: 'a' }, { owners: ['!'] }] });
    expect(mistakes({ ...document, kind: 'x', metadata: null })).toHaveLength(5);
    expect(mistakes(policyDocument({ imports: [{ variants: [null], destinations: [null] }] }))).toHaveLength(2);
  });
});
