import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DigestMemory, openDigestMemory } from '../../../adapters/digest-memory.js';
import { digestFor } from '../../support/durable-samples.js';
import { recordedStamp } from '../domain/plan/samples.js';

const REDIS = { host: 'registry.example', path: 'lib/redis' };
const DIGEST = digestFor('redis');
const FACTS = {
  stamp: recordedStamp(),
  stampsBeside: [],
  sbomFormats: ['spdx-json' as const],
  signedFormats: null,
  marks: [],
};
const PLACE = { ...REDIS, digest: digestFor('document') };

let folder: string;
let opened: DigestMemory[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'houba-memory-'));
  opened = [];
});
afterEach(() => {
  for (const memory of opened) memory.close();
  rmSync(folder, { recursive: true, force: true });
});

function open(variety = 'io.houba', directory = folder): DigestMemory {
  const memory = openDigestMemory(directory, variety);
  opened.push(memory);
  return memory;
}

const file = () => join(folder, readdirSync(folder)[0] as string);

describe('the memory of digests', () => {
  it('knows nothing at first', () => {
    expect(open().facts(REDIS, DIGEST)).toBeUndefined();
    expect(open().document('content', 'spdx-json')).toBeUndefined();
  });

  it('remembers over restarts', () => {
    const before = open();
    before.rememberFacts(REDIS, DIGEST, FACTS);
    before.rememberDocument('content', 'spdx-json', PLACE);
    const after = open();
    expect(after.facts(REDIS, DIGEST)).toEqual(FACTS);
    expect(after.document('content', 'spdx-json')).toEqual(PLACE);
    expect(after.facts({ ...REDIS, path: 'lib/other' }, DIGEST)).toBeUndefined();
    expect(after.document('content', 'cyclonedx-json')).toBeUndefined();
  });

  it('believes what it was told last, and writes nothing twice', () => {
    const memory = open();
    memory.rememberFacts(REDIS, DIGEST, FACTS);
    memory.rememberFacts(REDIS, DIGEST, FACTS);
    expect(readFileSync(file(), 'utf8').split('\n')).toHaveLength(2);
    memory.rememberFacts(REDIS, DIGEST, { ...FACTS, stamp: null });
    expect(open().facts(REDIS, DIGEST)).toMatchObject({ stamp: null });
  });

  it('is set apart by what digests are read with', () => {
    open('io.houba').rememberFacts(REDIS, DIGEST, FACTS);
    expect(open('').facts(REDIS, DIGEST)).toBeUndefined();
    expect(open('other/../prefix').facts(REDIS, DIGEST)).toBeUndefined();
    expect(readdirSync(folder)).toHaveLength(3);
  });

  it('passes over lines it cannot read, such as the last one of a killed worker', () => {
    open().rememberFacts(REDIS, DIGEST, FACTS);
    appendFileSync(file(), 'nonsense\n[1,2]\n["key"]\n["key","{not json"]\n["half a li');
    expect(open().facts(REDIS, DIGEST)).toEqual(FACTS);
  });

  it('goes on below a line that was cut off', () => {
    open();
    writeFileSync(file(), '["half a li');
    const memory = open();
    memory.rememberFacts(REDIS, DIGEST, FACTS);
    memory.rememberDocument('content', 'spdx-json', PLACE);
    expect(open().document('content', 'spdx-json')).toEqual(PLACE);
  });

  it('drops what was overwritten once that is most of it', () => {
    const memory = open();
    for (let index = 0; index < 1_200; index++) {
      memory.rememberDocument('content', 'spdx-json', { ...PLACE, path: `lib/${index}` });
    }
    expect(open().document('content', 'spdx-json')).toEqual({ ...PLACE, path: 'lib/1199' });
    expect(readFileSync(file(), 'utf8').split('\n')).toHaveLength(2);
  });

  it('is nobody else’s to read', () => {
    const directory = join(folder, 'cache');
    open('io.houba', directory).rememberFacts(REDIS, DIGEST, FACTS);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
    expect(statSync(join(directory, 'digests-3-io.houba.jsonl')).mode & 0o777).toBe(0o600);
  });
});
