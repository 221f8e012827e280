import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Settings } from '../../config/settings.js';
import { parseReference } from '../../domain/reference.js';
import type { Palette } from '../../domain/report/palette.js';

/** The options and the report of a sweep on the command line; `runSweep` runs it. */
export interface SweepVerb<Input, Report> {
  /** Adds the sweep's own options, beside `--output`. */
  addOptions(command: Command): Command;
  /** Reads the sweep's input from the options. @throws HoubaError `ConfigInvalid` */
  ask(self: Command, settings: Settings): { readonly input: Input; exitCode(report: Report): number };
  /** Renders the report for a person; ends with a line break. */
  render(report: Report, palette: Palette): string;
  schema(): Record<string, unknown>;
}

/** Options of the sweeps that may delete. */
export interface DeletingOptions {
  readonly registry?: string;
  readonly repository?: readonly string[];
  readonly apply?: boolean;
}

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
