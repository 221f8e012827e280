import { setTimeout as sleep } from 'node:timers/promises';
import {
  type CalendarSpecDescription,
  DAYS_OF_WEEK,
  MONTHS,
  type Range,
  ScheduleAlreadyRunning,
  type ScheduleClient,
  type ScheduleDescription,
  ScheduleNotFoundError,
  ScheduleOverlapPolicy,
  type ScheduleUpdateOptions,
} from '@temporalio/client';
import { MEMO_INPUT_DIGEST, QUEUES } from '../domain/durable/names.js';
import { formatDuration } from '../domain/duration.js';
import { HoubaError } from '../domain/errors.js';
import { type CronTimes, formatCron } from '../domain/schedule/cron.js';
import { formatWhen, SCHEDULES, type Schedule, type ScheduleSettings } from '../domain/schedule/schedules.js';
import { inputDigest } from './input-digest.js';
import { explainFailure } from './run-failure.js';
import { RUN_TIMEOUT_MS } from './start-or-join.js';
import type { InputOf, WorkflowName } from './workflow-types.js';

/** What houba decides about a schedule, as text for comparison. */
export interface ScheduleFacts {
  /** `every 1h`, or `0 3 * * 0 UTC`. */
  readonly when: string;
  readonly jitter: string;
  readonly catchUp: string;
  readonly pauseOnFailure: boolean;
  readonly overlap: string;
  /** Workflow, id, queue, timeout and input of a run. */
  readonly starts: string;
}

/** A pause by a person or after a failure, which `apply` leaves alone. */
interface Standing {
  readonly paused: boolean;
  readonly note: string | null;
}

export interface ScheduleStatus extends Standing {
  readonly facts: ScheduleFacts;
  /** null while it is paused. */
  readonly nextAt: Date | null;
  readonly last: { readonly workflowId: string; readonly at: Date } | null;
  /** Workflow ids. */
  readonly running: readonly string[];
  readonly started: number;
  /** Starts that were skipped because the run before was still going on. */
  readonly skipped: number;
  /** Starts that were missed by more than the catch-up window. */
  readonly missed: number;
}

export interface Applied extends Standing {
  readonly schedule: Schedule;
  readonly change: 'created' | 'updated' | 'unchanged';
  readonly facts: ScheduleFacts;
  /** What an update changes. */
  readonly differences: readonly {
    readonly fact: keyof ScheduleFacts;
    readonly from: string | boolean;
    readonly to: string | boolean;
  }[];
}

const TRIGGERED_WITHIN_MS = 15_000;

/**
 * Creates or updates a schedule; its pause, note and limit on runs stay. @param options `dryRun`: writes nothing
 * @throws HoubaError `ConfigInvalid` when Temporal refuses the settings; TemporalUnreachable
 */
export async function applySchedule(
  client: ScheduleClient,
  schedule: Schedule,
  settings: ScheduleSettings,
  { dryRun = false }: { readonly dryRun?: boolean } = {},
): Promise<Applied> {
  const facts = wantedFacts(schedule, settings);
  const current = await lookFor(client, schedule);
  if (current === null) {
    const made = dryRun || (await create(client, schedule, settings));
    // Another client has created it meanwhile: theirs is compared.
    if (!made) return await applySchedule(client, schedule, settings);
    return { schedule, change: 'created', facts, differences: [], paused: false, note: null };
  }
  const differences = differencesOf(currentFacts(current), facts);
  const change = differences.length === 0 ? 'unchanged' : 'updated';
  if (change === 'updated' && !dryRun) {
    const options = optionsOf(schedule, settings);
    const handle = client.getHandle(schedule.id);
    await accepted(schedule, () => handle.update(({ state }) => ({ ...options, state })));
  }
  return { schedule, change, facts, differences, ...standingOf(current) };
}

/** Lists all schedules of this version, in their order; null: not applied here. */
export async function listSchedules(
  client: ScheduleClient,
): Promise<{ readonly schedule: Schedule; readonly status: ScheduleStatus | null }[]> {
  return await Promise.all(
    SCHEDULES.map(async (schedule) => {
      const found = await lookFor(client, schedule);
      return { schedule, status: found && statusOf(found) };
    }),
  );
}

/** Pauses a schedule; a running workflow goes on. @throws HoubaError `NotFound` when it has not been applied */
export async function pauseSchedule(client: ScheduleClient, schedule: Schedule, reason: string): Promise<Standing> {
  await explained(schedule, () => client.getHandle(schedule.id).pause(reason));
  return { paused: true, note: reason };
}

/**
 * Ends a pause; starts that passed are not made up for. @returns `changed`: whether it was paused. @throws HoubaError
 * `NotFound` when the schedule has not been applied
 */
