import { Command } from 'commander';
import { escapeControls } from '../../../domain/text/escape.js';
import type { RunSummary } from '../../sdk.js';
import { named, type Output, outputOption } from '../options.js';

export function statusCommand(): Command {
  return new Command('status')
    .argument('[run]', 'workflow id of a run; all recent ones if left out', named)
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  houba status reconcile-fleet-2026-03-02T05-00-11.204Z')
    .action((run: string | undefined, { output }: { readonly output: Output }) =>
      run === undefined ? listRuns(output) : showRun(run, output),
    );
}

async function listRuns(output: Output): Promise<void> {
  const { print, printJson } = await import('../terminal.js');
  const session = await look();
  try {
    const runs = await session.client.recentRuns();
    if (output === 'json') return await printJson({ schema_version: 1, runs: runs.map(runJson) });
    await print(runs.length === 0 ? 'no runs yet\n' : runs.map(runLine).join(''));
  } finally {
    await session.close();
  }
}

async function showRun(workflowId: string, output: Output): Promise<void> {
  const { note, paletteFor, print, printJson } = await import('../terminal.js');
  const session = await look();
  try {
    const { progress, word, sweep, ...run } = await session.client.status(workflowId);
    const ended = run.status === 'COMPLETED' && word === null;
    const report = ended && sweep === null ? await session.client.await(run) : null;
    const swept = ended && sweep !== null ? await session.client.sweepReport(run) : null;
    if (output === 'json') {
      return await printJson({
        schema_version: 1,
        ...runJson(run),
        progress,
        word,
        report: report ?? swept,
      });
    }
    const page = session.pageOf(workflowId);
    if (page !== null) note(page);
    await print(runLine(run));
    if (word !== null && word !== '') await print(`${escapeControls(word)}\n`);
    if (progress !== null) {
      const { progressText, sweepText } = await import('../progress.js');
      const elapsedMs = Date.now() - run.startedAt.getTime();
      await print(`${'done' in progress ? sweepText(progress, elapsedMs) : progressText(progress, elapsedMs)}\n`);
    }
    if (report !== null) {
      const { renderReport } = await import('../../../domain/report/run/text.js');
      await print(renderReport(report, { palette: paletteFor(process.stdout, true) }));
    }
    if (swept !== null && sweep !== null) {
      const { loadSweep } = await import('../../sweep-kinds.js');
      const { render } = await loadSweep(sweep);
      await print(render(swept, paletteFor(process.stdout, true)));
    }
  } finally {
    await session.close();
  }
}

async function look() {
  const { settingsOfProcess } = await import('../settings.js');
  const { lookIn } = await import('../session.js');
  return await lookIn(settingsOfProcess().settings);
}

function runLine({ workflowId, status, startedAt, closedAt }: RunSummary): string {
  const took = closedAt === null ? '' : `  ${((closedAt.getTime() - startedAt.getTime()) / 1000).toFixed(1)} s`;
  return `${workflowId}  ${status.toLowerCase()}  ${startedAt.toISOString()}${took}\n`;
}

function runJson({ workflowId, runId, status, startedAt, closedAt }: RunSummary) {
  return {
    workflow_id: workflowId,
    run_id: runId,
    status: status.toLowerCase(),
    started_at: startedAt.toISOString(),
    closed_at: closedAt?.toISOString() ?? null,
  };
}
