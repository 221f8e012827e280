import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import { createHoubaWithInstantSyft, type Houba, leftIn, processesOf, until } from '../support/stack.js';
import { orphansOf, readOlaregStore } from '../support/storage.js';
import { startTagWatcher } from '../support/tag-watcher.js';
import { image, push } from '../support/upstream-images.js';

const TAGS = Array.from({ length: 16 }, (_, number) => `1.0.${number}`);

describe('an import is interrupted', () => {
  let upstream: RunningRegistry;
  let registry: RunningRegistry;
  let houba: Houba;
  let dir: string;

  beforeAll(async () => {
    upstream = await startOlareg({ inMemory: true });
    for (const [number, tag] of TAGS.entries()) {
      await push(
        upstream.host,
        'many',
        [tag],
        image(`many ${number % 4}`, { annotations: { 'com.example.tag': tag } }),
      );
    }
  });
  afterAll(() => upstream?.stop());
  beforeEach(async () => {
    registry = await startOlareg();
    houba = await createHoubaWithInstantSyft({
      up: { host: upstream.host, tls_verify: false },
      main: { host: registry.host, tls_verify: false },
    });
    dir = houba.policies({ name: 'many', from: `${upstream.host}/many`, to: ['main:demo/many'] });
  });
  afterEach(async () => {
    await houba?.dispose();
    await registry?.stop();
  });

  it.each([
    { signal: 'SIGINT', seen: 1 },
    { signal: 'SIGTERM', seen: 5 },
  ] as const)('by $signal: it ends cleanly, and running again completes it', async ({ signal, seen }) => {
    const watcher = startTagWatcher(registry.host, 'demo/many');
    const started = houba.start('reconcile', dir, '--output', 'json', '-j', '4');
    await until(() => watcher.tags().length >= seen, `${seen} tags`);
    const at = Date.now();
    started.process.kill(signal);
    const ended = await started.ended;
    const took = Date.now() - at;
    expect(ended.code).toBe(130);
    expect(ended.stdout).toBe('');
    expect(ended.stderr).toContain('cancelling reconcile-fleet-');
    expect(took).toBeLessThan(30_000);
    expect(watcher.tags().length).toBeLessThan(TAGS.length);
    expect(processesOf(houba.folder)).toEqual([]);
    expect(leftIn(houba.workDir)).toEqual([]);
    // Originals may be there already: the next run uses them. What houba had stamped is taken back.
    const { tags, manifests } = await readOlaregStore(registry, 'demo/many');
    const shown = new Set(tags.values());
    for (const [digest, { annotations }] of manifests) {
      if (annotations?.['io.houba.policy'] !== undefined) expect(shown).toContain(digest);
    }

    const again = await houba.reconcile(dir);
    expect(again.code).toBe(0);
    expect(again.report.totals.imported + again.report.totals.skipped).toBe(TAGS.length);
    expect(again.report.totals.imported).toBeGreaterThan(0);
    expect(await watcher.stop()).toEqual({ seen: [...TAGS].sort(), bare: [] });
    expect(orphansOf(await readOlaregStore(registry, 'demo/many'))).toEqual([]);
  });

  it('by two signals: it ends at once, leaves no process, and the next command goes on with it', async () => {
    const watcher = startTagWatcher(registry.host, 'demo/many');
    const started = houba.start('reconcile', dir, '--output', 'json', '-j', '4');
    await until(() => watcher.tags().length >= 2, 'two tags');
    started.process.kill('SIGINT');
    await until(() => started.stderr().includes('cancelling'), 'the first to be noticed');
    started.process.kill('SIGINT');
    expect((await started.ended).code).toBe(130);
    await until(() => processesOf(houba.folder).length === 0, 'the processes to be gone', 10_000);
    const again = await houba.reconcile(dir);
    expect(again.code).toBe(0);
    const final = again.report.totals.skipped === TAGS.length ? again : await houba.reconcile(dir);
    expect(final.code).toBe(0);
    expect(await watcher.stop()).toEqual({ seen: [...TAGS].sort(), bare: [] });
    expect(orphansOf(await readOlaregStore(registry, 'demo/many'))).toEqual([]);
  });
});
