import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { readStack, type StackRecord, stackFiles } from '../../client/stack/stack-files.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import { createHoubaWithInstantSyft, type Houba, leftIn, processesOf, until } from '../support/stack.js';
import { image, push } from '../support/upstream-images.js';

let upstream: RunningRegistry;
let registry: RunningRegistry;
let houba: Houba;
let dir: string;
beforeAll(async () => {
  upstream = await startOlareg({ inMemory: true });
  registry = await startOlareg({ inMemory: true });
  houba = await createHoubaWithInstantSyft({
    up: { host: upstream.host, tls_verify: false },
    main: { host: registry.host, tls_verify: false },
  });
  for (let minor = 0; minor < 30; minor++) {
    await push(upstream.host, 'library/box', [`1.${minor}.0`], image(`box ${minor}`));
  }
  dir = houba.policies({ name: 'box', from: `${upstream.host}/library/box`, to: ['main:demo/box'] });
});
afterAll(async () => {
  await houba?.dispose();
  await registry?.stop();
  await upstream?.stop();
});
afterEach(async () => {
  await houba.run('down');
  await until(() => processesOf(houba.folder).length === 0, 'the end of every process');
});

/** The record of the stack, once it serves. */
async function readyStack(): Promise<StackRecord> {
  await until(() => readStack(houba.home)?.ready === true, 'a stack that serves');
  return readStack(houba.home) as StackRecord;
}

describe('houba up', () => {
  it('stays up after its command, is joined by the others, and ends with down', async () => {
    const up = await houba.run('up', '--output', 'json');
    expect(up.code, up.stderr).toBe(0);
    const { address, ui, pid } = JSON.parse(up.stdout) as Record<string, string>;
    expect(ui).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect((await fetch(`${ui}/api/v1/settings`)).status).toBe(200);

    const again = await houba.run('up', '--output', 'json');
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ address, pid });

    const plan = await houba.run('plan', dir);
    expect(plan.code, plan.stderr).toBe(0);
    expect(plan.stderr).not.toContain('starting an embedded');
    expect(readStack(houba.home)?.owner.pid).toBe(pid);

    expect((await houba.run('down')).code).toBe(0);
    expect(processesOf(houba.folder)).toEqual([]);
    expect(leftIn(houba.home)).not.toContain('stack.json');
    expect((await houba.run('down')).stderr).toContain('nothing is up');
  });

  it('with another port or other settings than the stack that is up is an error', async () => {
    await houba.run('up');
    expect((await houba.run('up', '--ui-port', '9')).code).toBe(3);
    houba.env.HOUBA_MAX_CONCURRENCY = '7';
    const differs = await houba.run('up');
    delete houba.env.HOUBA_MAX_CONCURRENCY;
    expect(differs.code).toBe(3);
    expect(differs.stderr).toContain('HOUBA_MAX_CONCURRENCY is 4 there and 7 here');
  });

  it('tells why it could not start', async () => {
    const port = registry.host.split(':')[1] ?? '';
    const up = await houba.run('up', '--temporal-port', port);
    expect(up.code).toBe(3);
    expect(up.stderr).toMatch(new RegExp(`port ${port} .*\\n.*--temporal-port`));
  });

  it('after the whole stack was killed starts a new one on the same histories', async () => {
    await houba.run('up');
    const plan = await houba.run('plan', dir);
    const id = /started (\S+)/.exec(plan.stderr)?.[1] ?? '';
    const { owner, server } = await readyStack();
    process.kill(owner.pid, 'SIGKILL');
    process.kill(server.pid, 'SIGKILL');
    const up = await houba.run('up');
    expect(up.code, up.stderr).toBe(0);
    expect((await houba.run('status', id)).stdout).toContain('completed');
  });

  it('keeps histories for 30 days', async () => {
    await houba.run('up');
    const { address } = await readyStack();
    const { Connection } = await import('@temporalio/client');
    const connection = await Connection.connect({ address });
    const { config } = await connection.workflowService.describeNamespace({ namespace: 'default' });
    await connection.close();
    expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(30 * 86_400);
  });
});

describe('two commands at once, with no stack up', () => {
  it('share one, which ends with the last of them', async () => {
    const first = houba.start('plan', dir);
    const second = houba.start('plan', dir);
    const ended = await Promise.all([first.ended, second.ended]);
    for (const { code, stderr } of ended) expect(code, stderr).toBe(0);
    expect(ended.filter(({ stderr }) => stderr.includes('starting an embedded'))).toHaveLength(1);
    expect(processesOf(houba.folder)).toEqual([]);
  });
});

describe('an interrupt', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    '%s cancels the run of a stack of our own, and leaves nothing',
    async (signal) => {
      houba.loseHome();
      const command = houba.start('reconcile', dir, '-j', '1');
      await until(() => command.stderr().includes('"operation"'), 'a placement');
      command.process.kill(signal);
      const { code, stderr } = await command.ended;
      expect(code).toBe(130);
      expect(stderr).toContain('cancelling reconcile-fleet-');
      expect(processesOf(houba.folder)).toEqual([]);
      expect(leftIn(houba.home)).not.toContain('stack.json');
    },
  );

  it('only leaves the run of a joined stack, and says how to come back', async () => {
    await houba.run('up');
    const command = houba.start('reconcile', dir, '--recheck');
    await until(() => command.stderr().includes('started '));
    command.process.kill('SIGINT');
    const { code, stderr } = await command.ended;
    expect(code).toBe(130);
    const id = /`houba status (\S+)`/.exec(stderr)?.[1] ?? '';
    expect((await houba.run('status', id)).stdout).toMatch(/running|completed/);
    expect((await houba.run('cancel', id)).code).toBe(0);
    await until(async () => !(await houba.run('status', id)).stdout.includes('running'), 'the end of the run');
  });

  it('twice ends at once, and takes the server along', async () => {
    const command = houba.start('up', '--foreground');
    await readyStack();
    command.process.kill('SIGINT');
    command.process.kill('SIGINT');
    await command.ended;
    await until(() => processesOf(houba.folder).length === 0, 'the end of the server');
    expect(leftIn(houba.home)).not.toContain('stack.json');
  });
});

describe('houba worker', () => {
  it('serves a Temporal of the environment, and ends cleanly when told to', async () => {
    // A server without a worker: the one of a stack whose process was killed.
    await houba.run('up');
    const { address, owner, server } = await readyStack();
    process.kill(owner.pid, 'SIGKILL');
    const other = await createHoubaWithInstantSyft(
      {},
      { TEMPORAL_ADDRESS: address, HOUBA_REGISTRIES: houba.env.HOUBA_REGISTRIES ?? '' },
    );
    const worker = other.start('worker');
    await until(() => worker.stderr().includes('worker.started'), 'a worker');
    const plan = await other.run('plan', dir);
    expect(plan.code, plan.stderr).toBe(0);
    worker.process.kill('SIGTERM');
    expect((await worker.ended).code).toBe(0);
    await other.dispose();
    expect(readFileSync(stackFiles(houba.home).record, 'utf8')).toContain(String(server.pid));
  });
});
