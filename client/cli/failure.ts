import { CommanderError } from 'commander';
import { EXIT_CODES, HoubaError, knownError } from '../../domain/errors.js';
import { escapeControls } from '../../domain/text/escape.js';
import { TemporalUnreachable } from '../unreachable.js';

export const USAGE = 64;
export const UNREACHABLE = 69;
export const INTERRUPTED = 130;

/** The exit code of an error that ends a command (docs/rules/errors.md#the-worst-code-ends-a-command). */
export function exitCodeOfError(error: unknown): number {
  if (error instanceof CommanderError) return exitCodeOfUsage(error);
  if (error instanceof TemporalUnreachable) return UNREACHABLE;
  return EXIT_CODES[knownError(error)?.code ?? 'Internal'];
}

/** Exits with 64 for a command line that cannot be parsed, with 3 for a value that is not allowed. */
function exitCodeOfUsage(error: CommanderError): number {
  if (error.exitCode === 0) return 0;
  return error.code === 'commander.invalidArgument' ? EXIT_CODES.ConfigInvalid : USAGE;
}

/** Formats an error for a person: what failed and where, then the hint; the stack only when asked for. */
export function describeError(thrown: unknown, withStack: boolean): string {
  const error = knownError(thrown) ?? thrown;
  const lines = messageOf(error).split('\n').map(escapeControls);
  const hint = error instanceof HoubaError || error instanceof TemporalUnreachable ? error.hint : undefined;
  const text = [`error: ${lines.join('\n')}`];
  if (hint !== undefined) text.push(`  hint: ${escapeControls(hint)}`);
  if (withStack) {
    for (let at: unknown = error; at instanceof Error; at = at.cause) text.push(at.stack ?? String(at));
  } else if (!(error instanceof HoubaError) && !(error instanceof TemporalUnreachable)) {
    text.push('  hint: this is a fault of houba; HOUBA_LOG_LEVEL=DEBUG shows where it happened');
  }
  return text.join('\n');
}

function messageOf(error: unknown): string {
  if (error instanceof HoubaError) return `${error.code}: ${error.message}`;
  return error instanceof Error ? error.message : String(error);
}
