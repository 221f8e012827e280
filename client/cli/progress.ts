import { escapeControls } from '../../domain/text/escape.js';
import type { RunProgress } from '../follow.js';
import type { HoubaClient, Run } from '../sdk.js';

/** Shows the progress of a run on a terminal until the run ends or `stop` is called; nothing on a pipe. */
export async function showProgress(client: HoubaClient, run: Run, stream: NodeJS.WriteStream): Promise<() => void> {
  if (stream.isTTY !== true) return () => {};
  const { createLogUpdate } = await import('log-update');
  const update = createLogUpdate(stream);
  const began = Date.now();
  const stop = new AbortController();
  void client.follow(run, (progress) => update(progressText(progress, Date.now() - began)), stop);
  return () => {
    if (stop.signal.aborted) return;
    stop.abort();
    update.clear();
    update.done();
  };
}

/** Two lines: the progress and the time, then the current policies. */
export function progressText({ phase, policies, placements }: RunProgress, elapsedMs: number): string {
  const parts = [phase, `${policies.done}/${policies.total || '?'} policies`];
  if (placements.total > 0) parts.push(`${placements.done}/${placements.total} placements`);
  parts.push(clock(elapsedMs));
  const left = timeLeftMs({ policies, placements }, elapsedMs);
  if (left !== null) parts.push(`about ${clock(left)} left`);
  const current = policies.current.slice(0, 5).map(escapeControls).join(', ');
  return current === '' ? parts.join('  ') : `${parts.join('  ')}\n  ${current}`;
}

/** Estimates the time left from the share that is done; null below a tenth. */
function timeLeftMs({ policies, placements }: Omit<RunProgress, 'phase'>, elapsedMs: number): number | null {
  if (policies.total === 0) return null;
  const ofCurrent = placements.total === 0 ? 0 : placements.done / placements.total;
  const running = Math.min(policies.current.length, policies.total - policies.done);
  const share = (policies.done + running * ofCurrent) / policies.total;
  return share < 0.1 || share >= 1 ? null : (elapsedMs / share) * (1 - share);
}

/** `1:02:03`, `2:03`. */
function clock(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const two = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}
