import type { ScheduleClient } from '@temporalio/client';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { HoubaError } from '../../../domain/errors.js';
import {
  checkSettings,
  SCHEDULES,
  type Schedule,
  type ScheduleSettings,
  scheduleNamed,
  settingsOf,
  type WrittenSettings,
} from '../../../domain/schedule/schedules.js';
import { escapeControls } from '../../../domain/text/escape.js';
import type { Applied, ScheduleFacts, ScheduleStatus } from '../../schedules.js';
import type { StackRecord } from '../../stack/stack-files.js';
import { named as file, type Output, outputOption } from '../options.js';

interface ApplyOptions {
  readonly file?: string;
  readonly every?: string;
  readonly cron?: string;
  readonly timezone?: string;
  readonly jitter?: string;
  readonly catchUp?: string;
  readonly pauseOnFailure?: boolean;
  readonly dryRun?: boolean;
  readonly output: Output;
}

interface Reasoned {
  readonly reason: string;
  readonly output: Output;
}

/** Temporal's limit for a note, in bytes. */
const LONGEST_REASON = 1_000;

export function scheduleCommand(): Command {
  const command = new Command('schedule');
  command
    .command('apply')
    .description('make the schedules what defaults, file and options say; a pause stays')
    .addArgument(named('[schedules...]', 'those in the file, or all of them, if left out'))
    .option('-f, --file <file>', 'settings by schedule, YAML or JSON; - reads standard input', file)
    .option('--every <duration>', 'run at this interval')
    .option('--cron <expression>', 'run at these times: minute, hour, day of month, month, day of week')
    .option('--timezone <name>', 'of the cron; UTC if left out')
    .option('--jitter <duration>', 'put each run off by a random part of this')
    .option('--catch-up <duration>', 'make up for a run that was missed no longer ago than this')
    .option('--pause-on-failure', 'pause when a run fails')
    .option('--no-pause-on-failure', 'go on when a run fails')
    .option('--dry-run', 'say what would change, and write nothing')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba schedule apply reconcile --every 30m --dry-run')
    .action(applySchedules);
  command
    .command('list')
    .description('show each schedule, its next and its last run')
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba schedule list --output json')
    .action(listAll);
  command
    .command('pause')
    .description('start no run until it is resumed')
    .addArgument(named('<schedule>'))
    .addOption(reasonOption().makeOptionMandatory())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba schedule pause reconcile --reason "registry moves on Friday"')
    .action(pause);
  command
    .command('resume')
    .description('end a pause')
    .addArgument(named('<schedule>'))
    .addOption(reasonOption().default('resumed'))
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba schedule resume reconcile')
    .action(resume);
  command
    .command('trigger')
    .description('start a run now, unless one is going on')
    .addArgument(named('<schedule>'))
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba schedule trigger reconcile')
    .action(trigger);
  command
    .command('delete')
    .description('remove a schedule; a run that is going on ends by itself')
    .addArgument(named('<schedule>'))
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba schedule delete reconcile')
    .action(remove);
  return command;
}

/** The choices are for help and completion; any other name gets an error of its own. */
function named(usage: string, description = 'which schedule'): Argument {
  const argument = new Argument(usage, description).choices(SCHEDULES.map(({ name }) => name));
  if (!argument.variadic) return argument.argParser((name) => scheduleNamed(name));
  return argument.argParser<Schedule[]>((name, before = []) => [...new Set([...before, scheduleNamed(name)])]);
}

function reasonOption(): Option {
  return new Option('--reason <text>', 'why, kept as the note of the schedule').argParser((text) => {
    const bytes = new TextEncoder().encode(text).length;
    if (text.trim() !== '' && bytes <= LONGEST_REASON) return text;
    throw new InvalidArgumentError(`It must be text of at most ${LONGEST_REASON} bytes.`);
  });
}

async function applySchedules(names: readonly Schedule[], options: ApplyOptions): Promise<void> {
  const { applySchedule } = await import('../../schedules.js');
  const wanted = await wantedSettings(names, options);
  await withTemporal(async (client, stack) => {
    const applied: Applied[] = [];
    for (const { schedule, settings } of wanted) {
      applied.push(await applySchedule(client, schedule, settings, { dryRun: options.dryRun ?? false }));
    }
    if (stack !== null) await warnOfStack(stack, wanted);
    const dryRun = options.dryRun ?? false;
    await tell(options.output, { dry_run: dryRun, schedules: applied.map(appliedJson) }, () =>
      applied.map((one) => appliedText(one, dryRun)).join(''),
    );
  });
}

