import { describe, expect, it } from 'vitest';
import { expandTargets } from '../../../../domain/plan/targets.js';
import { refuseKeyServices, refuseUnrecorded } from '../../../../domain/policy/refuse.js';
import type { ResolvedImport, ResolvedPolicy } from '../../../../domain/policy/resolve.js';
import type { Roster, RosterEntry } from '../../../../domain/roster.js';
import { resolvedImport, resolvedPolicy } from './samples.js';

const main: RosterEntry = {
  name: 'main',
  host: 'registry.example',
  namespace: null,
  tlsVerify: true,
  deletionMode: null,
  sourceOnly: false,
};
const roster: Roster = new Map([
  ['main', main],
  ['dr', { ...main, name: 'dr', host: 'dr.example', namespace: 'acme', deletionMode: 'purge' as const }],
]);

function tags(facts: Partial<ResolvedImport['tags']>): ResolvedImport['tags'] {
  return { includeRegex: null, excludeRegex: [], semverOnly: true, names: [], aliases: [], ...facts };
}

describe('expandTargets', () => {
  it('makes a target of every import at every destination, with the registry’s namespace in its path', () => {
    const entry = resolvedImport({
      destinations: [
        { registry: 'main', project: 'lib', repository: 'redis' },
        { registry: 'dr', project: 'lib', repository: 'redis' },
      ],
    });
    const targets = expandTargets(resolvedPolicy({ imports: [entry] }), ['7.2.0'], roster, 'mark');
    expect(targets.map(({ repository, deletionMode }) => [repository, deletionMode])).toEqual([
      [{ host: 'registry.example', path: 'lib/redis' }, 'mark'],
      [{ host: 'dr.example', path: 'acme/lib/redis' }, 'purge'],
    ]);
  });

  it('refuses a destination that is only a source', () => {
    const entry = resolvedImport({ destinations: [{ registry: 'main', project: 'lib', repository: 'redis' }] });
    const only: Roster = new Map([['main', { ...main, sourceOnly: true }]]);
    expect(() => expandTargets(resolvedPolicy({ imports: [entry] }), ['7.2.0'], only, 'mark')).toThrow(/only a source/);
  });

  it('refuses an alias that would have to choose between flavours', () => {
    const entry = resolvedImport({ tags: tags({ order: 'docker', aliases: ['latest'] }) });
    const expand = (upstream: string[]) =>
      expandTargets(resolvedPolicy({ imports: [entry] }), upstream, roster, 'mark');
    expect(() => expand(['7.2-alpine', '7.3-slim'])).toThrow(/alias latest has several flavours: 7.2-alpine, 7.3-slim/);
    const [target] = expand(['7.1', '7.2-alpine', '7.3-slim']);
    expect([...(target?.variants[0]?.aliases ?? [])]).toEqual([['latest', '7.1']]);
  });

  it('lets the policy’s deletion mode win over the registry’s', () => {
    const entry = resolvedImport({ destinations: [{ registry: 'dr', project: 'lib', repository: 'redis' }] });
    const policy = resolvedPolicy({ imports: [entry], deletionMode: 'mark' });
    expect(expandTargets(policy, ['7.2.0'], roster, 'purge')[0]?.deletionMode).toBe('mark');
  });

  it('gives every variant the same tags and aliases, before suffixes', () => {
    const entry = resolvedImport({
      tags: tags({ includeRegex: '^7\\.', aliases: ['{major}.{minor}'] }),
      variants: [
        { name: 'standard', suffix: '', transform: [] },
        { name: 'tz', suffix: '-eu', transform: [] },
      ],
    });
    const [target] = expandTargets(
      resolvedPolicy({ imports: [entry] }),
      ['7.2.0', '7.2.1', '7.3.0', 'latest'],
      roster,
      'mark',
    );
    for (const variant of target?.variants ?? []) {
      expect(variant.selected).toEqual(['7.2.0', '7.2.1', '7.3.0']);
      expect(Object.fromEntries(variant.aliases)).toEqual({ '7.2': '7.2.1', '7.3': '7.3.0' });
    }
  });

  it.each([
    [
      'two imports want one tag',
      [resolvedImport(), resolvedImport({ name: 'other' })],
      /tag registry.example\/lib\/redis:7.2.0 has several writers/,
    ],
    [
      'two imports write one alias',
      [
        resolvedImport({ tags: tags({ includeRegex: '^7', aliases: ['latest'] }) }),
        resolvedImport({ name: 'eight', tags: tags({ includeRegex: '^8', aliases: ['latest'] }) }),
      ],
      /alias registry.example\/lib\/redis:latest has several writers/,
    ],
    [
      'an alias equals a selected tag',
      [resolvedImport({ tags: tags({ aliases: ['{major}'] }) })],
      /alias registry.example\/lib\/redis:7 is also a selected tag/,
    ],
  ] as const)('refuses it when %s', (_rule, imports, message) => {
    const policy = resolvedPolicy({ imports: [...imports] });
    expect(() => expandTargets(policy, ['7', '7.2.0', '8.0.0'], roster, 'mark')).toThrow(message);
  });

  it('refuses a repository that is source and destination at once', () => {
    const entry = resolvedImport({ destinations: [{ registry: 'main', project: 'lib', repository: 'redis' }] });
    const policy = resolvedPolicy({
      imports: [entry],
      source: { registry: 'registry.example', repository: 'lib/redis' },
    });
    expect(() => expandTargets(policy, ['7.2.0'], roster, 'mark')).toThrow(
      expect.objectContaining({
        code: 'PolicyInvalid',
        message: expect.stringContaining('registry.example/lib/redis'),
      }),
    );
  });

  it('refuses a registry that the roster does not name', () => {
    const entry = resolvedImport({ destinations: [{ registry: 'nope', project: 'lib', repository: 'redis' }] });
    expect(() => expandTargets(resolvedPolicy({ imports: [entry] }), ['7.2.0'], roster, 'mark')).toThrow(
      /"nope" is not in the roster/,
    );
  });
});

