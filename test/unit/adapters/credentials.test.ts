import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CredentialOptions, createCredentialSource, type RegistryAccess } from '../../../adapters/credentials.js';
import { parseChallenges } from '../../../adapters/registry/auth.js';
import { fakeProgram } from '../../support/fake-program.js';
import { failure, fakeClock, rosterEntry } from './registry/support.js';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'houba-credentials-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

const base64 = (text: string) => Buffer.from(text).toString('base64');

function source(entries: readonly RegistryAccess[] = [], more: Partial<CredentialOptions> = {}) {
  return createCredentialSource({
    access: new Map(entries.map((entry) => [entry.name, entry])),
    dockerConfigDir: folder,
    environment: {},
    findProgram: (name) => join(folder, name),
    ...more,
  });
}

async function writeConfig(content: object | string, name = 'config.json'): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

describe('credentialsFor', () => {
  it('takes the roster before any file', async () => {
    await writeConfig({ auths: { 'r.example': { auth: base64('file:file') } } });
    const entry = rosterEntry('r.example', { username: 'roster', password: 'secret' });
    expect(await source([entry]).credentialsFor('r.example')).toEqual({ username: 'roster', password: 'secret' });
  });

  it('takes the file for a roster entry without credentials', async () => {
    await writeConfig({ auths: { 'r.example': { auth: base64('file:pw') } } });
    const found = await source([rosterEntry('r.example')]).credentialsFor('r.example');
    expect(found).toEqual({ username: 'file', password: 'pw' });
  });

  it.each([
    ['a host', 'r.example:5000', 'r.example:5000'],
    ['an address', 'https://r.example', 'r.example'],
    ['an old address', 'https://r.example/v1/', 'r.example'],
    ['Docker Hub as docker writes it', 'https://index.docker.io/v1/', 'docker.io'],
    ['Docker Hub as podman writes it', 'docker.io', 'docker.io'],
    ['the endpoint of Docker Hub', 'registry-1.docker.io', 'docker.io'],
  ])('finds %s', async (_, key, host) => {
    await writeConfig({ auths: { 'other.example': { auth: base64('no:no') }, [key]: { auth: base64('u:p:w\0\0') } } });
    expect(await source().credentialsFor(host)).toEqual({ username: 'u', password: 'p:w' });
  });

  it.each([
    ['plain names', { username: 'u', password: 'p' }, { username: 'u', password: 'p' }],
    ['an identity token', { auth: base64('u:'), identitytoken: 'it' }, { identityToken: 'it' }],
    ['nothing, as a store leaves behind', {}, null],
    ['null, which is nothing', null, null],
    [
      'an entry with fields that are null',
      { auth: base64('u:p'), username: null, password: null, identitytoken: null },
      { username: 'u', password: 'p' },
    ],
  ])('reads %s', async (_, entry, expected) => {
    await writeConfig({ auths: { 'r.example': entry } });
    expect(await source().credentialsFor('r.example')).toEqual(expected);
  });

  it('takes null in the file as left out', async () => {
    await writeConfig({ auths: null, credHelpers: null, credsStore: null });
    expect(await source().credentialsFor('r.example')).toBeNull();
    await writeConfig({ auths: { 'r.example': { auth: base64('u:p') } }, credHelpers: { 'r.example': null } });
    expect(await source().credentialsFor('r.example')).toEqual({ username: 'u', password: 'p' });
  });

  it('is anonymous without files, with an empty file, and for another host', async () => {
    expect(await source().credentialsFor('r.example')).toBeNull();
    await writeConfig('');
    expect(await source().credentialsFor('r.example')).toBeNull();
    await writeConfig({ auths: { 'r.example.evil': { auth: base64('u:p') } } });
    expect(await source().credentialsFor('r.example')).toBeNull();
    expect(await source([], { dockerConfigDir: null }).credentialsFor('r.example.evil')).toBeNull();
  });

  it('asks the containers files after the one of Docker, in their order', async () => {
    await writeConfig({ auths: { 'a.example': { auth: base64('docker:1') } } });
    const first = await writeConfig({ auths: { 'b.example': { auth: base64('first:1') } } }, 'first.json');
    const entries = { 'a.example': { auth: base64('no:no') }, 'b.example': { auth: base64('no:no') } };
    const second = await writeConfig(
      { auths: { ...entries, 'c.example': { auth: base64('second:1') } } },
      'second.json',
    );
    const { credentialsFor } = source([], { authFiles: [join(folder, 'none.json'), first, second] });
    const found = await Promise.all(['a.example', 'b.example', 'c.example'].map(credentialsFor));
    expect(found.map((each) => each && 'username' in each && each.username)).toEqual(['docker', 'first', 'second']);
  });

  it.each([
    ['no JSON', '{"auths": hunter2'],
    ['another shape', '{"auths": {"r.example": "hunter2"}}'],
    ['an auth that is no user:password', `{"auths": {"r.example": {"auth": "${base64('hunter2')}"}}}`],
  ])('names a file with %s, not what is in it', async (_, content) => {
    const path = await writeConfig(content);
    const error = await failure(source().credentialsFor('r.example'));
    expect(error).toMatchObject({ code: 'ConfigInvalid' });
    expect(error.message).toContain(path);
    expect(`${error.message} ${error.stack} ${error.cause}`).not.toMatch(/hunter2|aHVudGVy/);
  });

  it('names a file that cannot be read', async () => {
    const error = await failure(source([], { authFiles: [folder] }).credentialsFor('r.example'));
    expect(error).toMatchObject({ code: 'ConfigInvalid', message: expect.stringContaining('EISDIR') });
  });
});

