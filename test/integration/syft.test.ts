import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RegistryAccess } from '../../adapters/credentials.js';
import { createSyft, type Syft } from '../../adapters/syft.js';
import { childEnvironment, readEnvironment } from '../../config/environment.js';
import { programPath } from '../../config/programs.js';
import { digestOf } from '../../domain/digest.js';
import { debianFiles, pushImage } from '../support/images.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';

const LOGIN = { username: 'alice', password: 'wonderland' };

let workDir = '';
let registry: RunningRegistry;
beforeAll(async () => {
  workDir = await mkdtemp(join(tmpdir(), 'houba-syft-'));
  registry = await startOlareg({ inMemory: true });
});
afterAll(async () => {
  await registry.stop();
  await rm(workDir, { recursive: true, force: true });
});

function syftFor(host: string, login: typeof LOGIN | null = null): Syft {
  const program = programPath('syft');
  if (program === null) throw new Error('syft is not there; run make setup');
  const entry: RegistryAccess = {
    ...{ name: 'main', host, namespace: null, tlsVerify: false, deletionMode: null, caCert: null },
    username: login?.username ?? null,
    password: login?.password ?? null,
  };
  return createSyft({
    program,
    access: new Map([['main', entry]]),
    credentials: { credentialsFor: async () => login },
    workDir,
    environment: childEnvironment(readEnvironment()),
  });
}

function text(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? new Uint8Array()).toString('utf8');
}

describe('an inventory', () => {
  it.each(['amd64', 'arm64'])('of a %s image names its packages, in both formats', async (architecture) => {
    const files = debianFiles('busybox-static', '1:1.35.0-4');
    const { digest } = await pushImage(registry.host, 'lib/tool', null, files, architecture);
    const repository = { host: registry.host, path: 'lib/tool' };
    const documents = await syftFor(registry.host).scan(repository, digest, ['spdx-json', 'cyclonedx-json']);
    const spdx = JSON.parse(text(documents.get('spdx-json')));
    expect(spdx.spdxVersion).toMatch(/^SPDX-2/);
    expect(spdx.packages).toContainEqual(
      expect.objectContaining({ name: 'busybox-static', versionInfo: '1:1.35.0-4' }),
    );
    const cyclonedx = JSON.parse(text(documents.get('cyclonedx-json')));
    expect(cyclonedx.bomFormat).toBe('CycloneDX');
    expect(cyclonedx.components).toContainEqual(expect.objectContaining({ name: 'busybox-static' }));
    expect(await readdir(workDir)).toEqual([]);
  });

  it('of an image behind a password', async () => {
    const guarded = await startOlareg({ basicAuth: LOGIN });
    try {
      const repository = { host: guarded.host, path: 'lib/tool' };
      const nothing = digestOf(new Uint8Array([1]));
      const refused = syftFor(guarded.host, { ...LOGIN, password: 'looking-glass' });
      await expect(refused.scan(repository, nothing, ['spdx-json'])).rejects.toMatchObject({ code: 'Unauthorized' });
      const missing = syftFor(guarded.host, LOGIN).scan(repository, nothing, ['spdx-json']);
      await expect(missing).rejects.toMatchObject({ code: 'NotFound' });
    } finally {
      await guarded.stop();
    }
  });

  it('has the version of the tool', async () => {
    expect(await syftFor(registry.host).version()).toMatch(/^\d+\.\d+\.\d+$/);
  });
});
