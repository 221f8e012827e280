import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Settings } from '../../config/settings.js';
import type { FleetInput } from '../../domain/durable/messages.js';
import { HoubaError } from '../../domain/errors.js';
import { CHANGES_PENDING, changesPending, exitCodeOf } from '../../domain/report/run/exit-code.js';
import type { Outcome, Run } from '../sdk.js';
import { INTERRUPTED } from './failure.js';
import type { Interrupts } from './interrupts.js';
import { duration, type Output, reportOption, wholeNumber } from './options.js';
import type { Session } from './session.js';

export interface ReconcileOptions {
  readonly dryRun?: boolean;
  readonly verbose?: boolean;
  readonly concurrency?: number;
  readonly shardIndex: number;
  readonly shardCount: number;
  readonly reportJson?: boolean;
  readonly output?: Output;
  readonly policy?: string;
  readonly detach?: boolean;
  readonly recheck?: boolean;
  readonly allowMassDeletion?: boolean;
  readonly timeout?: number;
  readonly detailedExitcode?: boolean;
  readonly out?: string;
  readonly plan?: string;
  readonly color: boolean;
}

export function withRunOptions(command: Command): Command {
  return command
    .option('-v, --verbose', 'list targets and operations too')
    .option('-j, --concurrency <n>', 'placements in flight', wholeNumber(1))
    .option('--shard-index <i>', 'which shard this is, from 0', wholeNumber(0), 0)
    .option('--shard-count <n>', 'how many shards share the policies', wholeNumber(1), 1)
    .option('--policy <name>', 'work on this policy alone')
    .option('--recheck', 'do not trust the cache of what digests carry')
    .option('--timeout <duration>', 'stop following after this time; the run goes on', duration)
    .option('--report-json', 'the same as --output json')
    .addOption(reportOption());
}

/** Plans or reconciles and prints the report. @param dir empty: a saved plan names the policies */
export async function runReconcile(dir: string, options: ReconcileOptions): Promise<void> {
  const { shardIndex, shardCount } = options;
  if (shardIndex >= shardCount) {
    throw new HoubaError('ConfigInvalid', `--shard-index ${shardIndex} is not below --shard-count ${shardCount}`, {
      hint: 'shards are counted from 0',
    });
  }
  const { settingsOfProcess } = await import('./settings.js');
  const { settings, origins } = settingsOfProcess();
  const fromEnvironment = origins.get('HOUBA_MAX_CONCURRENCY') === 'default' ? null : settings.maxConcurrency;
  const { fleetInput } = await import('../fleet-input.js');
  const asked = fleetInput([], {
    shard: { index: shardIndex, count: shardCount },
    only: options.policy ?? null,
    dryRun: options.dryRun ?? (settings.dryRunTags && settings.dryRunDeletions),
    concurrency: options.concurrency ?? fromEnvironment,
    recheck: options.recheck ?? false,
    allowMassDeletion: options.allowMassDeletion ?? false,
  });
  const inputs = await inputsOf(dir, asked, options, settings);
  const output = options.output ?? (options.reportJson ? 'json' : settings.logFormat);

  const { watchInterrupts } = await import('./interrupts.js');
  const { openSession } = await import('./session.js');
  if (options.detach) await requireLastingStack(settings);
  const { note } = await import('./terminal.js');
  const interrupts = watchInterrupts();
  // Journal lines would tear the progress display apart.
  const journal = process.stderr.isTTY === true ? 'file' : 'stderr';
  const session = await openSession({ settings, note, journal, concurrency: options.concurrency ?? null });
  try {
    process.exitCode = await runFleets(session, inputs, { ...options, output }, dir, interrupts);
  } finally {
    interrupts.endAtOnce();
    await session.close();
    interrupts.stop();
  }
}

/** The inputs of the runs: of a large saved plan there are several, carried out one after the other. */
async function inputsOf(
  dir: string,
  asked: FleetInput,
  { plan: file, out, detach }: ReconcileOptions,
  { temporal }: Settings,
): Promise<readonly [FleetInput, ...FleetInput[]]> {
  if (file === undefined) {
    const { readPolicyFiles } = await import('../../adapters/policy-files.js');
    if (out !== undefined) (await import('./plan-file.js')).checkWritable(out);
    const save = out === undefined ? {} : { save: true as const };
    // On a cluster the same path may be another folder on another machine.
    const folder = temporal.address === null ? { folder: resolve(dir) } : {};
    return [{ ...asked, policies: await readPolicyFiles(dir), ...folder, ...save }];
  }
  const { policiesOfPlan, readPlanFile } = await import('./plan-file.js');
  const { planInputs } = await import('../saved-plans.js');
  const plan = await readPlanFile(file);
  const inputs = planInputs(plan, await policiesOfPlan(plan), asked);
  if (detach && inputs.length > 1) {
    throw new HoubaError('ConfigInvalid', `--detach: the plan takes ${inputs.length} runs, one after the other`, {
      hint: 'leave --detach out, or name one policy with --policy',
    });
  }
  return inputs;
}

