import { escapeControls } from '../../domain/text/escape.js';
import type { RateLimit, RunProgress, SweepProgress } from '../follow.js';

/** Between two looks where nobody watches, ms. */
const UNWATCHED_MS = 2_000;

/**
 * Shows the progress of a run on a terminal until the run ends or `stop` is called; on a pipe nothing but what it waits
 * for. @param follow reports the progress until its signal is aborted
 */
export async function showProgress<P extends { readonly limits: readonly RateLimit[] }>(
  follow: (
    onProgress: (progress: P) => void,
    options: { readonly signal: AbortSignal; readonly everyMs?: number },
  ) => Promise<void>,
  textOf: (progress: P, elapsedMs: number) => string,
  stream: NodeJS.WriteStream,
): Promise<() => void> {
  const stop = new AbortController();
  if (stream.isTTY !== true) {
    void follow(limitsTeller(stream), { signal: stop.signal, everyMs: UNWATCHED_MS });
    return () => stop.abort();
  }
  const { createLogUpdate } = await import('log-update');
  const update = createLogUpdate(stream);
  const began = performance.now();
  void follow((progress) => update(textOf(progress, performance.now() - began)), stop);
  return () => {
    if (stop.signal.aborted) return;
    stop.abort();
    update.clear();
    update.done();
  };
}

/** Writes a line for each limit that the run begins to wait for. */
function limitsTeller(stream: NodeJS.WriteStream): (progress: { readonly limits: readonly RateLimit[] }) => void {
  const told = new Set<string>();
  return ({ limits }) => {
    for (const limit of limits) {
      const key = `${limit.registry} ${limit.until}`;
      if (!told.has(key)) stream.write(`${limitText(limit)}\n`);
      told.add(key);
    }
  };
}

/** `waits until 2026-03-02T05:00:11Z: docker.io limits requests (3 steps)`. */
function limitText({ registry, until, steps }: RateLimit): string {
  const where = escapeControls(registry ?? 'a registry');
  return `waits${until === null ? '' : ` until ${until}`}: ${where} limits requests (${steps} ${steps === 1 ? 'step' : 'steps'})`;
}

/** How much of a sweep is done and the time, then what is worked on, then what it waits for. */
export function sweepText({ phase, done, current, limits }: SweepProgress, elapsedMs: number): string {
  return below([phase, `${done} done`, clock(elapsedMs)], current, limits);
}

/** The progress and the time, then the current policies, then what they wait for. */
export function progressText({ phase, policies, placements, limits }: RunProgress, elapsedMs: number): string {
  const parts = [phase, `${policies.done}/${policies.total || '?'} policies`];
  if (placements.total > 0) parts.push(`${placements.done}/${placements.total} placements`);
  parts.push(clock(elapsedMs));
  const left = timeLeftMs({ policies, placements }, elapsedMs);
  if (left !== null) parts.push(`about ${clock(left)} left`);
  return below(parts, policies.current, limits);
}

function below(parts: readonly string[], current: readonly string[], limits: readonly RateLimit[]): string {
  const names = current.slice(0, 5).map(escapeControls).join(', ');
  return [parts.join('  '), ...(names === '' ? [] : [names]), ...limits.map(limitText)].join('\n  ');
}

/** Estimates the time left from the share that is done; null below a tenth. */
function timeLeftMs(
  { policies, placements }: Pick<RunProgress, 'policies' | 'placements'>,
  elapsedMs: number,
): number | null {
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
