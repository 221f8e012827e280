import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { addAbortSignal, type Duplex, pipeline, Transform } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { extract, type Header, type Extract as TarReader } from 'tar-stream';
import type { Digest } from '../domain/digest.js';
import { HoubaError } from '../domain/errors.js';
import { refuseForeignLayers } from '../domain/manifest.js';
import { createImageFiles, type ImageFiles } from '../domain/transform/image-files.js';
import { createUnzstd } from './image-layers/decompress-zstd.js';
import { createFileTree, type FileTree } from './image-layers/file-tree.js';
import { blobPath, readConfig, readManifest } from './oci-layout.js';

/** Reads image layers without unpacking them to disk. */
export interface ImageLayers {
  /**
   * Reads all names of an image's root file system, and the `wanted` files; a path that ends in `/` means those in it.
   * @throws HoubaError `Unsupported` when a layer cannot be read or exceeds a limit; the signal's reason
   */
  readImageFiles(layout: string, manifest: Digest, wanted: readonly string[], signal: AbortSignal): Promise<ImageFiles>;
}

export interface ImageLayersLimits {
  readonly entries: number;
  /** Unpacked bytes of all layers. */
  readonly unpacked: number;
  /** Header bytes of all layers, which take time to read. */
  readonly headers: number;
  readonly file: number;
  readonly files: number;
}

const MIB = 1024 * 1024;
const LIMITS: ImageLayersLimits = {
  ...{ entries: 1_000_000, unpacked: 65_536 * MIB, headers: 2048 * MIB },
  ...{ file: 8 * MIB, files: 64 * MIB },
};

/** The longest name that file systems allow. */
const LONGEST_NAME = 4096;

export function createImageLayers(limits: Partial<ImageLayersLimits> = {}): ImageLayers {
  const most = { ...LIMITS, ...limits };

  return {
    async readImageFiles(layout, digest, wanted, signal) {
      const { manifest } = await readManifest(layout, digest);
      if (manifest.kind !== 'image') throw new HoubaError('Unsupported', `${digest} is an index, not an image`);
      const { diffIds } = await readConfig(layout, digest);
      if (diffIds.length !== manifest.layers.length) {
        throw new HoubaError('Unsupported', `the configuration of ${digest} does not speak of its layers`);
      }
      refuseForeignLayers(digest, manifest.layers);
      const layers = manifest.layers.map((layer, position) => ({
        digest: layer.digest,
        unpacked: diffIds[position] as string,
      }));
      const reading: Reading = { layout, layers, most, signal };
      const tree = await readTree(reading);
      const contents = await readContents(reading, chooseFiles(tree, wanted, most));
      return createImageFiles(tree.entries(), contents);
    },
  };
}

interface Layer {
  readonly digest: Digest;
  /** The digest of the unpacked layer. */
  readonly unpacked: string;
}

interface Reading {
  readonly layout: string;
  readonly layers: readonly Layer[];
  readonly most: ImageLayersLimits;
  readonly signal: AbortSignal;
}

/** First pass: reads the names. */
async function readTree(reading: Reading): Promise<FileTree> {
  const tree = createFileTree();
  const left = { entries: reading.most.entries, bytes: reading.most.unpacked, headers: reading.most.headers };
  for (const [layer, descriptor] of reading.layers.entries()) {
    await forEachEntry(reading, descriptor, left, (entry, ordinal) => {
      if (--left.entries < 0) throw tooMuch(`more than ${reading.most.entries} files`);
      const { header } = entry;
      if (isUsable(header)) addEntry(tree, header, { layer, ordinal, size: header.size });
      return 'go on';
    });
  }
  return tree;
}

/** Skips entries whose names are too long or have control characters. */
function isUsable(header: Header): boolean {
  return [header.name, linkOf(header)].every((text) => text.length <= LONGEST_NAME && !/\p{Cc}/u.test(text));
}

function addEntry(tree: FileTree, header: Header, content: { layer: number; ordinal: number; size: number }): void {
  const { layer } = content;
  const mode = header.mode & 0o7777;
  switch (header.type) {
    case 'file':
    case 'contiguous-file':
      tree.put(header.name, layer, { kind: 'file', mode, content });
      break;
    case 'directory':
      tree.put(header.name, layer, { kind: 'directory', mode });
      break;
    case 'symlink':
      tree.put(header.name, layer, { kind: 'link', mode, link: linkOf(header) });
      break;
    case 'link':
      tree.hardLink(header.name, layer, linkOf(header));
      break;
    default:
      // Devices and the like hide a lower file; no transform reads them.
      tree.remove(header.name);
  }
}

function linkOf({ linkname }: { readonly linkname: string | null }): string {
  return linkname ?? '';
}

