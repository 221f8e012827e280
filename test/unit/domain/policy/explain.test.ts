import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { explainSelection } from '../../../../domain/policy/explain.js';
import { type ResolvedImport, resolvePolicy } from '../../../../domain/policy/resolve.js';
import type { TagSelection } from '../../../../domain/selection/select.js';
import { policyDocument } from './documents.js';

function importWith(tags: Partial<TagSelection>, variants?: { name: string; suffix?: string }[]): ResolvedImport {
  const [entry] = resolvePolicy(policyDocument({ imports: [{ tags, variants }] })).imports;
  if (entry === undefined) throw new Error('no import');
  return entry;
}

describe('explainSelection', () => {
  it('accounts for every tag, in order, before suffixes', () => {
    const entry = importWith({ includeRegex: '^7\\.', excludeRegex: ['alpine', '-rc'], aliases: ['{major}.{minor}'] }, [
      { name: 'standard' },
      { name: 'tz', suffix: '-eu' },
    ]);
    const evidence = `sha256-${'0'.repeat(64)}.sig`;
    expect(
      explainSelection(entry, [
        'latest',
        '7.3.0',
        '7.2.1',
        '7.2.0',
        '7.2.1-rc1',
        '7.2.1-alpine',
        '7.x',
        evidence,
        '7.2.0',
      ]),
    ).toEqual({
      name: 'v1',
      variants: [
        { name: 'standard', suffix: '' },
        { name: 'tz', suffix: '-eu' },
      ],
      selected: ['7.2.0', '7.2.1', '7.3.0'],
      rejected: [
        { tag: '7.2.1-alpine', rule: 'excludeRegex[0]' },
        { tag: '7.2.1-rc1', rule: 'excludeRegex[1]' },
        { tag: '7.x', rule: 'semverOnly' },
        { tag: 'latest', rule: 'includeRegex' },
        { tag: evidence, rule: 'evidence-tag' },
      ],
      aliases: { '7.2': '7.2.1', '7.3': '7.3.0' },
      warnings: [],
    });
  });

  it.each<[string, Partial<TagSelection>, string[], string[]]>([
    ['an empty selection', { includeRegex: '^9' }, ['1'], ['no tag is selected']],
    [
      'an exclusion that leaves out nothing',
      { includeRegex: '^7', excludeRegex: ['-rc', 'alpine'] },
      ['7.1', '7.2-rc1', '8-alpine'],
      ['excludeRegex[1] "alpine" leaves out nothing'],
    ],
    ['absent names', { names: ['2'] }, ['1'], ['names: the source has no tag "2"']],
    [
      'a clash of an alias and a tag',
      { includeRegex: '^7', aliases: ['{major}'] },
      ['7', '7.2.4'],
      ['aliases: also selected tags, which a run refuses: 7;'],
    ],
    ['an alias that nothing fills', { aliases: ['{os}'] }, ['1'], ['aliases: no selected tag fills {os}']],
    ['an alias that is no tag', { includeRegex: '^1(?P<rest>.*)$', aliases: ['{rest}'] }, ['1-a'], ['no tags: -a']],
    [
      'a pattern without anchors that lets suffixed tags in',
      { includeRegex: '7\\.2' },
      ['7.2.1', '7.2.1-a', '7.2.1-b', '7.2.1-c', '7.2.1-d', '7.2.1-e'],
      ['anchored at neither end and lets suffixed tags in: 7.2.1-a, 7.2.1-b, 7.2.1-c and 2 more'],
    ],
  ])('warns about %s', (_what, tags, upstream, expected) => {
    const { warnings } = explainSelection(importWith(tags), upstream);
    expect(warnings).toEqual(expected.map((text) => expect.stringContaining(text)));
  });

  it.each<[string, Partial<TagSelection>, string[], string]>([
    [
      'dotted numbers',
      { semverOnly: false, aliases: ['latest'] },
      ['1.9.7.x', '1.10.0.x'],
      'latest shows 1.9.7.x, which is decided by text, although 1.10.0.x has the higher number; order: docker would do',
    ],
    [
      'a number behind text',
      { semverOnly: false, aliases: ['latest'] },
      ['alpine-3', 'alpine-10'],
      'latest shows alpine-3, which is decided by text, although alpine-10 has the higher number; order: numeric would do',
    ],
    [
      'pre-releases',
      { aliases: ['latest'] },
      ['1.0.0-rc.2', '1.0.0-rc.10'],
      'latest shows 1.0.0-rc.2, which is decided by text, although 1.0.0-rc.10 has the higher number; order: docker would do',
    ],
    [
      'a version before what is none',
      { semverOnly: false, aliases: ['latest'] },
      ['1.9.7', '1.10.0.1'],
      'latest shows 1.9.7, which is decided by text, although 1.10.0.1 has the higher number; order: docker would do',
    ],
  ])('warns where text decides an alias over %s', (_what, tags, upstream, expected) => {
    expect(explainSelection(importWith(tags), upstream).warnings).toEqual([`aliases: ${expected}`]);
  });

  it.each<[Partial<TagSelection>, string[]]>([
    [{ aliases: ['latest'] }, ['1.9.7', '1.10.0']],
    [{ semverOnly: false, aliases: ['latest'] }, ['edge', 'bookworm', '1.0']],
    [{ semverOnly: false, aliases: ['latest'] }, ['stable-12', 'edge-13']],
    [{ order: 'docker', aliases: ['latest'] }, ['1.9.7.x', '1.10.0.x']],
    [{ order: 'numeric', aliases: ['latest'] }, ['alpine-3', 'alpine-10']],
  ])('does not warn where numbers decide, or text is all there is: %j of %j', (tags, upstream) => {
    expect(explainSelection(importWith(tags), upstream).warnings).toEqual([]);
  });

  it('warns of an alias between flavours, which a run refuses', () => {
    const entry = importWith({ order: 'docker', aliases: ['latest'] });
    expect(explainSelection(entry, ['1-alpine', '1-slim']).warnings).toEqual([
      expect.stringContaining('latest has several flavours, which a run refuses: 1-alpine, 1-slim'),
    ]);
  });

  it('speaks of semver in a policy of charts, and gives no reasons there either without the new settings', () => {
    const [plain] = resolvePolicy(policyDocument({ artifactType: 'helmChart' })).imports;
    const [finals] = resolvePolicy(
      policyDocument({ artifactType: 'helmChart', imports: [{ tags: { finalsOnly: true } }] }),
    ).imports;
    if (plain === undefined || finals === undefined) throw new Error('no import');
    expect(explainSelection(plain, ['1.2.3_4', 'x'])).not.toHaveProperty('reasons');
    expect(explainSelection(finals, ['1.2.3_4', 'x']).reasons).toEqual({
      '1.2.3_4': 'version 1.2.3 build 4, final',
      x: 'order semver reads no version in it',
    });
  });

  it('says of each tag why it is in or out, where a policy writes more than patterns', () => {
    const upstream = ['7.1', '7.2', '7.3', '7.3-alpine', '7.4-rc1', '6.9', 'latest', 'edge', 'x-1'];
    const entry = importWith({
      includeRegex: '^[\\dle]',
      order: 'docker',
      finalsOnly: true,
      semverRange: '^7',
      newest: 2,
      names: ['edge'],
    });
    expect(explainSelection(entry, upstream)).toMatchObject({
      selected: ['7.2', '7.3', '7.3-alpine', 'edge'],
      rejected: [
        { tag: '6.9', rule: 'semverRange' },
        { tag: '7.1', rule: 'newest' },
        { tag: '7.4-rc1', rule: 'finalsOnly' },
        { tag: 'latest', rule: 'semverOnly' },
        { tag: 'x-1', rule: 'includeRegex' },
      ],
      reasons: {
        '7.3': 'version 7.3, final, in ^7, number 1 of the newest 2',
        '7.3-alpine': 'version 7.3 flavour alpine, final, in ^7, number 1 of the newest 2',
        '6.9': 'version 6.9 is not in ^7',
        '7.1': 'version 7.1 is number 3, the newest 2 are taken',
        '7.4-rc1': 'version 7.4 pre-release rc1 is no final',
        latest: 'order docker reads no version in it',
        edge: 'is in names',
      },
    });
  });

  it.each([
    ['^7\\.2', 'its start is anchored'],
    ['\\A7\\.2', 'its start is anchored'],
    ['(?i)^7\\.2', 'its start is anchored'],
    ['(?:^7)\\.2', 'its start is anchored'],
    ['(?P<x>^7)\\.2', 'its start is anchored'],
    ['2-a$', 'its end is anchored'],
    ['(2-a$)', 'its end is anchored'],
    ['2-a\\z', 'its end is anchored'],
    ['a', 'the pattern asks for the suffix itself'],
  ])('does not warn about %s: %s', (includeRegex) => {
    expect(explainSelection(importWith({ includeRegex }), ['7.2-a']).warnings).toEqual([]);
  });

  it('does not take an escaped dollar for an anchor, nor a tag taken by name for one let in', () => {
    expect(explainSelection(importWith({ includeRegex: '7|\\$' }), ['7-a']).warnings).toHaveLength(1);
    expect(explainSelection(importWith({ includeRegex: '7', names: ['7-a'] }), ['7-a']).warnings).toEqual([]);
  });

  it('sees clashes between variants, and suffixes that make a tag too long', () => {
    const clash = importWith({ aliases: ['{major}'] }, [{ name: 'a' }, { name: 'b', suffix: '.0' }]);
    expect(explainSelection(clash, ['1.0']).warnings).toEqual([expect.stringContaining('which a run refuses: 1.0;')]);
    const long = importWith({ semverOnly: false }, [{ name: 'a', suffix: '-eu' }]);
    expect(explainSelection(long, ['x'.repeat(127)]).warnings).toEqual([expect.stringContaining('too long for a tag')]);
  });
});

const CASES = new URL('../../../../../shared/cases/', import.meta.url);

describe.skipIf(!existsSync(CASES))('real tag lists (only where ../shared/cases is there)', () => {
  it.each(['redis', 'debian', 'node', 'postgres'])('every tag of %s is selected or rejected, quickly', (name) => {
    const { tags } = JSON.parse(readFileSync(new URL(`tags-${name}.json`, CASES), 'utf8')) as { tags: string[] };
    const entry = importWith({ includeRegex: '^v?\\d+(?P<rest>[.\\d]*)', aliases: ['{major}', 'l{rest}'] });
    const started = performance.now();
    const { selected, rejected } = explainSelection(entry, tags);
    expect(performance.now() - started).toBeLessThan(2_000);
    expect([...selected, ...rejected.map(({ tag }) => tag)].sort()).toEqual([...new Set(tags)].sort());
  });
});
