import { compareDigits } from '../text/digits.js';
import { type Comparator, type Constraint, checkBound, invalidRange, type VersionRange } from './range.js';
import { parseVers } from './vers.js';

/** Characters. */
const LONGEST_RANGE = 4_000;

/** A separator, a comparator, a version; each of them may be missing. */
const TOKEN = /[\s,]*(?:(<=|>=|!=|==?|<|>)\s*)?((?:[^\s,<>=!|]|!(?!=))+)?/y;

/**
 * Parses a range: `>=5.6.0 <5.6.2`, `5.6.1`, `<1 || >=2`, `*` or a `vers:` string
 * (docs/rules/packages.md#a-range-is-read-as-written).
 * @throws HoubaError `ReferenceInvalid`, with the place of what is wrong
 */
export function parseRange(text: string): VersionRange {
  if (text.length > LONGEST_RANGE) throw invalidRange(text, `it is longer than ${LONGEST_RANGE} characters`);
  if (/^vers:/i.test(text.trim())) return parseVers(text.trim());
  const alternatives: Constraint[][] = [];
  let start = 0;
  for (const part of text.split('||')) {
    alternatives.push(parseAlternative(text, start, start + part.length));
    start += part.length + 2;
  }
  return { type: null, alternatives };
}

function parseAlternative(text: string, start: number, end: number): Constraint[] {
  const constraints: Constraint[] = [];
  const readable = text.slice(0, end);
  let all = false;
  TOKEN.lastIndex = start;
  for (let from = start; from < end; from = TOKEN.lastIndex) {
    const [whole = '', comparator, version] = TOKEN.exec(readable) ?? [];
    const place = from + whole.search(/[^\s,]|$/);
    if (version === undefined) {
      if (comparator !== undefined) throw invalidRange(text, `a version is missing behind ${comparator}`, place);
      if (place < end) throw invalidRange(text, `${JSON.stringify(text[place])} is not part of a range`, place);
    } else if (version === '*' && comparator === undefined) all = true;
    else constraints.push(readConstraint(text, comparator ?? '=', version, place));
  }
  if (all !== (constraints.length === 0)) {
    throw invalidRange(text, all ? '* is every version, and stands alone' : 'a version is missing', start);
  }
  refuseEmpty(text, constraints, start);
  return constraints;
}

function readConstraint(text: string, comparator: string, version: string, place: number): Constraint {
  if (/^[\^~]|\*|(?:^|\.)[xX](?:\.|$)/.test(version)) {
    const why = `${JSON.stringify(version)} is not a version; write both ends, as in >=1.2 <1.3`;
    throw invalidRange(text, why, place);
  }
  if (!/^[\w(][\w.+~^:!()-]*$/.test(version)) {
    throw invalidRange(text, `${JSON.stringify(version)} is not a version`, place);
  }
  return checkBound(text, { comparator: comparator === '==' ? '=' : (comparator as Comparator), version }, place);
}

/** Refuses what holds no version in any order: two versions at once, or ends that are the wrong way round. */
function refuseEmpty(text: string, constraints: readonly Constraint[], place: number): void {
  const [one, other] = constraints.filter(({ comparator }) => comparator === '=');
  if (one !== undefined && other !== undefined) {
    throw invalidRange(text, `no version is both ${one.version} and ${other.version}; write || between them`, place);
  }
  const lowest = constraints.filter(({ comparator }) => /^[>=]/.test(comparator));
  const highest = constraints.filter(({ comparator }) => /^[<=]/.test(comparator));
  for (const low of lowest) {
    for (const high of highest) {
      const shared = low.version === high.version && low.comparator.endsWith('=') && high.comparator.endsWith('=');
      const isEmpty = low.version === high.version ? !shared : compareAlike(low.version, high.version) > 0;
      if (isEmpty) throw invalidRange(text, `nothing lies between ${low.version} and ${high.version}`, place);
    }
  }
}

/** Compares the leading numbers, as all orders do; 0: they do not tell. */
function compareAlike(a: string, b: string): number {
  const [left, right] = [leadingNumbers(a), leadingNumbers(b)];
  for (let index = 0; index < Math.min(left.length, right.length); index += 1) {
    const [one = '', other = ''] = [left[index], right[index]];
    // What begins with 0 is a fraction for Alpine.
    if (/^0\d/.test(one) || /^0\d/.test(other)) return 0;
    const difference = compareDigits(one, other);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** None where an epoch comes first. */
function leadingNumbers(version: string): string[] {
  const [numbers] = /[:!]/.test(version) ? [] : (/^\d+(?:\.\d+)*/.exec(version) ?? []);
  return numbers?.split('.') ?? [];
}
