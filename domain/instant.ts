const INSTANT = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)(?:Z|([+-]\d{2}):?(\d{2}))?$/;

/** Milliseconds since 1970 of an ISO 8601 time, which is UTC when it names no zone; null: it is none. */
export function parseInstant(text: string): number | null {
  const [, local, hours = '+00', minutes = '00'] = INSTANT.exec(text) ?? [];
  const ms = local === undefined ? Number.NaN : Date.parse(`${local}${hours}:${minutes}`);
  return Number.isNaN(ms) ? null : ms;
}

/** ISO 8601 with `+00:00`, like every time in a stamp; parts of a second only when there are any. */
export function formatInstant(ms: number): string {
  return new Date(ms).toISOString().replace(/(?:\.000)?Z$/, '+00:00');
}
