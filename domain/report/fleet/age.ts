import { parseInstant } from '../../instant.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/** Milliseconds from one RFC 3339 time to another; null: one of them is none. */
export function msBetween(from: string | null, to: string): number | null {
  const [start, end] = [from === null ? null : parseInstant(from), parseInstant(to)];
  return start === null || end === null ? null : end - start;
}

/** Writes a time for a person, `2026-06-01 06:30 UTC`; what is no RFC 3339 time stays as it is. */
export function formatTime(instant: string): string {
  const ms = parseInstant(instant);
  return ms === null ? instant : `${new Date(ms).toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}

/** Writes a span in one unit that a person compares at a glance: `12 min`, `30 h`, from two days on `400 d`. */
export function formatSpan(ms: number): string {
  const span = Math.abs(ms);
  if (span < HOUR_MS) return `${Math.floor(span / MINUTE_MS)} min`;
  return span < 2 * DAY_MS ? `${Math.floor(span / HOUR_MS)} h` : `${Math.floor(span / DAY_MS)} d`;
}
