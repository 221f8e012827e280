import { compareText } from '../../text/compare-text.js';
import { compareDigits } from '../../text/digits.js';
import type { VersionOrder } from './order.js';

/** A number as digits, or a qualifier in lower case. */
type Item = string;

/**
 * Items level by level. Each level is a list in which the next level is the last item, as Maven nests them behind a hyphen
 * and between letters and digits; kept flat, a long version costs no recursion.
 */
type Levels = readonly (readonly Item[])[];

const ALIASES = new Map(Object.entries({ ga: '', final: '', release: '', cr: 'rc' }));
const BEFORE_DIGIT = new Map(Object.entries({ a: 'alpha', b: 'beta', m: 'milestone' }));

/** `''` is the release itself; unknown qualifiers follow, by text. */
const QUALIFIERS = ['alpha', 'beta', 'milestone', 'rc', 'snapshot', '', 'sp'];
const RELEASE = QUALIFIERS.indexOf('');

const TOKEN = /\d+|[.-]|[^\d.-]+/g;

/** The order of Maven 3.9 (POM reference, "Version Order Specification"). */
export const MAVEN: VersionOrder<Levels> = {
  noun: 'version of Maven',
  read: (text) => (/\d/.test(text) && /^[\w.+~:-]+$/.test(text) ? normalize(levelsOf(text.toLowerCase())) : null),
  compare: compareLists,
};

function levelsOf(text: string): Item[][] {
  const tokens: string[] = text.match(TOKEN) ?? [];
  let level: Item[] = [];
  const levels = [level];
  const descend = () => {
    level = [];
    levels.push(level);
  };
  tokens.forEach((token, index) => {
    const next = tokens[index + 1];
    const isFollowed = next !== undefined && !isSeparator(next);
    if (isSeparator(token)) {
      // Nothing between two separators is 0.
      if (index === 0 || isSeparator(tokens[index - 1] ?? '')) level.push('0');
      if (token === '-') descend();
    } else if (isNumber(token)) {
      level.push(token);
      if (isFollowed) descend();
    } else {
      if ((isFollowed || next === undefined) && level.length > 0) descend();
      const word = (isFollowed ? BEFORE_DIGIT.get(token) : undefined) ?? token;
      level.push(ALIASES.get(word) ?? word);
      if (isFollowed) descend();
    }
  });
  return levels;
}

/** Drops zeros and releases from the end of each level, and levels without anything from the end of all. */
function normalize(levels: Item[][]): Levels {
  for (const level of levels) while (level.length > 0 && compareToNothing(level.slice(-1)) === 0) level.pop();
  while (levels.length > 1 && levels.at(-1)?.length === 0) levels.pop();
  return levels;
}

function compareLists(a: Levels, b: Levels): number {
  for (let depth = 0; depth < Math.max(a.length, b.length); depth += 1) {
    const [left, right] = [a[depth], b[depth]];
    if (left === undefined) return -compareToNothing(b.slice(depth).flat());
    if (right === undefined) return compareToNothing(a.slice(depth).flat());
    const shared = Math.min(left.length, right.length);
    for (let index = 0; index < shared; index += 1) {
      const difference = compareItems(left[index] ?? '', right[index] ?? '');
      if (difference !== 0) return difference;
    }
    if (left.length > shared) return compareRest(left.slice(shared), a.slice(depth + 1), depth + 1 < b.length);
    if (right.length > shared) return -compareRest(right.slice(shared), b.slice(depth + 1), depth + 1 < a.length);
  }
  return 0;
}

/** Compares what a list has more, `items` and the list `below`, with the end of the other: a list as well, or nothing. */
function compareRest(items: readonly Item[], below: Levels, isList: boolean): number {
  if (!isList) return compareToNothing([...items, ...below.flat()]);
  // A number comes behind a list, a qualifier before it.
  return isNumber(items[0] ?? '') ? 1 : -1;
}

function compareItems(a: Item, b: Item): number {
  const [one, other] = [isNumber(a), isNumber(b)];
  if (one && other) return compareDigits(a, b);
  return Number(one) - Number(other) || compareQualifiers(a, b);
}

function compareQualifiers(a: string, b: string): number {
  return rankOf(a) - rankOf(b) || compareText(a, b);
}

/** Compares with a version that ends here: the first item that is not nothing decides. */
function compareToNothing(items: readonly Item[]): number {
  for (const item of items) {
    const difference = isNumber(item) ? compareDigits(item, '0') : rankOf(item) - RELEASE;
    if (difference !== 0) return difference;
  }
  return 0;
}

function rankOf(qualifier: string): number {
  const rank = QUALIFIERS.indexOf(qualifier);
  return rank < 0 ? QUALIFIERS.length : rank;
}

function isSeparator(token: string): boolean {
  return token === '.' || token === '-';
}

function isNumber(item: Item): boolean {
  return /^\d/.test(item);
}