export async function resumeSchedule(
  client: ScheduleClient,
  schedule: Schedule,
  reason: string,
): Promise<Standing & { readonly changed: boolean }> {
  const before = standingOf(await describe(client, schedule));
  if (!before.paused) return { ...before, changed: false };
  await explained(schedule, () => client.getHandle(schedule.id).unpause(reason));
  return { paused: false, note: reason, changed: true };
}

/**
 * Starts a run now, also of a paused schedule, unless one is running. @throws HoubaError `NotFound` when the schedule
 * has not been applied, `Interrupted` when no run is seen to start
 */
export async function triggerSchedule(
  client: ScheduleClient,
  schedule: Schedule,
): Promise<{ readonly started: boolean; readonly workflowId: string }> {
  const before = statusOf(await describe(client, schedule));
  const [going] = before.running;
  if (going !== undefined) return { started: false, workflowId: going };
  await explained(schedule, () => client.getHandle(schedule.id).trigger(ScheduleOverlapPolicy.SKIP));
  // Temporal answers before it has decided, and does not report a run that it skips.
  for (const until = performance.now() + TRIGGERED_WITHIN_MS; performance.now() < until; await sleep(50)) {
    const now = statusOf(await describe(client, schedule));
    if (now.started > before.started && now.last !== null) return { started: true, workflowId: now.last.workflowId };
    const [other] = now.running;
    if (now.skipped > before.skipped && other !== undefined) return { started: false, workflowId: other };
  }
  throw new HoubaError('Interrupted', `${schedule.id} was asked for a run, and none has been seen to start`, {
    hint: 'houba schedule list tells its last run; a Temporal that is overloaded may start it later',
  });
}

/** Deletes a schedule; a running workflow goes on. @returns whether it existed */
export async function deleteSchedule(client: ScheduleClient, schedule: Schedule): Promise<boolean> {
  if ((await lookFor(client, schedule)) === null) return false;
  await explained(schedule, () => client.getHandle(schedule.id).delete());
  return true;
}

/** Creates a schedule. @returns false: it exists already */
async function create(client: ScheduleClient, schedule: Schedule, settings: ScheduleSettings): Promise<boolean> {
  const options = optionsOf(schedule, settings);
  try {
    await accepted(schedule, () => client.create({ scheduleId: schedule.id, ...options }));
    return true;
  } catch (error) {
    if (error instanceof ScheduleAlreadyRunning) return false;
    throw error;
  }
}

/** A workflow with its own input: a row of the table with the input of another does not compile. */
type Started = {
  readonly [Name in WorkflowName]: { readonly workflow: Name; readonly input: InputOf<Name> };
}[WorkflowName];

function optionsOf(schedule: Schedule, settings: ScheduleSettings): Omit<ScheduleUpdateOptions, 'state'> {
  const { when, jitterMs, catchUpMs, pauseOnFailure } = settings;
  const { workflow, input }: Started = schedule.run;
  return {
    spec: {
      jitter: jitterMs,
      ...('everyMs' in when
        ? { intervals: [{ every: when.everyMs }] }
        : { cronExpressions: [when.cron], timezone: when.timezone }),
    },
    policies: { overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: catchUpMs, pauseOnFailure },
    action: {
      type: 'startWorkflow',
      workflowType: workflow,
      workflowId: schedule.run.workflowId,
      taskQueue: QUEUES.flow,
      args: [input],
      // The memo lets a client that asks for the same join a scheduled run.
      memo: { [MEMO_INPUT_DIGEST]: inputDigest(input) },
      workflowRunTimeout: RUN_TIMEOUT_MS,
      staticSummary: schedule.summary,
    },
  };
}

function wantedFacts(schedule: Schedule, settings: ScheduleSettings): ScheduleFacts {
  const { workflow, workflowId, input } = schedule.run;
  return {
    when: formatWhen(settings.when),
    jitter: formatDuration(settings.jitterMs),
    catchUp: formatDuration(settings.catchUpMs),
    pauseOnFailure: settings.pauseOnFailure,
    overlap: 'skip',
    starts: formatRun(workflow, workflowId, QUEUES.flow, RUN_TIMEOUT_MS, input),
  };
}

function currentFacts({ spec, policies, action }: ScheduleDescription): ScheduleFacts {
  const { workflowType, workflowId, taskQueue, workflowRunTimeout, args } = action;
  return {
    when: whenOf(spec),
    jitter: formatDuration(spec.jitter ?? 0),
    catchUp: formatDuration(policies.catchupWindow),
    pauseOnFailure: policies.pauseOnFailure,
    overlap: String(policies.overlap).toLowerCase().replaceAll('_', ' '),
    starts: formatRun(workflowType, workflowId, taskQueue, workflowRunTimeout, args?.[0]),
  };
}

