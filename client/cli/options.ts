import { InvalidArgumentError, Option } from 'commander';
import { DAY_MS, durationMs } from '../../domain/duration.js';

/** Parses whole numbers from `least` up; anything else is an invalid value (exit 3). */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && Number.isSafeInteger(value) && value >= least) return value;
    throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`);
  };
}

/** Parses a name or a path: anything but nothing. */
export function named(text: string): string {
  if (text.trim() !== '') return text;
  throw new InvalidArgumentError('It must not be empty.');
}

export function portNumber(text: string): number {
  const port = wholeNumber(1)(text);
  if (port <= 65_535) return port;
  throw new InvalidArgumentError('It must be a port, 1 to 65535.');
}

/** The longest delay of a Node timer. */
const LONGEST_MS = 24 * DAY_MS;

/** Parses a duration such as `90s`. @returns milliseconds */
export function duration(text: string): number {
  const ms = durationMs(text);
  if (ms !== null && ms > 0 && ms <= LONGEST_MS) return ms;
  throw new InvalidArgumentError('It must be a duration such as 90s, 10m or 2h, at most 24d.');
}

/** Parses the age that a scan may have, such as `7d`. @returns milliseconds */
export function age(text: string): number {
  const ms = durationMs(text);
  if (ms !== null && ms > 0) return ms;
  throw new InvalidArgumentError('It must be a duration such as 7d, 36h or 30m.');
}

export type Output = 'text' | 'json';

/** `--output` of a report, by default the format of the journal. */
export function reportOption(): Option {
  return new Option('--output <format>', 'form of the report (default: as HOUBA_LOG_FORMAT)').choices(['text', 'json']);
}

export function outputOption(): Option {
  return new Option('--output <format>', 'how to print the result').choices(['text', 'json']).default('text');
}
