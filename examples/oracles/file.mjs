#!/usr/bin/env node
// A usage oracle for houba that looks into a file which your own inventory writes. It needs Node 20 and nothing else.
import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';

const HELP = `Tells houba when an image was last seen in use, from a JSON file:

  { "generated_at": "2026-03-02T05:00:00Z",
    "seen": { "sha256:4e1c...": "2026-03-01T11:20:00Z" } }

  HOUBA_USAGE_ORACLE_CMD='node /opt/houba/file.mjs --file /var/lib/inventory/seen.json'

  --file PATH      the file; what is not in it is not in use, so it must list everything that is
  --max-age TIME   refuse a file generated longer ago: a number and d, h, m or s (default 24h)
  --help           print this

The question comes as JSON on standard input, the answer goes to standard output. A file that is missing, broken, empty
or too old is a failure, and houba then keeps the image.
`;

/** Clocks differ; a file from the future would never grow old. */
const MOST_AHEAD_MS = 300_000;

const UNIT_MS = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 };

async function answer({ digest, since }, { file, maxAgeMs }) {
  const { generated_at: generatedAt, seen } = JSON.parse(await readFile(file, 'utf8'));
  const age = Date.now() - timeOf(generatedAt, 'generated_at');
  if (age < -MOST_AHEAD_MS) throw new Error(`${file} says that it was generated at ${generatedAt}, which is to come`);
  if (age > maxAgeMs) throw new Error(`${file} was generated at ${generatedAt}, which is too long ago to tell`);
  if (typeof seen !== 'object' || seen === null || Array.isArray(seen)) throw new Error(`${file} has no object "seen"`);
  if (Object.keys(seen).length === 0) throw new Error(`${file} lists nothing at all: something is wrong with it`);
  if (!Object.hasOwn(seen, digest)) return { last_seen: null, detail: `not in the inventory of ${generatedAt}` };
  const lastSeen = seen[digest];
  // houba takes any sighting for use, so one from before the window is not told as one.
  if (timeOf(lastSeen, digest) < timeOf(since, 'since')) return { last_seen: null, detail: `last seen ${lastSeen}` };
  return { last_seen: new Date(timeOf(lastSeen, digest)).toISOString(), detail: `inventory of ${generatedAt}` };
}

function timeOf(value, name) {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms)) throw new Error(`${name} is not a time: ${JSON.stringify(value)}`);
  return ms;
}

function durationMs(value) {
  const [, count, unit] = /^(\d+)([dhms])$/.exec(value) ?? [];
  if (count === undefined) throw new Error(`--max-age takes a number and d, h, m or s, not ${value}`);
  return Number(count) * UNIT_MS[unit];
}

try {
  const { values } = parseArgs({
    options: { file: { type: 'string' }, 'max-age': { type: 'string', default: '24h' }, help: { type: 'boolean' } },
  });
  if (values.help) process.stdout.write(HELP);
  else {
    if (values.file === undefined) throw new Error('--file is missing; see --help');
    const settings = { file: values.file, maxAgeMs: durationMs(values['max-age']) };
    const question = JSON.parse(await text(process.stdin));
    process.stdout.write(`${JSON.stringify(await answer(question, settings))}\n`);
  }
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