function formatRun(workflow: string, id: string | undefined, queue: string, timeout: unknown, input: unknown): string {
  const limit = typeof timeout === 'number' ? formatDuration(timeout) : 'any time';
  return `${workflow} as ${id}, on ${queue}, within ${limit}, with ${JSON.stringify(input)}`;
}

/** The times of a schedule. Temporal stores a cron as its fields, so that it is compared by the times it names. */
function whenOf({ calendars = [], intervals = [], skip = [], startAt, endAt, timezone }: ScheduleDescription['spec']) {
  const [calendar] = calendars;
  const [interval] = intervals;
  const plain = skip.length === 0 && startAt === undefined && endAt === undefined;
  if (plain && calendars.length + intervals.length === 1) {
    if (interval !== undefined && !interval.offset) return formatWhen({ everyMs: interval.every });
    const times = calendar && cronTimesOf(calendar);
    if (times) return formatWhen({ cron: formatCron(times), timezone: timezone || 'UTC' });
  }
  return 'at times that were set without houba';
}

/** The times of a cron; null: the calendar says more than its five fields can. */
function cronTimesOf(calendar: CalendarSpecDescription): CronTimes | null {
  const { second, minute, hour, dayOfMonth, month, dayOfWeek, year } = calendar;
  if (year.length > 0 || valuesOf(second).join() !== '0') return null;
  return {
    minute: valuesOf(minute),
    hour: valuesOf(hour),
    dayOfMonth: valuesOf(dayOfMonth),
    month: valuesOf(month, (name) => MONTHS.indexOf(name) + 1),
    dayOfWeek: valuesOf(dayOfWeek, (name) => DAYS_OF_WEEK.indexOf(name)),
  };
}

function valuesOf(ranges: readonly Range<number>[]): number[];
function valuesOf<Unit>(ranges: readonly Range<Unit>[], numberOf: (unit: Unit) => number): number[];
function valuesOf<Unit>(ranges: readonly Range<Unit>[], numberOf: (unit: Unit) => number = Number): number[] {
  const values = new Set<number>();
  for (const { start, end, step } of ranges) {
    for (let value = numberOf(start); value <= numberOf(end); value += step) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}

function differencesOf(from: ScheduleFacts, to: ScheduleFacts): Applied['differences'] {
  const facts = Object.keys(to) as (keyof ScheduleFacts)[];
  return facts.filter((fact) => from[fact] !== to[fact]).map((fact) => ({ fact, from: from[fact], to: to[fact] }));
}

function standingOf({ state }: ScheduleDescription): Standing {
  return { paused: state.paused, note: state.note || null };
}

function statusOf(description: ScheduleDescription): ScheduleStatus {
  const { info } = description;
  const standing = standingOf(description);
  const last = info.recentActions.at(-1);
  return {
    ...standing,
    facts: currentFacts(description),
    nextAt: standing.paused ? null : (info.nextActionTimes[0] ?? null),
    last: last === undefined ? null : { workflowId: last.action.workflow.workflowId, at: last.takenAt },
    running: info.runningActions.map(({ workflow }) => workflow.workflowId),
    started: info.numActionsTaken,
    skipped: info.numActionsSkippedOverlap,
    missed: info.numActionsMissedCatchupWindow,
  };
}

async function lookFor(client: ScheduleClient, schedule: Schedule): Promise<ScheduleDescription | null> {
  try {
    return await describe(client, schedule);
  } catch (error) {
    if (error instanceof HoubaError && error.code === 'NotFound') return null;
    throw error;
  }
}

async function describe(client: ScheduleClient, schedule: Schedule): Promise<ScheduleDescription> {
  return await explained(schedule, () => client.getHandle(schedule.id).describe());
}

/** Explains that Temporal refuses the times (a `TypeError` of its client), mostly a zone that its database lacks. */
async function accepted(schedule: Schedule, work: () => Promise<unknown>): Promise<void> {
  try {
    await explained(schedule, work);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new HoubaError('ConfigInvalid', `${schedule.id}: Temporal refuses its times: ${error.message}`, {
      hint: 'check cron and timezone',
      cause: error,
    });
  }
}

async function explained<T>(schedule: Schedule, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ScheduleNotFoundError)) throw explainFailure(error, schedule.id);
    throw new HoubaError('NotFound', `${schedule.id} has not been applied here`, {
      hint: `houba schedule apply ${schedule.name}`,
      cause: error,
    });
  }
}
