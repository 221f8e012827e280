import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { Digest } from '../domain/digest.js';
import type { SbomFormat } from '../domain/evidence/sbom.js';
import type { PlacedMark } from '../domain/lifecycle/mark.js';
import { formatRepository, type Repository } from '../domain/reference.js';
import type { RecordedStamp } from '../domain/stamp/annotations.js';

/** What a placed digest is known to carry. Its stamp never changes; evidence was complete when last looked at. */
export interface DigestFacts {
  readonly stamp: RecordedStamp | null;
  readonly stampsBeside: readonly StampBeside[];
  /** The formats whose SBOMs are all there. */
  readonly sbomFormats: readonly SbomFormat[];
  /** The formats whose SBOMs are signed, as is every other statement; null: a signature is missing. */
  readonly signedFormats: readonly SbomFormat[] | null;
  /** Deletion marks, read again before anything acts on them; null: they may have changed. */
  readonly marks: readonly PlacedMark[] | null;
  /** When the marks were read, ms since 1970; left out: long ago. */
  readonly marksAt?: number;
}

export interface StampBeside {
  readonly tag: string;
  readonly stamp: RecordedStamp;
  /** Whether the statements for this tag are signed. */
  readonly signed: boolean;
}

/** The blob of an SBOM document. */
export interface DocumentPlace {
  readonly host: string;
  readonly path: string;
  readonly digest: Digest;
}

/** Caches by digest what was read, so that a run with nothing to do costs one HEAD a tag. May be lost at any time. */
export interface DigestMemory {
  facts(repository: Repository, digest: Digest): DigestFacts | undefined;
  rememberFacts(repository: Repository, digest: Digest, facts: DigestFacts): void;
  repositories(host: string): Repository[];
  document(content: string, format: SbomFormat): DocumentPlace | undefined;
  rememberDocument(content: string, format: SbomFormat, place: DocumentPlace): void;
  close(): void;
}

/** Version of the file format; files of other versions are not read. */
const SHAPE = 3;

/**
 * Opens the cache, a shared file of JSON lines. @param variety separates caches that read digests differently. @param
 * lost is told the first error of a write: the next start reads again what the file lacks
 */
export function openDigestMemory(
  directory: string,
  variety: string,
  lost: (file: string, error: unknown) => void = () => {},
): DigestMemory {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, `digests-${SHAPE}-${encodeURIComponent(variety) || 'plain'}.jsonl`);
  let isWhole = true;
  const failed = (error: unknown) => {
    if (isWhole) lost(file, error);
    isWhole = false;
  };
  const entries = load(file, failed);
  const handle = openSync(file, 'a', 0o600);
  const remember = (key: string, value: unknown) => {
    const text = JSON.stringify(value);
    if (entries.get(key) === text) return;
    entries.set(key, text);
    try {
      writeSync(handle, `${JSON.stringify([key, text])}\n`);
    } catch (error) {
      failed(error);
    }
  };
  const recall = (key: string): unknown => {
    const text = entries.get(key);
    return text === undefined ? undefined : JSON.parse(text);
  };
  return {
    facts: (repository, digest) => recall(factsKey(repository, digest)) as DigestFacts | undefined,
    rememberFacts: (repository, digest, facts) => remember(factsKey(repository, digest), facts),
    repositories: (host) => repositoriesIn(entries.keys(), host),
    document: (content, format) => recall(`${content} ${format}`) as DocumentPlace | undefined,
    rememberDocument: (content, format, place) => remember(`${content} ${format}`, place),
    close: () => closeSync(handle),
  };
}

function factsKey(repository: Repository, digest: Digest): string {
  return `${formatRepository(repository)}@${digest}`;
}

function repositoriesIn(keys: Iterable<string>, host: string): Repository[] {
  const paths = new Set<string>();
  for (const key of keys) {
    const at = key.lastIndexOf('@');
    if (at > 0 && key.startsWith(`${host}/`)) paths.add(key.slice(host.length + 1, at));
  }
  return [...paths].map((path) => ({ host, path }));
}

/** Loads the entries as JSON text, which takes little memory until a value is asked for. */
function load(file: string, failed: (error: unknown) => void): Map<string, string> {
  const entries = new Map<string, string>();
  let lines: string[];
  try {
    lines = readFileSync(file, 'utf8').split('\n');
  } catch {
    return entries;
  }
  for (const line of lines) {
    const pair = parsePair(line);
    if (pair !== null) entries.set(...pair);
  }
  if (lines.length > 2 * entries.size + 1_000) compact(file, entries, failed);
  return entries;
}

function parsePair(line: string): [string, string] | null {
  try {
    const pair: unknown = JSON.parse(line);
    const [key, text] = Array.isArray(pair) ? pair : [];
    if (typeof key !== 'string' || typeof text !== 'string') return null;
    JSON.parse(text);
    return [key, text];
  } catch {
    return null;
  }
}

function compact(file: string, entries: ReadonlyMap<string, string>, failed: (error: unknown) => void): void {
  const fresh = `${file}.${process.pid}`;
  try {
    writeFileSync(fresh, [...entries].map((pair) => `${JSON.stringify(pair)}\n`).join(''), { mode: 0o600 });
    renameSync(fresh, file);
  } catch (error) {
    rmSync(fresh, { force: true });
    failed(error);
  }
}
