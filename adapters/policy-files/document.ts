import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  LineCounter,
  type Node,
  parseAllDocuments,
  type YAMLMap,
} from 'yaml';
import { checkPolicy, unknownKey } from '../../domain/policy/check.js';
import { type DocumentIssue, formatPath, type PolicyIssue } from '../../domain/policy/issues.js';
import type { MirrorPolicy } from '../../domain/policy/schema.js';
import { PLAIN_YAML, plainValue } from './plain-yaml.js';

const DEEPEST = 50;

export interface ReadPolicy {
  readonly file: string;
  /** The name in the file, also when the rest is invalid. */
  readonly name: string | null;
  readonly policy: MirrorPolicy | null;
  readonly issues: readonly PolicyIssue[];
  readonly locate: (issue: DocumentIssue) => PolicyIssue;
}

/** Parses a policy from YAML, and locates every issue. */
export function parsePolicy(file: string, text: string): ReadPolicy {
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { ...PLAIN_YAML, lineCounter: lines });
  const [document, second] = documents as Document.Parsed[];
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const issueAt = (offset: number, message: string, hint: string | null = null, path = ''): PolicyIssue => ({
    file,
    ...place(offset),
    path,
    message,
    hint,
  });
  if (document === undefined) return { ...nothing(file), issues: [issueAt(0, 'the file holds no policy')] };

  const locate = ({ path, atKey, message, hint }: DocumentIssue) =>
    issueAt(offsetOf(document, path, atKey), message, hint, formatPath(path));
  const structure = structureIssues(document);
  if (structure.tooDeep !== null) {
    const message = `nested deeper than ${DEEPEST} levels`;
    return { ...nothing(file), issues: [issueAt(structure.tooDeep, message)] };
  }
  const issues: PolicyIssue[] = [];
  for (const { pos, message, code } of document.errors) {
    const again = `the key ${/^[^\s:]+/.exec(text.slice(pos[0]))?.[0] ?? ''} stands twice in one mapping`;
    issues.push(issueAt(pos[0], code === 'DUPLICATE_KEY' ? again : message));
  }
  for (const { pos, message } of document.warnings) {
    issues.push(issueAt(pos[0], message, 'only plain YAML is read: no tags of your own'));
  }
  if (second !== undefined) {
    issues.push(issueAt(second.range[0], 'a second document in one file', 'write each policy to a file of its own'));
  }
  issues.push(...structure.issues.map(({ offset, message }) => issueAt(offset, message)));
  issues.push(...structure.unknown.map(locate));
  const plain = structure.sound ? plainValue(document) : { problem: null };
  if (!('value' in plain)) {
    if (plain.problem !== null) issues.push(issueAt(0, `aliases multiply the file beyond reason: ${plain.problem}`));
    return { ...nothing(file), issues };
  }
  if (!isMap(document.contents)) {
    if (issues.length === 0)
      issues.push(issueAt(document.contents?.range?.[0] ?? 0, 'a policy is a mapping at its root'));
    return { ...nothing(file), issues };
  }
  const checked = checkPolicy(plain.value);
  // After a syntax error what seems to be missing may well be in the unread rest of the file.
  const broken = document.errors.some(({ code }) => code !== 'DUPLICATE_KEY');
  issues.push(...checked.issues.filter(({ missing }) => !(broken && missing)).map(locate));
  return {
    file,
    name: nameOf(plain.value),
    policy: issues.length === 0 ? checked.policy : null,
    issues,
    locate,
  };
}

function nothing(file: string) {
  const locate = ({ message }: DocumentIssue) => aboutFile(file, message);
  return { file, name: null, policy: null, locate };
}

interface Structure {
  readonly issues: { readonly offset: number; readonly message: string }[];
  readonly unknown: DocumentIssue[];
  /** Where the nesting becomes too deep to read on, or null. */
  readonly tooDeep: number | null;
  readonly sound: boolean;
}

/** Finds what a schema cannot see: depth, keys that are no text, `__proto__`, aliases without an anchor. */
function structureIssues(document: Document.Parsed): Structure {
  const issues: Structure['issues'] = [];
  const unknown: DocumentIssue[] = [];
  const anchors = new Set<string>();
  let sound = true;
  let tooDeep: number | null = null;
  const walk = (node: unknown, path: readonly (string | number)[]): void => {
    const offset = offsetOfNode(node) ?? 0;
    if (isAlias(node)) {
      if (!anchors.has(node.source)) {
        sound = false;
        issues.push({ offset, message: `the alias *${node.source} has no anchor before it` });
      }
      return;
    }
    if (isScalar(node) && node.anchor !== undefined) anchors.add(node.anchor);
    if (!isCollection(node)) return;
    if (path.length >= DEEPEST) {
      tooDeep ??= offset;
      return;
    }
    if (isMap(node)) walkPairs(node, path, offset);
    else for (const [index, item] of node.items.entries()) walk(item, [...path, index]);
    // Added last: an alias inside its own anchor would make a value without end.
    if (node.anchor !== undefined) anchors.add(node.anchor);
  };
  const walkPairs = (map: YAMLMap, path: readonly (string | number)[], offset: number): void => {
    for (const { key, value } of map.items) {
      if (!isScalar(key)) {
        sound = false;
        issues.push({ offset: offsetOfNode(key) ?? offset, message: 'a key must be plain text' });
        continue;
      }
      const name = String(key.value);
      if (name === '__proto__') unknown.push(unknownKey(path, name));
      walk(value, [...path, name]);
    }
  };
  walk(document.contents, []);
  return { issues, unknown, tooDeep, sound };
}

/** The offset of the value at a path, or of its key; where there is none, of the nearest thing around it. */
function offsetOf(document: Document.Parsed, path: readonly (string | number)[], atKey: boolean): number {
  let node: unknown = document.contents;
  let offset = offsetOfNode(node) ?? 0;
  for (const [index, step] of path.entries()) {
    node = isAlias(node) ? node.resolve(document) : node;
    if (!isCollection(node)) return offset;
    const last = index === path.length - 1;
    if (isMap(node)) {
      const pair = node.items.findLast(({ key }) => isScalar(key) && String(key.value) === String(step));
      if (pair === undefined) return offset;
      node = pair.value;
      const keyOffset = offsetOfNode(pair.key) ?? offset;
      offset = last && atKey ? keyOffset : (offsetOfNode(node) ?? keyOffset);
    } else {
      node = node.items[Number(step)];
      offset = offsetOfNode(node) ?? offset;
    }
  }
  return offset;
}

function offsetOfNode(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0];
}

function nameOf(value: unknown): string | null {
  const name = (value as { metadata?: { name?: unknown } | null } | null)?.metadata?.name;
  return typeof name === 'string' ? name : null;
}

export function aboutFile(file: string, message: string): PolicyIssue {
  return { file, line: 1, column: 1, path: '', message, hint: null };
}