/** The wanted files by the place of their content: layer, entry, paths. */
type Chosen = ReadonlyMap<number, ReadonlyMap<number, readonly string[]>>;

function chooseFiles(tree: FileTree, wanted: readonly string[], most: ImageLayersLimits): Chosen {
  const chosen = new Map<number, Map<number, string[]>>();
  const seen = new Set<string>();
  let total = 0;
  for (const asked of wanted) {
    for (const found of asked.endsWith('/') ? tree.filesIn(asked) : [tree.resolve(asked)]) {
      if (found === null || found.node.kind !== 'file' || seen.has(found.path)) continue;
      seen.add(found.path);
      const { layer, ordinal, size } = found.node.content;
      total += size;
      if (size > most.file || total > most.files) throw tooMuch(`${found.path} is too large to look into`);
      const ofLayer = chosen.get(layer) ?? new Map<number, string[]>();
      chosen.set(layer, ofLayer.set(ordinal, [...(ofLayer.get(ordinal) ?? []), found.path]));
    }
  }
  return chosen;
}

/** Second pass: reads the contents of the chosen files, by path. */
async function readContents(reading: Reading, chosen: Chosen): Promise<Map<string, Uint8Array>> {
  const contents = new Map<string, Uint8Array>();
  const left = { bytes: reading.most.unpacked, headers: reading.most.headers };
  for (const [layer, paths] of chosen) {
    let missing = paths.size;
    await forEachEntry(reading, reading.layers[layer] as Layer, left, async (entry, ordinal) => {
      const found = paths.get(ordinal);
      if (found === undefined) return 'go on';
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(chunk as Buffer);
      for (const path of found) contents.set(path, Buffer.concat(chunks));
      missing--;
      return missing === 0 ? 'enough' : 'go on';
    });
  }
  return contents;
}

type Entry = TarReader extends AsyncIterable<infer Source> ? Source : never;
type Visit = (entry: Entry, ordinal: number) => 'go on' | 'enough' | Promise<'go on' | 'enough'>;

/**
 * Visits a layer's entries, then checks its digest
 * (docs/rules/registry-access.md#bytes-are-hashed-where-they-are-read).
 */
async function forEachEntry(
  { layout, signal, most }: Reading,
  layer: Layer,
  left: { bytes: number; headers: number },
  visit: Visit,
): Promise<void> {
  signal.throwIfAborted();
  const file = addAbortSignal(signal, createReadStream(blobPath(layout, layer.digest)));
  const hash = createHash(layer.unpacked.startsWith('sha512:') ? 'sha512' : 'sha256');
  const counted = new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      hash.update(chunk);
      left.bytes -= chunk.length;
      left.headers -= chunk.length;
      if (left.bytes < 0) done(tooMuch(`more than ${most.unpacked} bytes`));
      else if (left.headers < 0) done(tooMuch('more headers in its layers than files would need'));
      else done(null, chunk);
    },
  });
  const entries = openTar();
  let ordinal = 0;
  try {
    const unpacker = await unpackerFor(layout, layer);
    pipeline([file, ...unpacker, counted], (error) => {
      if (error) entries.destroy(error);
    });
    counted.pipe(entries);
    for await (const entry of entries) {
      // A directory has no content, whatever its header says.
      if (entry.header.type !== 'directory') left.headers += entry.header.size;
      if ((await visit(entry, ordinal++)) === 'enough') return;
      entry.resume();
    }
    if (hash.digest('hex') !== layer.unpacked.split(':')[1])
      throw new Error('it unpacks to something else than it should');
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof HoubaError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new HoubaError('Unsupported', `the layer ${layer.digest} cannot be read: ${why}`, { cause: error });
  } finally {
    file.destroy();
  }
}

/** Opens a tar reader that ignores global headers, as runtimes do: tar-stream would copy them for each entry. */
function openTar(): TarReader {
  const reader = extract({ allowUnknownFormat: true } as Parameters<typeof extract>[0]);
  Object.defineProperty(reader, '_paxGlobal', { get: () => null, set: () => undefined });
  return reader;
}

/** Chooses the decompressor by the first bytes, as BuildKit does: media types of layers can be wrong. */
async function unpackerFor(layout: string, layer: Layer): Promise<Duplex[]> {
  let first: Buffer = Buffer.alloc(0);
  for await (const chunk of createReadStream(blobPath(layout, layer.digest), { end: 3 })) first = chunk;
  if (first[0] === 0x1f && first[1] === 0x8b) return [createGunzip()];
  if (first.length === 4 && first.readUInt32LE(0) === 0xfd2fb528) return [createUnzstd()];
  return [];
}

function tooMuch(what: string): HoubaError {
  return new HoubaError('Unsupported', `the image has ${what}`, { hint: 'such an image can be copied, not rebuilt' });
}
