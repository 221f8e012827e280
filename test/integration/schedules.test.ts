import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, inject, it, vi } from 'vitest';
import { runCommandLine } from '../../client/cli/program.js';
import {
  applySchedule,
  deleteSchedule,
  listSchedules,
  pauseSchedule,
  resumeSchedule,
  type ScheduleStatus,
  triggerSchedule,
} from '../../client/schedules.js';
import { fleetInput, HoubaClient } from '../../client/sdk.js';
import { joinOrStart, type Stack, type StackOptions, startLastingStack } from '../../client/stack/embedded.js';
import { programPath } from '../../config/programs.js';
import { loadSettings } from '../../config/settings.js';
import { HoubaError } from '../../domain/errors.js';
import { checkSettings, type Schedule, scheduleNamed, settingsOf } from '../../domain/schedule/schedules.js';
import { createGate, HAPPY } from '../support/fake-steps.js';
import { type RunningRegistry, startOlareg } from '../support/registries.js';
import { policyText, until } from '../support/stack.js';
import { image, push } from '../support/upstream-images.js';
import { openStage, type Stage } from '../support/workflow-env.js';

const run = promisify(execFile);
const reconcile = scheduleNamed('reconcile');

function settingsWith(written: Readonly<Record<string, unknown>>) {
  const checked = checkSettings(written);
  if ('settings' in checked) return settingsOf(reconcile, checked.settings);
  throw new Error(JSON.stringify(checked.issues));
}