describe('what could not be recognised again', () => {
  const rebuilt = [{ name: 'eu', suffix: '-eu', transform: [{ name: 'setTimezone', params: { zone: 'UTC' } }] }];
  const asking = (facts: Partial<ResolvedImport>, policy: Partial<ResolvedPolicy> = {}) =>
    resolvedPolicy({ imports: [resolvedImport(facts)], ...policy });

  it.each([
    ['a transform', { variants: rebuilt }, 'transform'],
    ['platforms', { platforms: ['linux/amd64'] }, 'platforms'],
    ['a stamp beside the image', { stamp: 'referrer' as const }, 'stamp: referrer'],
  ])('is refused with an empty prefix, and fine with one: %s', (_what, facts, named) => {
    const policy = asking(facts);
    expect(() => refuseUnrecorded(policy, '')).toThrow(`${named} cannot be recorded without a label prefix`);
    expect(() => refuseUnrecorded(policy, 'io.houba')).not.toThrow();
  });

  it('is nothing about a plain copy', () => {
    expect(() => refuseUnrecorded(resolvedPolicy(), '')).not.toThrow();
  });

  it('is not what has no platforms at all: that is refused always', () => {
    const policy = asking({ platforms: ['linux/amd64'] }, { artifactType: 'helmChart' });
    expect(() => refuseUnrecorded(policy, 'io.houba')).toThrow('artifactType helmChart has no platforms');
  });
});

it('a key in a key service is refused where the installation does not allow it', () => {
  const policy = resolvedPolicy({ imports: [resolvedImport({ verifyUpstream: { key: 'awskms:///alias/x' } })] });
  expect(() => refuseKeyServices(policy, ['hashivault://'])).toThrow(
    'policy redis, import v7: verifyUpstream.key is in a key service that is not allowed here',
  );
  expect(() => refuseKeyServices(policy, ['awskms:///'])).not.toThrow();
  const signer = { identity: 'i', issuer: 's' };
  const keyless = resolvedPolicy({ imports: [resolvedImport({ verifyUpstream: signer })] });
  expect(() => refuseKeyServices(keyless, [])).not.toThrow();
  expect(() => refuseKeyServices(resolvedPolicy(), [])).not.toThrow();
});
