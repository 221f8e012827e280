import { HoubaError } from '../errors.js';

/** An entry of a root file system; `link` is the target as written, absolute or relative. */
export interface ImageEntry {
  readonly kind: 'file' | 'directory' | 'link';
  readonly link?: string;
  readonly mode: number;
}

export interface LayerFile {
  readonly path: string;
  readonly content: { readonly bytes: Uint8Array; readonly mode: number } | { readonly link: string };
}

/** A snapshot of an image's root file system. Paths are absolute; no link leads out of the image. */
export interface ImageFiles {
  /** Follows every link. Of an absent file: where it would be written, and its mode. */
  resolve(path: string): { path: string; kind: 'file' | 'directory' | 'absent'; mode: number };
  /** Follows links on the way, not the last. */
  locate(path: string): string;
  /**
   * null: there is no file.
   * @throws HoubaError `Internal` for content that was not asked for
   */
  read(path: string): Uint8Array | null;
  /** Names in a directory, sorted; none of an absent one. */
  list(directory: string): string[];
  with(files: readonly LayerFile[]): ImageFiles;
}

type Entries = ReadonlyMap<string, ImageEntry>;
type Contents = ReadonlyMap<string, Uint8Array>;

/** Links followed at most, as in Linux. */
const MOST_LINKS = 40;

/**
 * @param entries by absolute path; directories that hold something may be left out
 * @param contents of the files to read, by path without links
 */
export function createImageFiles(entries: Entries, contents: Contents): ImageFiles {
  const complete = new Map(entries);
  addDirectory(complete, '/');
  for (const path of entries.keys()) addDirectory(complete, parentOf(path));
  return snapshot(complete, contents);
}

/** The file to add; none when the image has it, so that a step applied twice changes nothing. */
export function replaceFile(image: ImageFiles, path: string, bytes: Uint8Array): LayerFile[] {
  const { path: place, mode } = image.resolve(path);
  const present = image.read(place);
  if (present !== null && sameBytes(present, bytes)) return [];
  return [{ path: place, content: { bytes, mode } }];
}

function snapshot(entries: Entries, contents: Contents): ImageFiles {
  function resolve(path: string): ReturnType<ImageFiles['resolve']> {
    const place = follow(entries, path);
    const entry = entries.get(place);
    if (entry === undefined || entry.kind === 'link') return { path: place, kind: 'absent', mode: 0o644 };
    return { path: place, kind: entry.kind, mode: entry.mode };
  }

  return {
    resolve,
    locate(path) {
      return join(follow(entries, parentOf(path)), path.slice(path.lastIndexOf('/') + 1));
    },
    read(path) {
      const place = resolve(path);
      if (place.kind !== 'file') return null;
      const content = contents.get(place.path);
      if (content !== undefined) return content;
      throw new HoubaError('Internal', `the content of ${place.path} was not taken out of the image`);
    },
    list(directory) {
      const folder = join(follow(entries, directory), '');
      const names: string[] = [];
      for (const path of entries.keys()) {
        if (path.length > folder.length && path.startsWith(folder) && !path.includes('/', folder.length)) {
          names.push(path.slice(folder.length));
        }
      }
      return names.sort();
    },
    with(files) {
      const nextEntries = new Map(entries);
      const nextContents = new Map(contents);
      for (const { path, content } of files) {
        addDirectory(nextEntries, parentOf(path));
        if ('link' in content) {
          nextEntries.set(path, { kind: 'link', link: content.link, mode: 0o777 });
        } else {
          nextEntries.set(path, { kind: 'file', mode: content.mode });
          nextContents.set(path, content.bytes);
        }
      }
      return snapshot(nextEntries, nextContents);
    },
  };
}

/** A loop ends after `MOST_LINKS`, at a link. */
function follow(entries: Entries, path: string): string {
  const ahead = path.split('/');
  let behind: string[] = [];
  let links = 0;
  for (let part = ahead.shift(); part !== undefined; part = ahead.shift()) {
    if (part === '' || part === '.') continue;
    if (part === '..') {
      behind.pop();
      continue;
    }
    behind.push(part);
    const target = linkAt(entries, behind);
    if (target === null) continue;
    links += 1;
    if (links > MOST_LINKS) break;
    behind.pop();
    if (target.startsWith('/')) behind = [];
    ahead.unshift(...target.split('/'));
  }
  return `/${behind.join('/')}`;
}

function linkAt(entries: Entries, parts: readonly string[]): string | null {
  const entry = entries.get(`/${parts.join('/')}`);
  return entry?.kind === 'link' ? (entry.link ?? '') : null;
}

function addDirectory(entries: Map<string, ImageEntry>, path: string): void {
  if (entries.has(path)) return;
  entries.set(path, { kind: 'directory', mode: 0o755 });
  addDirectory(entries, parentOf(path));
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function join(directory: string, name: string): string {
  return directory === '/' ? `/${name}` : `${directory}/${name}`;
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