// The time-skipping server has no schedules: this is the real one, with played steps.
describe('a schedule at a Temporal', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage(inject('workflowBundle'), 'local');
  });
  afterAll(() => stage?.close());
  beforeEach(() => stage.play());
  afterEach(async () => {
    await deleteSchedule(stage.client.schedule, reconcile);
    // The id of a run has whole seconds: a trigger in the very second of the test before would start none.
    const second = Math.floor(Date.now() / 1_000);
    await until(() => Math.floor(Date.now() / 1_000) > second);
  });

  const apply = (written: Readonly<Record<string, unknown>> = {}, dryRun = false) =>
    applySchedule(stage.client.schedule, reconcile, settingsWith(written), { dryRun });

  async function status(schedule: Schedule = reconcile): Promise<ScheduleStatus> {
    const listed = await listSchedules(stage.client.schedule);
    const found = listed.find((one) => one.schedule === schedule)?.status;
    if (found == null) throw new Error(`${schedule.id} is not there`);
    return found;
  }

  it('is created once with the documented settings, however often it is applied', async () => {
    expect(await apply()).toMatchObject({ change: 'created', paused: false, note: null, differences: [] });
    expect(await apply()).toMatchObject({ change: 'unchanged', differences: [] });
    const { spec, policies, action } = await stage.client.schedule.getHandle('houba-reconcile').describe();
    expect(spec).toMatchObject({ intervals: [{ every: 3_600_000 }], calendars: [], jitter: 300_000 });
    expect(policies).toEqual({ overlap: 'SKIP', catchupWindow: 3_600_000, pauseOnFailure: false });
    expect(action).toMatchObject({
      workflowType: 'reconcileFleet',
      workflowId: 'reconcile-fleet',
      taskQueue: 'houba-flow',
      args: [fleetInput(null)],
      workflowRunTimeout: 24 * 3_600_000,
      staticSummary: 'reconcile POLICY_DIR',
    });
    await until(async () => (await idsOf(stage)).length > 0);
    expect(await idsOf(stage)).toEqual(['houba-reconcile']);
  });

  it('is not created by a dry run, nor changed by one', async () => {
    expect(await apply({}, true)).toMatchObject({ change: 'created' });
    expect((await listSchedules(stage.client.schedule))[0]?.status).toBeNull();
    await apply();
    const dry = await apply({ every: '2h' }, true);
    expect(dry).toMatchObject({ change: 'updated', differences: [{ fact: 'when', from: 'every 1h', to: 'every 2h' }] });
    expect(await apply()).toMatchObject({ change: 'unchanged' });
  });

  it('is updated where its settings have changed, and says in which', async () => {
    await apply();
    const updated = await apply({ cron: '30 4 * * *', timezone: 'Europe/Rome', jitter: 0, pauseOnFailure: true });
    expect(updated.change).toBe('updated');
    expect(updated.differences).toEqual([
      { fact: 'when', from: 'every 1h', to: '30 4 * * * Europe/Rome' },
      { fact: 'jitter', from: '5m', to: '0' },
      { fact: 'pauseOnFailure', from: false, to: true },
    ]);
    const { facts, nextAt } = await status();
    expect(facts).toMatchObject({ when: '30 4 * * * Europe/Rome', jitter: '0', pauseOnFailure: true });
    expect(clockIn('Europe/Rome', nextAt)).toBe('04:30');
    expect((await apply()).differences.map(({ fact }) => fact)).toEqual(['when', 'jitter', 'pauseOnFailure']);
    expect(await status()).toMatchObject({ facts: { when: 'every 1h', jitter: '5m', pauseOnFailure: false } });
  });

  it.each([
    '0 * * * *',
    '*/15 * * * *',
    '7/20 1-23/5 * * *',
    '0 6-20 * * mon-fri',
    '0 0 1-7 * Mon',
    '0 0 * * 7',
    '0 0 * * 5-7',
    '0 0 * * 1/2',
    '0 0 1,15 jan,jul *',
    '@hourly',
    '@daily',
    '@weekly',
    '@monthly',
  ])('with the cron %j is read back as what was written', async (cron) => {
    await apply({ cron });
    expect(await apply({ cron })).toMatchObject({ change: 'unchanged' });
  });

  it('that somebody else has changed is put right', async () => {
    await apply();
    const handle = stage.client.schedule.getHandle('houba-reconcile');
    await handle.update((before) => ({
      ...before,
      spec: { intervals: [{ every: '1h', offset: '5m' }], jitter: '5m' },
      policies: { ...before.policies, overlap: 'BUFFER_ONE', catchupWindow: '1 day' },
      action: { ...before.action, args: [fleetInput(null, { recheck: true })] },
    }));
    const { differences } = await apply();
    expect(differences.map(({ fact }) => fact)).toEqual(['when', 'catchUp', 'overlap', 'starts']);
    expect(differences[0]?.from).toBe('at times that were set without houba');
    expect(await apply()).toMatchObject({ change: 'unchanged' });

    await handle.update((before) => ({ ...before, spec: { calendars: [{ second: 30 }], jitter: '5m' } }));
    expect((await apply()).differences).toMatchObject([{ fact: 'when', to: 'every 1h' }]);
  });

  it('that is paused by a human stays so, with its note, whatever is applied', async () => {
    await apply();
    expect(await pauseSchedule(stage.client.schedule, reconcile, 'registry moves')).toMatchObject({ paused: true });
    const paused = { paused: true, note: 'registry moves' };
    expect(await apply()).toMatchObject({ change: 'unchanged', ...paused });
    expect(await apply({ every: '30m' })).toMatchObject({ change: 'updated', ...paused });
    expect(await status()).toMatchObject({ ...paused, nextAt: null, facts: { when: 'every 30m' } });

    const resumed = { paused: false, note: 'it has moved' };
    expect(await resumeSchedule(stage.client.schedule, reconcile, 'it has moved')).toEqual({
      ...resumed,
      changed: true,
    });
    expect(await resumeSchedule(stage.client.schedule, reconcile, 'again')).toEqual({ ...resumed, changed: false });
    expect(await status()).toMatchObject({ ...resumed, nextAt: expect.any(Date) });
  });

  it('runs at its time, with what the worker reads', async () => {
    await apply({ every: '1s', jitter: 0 });
    await until(() => stage.inputs('openFleet').length > 0);
    expect(stage.inputs('openFleet')[0]).toEqual(fleetInput(null));
    expect((await status()).last?.workflowId).toMatch(/^reconcile-fleet-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  });

  it('is triggered once at a time, also when it is paused, and a client that asks for the same joins in', async () => {
    const gate = createGate();
    stage.play({ openFleet: async (input, context) => gate.hold(await HAPPY.openFleet(input, context)) });
    await apply();
    await pauseSchedule(stage.client.schedule, reconcile, 'by hand only');
    const { started, workflowId } = await triggerSchedule(stage.client.schedule, reconcile);
    expect(started).toBe(true);
    await gate.reached;
    expect(await triggerSchedule(stage.client.schedule, reconcile)).toEqual({ started: false, workflowId });
    expect(await status()).toMatchObject({ running: [workflowId], last: { workflowId }, started: 1, paused: true });

    const houba = new HoubaClient(stage.client);
    await until(async () => (await houba.recentRuns(1))[0]?.workflowId === workflowId);
    const joined = await houba.startReconcile(fleetInput(null));
    expect(joined).toMatchObject({ workflowId, joined: true });
    gate.open();
    expect((await houba.await(joined)).status).toBe('ok');
  });

  it('skips the times at which its run goes on', async () => {
    const gate = createGate();
    stage.play({ openFleet: async (input, context) => gate.hold(await HAPPY.openFleet(input, context)) });
    await apply({ every: '1s', jitter: 0 });
    await gate.reached;
    await until(async () => (await status()).skipped > 0);
    expect((await status()).running).toHaveLength(1);
    expect(stage.inputs('openFleet')).toHaveLength(1);
    gate.open();
  });

  it('pauses itself when a run fails, if it is told to, and says why', async () => {
    stage.play({
      openFleet: async () => {
        throw new HoubaError('ConfigInvalid', 'POLICY_DIR is not set');
      },
    });
    await apply({ pauseOnFailure: true });
    await triggerSchedule(stage.client.schedule, reconcile);
    await until(async () => (await status()).paused);
    const { note } = await status();
    expect(note).toContain('paused due to workflow failure');
    expect(await apply({ every: '2h', pauseOnFailure: true })).toMatchObject({ change: 'updated', paused: true, note });
  });

  it('that is not there cannot be paused, resumed or triggered, and deleting it changes nothing', async () => {
    const refusal = { code: 'NotFound', hint: 'houba schedule apply reconcile' };
    await expect(pauseSchedule(stage.client.schedule, reconcile, 'why')).rejects.toMatchObject(refusal);
    await expect(resumeSchedule(stage.client.schedule, reconcile, 'why')).rejects.toMatchObject(refusal);
    await expect(triggerSchedule(stage.client.schedule, reconcile)).rejects.toMatchObject(refusal);
    expect(await deleteSchedule(stage.client.schedule, reconcile)).toBe(false);
    await apply();
    expect(await deleteSchedule(stage.client.schedule, reconcile)).toBe(true);
    expect(await deleteSchedule(stage.client.schedule, reconcile)).toBe(false);
    expect(await apply()).toMatchObject({ change: 'created' });
  });

  it('with a time zone that this Temporal lacks is a configuration error', async () => {
    const when = { cron: '0 3 * * *', timezone: 'Mars/Olympus' };
    const applied = applySchedule(stage.client.schedule, reconcile, { ...settingsWith({}), when });
    await expect(applied).rejects.toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringContaining('Mars/Olympus'),
    });
  });

  it('is one, although two apply it at once', async () => {
    const both = await Promise.all([apply(), apply()]);
    expect(both.map(({ change }) => change)).toContain('created');
    expect(await apply()).toMatchObject({ change: 'unchanged' });
  });
});