async function listAll({ output }: { readonly output: Output }): Promise<void> {
  const { listSchedules } = await import('../../schedules.js');
  await withTemporal(async (client) => {
    const listed = await listSchedules(client);
    await tell(output, { schedules: listed.map(({ schedule, status }) => statusJson(schedule, status)) }, () =>
      listed.map(({ schedule, status }) => statusText(schedule, status)).join(''),
    );
  });
}

async function pause(schedule: Schedule, { reason, output }: Reasoned): Promise<void> {
  const { pauseSchedule } = await import('../../schedules.js');
  await withTemporal(async (client) => {
    const { paused, note } = await pauseSchedule(client, schedule, reason);
    await tell(output, { id: schedule.id, paused, note }, () => `${schedule.id}  paused: ${escapeControls(reason)}\n`);
  });
}

async function resume(schedule: Schedule, { reason, output }: Reasoned): Promise<void> {
  const { resumeSchedule } = await import('../../schedules.js');
  await withTemporal(async (client) => {
    const { paused, note, changed } = await resumeSchedule(client, schedule, reason);
    const text = changed ? 'resumed' : 'was not paused';
    await tell(output, { id: schedule.id, paused, note, changed }, () => `${schedule.id}  ${text}\n`);
  });
}

async function trigger(schedule: Schedule, { output }: { readonly output: Output }): Promise<void> {
  const { triggerSchedule } = await import('../../schedules.js');
  await withTemporal(async (client, stack) => {
    if (stack !== null) await warnOfStack(stack, [{ schedule }]);
    const { started, workflowId } = await triggerSchedule(client, schedule);
    const { note } = await import('../terminal.js');
    note(started ? `\`houba status ${workflowId}\` tells how it is` : `${schedule.id} is running: nothing was started`);
    await tell(output, { id: schedule.id, started, workflow_id: workflowId }, () => `${workflowId}\n`);
  });
}

async function remove(schedule: Schedule, { output }: { readonly output: Output }): Promise<void> {
  const { deleteSchedule } = await import('../../schedules.js');
  await withTemporal(async (client) => {
    const deleted = await deleteSchedule(client, schedule);
    const text = deleted ? 'deleted' : 'was not there';
    await tell(output, { id: schedule.id, deleted }, () => `${schedule.id}  ${text}\n`);
  });
}

/** The schedules to apply, each with its settings. @throws HoubaError `ConfigInvalid` */
async function wantedSettings(
  names: readonly Schedule[],
  options: ApplyOptions,
): Promise<{ schedule: Schedule; settings: ScheduleSettings }[]> {
  const flags = settingsOfFlags(options);
  if (Object.keys(flags).length > 0 && names.length !== 1) {
    throw new HoubaError('ConfigInvalid', 'options for settings are those of one schedule', {
      hint: 'name it, as in `houba schedule apply reconcile --every 30m`, or use --file',
    });
  }
  if (options.file === undefined) {
    const all = names.length > 0 ? names : SCHEDULES;
    return all.map((schedule) => ({ schedule, settings: settingsOf(schedule, flags) }));
  }
  const { readScheduleFile } = await import('../schedule-file.js');
  const file = await readScheduleFile(options.file);
  const chosen = names.length > 0 ? names : [...file.keys()];
  return chosen.map((schedule) => {
    const written = file.get(schedule);
    if (written !== undefined) return { schedule, settings: settingsOf(schedule, written, flags) };
    throw new HoubaError('ConfigInvalid', `${options.file} has no settings for ${schedule.name}`, {
      hint: `write \`${schedule.name}: {}\` for its defaults, or leave --file out`,
    });
  });
}

function settingsOfFlags(options: ApplyOptions): WrittenSettings {
  const { every, cron, timezone, jitter, catchUp, pauseOnFailure } = options;
  const given = Object.entries({ every, cron, timezone, jitter, catchUp, pauseOnFailure }).filter(
    ([, value]) => value !== undefined,
  );
  const checked = checkSettings(Object.fromEntries(given));
  if ('settings' in checked) return checked.settings;
  const told = checked.issues.map(({ key, message }) => `--${hyphened(key ?? '')} ${message}`);
  throw new HoubaError('ConfigInvalid', told.join('\n'), { hint: '`houba schedule apply --help` has an example' });
}

/** Works with the Temporal of the settings, else of `houba up`. @throws TemporalUnreachable when there is neither */
async function withTemporal(work: (client: ScheduleClient, stack: StackRecord | null) => Promise<void>): Promise<void> {
  const { settingsOfProcess } = await import('../settings.js');
  const { connectTo } = await import('../../connect.js');
  const { temporal, home } = settingsOfProcess().settings;
  const stack = temporal.address === null ? await lastingStack(home) : null;
  const client = await connectTo(stack ?? { ...temporal, address: temporal.address ?? '' });
  try {
    await work(client.schedule, stack);
  } finally {
    await client.connection.close();
  }
}

