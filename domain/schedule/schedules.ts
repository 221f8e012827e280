import { z } from 'zod';
import type { AuditInput } from '../durable/audit.js';
import type { FleetInput } from '../durable/messages.js';
import { WORKFLOWS } from '../durable/names.js';
import { GC_DEFAULTS, type GcInput, type PurgeInput } from '../durable/sweeps.js';
import { durationMs, formatDuration } from '../duration.js';
import { HoubaError } from '../errors.js';
import { nearest } from '../text/nearest.js';
import { formatCron, readCron } from './cron.js';

/** How a schedule behaves; what it starts is fixed by its row. */
export interface ScheduleSettings {
  readonly when: { readonly everyMs: number } | { readonly cron: string; readonly timezone: string };
  /** Each time is put off by a random part of this. */
  readonly jitterMs: number;
  /** A time that was missed (Temporal was down) is made up for when it is not longer ago than this. */
  readonly catchUpMs: number;
  /** Whether a run that fails pauses the schedule until a human resumes it. */
  readonly pauseOnFailure: boolean;
}

/** What a schedule starts: a workflow, with the input that it takes. */
export type ScheduledRun = { readonly [Name in keyof ScheduledInputs]: RunOf<Name> }[keyof ScheduledInputs];

interface ScheduledInputs {
  readonly reconcileFleet: FleetInput;
  readonly purgeFleet: PurgeInput;
  readonly collectGarbage: GcInput;
  readonly auditFleet: AuditInput;
}

interface RunOf<Name extends keyof ScheduledInputs> {
  readonly workflow: Name;
  /** Temporal adds `-<UTC time>` for each run. */
  readonly workflowId: string;
  readonly input: ScheduledInputs[Name];
  /** Variables without which its runs fail, as in `A` or `A or B`; they are the worker's. */
  readonly needs: readonly string[];
}

export interface Schedule {
  /** The name on the command line. */
  readonly name: string;
  /** The id in Temporal. */
  readonly id: string;
  readonly summary: string;
  readonly defaults: ScheduleSettings;
  readonly run: ScheduledRun;
}

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** What `reconcileFleet` is asked for when nobody sends policies: all of `POLICY_DIR`, with the worker's settings. */
const RECONCILE_ALL: FleetInput = {
  policies: null,
  shard: { index: 0, count: 1 },
  only: null,
  options: { dryRun: false, concurrency: null, recheck: false, allowMassDeletion: false },
};

const PURGE_ALL: PurgeInput = {
  ...{ registry: null, repositories: null },
  ...{ apply: true, maxDeletions: null, requireApproval: false },
};

const COLLECT_ALL: GcInput = { registry: null, repositories: null, apply: true, ...GC_DEFAULTS };

/** An audit of what is cheap to know: a signature may take a run of cosign, and referrers a request for each image. */
const AUDIT_ALL: AuditInput = { registries: null, repositories: null, signed: false, sbom: false, limit: null };

/**
 * Every schedule (docs/rules/durability.md#schedules-skip-and-do-not-pile-up). A fleet run completes although policies
 * fail, so a failed one is systemic: those that delete then wait for a person, reconcile tries again.
 */
export const SCHEDULES: readonly Schedule[] = [
  {
    name: 'reconcile',
    id: 'houba-reconcile',
    summary: 'reconcile POLICY_DIR',
    defaults: { when: { everyMs: HOUR_MS }, jitterMs: 5 * MINUTE_MS, catchUpMs: HOUR_MS, pauseOnFailure: false },
    run: {
      workflow: WORKFLOWS.fleet,
      workflowId: 'reconcile-fleet',
      input: RECONCILE_ALL,
      needs: ['POLICY_DIR'],
    },
  },
  {
    name: 'audit',
    id: 'houba-audit',
    summary: 'audit the registries of the roster',
    defaults: {
      when: { cron: '0 1 * * *', timezone: 'UTC' },
      jitterMs: 15 * MINUTE_MS,
      catchUpMs: 6 * HOUR_MS,
      pauseOnFailure: false,
    },
    run: { workflow: WORKFLOWS.audit, workflowId: 'audit', input: AUDIT_ALL, needs: [] },
  },
  {
    name: 'purge',
    id: 'houba-purge',
    summary: 'purge what is marked and unused',
    defaults: {
      when: { cron: '0 2 * * *', timezone: 'UTC' },
      jitterMs: 15 * MINUTE_MS,
      catchUpMs: 6 * HOUR_MS,
      pauseOnFailure: true,
    },
    run: {
      workflow: WORKFLOWS.purge,
      workflowId: 'purge',
      input: PURGE_ALL,
      needs: ['HOUBA_PURGE_MIN_IDLE or HOUBA_PURGE_MIN_IDLE_DAYS', 'HOUBA_USAGE_ORACLE_CMD'],
    },
  },
  {
    name: 'gc',
    id: 'houba-gc',
    summary: 'collect superseded reports and digests',
    defaults: {
      when: { cron: '0 3 * * 0', timezone: 'UTC' },
      jitterMs: 30 * MINUTE_MS,
      catchUpMs: 12 * HOUR_MS,
      pauseOnFailure: true,
    },
    run: { workflow: WORKFLOWS.gc, workflowId: 'gc', input: COLLECT_ALL, needs: [] },
  },
];

/**
 * The schedule of a name, with or without `houba-`.
 * @throws HoubaError `ConfigInvalid` when there is none
 */
