/** The times that a cron expression names: of each field every value that matches, in order. Sunday is 0. */
export interface CronTimes {
  readonly minute: readonly number[];
  readonly hour: readonly number[];
  readonly dayOfMonth: readonly number[];
  readonly month: readonly number[];
  readonly dayOfWeek: readonly number[];
}

/**
 * Reads the five fields of cron, or a word such as `@daily`, as Temporal does: a day must match both the day of the
 * month and the day of the week.
 * @returns the times, or what is wrong as the end of a sentence
 */
export function readCron(text: string): { readonly times: CronTimes } | { readonly problem: string } {
  const words = (WORDS[text.trim()] ?? text).trim().split(/\s+/);
  if (words.length !== FIELDS.length) {
    return { problem: 'must have five fields: minute, hour, day of month, month, day of week' };
  }
  const times: Partial<Record<keyof CronTimes, number[]>> = {};
  for (const [index, field] of FIELDS.entries()) {
    const word = words[index] ?? '';
    const values = valuesOf(word, field);
    if (values === null)
      return { problem: `has ${JSON.stringify(word)} for the ${field.name}, which ${ruleOf(field)}` };
    times[field.key] = values;
  }
  return { times: times as CronTimes };
}

/** The shortest expression of the times: equal times, equal text. */
export function formatCron(times: CronTimes): string {
  return FIELDS.map((field) => formatField(times[field.key], field)).join(' ');
}

interface Field {
  readonly key: keyof CronTimes;
  readonly name: string;
  readonly least: number;
  readonly most: number;
  /** Words for the values from `least` up. */
  readonly words: readonly string[];
}

const FIELDS: readonly Field[] = [
  { key: 'minute', name: 'minute', least: 0, most: 59, words: [] },
  { key: 'hour', name: 'hour', least: 0, most: 23, words: [] },
  { key: 'dayOfMonth', name: 'day of month', least: 1, most: 31, words: [] },
  {
    key: 'month',
    name: 'month',
    least: 1,
    most: 12,
    words: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
  },
  {
    key: 'dayOfWeek',
    name: 'day of week',
    least: 0,
    most: 6,
    words: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
  },
];

const WORDS: Readonly<Record<string, string>> = {
  '@hourly': '0 * * * *',
  '@daily': '0 0 * * *',
  '@weekly': '0 0 * * 0',
  '@monthly': '0 0 1 * *',
};

/** `*`, `a`, `a-b`, and a step behind any of them. */
const PART = /^(?:\*|([a-z]{3}|\d{1,2})(?:-([a-z]{3}|\d{1,2}))?)(?:\/(\d{1,2}))?$/i;

function valuesOf(word: string, field: Field): number[] | null {
  const values = new Set<number>();
  // Cron has two Sundays.
  const most = field.key === 'dayOfWeek' ? 7 : field.most;
  for (const part of word.split(',')) {
    const match = PART.exec(part);
    if (match === null) return null;
    const [, from, to, every] = match;
    const step = every === undefined ? 1 : Number(every);
    const first = from === undefined ? field.least : numberIn(from, field, most);
    const alone = from !== undefined && every === undefined ? first : most;
    const last = to === undefined ? alone : numberIn(to, field, most);
    if (first === null || last === null || last < first || step < 1) return null;
    for (let value = first; value <= last; value += step) values.add(value > field.most ? field.least : value);
  }
  return [...values].sort((a, b) => a - b);
}

function numberIn(text: string, field: Field, most: number): number | null {
  const named = field.words.indexOf(text.toLowerCase());
  if (named !== -1) return named + field.least;
  const value = Number(text);
  return value >= field.least && value <= most ? value : null;
}

function ruleOf({ least, most, words }: Field): string {
  const known = words.length === 0 ? '' : ` or ${words[0]} to ${words.at(-1)}`;
  return `is not made of values from ${least} to ${most}${known}, as in *, 5, 1-5, */15 or 1,3`;
}

function formatField(values: readonly number[], { least, most }: Field): string {
  const [first = least, second = first] = values;
  const step = second - first;
  const regular = values.every((value, index) => value === least + index * step);
  if (values.length > 2 && regular && (values.at(-1) ?? most) + step > most) return step === 1 ? '*' : `*/${step}`;
  return runs(values)
    .map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`))
    .join(',');
}

/** Puts neighbours together: `1 2 3 7` are 1 to 3 and 7. */
function runs(values: readonly number[]): [number, number][] {
  const found: [number, number][] = [];
  for (const value of values) {
    const last = found.at(-1);
    if (last !== undefined && last[1] === value - 1) last[1] = value;
    else found.push([value, value]);
  }
  return found;
}
