import { Writable } from 'node:stream';
import { Context } from '@temporalio/activity';
import { type DestinationStream, type Logger, destination as open, pino, stdTimeFunctions } from 'pino';
import pretty from 'pino-pretty';
import { escapeControls } from '../domain/text/escape.js';

export type { Logger } from 'pino';

export interface JournalOptions {
  readonly format: 'text' | 'json';
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly destination: 'stderr' | string;
}

/** Opens the journal (docs/rules/reports.md#the-journal-has-one-event-a-line). The event's name is the message. */
export function createLogger({ format, level, destination }: JournalOptions): Logger {
  const raw = open({ dest: destination === 'stderr' ? 2 : destination, sync: true, append: true, mkdir: true });
  return pino(
    {
      level,
      base: undefined,
      messageKey: 'event',
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: (error) => (error instanceof Error ? error.stack : error) },
    },
    format === 'json' ? raw : asText(raw),
  );
}

/** Escapes control characters: text of a registry or a tool must not steer a terminal. */
function asText(raw: DestinationStream): DestinationStream {
  const safe = new Writable({
    decodeStrings: false,
    write: (line, _encoding, done) => {
      raw.write(`${escapeControls(String(line).trimEnd())}\n`);
      done();
    },
  });
  return pretty({
    destination: safe,
    sync: true,
    colorize: false,
    singleLine: true,
    // houba's `error` is a text; pino-pretty would give it a line of its own.
    errorLikeObjectKeys: [],
    messageKey: 'event',
    translateTime: 'UTC:yyyy-mm-dd"T"HH:MM:ss.l"Z"',
  });
}

/** The workflow and the run of the current activity, for its lines. */
export function whence(): { workflow_id: string; run_id: string } {
  const { workflowExecution } = Context.current().info;
  return { workflow_id: workflowExecution?.workflowId ?? '', run_id: workflowExecution?.runId ?? '' };
}
