import { describe, expect, it } from 'vitest';
import { expandTargets } from '../../../domain/plan/targets.js';
import { refuseUnbuilt } from '../../../domain/plan/unbuilt.js';
import type { ResolvedImport } from '../../../domain/policy/resolve.js';
import type { Roster, RosterEntry } from '../../../domain/roster.js';
import { resolvedImport, resolvedPolicy } from './samples.js';

const main: RosterEntry = {
  name: 'main',
  host: 'registry.example',
  namespace: null,
  tlsVerify: true,
  deletionMode: null,
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

describe('refuseUnbuilt', () => {
  const step = { name: 'setTimezone', params: { zone: 'UTC' } };
  it.each([
    ['a transform', { variants: [{ name: 'eu', suffix: '-eu', transform: [step] }] }, /not yet: transform/],
    ['platforms', { platforms: ['linux/amd64'] }, /not yet: platforms/],
    ['a stamp as referrer', { stamp: 'referrer' }, /not yet: stamp: referrer/],
    ['upstream evidence', { keepUpstreamEvidence: true }, /not yet: keepUpstreamEvidence/],
    ['upstream verification', { verifyUpstream: { key: 'k.pub' } }, /not yet: verifyUpstream/],
  ] as const)('says not yet to %s', (_what, facts, message) => {
    const policy = resolvedPolicy({ imports: [resolvedImport(facts as Partial<ResolvedImport>)] });
    expect(() => refuseUnbuilt(policy)).toThrow(message);
  });

  it('knows the steps by name', () => {
    const policy = resolvedPolicy({ imports: [resolvedImport({ transform: [{ name: 'setTimezon', params: {} }] })] });
    expect(() => refuseUnbuilt(policy)).toThrow(
      expect.objectContaining({ code: 'PolicyInvalid', hint: 'did you mean setTimezone?' }),
    );
  });

  it('lets a plain copy through', () => {
    expect(() => refuseUnbuilt(resolvedPolicy())).not.toThrow();
  });
});