describe('the command line', () => {
  let folder: string;
  let stack: Stack | null = null;
  let upstream: RunningRegistry;
  let registry: RunningRegistry;
  const written = { stdout: '', stderr: '' };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'houba-schedule-'));
    upstream = await startOlareg({ inMemory: true });
    registry = await startOlareg({ inMemory: true });
    await push(upstream.host, 'library/box', ['1.0.0'], image('box 1.0.0'));
    const policies = join(folder, 'policies');
    mkdirSync(policies);
    const policy = { name: 'box', from: `${upstream.host}/library/box`, to: ['main:demo/box'] };
    writeFileSync(join(policies, 'box.yaml'), policyText(policy));
    vi.stubEnv('HOUBA_HOME', join(folder, 'home'));
    vi.stubEnv('HOUBA_WORK_DIR', join(folder, 'work'));
    vi.stubEnv('TEMPORAL_ADDRESS', undefined);
    vi.stubEnv('POLICY_DIR', policies);
    vi.stubEnv(
      'HOUBA_REGISTRIES',
      JSON.stringify({
        up: { host: upstream.host, tls_verify: false },
        main: { host: registry.host, tls_verify: false },
      }),
    );
  });
  afterAll(async () => {
    await stack?.leave();
    vi.unstubAllEnvs();
    await registry?.stop();
    await upstream?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    process.exitCode = undefined;
  });

  /** As this environment says. */
  function quietly(): StackOptions {
    return { settings: loadSettings({ ...process.env }).settings, note: () => {}, journal: 'file' };
  }

  async function houba(...words: string[]): Promise<number> {
    for (const name of ['stdout', 'stderr'] as const) {
      written[name] = '';
      vi.spyOn(process[name], 'write').mockImplementation(((text: string, done?: () => void) => {
        written[name] += text;
        done?.();
        return true;
      }) as typeof process.stdout.write);
    }
    try {
      return await runCommandLine(['schedule', ...words]);
    } finally {
      vi.restoreAllMocks();
    }
  }

  /** What the temporal program says of the schedules. */
  async function temporal(...words: string[]) {
    const address = ['--address', stack?.address ?? '', '--output', 'json'];
    return JSON.parse((await run(programPath('temporal') ?? '', ['schedule', ...words, ...address])).stdout);
  }

  async function json(...words: string[]) {
    const code = await houba(...words, '--output', 'json');
    if (code !== 0) throw new Error(`exit ${code}: ${written.stderr}`);
    return JSON.parse(written.stdout);
  }

  it('without a stack says that schedules need one', async () => {
    expect(await houba('apply')).toBe(69);
    expect(written.stderr).toMatch(/schedules run only while one is\n {2}hint: start one with `houba up`/);
    expect(await houba('list')).toBe(69);
  });

  it.each([
    [3, ['apply', 'purgee'], 'did you mean purge?'],
    [3, ['apply', '--every', '1h'], 'houba schedule apply reconcile --every 30m'],
    [3, ['apply', 'reconcile', '--every', 'often'], '--every must be a duration'],
    [3, ['apply', 'reconcile', '--catch-up', '1s'], '--catch-up must be a duration'],
    [3, ['apply', 'reconcile', '--every', '1h', '--cron', '@daily'], '--cron does not go together with every'],
    [3, ['apply', 'reconcile', '--timezone', 'UTC'], 'a time zone goes with a cron'],
    [3, ['apply', '--file', '/nowhere/schedules.yaml'], '/nowhere/schedules.yaml cannot be read (ENOENT)'],
    [3, ['pause', 'reconcile', '--reason', ' '], 'text of at most 1000 bytes'],
    [64, ['pause', 'reconcile'], '--reason'],
    [64, ['trigger'], 'schedule'],
    [64, ['apply', '--evry', '1h'], '--every'],
  ])('exits with %i for %j', async (code, words, told) => {
    expect(await houba(...words)).toBe(code);
    expect(written.stderr).toContain(told);
  });

  it('completion knows the commands, their options and the schedules', async () => {
    const told = vi.spyOn(console, 'log').mockImplementation(() => {});
    const completions = async (...words: string[]) => {
      told.mockClear();
      expect(await runCommandLine(['complete', '--', 'schedule', ...words])).toBe(0);
      return told.mock.calls.join('\n');
    };
    expect(await completions('')).toContain('trigger');
    expect(await completions('apply', '--ca')).toContain('--catch-up');
    expect(await completions('pause', '')).toContain('reconcile');
  });

  it('applies, tells, runs and removes, and the temporal program sees the same', async () => {
    stack = await startLastingStack(quietly());
    expect(await houba('list')).toBe(0);
    expect(written.stdout).toContain('houba-reconcile  not applied; `houba schedule apply reconcile` creates it\n');
    expect(await houba('apply', '--dry-run')).toBe(0);
    expect(written.stdout).toMatch(/^houba-reconcile {2}would be created: every 1h, jitter 5m, catch-up 1h$/m);

    const file = join(folder, 'schedules.yaml');
    writeFileSync(file, 'reconcile:\n  every: 2h\n  jitter: 1m\n');
    expect(await json('apply', '--file', file)).toMatchObject({
      schema_version: 1,
      dry_run: false,
      schedules: [{ name: 'reconcile', id: 'houba-reconcile', change: 'created', when: 'every 2h', catch_up: '1h' }],
    });
    expect(await json('apply', '--file', file)).toMatchObject({ schedules: [{ change: 'unchanged' }] });
    await until(async () => (await temporal('list')).length > 0);
    expect((await temporal('list')).map((one: { scheduleId: string }) => one.scheduleId)).toEqual(['houba-reconcile']);
    expect(written.stderr).toContain('schedules run while the stack is up');
    expect(written.stderr).not.toContain('warning');

    expect(await houba('pause', 'reconcile', '--reason', 'quiet days')).toBe(0);
    expect(await houba('apply', 'reconcile', '--file', file, '--every', '3h')).toBe(0);
    expect(written.stdout).toBe('houba-reconcile  updated\n  when: every 2h -> every 3h\n  stays paused: quiet days\n');
    const described = await temporal('describe', '--schedule-id', 'houba-reconcile');
    expect(described.schedule.state).toMatchObject({ paused: true, notes: 'quiet days' });
    expect(described.schedule.spec.interval).toEqual([expect.objectContaining({ interval: '10800s' })]);

    const { workflow_id: workflowId, started } = await json('trigger', 'houba-reconcile');
    expect(started).toBe(true);
    const client = await HoubaClient.connect({ address: stack?.address ?? '' });
    const report = await client.await({ workflowId, runId: '' });
    await client.close();
    expect(report).toMatchObject({ status: 'ok', totals: { imported: 1 }, policies: [{ name: 'box' }] });

    expect(await houba('list')).toBe(0);
    expect(written.stdout).toContain('houba-reconcile  paused: quiet days\n  every 3h, jitter 1m, catch-up 1h\n');
    expect(written.stdout).toMatch(/^ {2}last {2}\S+Z {2}reconcile-fleet-\S+$/m);
    expect(written.stdout).not.toMatch(/^ {2}next/m);
    expect(await houba('resume', 'reconcile')).toBe(0);
    expect(written.stdout).toBe('houba-reconcile  resumed\n');
    expect((await json('list')).schedules[0]).toMatchObject({
      applied: true,
      paused: false,
      next_at: expect.any(String),
      last: { workflow_id: workflowId },
    });
    expect(await json('delete', 'reconcile')).toMatchObject({ id: 'houba-reconcile', deleted: true });
    expect(await houba('delete', 'reconcile')).toBe(0);
    expect(written.stdout).toBe('houba-reconcile  was not there\n');
    expect((await json('list')).schedules[0]).toEqual({ name: 'reconcile', id: 'houba-reconcile', applied: false });
    expect(await houba('pause', 'reconcile', '--reason', 'none')).toBe(2);
    expect(written.stderr).toContain('hint: houba schedule apply reconcile');
  });

  it('applied twice leaves one of each, and a pause, with the documented settings', async () => {
    expect(await houba('apply')).toBe(0);
    expect(await houba('pause', 'gc', '--reason', 'the store is being moved')).toBe(0);
    const { schedules } = await json('apply');
    expect(schedules.map(({ id, change, paused }: Record<string, unknown>) => [id, change, paused])).toEqual([
      ['houba-reconcile', 'unchanged', false],
      ['houba-audit', 'unchanged', false],
      ['houba-purge', 'unchanged', false],
      ['houba-gc', 'unchanged', true],
    ]);
    const ids = async () => (await temporal('list')).map((one: { scheduleId: string }) => one.scheduleId).sort();
    await until(async () => (await ids()).length >= 4);
    expect(await ids()).toEqual(['houba-audit', 'houba-gc', 'houba-purge', 'houba-reconcile']);
    const told = await Promise.all(
      ['reconcile', 'audit', 'purge', 'gc'].map(async (name) => {
        const { schedule } = await temporal('describe', '--schedule-id', `houba-${name}`);
        const { overlapPolicy, catchupWindow, pauseOnFailure = false } = schedule.policies;
        const { paused = false, notes = '' } = schedule.state;
        return [name, schedule.spec.jitter, overlapPolicy, catchupWindow, pauseOnFailure, paused, notes];
      }),
    );
    const skip = 'SCHEDULE_OVERLAP_POLICY_SKIP';
    expect(told).toEqual([
      ['reconcile', '300s', skip, '3600s', false, false, ''],
      ['audit', '900s', skip, '21600s', false, false, ''],
      ['purge', '900s', skip, '21600s', true, false, ''],
      ['gc', '1800s', skip, '43200s', true, true, 'the store is being moved'],
    ]);
    for (const name of ['audit', 'purge', 'gc']) expect(await houba('delete', name)).toBe(0);
  });

  it('finds its schedules again when the stack is up again, and warns of one that has no policies', async () => {
    expect(await houba('apply', 'reconcile')).toBe(0);
    await stack?.leave();
    vi.stubEnv('POLICY_DIR', undefined);
    stack = await startLastingStack(quietly());
    expect(await houba('apply', 'reconcile')).toBe(0);
    expect(written.stdout).toMatch(/^houba-reconcile {2}unchanged: every 1h,/);
    expect(written.stderr).toMatch(/^warning: the stack has no POLICY_DIR, so every run of houba-reconcile fails/m);
  });

  it('does not count on the stack of another command, which ends with it', async () => {
    await stack?.leave();
    stack = await joinOrStart(quietly());
    expect(await houba('list')).toBe(69);
  });
});

async function idsOf(stage: Stage): Promise<string[]> {
  const ids: string[] = [];
  for await (const { scheduleId } of stage.client.schedule.list()) ids.push(scheduleId);
  return ids;
}

function clockIn(timeZone: string, at: Date | null): string {
  return new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' }).format(at ?? 0);
}
