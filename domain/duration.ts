import { HoubaError } from './errors.js';

/** A duration in policies, configuration and options: `7d`, `36h`, `30m`, `20s`, or a bare `0`. */
export const DURATION = /^(?:0|(\d{1,10})([dhms]))$/;

export const DAY_MS = 86_400_000;

const UNIT_MS: Readonly<Record<string, number>> = { d: DAY_MS, h: 3_600_000, m: 60_000, s: 1_000 };

/** The longest duration, a hundred years: more is a typing error, and no timer takes it. */
const LONGEST_MS = 36_500 * DAY_MS;

/** @throws HoubaError `ConfigInvalid` when the text is no duration */
export function parseDuration(text: string): number {
  const ms = durationMs(text);
  if (ms !== null) return ms;
  throw new HoubaError('ConfigInvalid', `not a duration: ${JSON.stringify(text.slice(0, 50))}`, {
    hint: 'write a whole number and d, h, m or s, as in 7d, 36h, 30m or 20s (at most 36500d)',
  });
}

/** Reads a duration; null: the text is none. */
export function durationMs(text: string): number | null {
  const match = DURATION.exec(text);
  if (match === null) return null;
  const ms = Number(match[1] ?? 0) * (UNIT_MS[match[2] ?? 's'] ?? 0);
  return ms <= LONGEST_MS ? ms : null;
}

/** Writes the shortest exact form: `7d`, `36h`, `90s`, `0`. Parts of a second are dropped. */
export function formatDuration(ms: number): string {
  const whole = Math.floor(ms / 1000) * 1000;
  if (whole === 0) return '0';
  for (const [unit, size] of Object.entries(UNIT_MS)) if (whole % size === 0) return `${whole / size}${unit}`;
  return `${whole / 1000}s`;
}