async function lastingStack(home: string): Promise<StackRecord> {
  const { runningStack } = await import('../../stack/embedded.js');
  const { TemporalUnreachable } = await import('../../unreachable.js');
  const stack = runningStack(home);
  if (stack !== null && stack.mode === 'up') return stack;
  throw new TemporalUnreachable(`no stack is up in ${home}, and schedules run only while one is`, {
    hint: 'start one with `houba up`, or set TEMPORAL_ADDRESS to a cluster',
  });
}

/** Warns that scheduled runs have the embedded stack's settings, and start only while it is up. */
async function warnOfStack(stack: StackRecord, wanted: readonly { readonly schedule: Schedule }[]): Promise<void> {
  const { note } = await import('../terminal.js');
  note('schedules run while the stack is up; `houba down` stops them, `houba up` goes on with them');
  for (const { schedule } of wanted) {
    for (const name of schedule.run.needs) {
      const isSet = (one: string) => (stack.settings[one] ?? '(unset)') !== '(unset)';
      if (name.split(' or ').some(isSet)) continue;
      note(`warning: the stack has no ${name}, so every run of ${schedule.id} fails; set it and restart the stack`);
    }
  }
}

async function tell(output: Output, facts: Readonly<Record<string, unknown>>, text: () => string): Promise<void> {
  const { print, printJson } = await import('../terminal.js');
  if (output === 'json') await printJson({ schema_version: 1, ...facts });
  else await print(text());
}

function appliedText({ schedule, change, facts, differences, paused, note }: Applied, dryRun: boolean): string {
  const would = dryRun && change !== 'unchanged' ? 'would be ' : '';
  const detail = {
    created: `: ${factsText(facts)}`,
    updated: differences
      .map(({ fact, from, to }) => `\n  ${hyphened(fact)}: ${escapeControls(String(from))} -> ${to}`)
      .join(''),
    unchanged: `: ${factsText(facts)}`,
  }[change];
  const pause = paused ? `\n  stays paused${noteText(note)}` : '';
  return `${schedule.id}  ${would}${change}${detail}${pause}\n`;
}

function appliedJson({ schedule, change, facts, differences, paused, note }: Applied) {
  return {
    name: schedule.name,
    id: schedule.id,
    change,
    differences: differences.map(({ fact, from, to }) => ({ setting: underscored(fact), from, to })),
    ...factsJson(facts),
    paused,
    note,
  };
}

function statusText(schedule: Schedule, status: ScheduleStatus | null): string {
  if (status === null) return `${schedule.id}  not applied; \`houba schedule apply ${schedule.name}\` creates it\n`;
  const { facts, paused, note, nextAt, last, running } = status;
  const lines = [
    `${schedule.id}  ${paused ? `paused${noteText(note)}` : 'active'}`,
    `  ${factsText(facts)}`,
    nextAt === null ? '' : `  next  ${nextAt.toISOString()}`,
    last === null ? '' : `  last  ${last.at.toISOString()}  ${last.workflowId}`,
    ...running.map((workflowId) => `  now   ${workflowId}`),
    status.skipped + status.missed === 0 ? '' : `  ${status.skipped} skipped, ${status.missed} missed`,
  ];
  return lines
    .filter((line) => line !== '')
    .map((line) => `${escapeControls(line)}\n`)
    .join('');
}

function statusJson(schedule: Schedule, status: ScheduleStatus | null) {
  const { name, id } = schedule;
  if (status === null) return { name, id, applied: false };
  const { facts, paused, note, nextAt, last, running, started, skipped, missed } = status;
  return {
    name,
    id,
    applied: true,
    ...factsJson(facts),
    paused,
    note,
    next_at: nextAt?.toISOString() ?? null,
    last: last && { workflow_id: last.workflowId, at: last.at.toISOString() },
    running,
    started,
    skipped,
    missed,
  };
}

function factsText({ when, jitter, catchUp, pauseOnFailure }: ScheduleFacts): string {
  return `${when}, jitter ${jitter}, catch-up ${catchUp}${pauseOnFailure ? ', pauses on failure' : ''}`;
}

function factsJson(facts: ScheduleFacts): Record<string, unknown> {
  return Object.fromEntries(Object.entries(facts).map(([fact, value]) => [underscored(fact), value]));
}

function noteText(note: string | null): string {
  return note === null ? '' : `: ${escapeControls(note)}`;
}

function hyphened(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function underscored(key: string): string {
  return hyphened(key).replaceAll('-', '_');
}