/** Refuses `--detach` where this command's own stack would end with it, and the run with the stack. */
async function requireLastingStack({ temporal, home }: Settings): Promise<void> {
  const { runningStack } = await import('../stack/embedded.js');
  if (temporal.address !== null || runningStack(home) !== null) return;
  throw new HoubaError('ConfigInvalid', '--detach needs a stack that stays when this command ends', {
    hint: 'start one with `houba up`, or set TEMPORAL_ADDRESS',
  });
}

type RunOptions = ReconcileOptions & { readonly output: Output };

async function runFleets(
  session: Session,
  inputs: readonly [FleetInput, ...FleetInput[]],
  options: RunOptions,
  dir: string,
  interrupts: Interrupts,
): Promise<number> {
  const interrupted = interrupts.first();
  const [input, ...others] = inputs;
  const first = await runFleet(session, input, options, interrupted);
  if (typeof first === 'number') return first;
  if (options.out !== undefined) {
    const { writePlanFile } = await import('./plan-file.js');
    const { collectPlan } = await import('../saved-plans.js');
    const plan = await Promise.race([collectPlan(session.client, input, first, dir), session.broken, interrupted]);
    if (plan === undefined) return INTERRUPTED;
    await writePlanFile(options.out, plan);
  }
  const outcomes: [Outcome, ...Outcome[]] = [first];
  for (const other of others) {
    const outcome = await runFleet(session, other, options, interrupted);
    if (typeof outcome === 'number') return outcome;
    outcomes.push(outcome);
  }
  return await printOutcome(outcomes, options);
}

/** Starts or joins one run and follows it; an exit code where there is no outcome. */
async function runFleet(
  session: Session,
  input: FleetInput,
  options: RunOptions,
  interrupted: Promise<void>,
): Promise<Outcome | number> {
  const { note, printJson, print } = await import('./terminal.js');
  // A start may wait for other runs.
  const run = await Promise.race([session.client.startReconcile(input, { note }), session.broken, interrupted]);
  if (run === undefined) return INTERRUPTED;
  const page = session.pageOf(run.workflowId);
  note(`${run.joined ? 'following' : 'started'} ${run.workflowId}${page === null ? '' : `  ${page}`}`);
  if (options.detach) {
    if (options.output === 'json') {
      await printJson({ schema_version: 1, workflow_id: run.workflowId, run_id: run.runId, joined: run.joined });
    } else await print(`${run.workflowId}\n`);
    return 0;
  }
  return (await follow(session, run, options, interrupted)) ?? INTERRUPTED;
}

/** Waits for the run's outcome; null: the user interrupted, or the timeout passed. */
async function follow(
  session: Session,
  run: Run,
  { timeout }: ReconcileOptions,
  interrupted: Promise<void>,
): Promise<Outcome | null> {
  const { note } = await import('./terminal.js');
  const { progressText, showProgress } = await import('./progress.js');
  const outcome = session.client.outcome(run);
  outcome.catch(() => {}); // also when it is no longer waited for
  const { client } = session;
  const stopProgress = await showProgress((...told) => client.follow(run, ...told), progressText, process.stderr);
  try {
    const first = await Promise.race([outcome, session.broken, interrupted, lateAfter(timeout)]);
    stopProgress();
    if (typeof first === 'object') return first;
    if (first === 'late') {
      throw new HoubaError('Interrupted', `${run.workflowId} has not ended in time; it goes on`, {
        hint: comeBack(session, run),
      });
    }
    if (!session.owned) {
      note(`left ${run.workflowId} running; ${comeBack(session, run)}`);
      return null;
    }
    note(`cancelling ${run.workflowId}; Ctrl-C again ends at once, and the next command goes on with it`);
    await session.client.cancel(run);
    await Promise.race([outcome.catch(() => {}), session.broken]);
    return null;
  } finally {
    stopProgress();
  }
}

function comeBack(session: Session, run: Run): string {
  return session.owned ? 'the same command goes on with it' : `\`houba status ${run.workflowId}\` tells how it is`;
}

function lateAfter(ms: number | undefined): Promise<'late'> {
  return new Promise((resolve) => {
    if (ms !== undefined) setTimeout(() => resolve('late'), ms).unref();
  });
}

async function printOutcome(outcomes: readonly [Outcome, ...Outcome[]], options: RunOptions): Promise<number> {
  const { note, paletteFor, print, printJson } = await import('./terminal.js');
  const { mergeReports } = await import('../../domain/report/run/merge-reports.js');
  const [first, ...others] = outcomes;
  const report = mergeReports([first.report, ...others.map((outcome) => outcome.report)]);
  for (const { policy, why } of outcomes.flatMap(({ skipped }) => skipped)) note(`${policy}: skipped: ${why}`);
  if (options.output === 'json') await printJson(report);
  else {
    const { renderReport } = await import('../../domain/report/run/text.js');
    const palette = paletteFor(process.stdout, options.color);
    await print(renderReport(report, { verbose: options.verbose ?? false, palette }));
  }
  const code = exitCodeOf(report);
  return code === 0 && options.detailedExitcode && changesPending(report) ? CHANGES_PENDING : code;
}
