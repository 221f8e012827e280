import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import { createHoubaWithInstantSyft, type Houba, leftIn, processesOf, until } from '../support/stack.js';
import { orphansOf, readDistributionStore, readOlaregStore } from '../support/storage.js';
import { startTagWatcher } from '../support/tag-watcher.js';
import { startTemporal } from '../support/temporal.js';
import { image, push } from '../support/upstream-images.js';

const TAGS = Array.from({ length: 24 }, (_, number) => `1.0.${number}`);

describe('an import of many tags is killed in the middle', () => {
  let upstream: RunningRegistry;
  let houba: Houba | null = null;
  let registry: RunningRegistry | null = null;

  beforeAll(async () => {
    upstream = await startOlareg({ inMemory: true });
    // Different manifests over four contents: copying and attaching is what gets interrupted, scanning need not be slow.
    for (const [number, tag] of TAGS.entries()) {
      await push(
        upstream.host,
        'many',
        [tag],
        image(`many ${number % 4}`, { annotations: { 'com.example.tag': tag } }),
      );
    }
  });
  afterEach(async () => {
    await houba?.dispose();
    await registry?.stop();
    houba = null;
    registry = null;
  });
  afterAll(async () => {
    await upstream?.stop();
  });

  const policy = () => ({
    name: 'many',
    from: `${upstream.host}/many`,
    import: { tags: { aliases: ['latest'] } },
    to: ['main:demo/many'],
  });
  const registriesOf = (main: RunningRegistry) => ({
    up: { host: upstream.host, tls_verify: false },
    main: { host: main.host, tls_verify: false },
  });

  it('the command with all it runs, several times: the same command goes on with it', async () => {
    registry = await startOlareg();
    houba = await createHoubaWithInstantSyft(registriesOf(registry));
    const dir = houba.policies(policy());
    const watcher = startTagWatcher(registry.host, 'demo/many');
    for (const { seen, server } of [
      { seen: 2, server: false },
      { seen: 10, server: true },
    ]) {
      const killed = houba.start('reconcile', dir, '--output', 'json', '-j', '8');
      await until(() => watcher.tags().length >= seen, `${seen} tags`);
      killed.process.kill('SIGKILL');
      if (server) process.kill(serverOf(houba), 'SIGKILL');
      await killed.ended;
    }
    const { code, report, stderr } = await houba.reconcile(dir, '-j', '8');
    expect(stderr).toContain('joining reconcile-fleet-');
    expect(code).toBe(0);
    expect(report.totals).toMatchObject({ imported: TAGS.length, aliased: 1, failed: 0 });
    expect(await watcher.stop()).toEqual({ seen: [...TAGS, 'latest'].sort(), bare: [] });
    expect(orphansOf(await readOlaregStore(registry, 'demo/many'))).toEqual([]);
    expect(processesOf(houba.folder)).toEqual([]);
    expect(leftIn(houba.workDir)).toEqual([]);
  });

  it('the worker of a Temporal elsewhere: the client hears nothing of it', async () => {
    registry = await startDistribution();
    houba = await createHoubaWithInstantSyft(registriesOf(registry));
    const dir = houba.policies(policy());
    const temporal = await startTemporal();
    houba.env.TEMPORAL_ADDRESS = temporal.address;
    const watcher = startTagWatcher(registry.host, 'demo/many');
    let worker = houba.start('worker');
    const client = houba.start('reconcile', dir, '--output', 'json', '-j', '8');
    for (const { seen, signal, code } of [
      { seen: 6, signal: 'SIGKILL', code: null },
      { seen: 12, signal: 'SIGTERM', code: 0 },
    ] as const) {
      await until(() => watcher.tags().length >= seen, `${seen} tags`);
      worker.process.kill(signal);
      expect((await worker.ended).code).toBe(code);
      worker = houba.start('worker');
    }
    const { code, stdout } = await client.ended;
    expect(code).toBe(0);
    expect(JSON.parse(stdout).totals).toMatchObject({ imported: TAGS.length, aliased: 1, failed: 0 });
    expect(await watcher.stop()).toEqual({ seen: [...TAGS, 'latest'].sort(), bare: [] });
    expect(orphansOf(await readDistributionStore(registry, 'demo/many'))).toEqual([]);
    worker.process.kill('SIGTERM');
    expect((await worker.ended).code).toBe(0);
    await temporal.stop();
    expect(processesOf(houba.folder)).toEqual([]);
    expect(leftIn(houba.workDir)).toEqual([]);
  });
});

/** The process of the embedded Temporal. */
function serverOf({ home }: Houba): number {
  return JSON.parse(readFileSync(join(home, 'stack.json'), 'utf8')).server.pid;
}