describe('credential helpers', () => {
  const answer = (Username: string, Secret: string) =>
    `console.log(${JSON.stringify(JSON.stringify({ Username, Secret }))})`;
  const notFound = "console.log('credentials not found in native keychain'); process.exitCode = 1;";

  it('ask the one of the host before the general store', async () => {
    await writeConfig({ credHelpers: { 'r.example': 'cloud' }, credsStore: 'keychain' });
    const cloud = await fakeProgram(folder, 'docker-credential-cloud', answer('AWS', 'pw'));
    const keychain = await fakeProgram(folder, 'docker-credential-keychain', answer('k', 'k'));
    const environment = { HOME: '/home/x', AWS_PROFILE: 'prod', HOUBA_REGISTRIES: 'secret' };
    const { credentialsFor } = source([], { environment });
    expect(await credentialsFor('r.example')).toEqual({ username: 'AWS', password: 'pw' });
    expect(await credentialsFor('docker.io')).toEqual({ username: 'k', password: 'k' });
    const [call] = await cloud.calls();
    expect(call).toMatchObject({ args: ['get'], stdin: 'r.example', env: { HOME: '/home/x', AWS_PROFILE: 'prod' } });
    expect(call?.env).not.toHaveProperty('HOUBA_REGISTRIES');
    expect((await keychain.calls()).map(({ stdin }) => stdin)).toEqual(['https://index.docker.io/v1/']);
  });

  it('may give an identity token', async () => {
    await writeConfig({ credsStore: 'keychain' });
    await fakeProgram(folder, 'docker-credential-keychain', answer('<token>', 'it'));
    expect(await source().credentialsFor('r.example')).toEqual({ identityToken: 'it' });
  });

  it('leave the file to answer when they have nothing', async () => {
    await writeConfig({ credsStore: 'keychain', auths: { 'r.example': { auth: base64('u:p') } } });
    await fakeProgram(folder, 'docker-credential-keychain', notFound);
    expect(await source().credentialsFor('r.example')).toEqual({ username: 'u', password: 'p' });
    expect(await source().credentialsFor('other.example')).toBeNull();
  });

  it('are asked again after five minutes, and at once after a failure', async () => {
    await writeConfig({ credsStore: 'keychain' });
    const broken = await fakeProgram(
      folder,
      'docker-credential-keychain',
      "console.error('locked'); process.exitCode = 2;",
    );
    const clock = fakeClock();
    const { credentialsFor } = source([], { elapsed: clock.elapsed });
    expect(await failure(credentialsFor('r.example'))).toMatchObject({ code: 'ToolFailed' });
    expect(await broken.calls()).toHaveLength(1);
    const mended = await fakeProgram(folder, 'docker-credential-keychain', answer('u', 'p'));
    await credentialsFor('r.example');
    clock.advance(299_000);
    await credentialsFor('r.example');
    expect(await mended.calls()).toHaveLength(1);
    clock.advance(2_000);
    await credentialsFor('r.example');
    expect(await mended.calls()).toHaveLength(2);
  });

  it.each([
    ['is not installed', 'cloud', null, 'ToolMissing'],
    ['has a path for a name', '../../bin/sh', '', 'ConfigInvalid'],
    ['answers nonsense', 'cloud', 'console.log("hunter2")', 'ToolFailed'],
  ])('say so when one %s', async (_, helper, body, code) => {
    await writeConfig({ credHelpers: { 'r.example': helper } });
    if (body !== null && code === 'ToolFailed') await fakeProgram(folder, `docker-credential-${helper}`, body);
    const findProgram = (name: string) => (body === null ? null : join(folder, name));
    const error = await failure(source([], { findProgram }).credentialsFor('r.example'));
    expect(error).toMatchObject({ code });
    expect(error.message).not.toContain('hunter2');
  });
});

describe('parseChallenges', () => {
  it.each([
    ['Basic realm="x"', { basic: { realm: 'x' } }],
    ['Negotiate, Basic', { negotiate: {}, basic: {} }],
    [
      'Bearer realm="https://a/t?x=1,2",service=s,scope="repository:a:pull,push", Basic Realm="say \\"hi\\""',
      {
        bearer: { realm: 'https://a/t?x=1,2', service: 's', scope: 'repository:a:pull,push' },
        basic: { realm: 'say "hi"' },
      },
    ],
    ['', {}],
    ['realm="x"', {}],
  ])('reads %s', (text, expected) => {
    const read = [...parseChallenges(text)].map(([scheme, values]) => [scheme, Object.fromEntries(values)]);
    expect(Object.fromEntries(read)).toEqual(expected);
  });
});
