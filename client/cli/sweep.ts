import { InvalidArgumentError, Option } from 'commander';
import type { Settings } from '../../config/settings.js';
import { parseReference } from '../../domain/reference.js';
import type { Run } from '../start-or-join.js';
import type { Sweep } from '../sweeps.js';
import { INTERRUPTED } from './failure.js';
import type { Interrupts } from './interrupts.js';
import type { Output } from './options.js';
import type { Session } from './session.js';

/** What the sweeps have in common. */
export interface SweepOptions {
  readonly registry?: string;
  readonly repository?: readonly string[];
  readonly apply?: boolean;
  readonly output?: Output;
  readonly color: boolean;
}

/** Given as often as one likes. */
export function repositoryOption(): Option {
  return new Option(
    '--repository <name>',
    'look at this repository alone, as in registry.example/team/app; repeatable',
  ).argParser((name: string, before: readonly string[] | undefined) => {
    if (isRepository(name)) return [...(before ?? []), name];
    throw new InvalidArgumentError('It must be a repository with its host, as in registry.example/team/app.');
  });
}

function isRepository(name: string): boolean {
  try {
    const { tag, digest } = parseReference(name);
    return tag === null && digest === null;
  } catch {
    return false;
  }
}

/** Runs a sweep to its end and hands its report on. @returns the exit code */
export async function runSweep<Report>(
  settings: Settings,
  sweep: Sweep,
  print: (report: Report) => Promise<number>,
): Promise<void> {
  const { watchInterrupts } = await import('./interrupts.js');
  const { openSession } = await import('./session.js');
  const { note } = await import('./terminal.js');
  const interrupts = watchInterrupts();
  const journal = process.stderr.isTTY === true ? 'file' : 'stderr';
  const session = await openSession({ settings, note, journal, concurrency: null });
  try {
    process.exitCode = await follow(session, sweep, print, interrupts);
  } finally {
    interrupts.endAtOnce();
    await session.close();
    interrupts.stop();
  }
}

async function follow<Report>(
  session: Session,
  sweep: Sweep,
  print: (report: Report) => Promise<number>,
  interrupts: Interrupts,
): Promise<number> {
  const { note } = await import('./terminal.js');
  const interrupted = interrupts.first();
  const run = await Promise.race([session.client.startSweep(sweep, { note }), session.broken, interrupted]);
  if (run === undefined) return INTERRUPTED;
  const page = session.pageOf(run.workflowId);
  note(`${run.joined ? 'following' : 'started'} ${run.workflowId}${page === null ? '' : `  ${page}`}`);
  const report = session.client.sweepReport(run) as Promise<Report>;
  report.catch(() => {}); // also when it is no longer waited for
  const ended = await Promise.race([report.then((value) => ({ value })), session.broken, interrupted]);
  if (ended !== undefined) return await print(ended.value);
  await leave(session, run, sweep.verb);
  return INTERRUPTED;
}

async function leave(session: Session, run: Run, verb: Sweep['verb']): Promise<void> {
  const { note } = await import('./terminal.js');
  if (!session.owned) {
    note(`left ${run.workflowId} running; \`houba cancel ${run.workflowId}\` ends it`);
    return;
  }
  const deleting = verb === 'audit' ? '' : '; what it began to delete is deleted to its end';
  note(`cancelling ${run.workflowId}${deleting}`);
  await session.client.cancel(run);
  await Promise.race([session.client.sweepReport(run).catch(() => {}), session.broken]);
}
