import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type BuildGate, startBuildGate } from '../support/rebuild-gate.js';
import { startSignedTagWatcher } from '../support/rebuild-watcher.js';
import { ARM64, createRebuildWorld, debianBase, type RebuildWorld } from '../support/rebuild-world.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import { createHoubaWithInstantSyft, leftIn, processesOf, type Started, until } from '../support/stack.js';
import { orphansOf, readDistributionStore, readOlaregStore } from '../support/storage.js';
import { startTemporal } from '../support/temporal.js';
import { index, push } from '../support/upstream-images.js';

const tagsOf = (versions: readonly string[]) =>
  versions.flatMap((version) => [`${version}-ca`, `${version}-eu`]).sort();

describe('rebuilds are killed', () => {
  let world: RebuildWorld;
  let gate: BuildGate;
  let dir = '';

  async function open(start: () => Promise<RunningRegistry>, versions: readonly string[]): Promise<void> {
    world = await createRebuildWorld(start, {}, createHoubaWithInstantSyft);
    gate = await startBuildGate(world.daemon.address);
    world.houba.env.BUILDKIT_HOST = gate.address;
    for (const version of versions) {
      const both = [await debianBase(`v${version}`), await debianBase(`v${version}`, ARM64)];
      await push(world.upstream.host, 'lib/tool', [version], index(both));
    }
    dir = world.houba.policies({
      name: 'tool',
      from: `${world.upstream.host}/lib/tool`,
      to: ['main:demo/tool'],
      import: {
        platforms: ['linux/amd64', 'linux/arm64'],
        variants: [
          { name: 'ca', suffix: '-ca', transform: [{ injectCA: { certs: ['corp'] } }] },
          { name: 'eu', suffix: '-eu', transform: [{ setTimezone: { zone: 'Europe/Rome' } }] },
        ],
      },
    });
  }
  afterEach(async () => {
    await gate?.stop();
    await world?.stop();
  });

  const running = (program: string) =>
    processesOf(world.houba.folder).filter((pid) => commandOf(pid).includes(`/${program}`));

  async function killInABuild({ process }: Started): Promise<void> {
    gate.holdAfter(4096);
    await until(() => gate.holds() && running('buildctl').length > 0, 'a build');
    process.kill('SIGKILL');
  }

  async function nothingIsLeft(read: typeof readOlaregStore): Promise<void> {
    expect(orphansOf(await read(world.registry, 'demo/tool'))).toEqual([]);
    expect(processesOf(world.houba.folder).map(commandOf)).toEqual([]);
    expect(leftIn(world.houba.workDir)).toEqual([]);
  }

  it('the command with all it runs, in a build and in a signature: the same command goes on with it', async () => {
    const versions = ['1.0.0', '1.1.0', '1.2.0'];
    const tags = tagsOf(versions);
    await open(startOlareg, versions);
    const watcher = startSignedTagWatcher(world.registry.host, 'demo/tool');
    const { houba } = world;
    const first = houba.start('reconcile', dir, '--output', 'json');
    await killInABuild(first);
    await first.ended;
    gate.release();

    const second = houba.start('reconcile', dir, '--output', 'json');
    await until(() => running('cosign').length > 0, 'a signature');
    second.process.kill('SIGKILL');
    await second.ended;

    const third = houba.start('reconcile', dir, '--output', 'json');
    await until(() => watcher.tags().length > 0, 'a tag');
    await killInABuild(third);
    await third.ended;
    process.kill(JSON.parse(readFileSync(join(houba.home, 'stack.json'), 'utf8')).server.pid, 'SIGKILL');
    gate.release();

    const report = await world.reconcile(dir);
    expect(report.totals).toMatchObject({ imported: tags.length, failed: 0 });
    expect(await watcher.stop()).toEqual({ seen: tags, bare: [] });
    await nothingIsLeft(readOlaregStore);
    expect((await world.reconcile(dir, '--recheck')).totals).toMatchObject({ skipped: tags.length, attested: 0 });
    expect(world.proxy.writes()).toEqual([]);
  });

  it('the worker of a Temporal elsewhere: the client hears nothing of it', async () => {
    const versions = ['1.0.0', '1.1.0'];
    const tags = tagsOf(versions);
    await open(startDistribution, versions);
    const watcher = startSignedTagWatcher(world.registry.host, 'demo/tool');
    const { houba } = world;
    const temporal = await startTemporal();
    houba.env.TEMPORAL_ADDRESS = temporal.address;
    let worker = houba.start('worker');
    const client = houba.start('reconcile', dir, '--output', 'json');
    await killInABuild(worker);
    await worker.ended;
    gate.release();
    worker = houba.start('worker');
    const { code, stdout, stderr } = await client.ended;
    expect(code, stderr).toBe(0);
    expect(JSON.parse(stdout).totals).toMatchObject({ imported: tags.length, failed: 0 });
    expect(await watcher.stop()).toEqual({ seen: tags, bare: [] });
    worker.process.kill('SIGTERM');
    expect((await worker.ended).code).toBe(0);
    await temporal.stop();
    await nothingIsLeft(readDistributionStore);
  });
});

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
  } catch {
    return '';
  }
}
