const INSTANT = /^(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)(?:Z|([+-]\d{2}):?(\d{2}))?$/;

/** Parses an ISO 8601 time, UTC when it names no zone, to milliseconds since 1970; null: it is none. */
export function parseInstant(text: string): number | null {
  const [, local, hours = '+00', minutes = '00'] = INSTANT.exec(text) ?? [];
  const ms = local === undefined ? Number.NaN : Date.parse(`${local}${hours}:${minutes}`);
  return Number.isNaN(ms) ? null : ms;
}

/** Writes ISO 8601 with `+00:00`, as stamps have it; parts of a second only when there are any. */
export function formatInstant(ms: number): string {
  return new Date(ms).toISOString().replace(/(?:\.000)?Z$/, '+00:00');
}
