import { Command } from 'commander';
import type { Run } from '../start-or-join.js';
import { loadSweep, SWEEPS, type Sweep, type SweepName } from '../sweep-kinds.js';
import { INTERRUPTED } from './failure.js';
import type { Interrupts } from './interrupts.js';
import { type Output, reportOption } from './options.js';
import type { Session } from './session.js';

/** Makes the command of a sweep; see `SweepVerb`. */
export async function sweepCommand(verb: SweepName): Promise<Command> {
  const { addOptions } = await loadSweep(verb);
  return addOptions(new Command(verb))
    .addOption(reportOption())
    .action((_: unknown, self: Command) => runSweep(verb, self));
}

/** Runs a sweep to its end and prints its report. */
async function runSweep(verb: SweepName, self: Command): Promise<void> {
  const { settingsOfProcess } = await import('./settings.js');
  const { settings } = settingsOfProcess();
  const { ask, render } = await loadSweep(verb);
  const { input, exitCode } = ask(self, settings);
  const { output = settings.logFormat, color } = self.optsWithGlobals<{ output?: Output; color: boolean }>();
  const { watchInterrupts } = await import('./interrupts.js');
  const { openSession } = await import('./session.js');
  const { note, paletteFor, print, printJson } = await import('./terminal.js');
  const interrupts = watchInterrupts();
  const journal = process.stderr.isTTY === true ? 'file' : 'stderr';
  const session = await openSession({ settings, note, journal, concurrency: null });
  try {
    const ended = await follow(session, { verb, input } as Sweep, interrupts);
    if (ended !== null) {
      const { report } = ended;
      if (output === 'json') await printJson(report);
      else await print(render(report, paletteFor(process.stdout, color)));
    }
    process.exitCode = ended === null ? INTERRUPTED : exitCode(ended.report);
  } finally {
    interrupts.endAtOnce();
    await session.close();
    interrupts.stop();
  }
}

/** Starts or joins a sweep and awaits its report; null: the user interrupted. */
async function follow(session: Session, sweep: Sweep, interrupts: Interrupts): Promise<{ report: unknown } | null> {
  const { note } = await import('./terminal.js');
  const interrupted = interrupts.first();
  const run = await Promise.race([session.client.startSweep(sweep, { note }), session.broken, interrupted]);
  if (run === undefined) return null;
  const page = session.pageOf(run.workflowId);
  note(`${run.joined ? 'following' : 'started'} ${run.workflowId}${page === null ? '' : `  ${page}`}`);
  const { showProgress, sweepText } = await import('./progress.js');
  const { client } = session;
  const result = client.sweepReport(run);
  result.catch(() => {}); // also when it is no longer waited for
  const stopProgress = await showProgress((...told) => client.followSweep(run, ...told), sweepText, process.stderr);
  try {
    const ended = await Promise.race([result.then((report) => ({ report })), session.broken, interrupted]);
    if (ended !== undefined) return ended;
  } finally {
    stopProgress();
  }
  await leave(session, run, sweep.verb);
  return null;
}

async function leave(session: Session, run: Run, verb: SweepName): Promise<void> {
  const { note } = await import('./terminal.js');
  if (!session.owned) {
    note(`left ${run.workflowId} running; \`houba cancel ${run.workflowId}\` ends it`);
    return;
  }
  const deleting = SWEEPS[verb].dryRun ? '; what it began to delete is deleted to its end' : '';
  note(`cancelling ${run.workflowId}${deleting}`);
  await session.client.cancel(run);
  await Promise.race([session.client.sweepReport(run).catch(() => {}), session.broken]);
}
