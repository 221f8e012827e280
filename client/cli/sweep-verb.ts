import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Settings } from '../../config/settings.js';
import { parseReference } from '../../domain/reference.js';
import type { Palette } from '../../domain/report/palette.js';

/** A sweep on the command line: what it can be asked for, and what its report says. `runSweep` does the rest. */
export interface SweepVerb<Input, Report> {
  /** Adds what it has beside `--output`. */
  addOptions(command: Command): Command;
  /**
   * What the options of a command line ask for.
   * @throws HoubaError `ConfigInvalid`
   */
  ask(self: Command, settings: Settings): { readonly input: Input; exitCode(report: Report): number };
  /** The report for a person; ends with a line break. */
  render(report: Report, palette: Palette): string;
  /** The JSON Schema of the report. */
  schema(): Record<string, unknown>;
}

/** What sweeps that may delete have in common. */
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
