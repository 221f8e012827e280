import { readFile } from 'node:fs/promises';
import { text as readStream } from 'node:stream/consumers';
import { isMap, isScalar, LineCounter, parseDocument } from 'yaml';
import { PLAIN_YAML, plainValue } from '../../adapters/policy-files/plain-yaml.js';
import { HoubaError } from '../../domain/errors.js';
import { checkSettings, type Schedule, scheduleNamed, type WrittenSettings } from '../../domain/schedule/schedules.js';
import { escapeControls } from '../../domain/text/escape.js';

const LARGEST = 64 * 1024;
const HINT = 'it maps names of schedules to their settings, as in `reconcile: { every: 30m }`; JSON will do as well';

/** The settings by schedule, in the order of the file. */
type ScheduleFile = ReadonlyMap<Schedule, WrittenSettings>;

/**
 * Reads schedule settings from YAML or JSON; `-` is standard input. @throws HoubaError `ConfigInvalid` with all
 * mistakes
 */
export async function readScheduleFile(file: string): Promise<ScheduleFile> {
  return parseScheduleFile(file === '-' ? 'standard input' : file, await readText(file));
}

/** Parses such a text; `file` is for messages. */
export function parseScheduleFile(file: string, text: string): ScheduleFile {
  if (text.length > LARGEST) throw invalid([`${file}: larger than ${LARGEST / 1024} KiB`]);
  const lines = new LineCounter();
  const document = parseDocument(text, { ...PLAIN_YAML, lineCounter: lines });
  const placed = (offset: number, message: string) => `${file}:${Math.max(lines.linePos(offset).line, 1)}: ${message}`;
  const faults = [...document.errors, ...document.warnings].map(({ pos, message }) => placed(pos[0], message));
  if (faults.length > 0) throw invalid(faults);
  if (!isMap(document.contents)) throw invalid([`${file}: not a mapping of schedules`]);
  const plain = plainValue(document);
  if ('problem' in plain) throw invalid([`${file}: ${plain.problem}`]);

  const read = new Map<Schedule, WrittenSettings>();
  const problems: string[] = [];
  for (const [name, written] of Object.entries(plain.value as Record<string, unknown>)) {
    const at = (path: readonly string[], message: string) => placed(offsetOf(document.contents, path), message);
    try {
      const schedule = scheduleNamed(name);
      if (read.has(schedule)) problems.push(at([name], `${schedule.id} stands here twice`));
      const checked = checkSettings(written);
      if ('settings' in checked) read.set(schedule, checked.settings);
      for (const { key, message } of checked.issues) {
        problems.push(at(key === null ? [name] : [name, key], `${name}${key === null ? '' : `.${key}`} ${message}`));
      }
    } catch (error) {
      if (!(error instanceof HoubaError)) throw error;
      problems.push(at([name], `${error.message} (${error.hint})`));
    }
  }
  if (problems.length > 0) throw invalid(problems);
  if (read.size === 0) throw invalid([`${file}: names no schedule`]);
  return read;
}

async function readText(file: string): Promise<string> {
  try {
    return file === '-' ? await readStream(process.stdin) : await readFile(file, 'utf8');
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code ?? String(cause);
    throw new HoubaError('ConfigInvalid', `the settings file ${file} cannot be read (${why})`, { hint: HINT, cause });
  }
}

/** The offset of the deepest key of the path that the document has. */
function offsetOf(contents: unknown, path: readonly string[]): number {
  let node = contents;
  let offset = 0;
  for (const step of path) {
    const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && String(key.value) === step) : undefined;
    if (pair === undefined || !isScalar(pair.key)) break;
    offset = pair.key.range?.[0] ?? offset;
    node = pair.value;
  }
  return offset;
}

function invalid(problems: readonly string[]): HoubaError {
  const told = problems.map(escapeControls);
  const text = told.length === 1 ? told.join() : [`${told.length} mistakes:`, ...told].join('\n  ');
  return new HoubaError('ConfigInvalid', text, { hint: HINT });
}
