import { describe, expect, it } from 'vitest';
import { type Digest, digestOf, isDigest, parseDigest } from '../../../domain/digest.js';
import { HoubaError, reportError } from '../../../domain/errors.js';
import {
  formatPinned,
  isEvidenceTag,
  isHost,
  isTag,
  parseReference,
  parseRepository,
} from '../../../domain/reference.js';
import {
  destinationByName,
  destinationRepository,
  findDestination,
  placeInRoster,
  type RosterEntry,
  rosterByHost,
  rosterByName,
} from '../../../domain/roster.js';

const NEW = `sha256:${'e'.repeat(64)}` as Digest;

describe('a digest', () => {
  it.each([
    [`sha256:${'a'.repeat(64)}`, true],
    [`sha512:${'0'.repeat(128)}`, true],
    [`sha256:${'a'.repeat(63)}`, false],
    [`sha256:${'A'.repeat(64)}`, false],
    [`sha256:${'a'.repeat(64)}/..`, false],
    [`md5:${'a'.repeat(32)}`, false],
    ['', false],
  ])('%s: %s', (text, valid) => {
    expect(isDigest(text)).toBe(valid);
    if (valid) expect(parseDigest(text)).toBe(text);
    else expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'ReferenceInvalid' }));
  });

  it('is computed by the algorithm of the one it is compared with', () => {
    const bytes = new TextEncoder().encode('hello');
    expect(digestOf(bytes)).toBe('sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824');
    expect(digestOf(bytes, `sha512:${'0'.repeat(128)}` as Digest)).toMatch(/^sha512:9b71d224bd62f378/);
  });
});

describe('a reference', () => {
  it.each([
    ['harbor.corp/lib/redis:7.2.0', 'harbor.corp/lib/redis'],
    ['localhost:5000/lib/redis:7', 'localhost:5000/lib/redis'],
    [`harbor.corp/lib/redis@sha256:${'0'.repeat(64)}`, 'harbor.corp/lib/redis'],
    ['harbor.corp/lib/redis', 'harbor.corp/lib/redis'],
  ])('%s is pinned by its repository alone', (text, repository) => {
    expect(formatPinned(parseReference(text), NEW)).toBe(`${repository}@${NEW}`);
  });

  it('expands Docker Hub’s short names once', () => {
    expect(parseRepository('docker.io', 'redis')).toEqual({ host: 'docker.io', path: 'library/redis' });
    expect(parseRepository('docker.io', 'valkey/valkey').path).toBe('valkey/valkey');
    expect(parseRepository('ghcr.io', 'redis').path).toBe('redis');
  });

  it.each([
    ['redis', /must start with a registry host/],
    ['library/redis:7', /must start with a registry host/],
    ['r.io/a:b:c', /not a tag/],
    ['r.io/a:-b', /not a tag/],
    ['r.io/UPPER', /not a repository name/],
    ['r.io/../etc', /not a repository name/],
    ['r.io/a@sha256:x', /not a digest/],
    [`r.io/a@${NEW}@${NEW}`, /more than one @/],
  ])('%s is refused', (text, message) => {
    expect(() => parseReference(text)).toThrow(message);
  });

  it('refuses a host that is none', () => {
    expect(() => parseRepository('http://r.io', 'a')).toThrow(/not a registry host/);
  });

  it.each([
    ['docker.io', true],
    ['localhost', true],
    ['r:5000', true],
    ['library', false],
    ['bad host.io', false],
  ])('%s names a registry: %s', (text, is) => expect(isHost(text)).toBe(is));
});

describe('a tag', () => {
  it.each([
    ['7.2.0-alpine_1', true],
    ['_x', true],
    ['a'.repeat(128), true],
    ['a'.repeat(129), false],
    ['.hidden', false],
    ['-dash', false],
    ['a b', false],
    ['', false],
  ])('%s: %s', (text, is) => expect(isTag(text)).toBe(is));

  it.each([
    ['', true],
    ['.sig', true],
    ['.att', true],
    ['.sbom', true],
    ['.other', false],
    ['-7', false],
  ])('of a digest ending in "%s" holds evidence: %s', (ending, is) => {
    expect(isEvidenceTag(`sha256-${'a'.repeat(64)}${ending}`)).toBe(is);
  });
});

describe('the roster', () => {
  const entry = (name: string): RosterEntry => ({
    name,
    host: `${name}.example`,
    namespace: null,
    tlsVerify: true,
    deletionMode: null,
    sourceOnly: false,
  });
  const roster = (...names: string[]) => new Map(names.map((name) => [name, entry(name)]));

  it.each([
    ['us', ['eu', 'us'], 'us'],
    [null, ['only'], 'only'],
    ['zz', ['eu'], null],
    [null, ['eu', 'us'], null],
    [null, [], null],
  ])('%s in %j is %s', (name, names, found) => {
    if (found !== null) expect(rosterByName(roster(...names), name).name).toBe(found);
    else expect(() => rosterByName(roster(...names), name)).toThrow(expect.objectContaining({ code: 'ConfigInvalid' }));
  });

  it('writes nothing to an entry that is only a source, whichever way it is found', () => {
    const only = new Map([['hub', { ...entry('hub'), sourceOnly: true }]]);
    const refused = expect.objectContaining({ code: 'ConfigInvalid', message: 'registry "hub" is only a source' });
    expect(rosterByName(only, 'hub').name).toBe('hub');
    expect(() => destinationByName(only, 'hub')).toThrow(refused);
    expect(() => destinationByName(only, null)).toThrow(refused);
    expect(() => findDestination(only, { registry: 'hub', project: 'a', repository: 'b' })).toThrow(refused);
    expect(() => placeInRoster(only, { host: 'hub.example', path: 'a/b' })).toThrow(refused);
    expect(destinationByName(new Map([...only, ...roster('eu')]), 'eu').name).toBe('eu');
  });

  it('finds a registry by its host, or says that it is nobody’s', () => {
    expect(rosterByHost(roster('eu', 'us'), 'us.example')?.name).toBe('us');
    expect(rosterByHost(roster('eu'), 'docker.io')).toBeNull();
  });

  it('puts a namespace before project and repository', () => {
    const acme = { ...entry('ghcr'), host: 'ghcr.io', namespace: 'acme' };
    expect(destinationRepository(acme, 'lib', 'redis')).toEqual({ host: 'ghcr.io', path: 'acme/lib/redis' });
  });
});

describe('an error in a report', () => {
  it.each([
    ['PolicyInvalid', 1],
    ['Unsupported', 1],
    ['RegistryUnavailable', 2],
    ['ToolFailed', 2],
    ['ConfigInvalid', 3],
    ['Internal', 4],
  ] as const)('%s exits with %i', (code, exit) => {
    expect(reportError(new HoubaError(code, 'what', { hint: 'next' }))).toEqual({
      type: code,
      message: 'what (next)',
      exit_code: exit,
    });
  });

  it('that nobody classified is internal', () => {
    expect(reportError(new RangeError('boom'))).toEqual({ type: 'Internal', message: 'boom', exit_code: 4 });
    expect(reportError('text')).toMatchObject({ type: 'Internal', message: 'text' });
  });
});