export function scheduleNamed(name: string): Schedule {
  const schedule = SCHEDULES.find((one) => one.name === name || one.id === name);
  if (schedule !== undefined) return schedule;
  const names = SCHEDULES.map((one) => one.name);
  const meant = nearest(name.replace(/^houba-/, ''), names);
  throw new HoubaError('ConfigInvalid', `no schedule is named ${JSON.stringify(name)}`, {
    hint: meant === null ? `there are: ${names.join(', ')}` : `did you mean ${meant}?`,
  });
}

/** The settings of a schedule as somebody wrote them, in a file or as options; durations are milliseconds by now. */
export type WrittenSettings = z.infer<typeof Written>;

/** Something wrong with them; `key` is null when it is about all of them. */
export interface SettingsIssue {
  readonly key: string | null;
  readonly message: string;
}

export type CheckedSettings =
  | { readonly settings: WrittenSettings; readonly issues: readonly [] }
  | { readonly issues: readonly SettingsIssue[] };

/** Checks written settings, and says everything that is wrong with them at once. */
export function checkSettings(written: unknown): CheckedSettings {
  const parsed = Written.safeParse(written ?? {});
  return parsed.success ? { settings: parsed.data, issues: [] } : { issues: parsed.error.issues.flatMap(issuesOf) };
}

/**
 * The settings of a schedule: its defaults, under what was written; later layers win.
 * @throws HoubaError `ConfigInvalid` when a time zone is left without a cron
 */
export function settingsOf(row: Schedule, ...layers: readonly WrittenSettings[]): ScheduleSettings {
  let { when, ...rest } = row.defaults;
  for (const { every, cron, timezone, jitter, catchUp, pauseOnFailure } of layers) {
    if (every != null) when = { everyMs: every };
    if (cron != null) when = { cron, timezone: 'timezone' in when ? when.timezone : 'UTC' };
    if (timezone != null) when = inZone(row, when, timezone);
    rest = {
      jitterMs: jitter ?? rest.jitterMs,
      catchUpMs: catchUp ?? rest.catchUpMs,
      pauseOnFailure: pauseOnFailure ?? rest.pauseOnFailure,
    };
  }
  return { when, ...rest };
}

/** `every 1h`, or `0 3 * * 0 Europe/Rome`: equal times, equal text. */
export function formatWhen(when: ScheduleSettings['when']): string {
  if ('everyMs' in when) return `every ${formatDuration(when.everyMs)}`;
  const read = readCron(when.cron);
  return `${'times' in read ? formatCron(read.times) : when.cron} ${when.timezone}`;
}

function inZone(row: Schedule, when: ScheduleSettings['when'], timezone: string): ScheduleSettings['when'] {
  if ('cron' in when) return { cron: when.cron, timezone };
  throw new HoubaError('ConfigInvalid', `${row.id}: a time zone goes with a cron, but it runs ${formatWhen(when)}`, {
    hint: 'give cron instead of every, as in "30 4 * * *", or leave the time zone out',
  });
}

const LEAST_CATCH_UP_MS = 10_000;

/** A duration in milliseconds; YAML reads a bare 0 as a number. */
function duration(leastMs: number) {
  const least = leastMs === 0 ? '' : `, at least ${formatDuration(leastMs)}`;
  const rule = `must be a duration such as 90s, 30m, 6h or 1d${least}`;
  return z
    .union([z.literal(0), z.string()], rule)
    .transform((text, context) => {
      const ms = durationMs(String(text));
      if (ms !== null && ms >= leastMs) return ms;
      context.addIssue({ code: 'custom', message: rule });
      return z.NEVER;
    })
    .nullish();
}

const Cron = z.string('must be text, in quotes').superRefine((text, context) => {
  const read = readCron(text);
  if ('problem' in read) context.addIssue({ code: 'custom', message: read.problem });
});

const TimeZone = z.string('must be text').superRefine((text, context) => {
  if (isTimeZone(text)) return;
  const meant = nearest(text, Intl.supportedValuesOf('timeZone'));
  const advice = meant === null ? 'as in Europe/Rome or UTC' : `did you mean ${meant}?`;
  context.addIssue({ code: 'custom', message: `is not the name of a time zone (${advice})` });
});

/** A time zone, by its name as the database writes it: Temporal looks for a file of that name. */
function isTimeZone(text: string): boolean {
  if (!/^[A-Za-z]/.test(text)) return false;
  const same = Intl.supportedValuesOf('timeZone').find((zone) => zone.toLowerCase() === text.toLowerCase());
  if (same !== undefined) return same === text;
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

const Written = z
  .strictObject(
    {
      every: duration(1_000),
      cron: Cron.nullish(),
      timezone: TimeZone.nullish(),
      jitter: duration(0),
      // Temporal takes no less.
      catchUp: duration(LEAST_CATCH_UP_MS),
      pauseOnFailure: z.boolean('must be true or false').nullish(),
    },
    { error: (issue) => (issue.code === 'invalid_type' ? 'must be a mapping of settings' : undefined) },
  )
  .superRefine(({ every, cron }, context) => {
    if (every == null || cron == null) return;
    context.addIssue({ code: 'custom', path: ['cron'], message: 'does not go together with every' });
  });

function issuesOf(issue: z.core.$ZodIssue): SettingsIssue[] {
  if (issue.code !== 'unrecognized_keys') {
    const [key] = issue.path;
    return [{ key: key === undefined ? null : String(key), message: issue.message }];
  }
  const known = Object.keys(Written.shape);
  return issue.keys.map((key) => {
    const meant = nearest(key, known);
    const advice = meant === null ? `known: ${known.join(', ')}` : `did you mean ${meant}?`;
    return { key, message: `is not a setting (${advice})` };
  });
}
