import { afterEach, describe, expect, it } from 'vitest';
import { type CountingProxy, startCountingProxy } from '../support/counting-proxy.js';
import { createPlayingOracle, UNSEEN } from '../support/playing-oracle.js';
import { type RunningRegistry, startDistribution, startOlareg } from '../support/registries.js';
import {
  createHoubaWithInstantSyft,
  type Houba,
  leftIn,
  processesOf,
  type RegctlReader,
  regctlReader,
  type Started,
  until,
} from '../support/stack.js';
import { orphansOf, readDistributionStore, readOlaregStore } from '../support/storage.js';
import { startTemporal } from '../support/temporal.js';
import { alike, index, push } from '../support/upstream-images.js';

/** Two of them go. Each deletes a score of manifests, what the tags share among them. */
const TAGS = ['1.0.0', '1.1.0', '2.0.0', '2.1.0'];
const LEFT = ['2.0.0', '2.1.0', '9.9.9'];

/** Where the process that deletes is killed: after this many different deletions have been asked for. */
const KILLS = [2, 3];

const OLAREG = { start: startOlareg, read: readOlaregStore };
/** Has no referrers API. */
const DISTRIBUTION = { start: startDistribution, read: readDistributionStore };

describe('a deletion is killed in the middle', () => {
  let kind: typeof OLAREG;
  let upstream: RunningRegistry;
  let registry: RunningRegistry;
  let proxy: CountingProxy;
  let houba: Houba;
  let regctl: RegctlReader;
  let temporal: Awaited<ReturnType<typeof startTemporal>> | null = null;

  /** Starts registries and houba's stack, and imports the tags. */
  async function open(chosen: typeof OLAREG): Promise<void> {
    kind = chosen;
    upstream = await startOlareg({ inMemory: true });
    registry = await kind.start();
    proxy = await startCountingProxy(registry.host);
    houba = await createHoubaWithInstantSyft(
      { up: { host: upstream.host, tls_verify: false }, main: { host: proxy.host, tls_verify: false } },
      { HOUBA_MAX_DELETION_SHARE: '1', HOUBA_PURGE_MIN_IDLE: '1s' },
    );
    const oracle = createPlayingOracle(houba.folder);
    oracle.says(UNSEEN);
    houba.env.HOUBA_USAGE_ORACLE_CMD = oracle.command;
    regctl = regctlReader(houba.folder, [registry.host, upstream.host]);
    const shared = alike('killed shared', { platform: { os: 'linux', architecture: 'arm64' } });
    for (const tag of TAGS) {
      // One platform is shared by all, one by those that go.
      const major = alike(`killed ${tag[0]}`, { platform: { os: 'linux', architecture: 's390x' } });
      await push(upstream.host, 'killed', [tag], index([alike(`killed ${tag}`), major, shared]));
    }
    await houba.up();
    const { report } = await houba.reconcile(policy('mark', '.'));
    expect(report.totals).toMatchObject({ imported: 4, failed: 0 });
    await push(registry.host, 'demo/killed', ['9.9.9'], alike('theirs'));
  }
  afterEach(async () => {
    if (proxy !== undefined) proxy.intercept = null;
    await houba?.dispose();
    await temporal?.stop();
    temporal = null;
    await proxy?.stop();
    await registry?.stop();
    await upstream?.stop();
  });

  function policy(deletionMode: 'mark' | 'purge', includeRegex: string): string {
    return houba.policies({
      ...{ name: 'killed', from: `${upstream.host}/killed`, to: ['main:demo/killed'], deletionMode },
      import: { tags: { includeRegex } },
    });
  }

  /** Marks what else there is, ends the stack, and lets the idle window pass. */
  async function mark(includeRegex: string): Promise<void> {
    await houba.reconcile(policy('mark', includeRegex));
    const marked = Date.now();
    await houba.down();
    await until(() => Date.now() > marked + 1_000, 'the end of the idle window');
  }

  /**
   * Lets deletions pass until there were so many different ones; then this one is killed, and the last deletion does not reach the
   * registry any more, or its answer nobody.
   */
  function killAfter(deletions: number, killed: Started): Promise<void> {
    return new Promise((resolve, reject) => {
      killed.ended.then(({ stderr }) =>
        reject(new Error(`it ended before ${deletions} deletions: ${stderr.slice(-2000)}`)),
      );
      const asked = new Set<string>();
      proxy.intercept = ({ method, path }) => {
        if (method !== 'DELETE') return null;
        asked.add(path);
        if (asked.size < deletions) return null;
        proxy.intercept = null;
        killed.process.kill('SIGKILL');
        resolve();
        return deletions % 2 === 0 ? null : { status: 503 };
      };
    });
  }

  async function expectDone(): Promise<void> {
    expect(await regctl.tags(`${registry.host}/demo/killed`).then(withoutEvidence)).toEqual(LEFT);
    const store = await kind.read(registry, 'demo/killed');
    expect(orphansOf(store)).toEqual([]);
    for (const tag of LEFT) {
      await regctl('image', 'copy', `${registry.host}/demo/killed:${tag}`, `ocidir://${houba.folder}/pulled:${tag}`);
    }
    for (const tag of ['2.0.0', '2.1.0']) {
      for (const of of [tag, `${tag} --platform linux/arm64`, `${tag} --platform linux/s390x`]) {
        const [name = '', ...platform] = of.split(' ');
        const digest = await regctl('image', 'digest', `${registry.host}/demo/killed:${name}`, ...platform);
        const types = (await regctl.artifacts(`${registry.host}/demo/killed@${digest}`)).map((one) => one.artifactType);
        expect([of, types]).toEqual([of, expect.arrayContaining(['application/spdx+json'])]);
      }
    }
    const { code, report } = await houba.reconcile(policy('mark', '^2'), '--recheck');
    expect([code, report.totals]).toMatchObject([0, { skipped: 2, imported: 0, deleted: 0, sbom: 0, failed: 0 }]);
  }

  it('of a run: the same command goes on with it', async () => {
    await open(OLAREG);
    const dir = policy('purge', '^2');
    await houba.down();
    for (const deletions of KILLS) {
      const killed = houba.start('reconcile', dir, '--output', 'json');
      await killAfter(deletions, killed);
      expect((await killed.ended).signal).toBe('SIGKILL');
    }
    const { code, report, stderr } = await houba.reconcile(dir);
    expect(stderr).toContain('joining reconcile-fleet-');
    expect([code, report.totals]).toMatchObject([0, { deleted: 2, failed: 0 }]);
    await expectDone();
    expect([processesOf(houba.folder), leftIn(houba.workDir)]).toEqual([[], []]);
  });

  it('of a retirement: the same command goes on with it', async () => {
    await open(OLAREG);
    await mark('^2');
    const args = ['purge', '--apply', '--output', 'json', '--repository', `${proxy.host}/demo/killed`];
    for (const deletions of KILLS) {
      const killed = houba.start(...args);
      await killAfter(deletions, killed);
      expect((await killed.ended).signal).toBe('SIGKILL');
    }
    const { code, stdout, stderr } = await houba.run(...args);
    expect([code, stderr]).toMatchObject([0, expect.stringContaining('following purge')]);
    const { outcomes } = JSON.parse(stdout);
    expect(outcomes).toMatchObject([
      { image_ref: `${proxy.host}/demo/killed:1.0.0`, decision: 'purge', applied: true, error: null },
      { image_ref: `${proxy.host}/demo/killed:1.1.0`, decision: 'purge', applied: true, error: null },
    ]);
    await expectDone();
    expect([processesOf(houba.folder), leftIn(houba.workDir)]).toEqual([[], []]);
  });

  it('by the worker of a Temporal elsewhere: the clients hear nothing of it', async () => {
    await open(DISTRIBUTION);
    await mark('^2[.]|^1[.]1');
    temporal = await startTemporal();
    houba.env.TEMPORAL_ADDRESS = temporal.address;
    let worker = houba.start('worker');
    const through = async (...args: readonly string[]) => {
      const client = houba.start(...args);
      for (const deletions of KILLS) {
        await killAfter(deletions, worker);
        await worker.ended;
        worker = houba.start('worker');
      }
      const { code, stdout } = await client.ended;
      expect(code).toBe(0);
      return JSON.parse(stdout);
    };
    const purged = await through('purge', '--apply', '--output', 'json', '--repository', `${proxy.host}/demo/killed`);
    expect(purged.outcomes).toMatchObject([
      { image_ref: `${proxy.host}/demo/killed:1.0.0`, decision: 'purge', error: null, applied: true },
    ]);
    const run = await through('reconcile', policy('purge', '^2'), '--output', 'json');
    expect(run.totals).toMatchObject({ deleted: 1, failed: 0 });
    await expectDone();
    worker.process.kill('SIGTERM');
    expect((await worker.ended).code).toBe(0);
    expect(leftIn(houba.workDir)).toEqual([]);
  });
});

function withoutEvidence(tags: readonly string[]): string[] {
  return tags.filter((tag) => !tag.startsWith('sha256-')).sort();
}
