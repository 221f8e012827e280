import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = resolve(import.meta.dirname, '../../..');

/** Written by others, recorded from old runs, or this file, which has to name what it looks for. */
const LEFT_OUT = ['package-lock.json', 'LICENSE', 'test/replay/histories', 'test/unit/docs/citations.test.ts'];
const NOT_KEPT = /^(?:node_modules|coverage|dist|dist\..*|\.git|\.tools|\.state)$/;
const TEXT = ['.ts', '.mjs', '.cjs', '.js', '.json', '.md', '.yaml', '.yml', '.sh', ''];

/** The numbers and names of documents that are not in the repository. Write `RFC 9110, 10.2.3` for a public one. */
const OUTSIDE = [
  /\b[Ss]ections? \d/,
  /\b[LSCD]\d{1,2}\b/,
  /\b(?:convention|guide)s?\b/,
  /\barchitecture, (?:"|section)/,
];

const RULE = /\bdocs\/(?:rules|decisions)\/[\w.#-]*[\w#-]/g;

const texts = new Map(filesBelow('').map((file) => [file, readFileSync(join(ROOT, file), 'utf8')]));

describe('a citation', () => {
  it('of a rule or a decision names a page and a heading that are there', () => {
    const cited = [...texts].flatMap(([file, text]) => Array.from(text.matchAll(RULE), ([rule]) => ({ file, rule })));
    expect(cited.filter(({ rule }) => !isThere(rule))).toEqual([]);
  });

  it('is of nothing outside the repository', () => {
    const found = [...texts].flatMap(([file, text]) =>
      text
        .split('\n')
        .map((line, index) => `${file}:${index + 1} ${line.trim()}`)
        .filter((line) => OUTSIDE.some((pattern) => pattern.test(line))),
    );
    expect(found).toEqual([]);
  });
});

describe('a link of the documentation', () => {
  const links = [...texts].flatMap(([file, text]) =>
    file.endsWith('.md') ? linksIn(text).map((target) => ({ file, target })) : [],
  );

  it('leads to a file, and to a heading that is there', () => {
    expect(links.length).toBeGreaterThan(100);
    expect(links.filter(({ file, target }) => !isThere(target, file))).toEqual([]);
  });
});

/** Whether a path, perhaps with the anchor of a heading, leads to something; an anchor alone is about the page itself. */
function isThere(target: string, from = ''): boolean {
  const [path = '', anchor] = target.split('#', 2);
  const file = path === '' ? join(ROOT, from) : resolve(ROOT, dirname(from), path);
  if (!existsSync(file)) return false;
  return anchor === undefined || (file.endsWith('.md') && anchorsIn(readFileSync(file, 'utf8')).has(anchor));
}

/** The anchors that GitHub gives to headings: lower case, hyphens for spaces, nothing but words; a repeated one is numbered. */
function anchorsIn(markdown: string): Set<string> {
  const anchors = new Set<string>();
  for (const [, heading = ''] of withoutCode(markdown).matchAll(/^#{1,6} +(.+?) *$/gm)) {
    const text = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
    const anchor = text.replace(/[^\p{L}\p{N}_\- ]/gu, '').replaceAll(' ', '-');
    let unique = anchor;
    for (let count = 1; anchors.has(unique); count++) unique = `${anchor}-${count}`;
    anchors.add(unique);
  }
  return anchors;
}

/** The targets of a page's links into the repository. */
function linksIn(markdown: string): string[] {
  const targets = withoutCode(markdown).matchAll(/\]\(([^)\s]+)(?: "[^"]*")?\)/g);
  return Array.from(targets, ([, target = '']) => target).filter((target) => !/^[a-z]+:/.test(target));
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^```.*?^```/gms, '');
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (NOT_KEPT.test(entry.name) || LEFT_OUT.includes(path)) return [];
    if (entry.isDirectory()) return filesBelow(path);
    return entry.isFile() && TEXT.includes(extname(path)) ? [path] : [];
  });
}
