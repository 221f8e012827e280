import { HoubaError } from '../../domain/errors.js';

/** A file, directory or link. A file's content is named by its layer and its entry there. */
type FileNode =
  | { readonly kind: 'file'; readonly mode: number; readonly content: FileContent }
  | { readonly kind: 'directory'; readonly mode: number }
  | { readonly kind: 'link'; readonly mode: number; readonly link: string };

interface FileContent {
  readonly layer: number;
  /** Index of the entry in its layer. */
  readonly ordinal: number;
  readonly size: number;
}

interface FoundNode {
  readonly path: string;
  readonly node: FileNode;
}

/** A root file system made of layers as runtimes do it: links never lead out of the root, whiteouts (`.wh.`) hide. */
export interface FileTree {
  /** Adds an entry of a layer, or hides what a whiteout names. */
  put(name: string, layer: number, node: FileNode): void;
  /** Adds another name of an existing file. */
  hardLink(name: string, layer: number, target: string): void;
  remove(name: string): void;
  /** Resolves a path through all links; null: nothing is there. */
  resolve(path: string): FoundNode | null;
  /** Lists a directory, through all links, without its subdirectories. */
  filesIn(directory: string): FoundNode[];
  /** Everything by absolute path; the root is `/`. */
  entries(): Map<string, FileNode>;
}

/** No honest image is deeper. */
const DEEPEST = 512;
/** The longest path of file systems; links could make it endless. */
const LONGEST_PATH = 4096;
/** Characters of all paths together, which are kept: an image has some ten million. */
const MOST_CHARACTERS = 256 * 1024 * 1024;
/** As many links in a row as Linux follows. */
const MOST_LINKS = 40;

const WHITEOUT = '.wh.';
const OPAQUE = '.wh..wh..opq';

/** Shared by all that is no directory: an image has a hundred thousand of these. */
const CHILDLESS: Map<string, Branch> = new Map();

interface Branch {
  node: FileNode;
  /** The layer that named it last; -1: none, a deeper path implies it. */
  layer: number;
  readonly children: Map<string, Branch>;
}

export function createFileTree(): FileTree {
  const root = branch({ kind: 'directory', mode: 0o755 }, -1);
  let characters = 0;

  /** Walks down from the root through links. @returns the steps to the node; null: not there */
  function walk(path: readonly string[], options: { create: boolean; followLast: boolean }): Step[] | null {
    const ahead = [...path].reverse();
    let way: Step[] = [{ name: '', branch: root }];
    let links = 0;
    for (let name = ahead.pop(); name !== undefined; name = ahead.pop()) {
      const { branch: here } = way.at(-1) as Step;
      if (name === '..') {
        if (way.length > 1) way.pop();
        continue;
      }
      if (here.node.kind !== 'directory') return null;
      if (way.length > DEEPEST) throw new HoubaError('Unsupported', `the image nests more than ${DEEPEST} directories`);
      let next = here.children.get(name);
      if (next === undefined && options.create) {
        next = branch({ kind: 'directory', mode: 0o755 }, -1);
        here.children.set(name, next);
      }
      if (next === undefined) return null;
      if (next.node.kind === 'link' && (ahead.length > 0 || options.followLast)) {
        if (++links > MOST_LINKS) return null;
        if (next.node.link.startsWith('/')) way = way.slice(0, 1);
        ahead.push(...namesOf(next.node.link).reverse());
        continue;
      }
      way.push({ name, branch: next });
    }
    return way;
  }

  /** The parent directory of an entry, made when missing, and the entry's name; null: it has no place in the tree. */
  function place(name: string): { parent: Branch; name: string } | null {
    const path = namesOf(name);
    // Runtimes treat such names differently; no honest image has one.
    if (path.includes('..')) {
      throw new HoubaError('Unsupported', `a layer has an entry that leads out of the image: ${JSON.stringify(name)}`);
    }
    const last = path.pop();
    if (last === undefined) return null;
    const way = walk(path, { create: true, followLast: true });
    const parent = way?.at(-1)?.branch;
    if (!way || parent?.node.kind !== 'directory') return null;
    const length = way.reduce((sum, step) => sum + step.name.length + 1, last.length);
    characters += length;
    if (length > LONGEST_PATH || characters > MOST_CHARACTERS) {
      throw new HoubaError('Unsupported', 'the image has paths that are too long to look into', {
        hint: 'such an image can be copied, not rebuilt',
      });
    }
    return { parent, name: last };
  }

  function set(parent: Branch, name: string, node: FileNode, layer: number): void {
    const before = parent.children.get(name);
    if (before?.node.kind === 'directory' && node.kind === 'directory') {
      before.node = node;
      before.layer = layer;
    } else {
      parent.children.set(name, branch(node, layer));
    }
  }

  function find(path: string, followLast: boolean): FoundNode | null {
    const way = walk(namesOf(path), { create: false, followLast });
    const last = way?.at(-1);
    return way && last ? { path: pathOf(way), node: last.branch.node } : null;
  }

  return {
    put(name, layer, node) {
      const at = place(name);
      if (at === null) return;
      if (at.name === OPAQUE) hideLower(at.parent, layer);
      else if (at.name.startsWith(WHITEOUT)) hideChild(at.parent, at.name.slice(WHITEOUT.length), layer);
      else set(at.parent, at.name, node, layer);
    },

    hardLink(name, layer, target) {
      const found = find(target, false);
      const at = place(name);
      if (found === null || at === null || found.node.kind === 'directory') return;
      set(at.parent, at.name, found.node, layer);
    },

    remove(name) {
      const at = place(name);
      at?.parent.children.delete(at.name);
    },

    resolve: (path) => find(path, true),

    filesIn(directory) {
      const way = walk(namesOf(directory), { create: false, followLast: true });
      const found: FoundNode[] = [];
      if (way === null) return found;
      for (const name of way.at(-1)?.branch.children.keys() ?? []) {
        const file = find(`${pathOf(way)}/${name}`, true);
        if (file !== null && file.node.kind === 'file') found.push(file);
      }
      return found;
    },

    entries() {
      const entries = new Map<string, FileNode>([['/', root.node]]);
      const collect = (directory: Branch, path: string) => {
        for (const [name, child] of directory.children) {
          entries.set(`${path}/${name}`, child.node);
          collect(child, `${path}/${name}`);
        }
      };
      collect(root, '');
      return entries;
    },
  };
}

interface Step {
  readonly name: string;
  readonly branch: Branch;
}

function branch(node: FileNode, layer: number): Branch {
  return { node, layer, children: node.kind === 'directory' ? new Map() : CHILDLESS };
}

function pathOf(way: readonly Step[]): string {
  return way.length === 1 ? '/' : way.map((step) => step.name).join('/');
}

function namesOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

/** Hides what lower layers put below a directory, and keeps what this layer did. */
function hideLower(directory: Branch, layer: number): void {
  for (const name of [...directory.children.keys()]) hideChild(directory, name, layer);
}

function hideChild(directory: Branch, name: string, layer: number): void {
  const child = directory.children.get(name);
  if (child === undefined) return;
  hideLower(child, layer);
  if (child.layer !== layer && child.children.size === 0) directory.children.delete(name);
}
