import { nearest } from '../text/nearest.js';
import { type Comparator, type Constraint, checkBound, invalidRange, type VersionRange } from './range.js';
import { KNOWN_TYPES, orderOf, readVersion, versionProblem } from './versions.js';

interface Placed extends Constraint {
  readonly place: number;
}

/** The specification names this one otherwise than package URLs do. */
const ALIASES = new Map([['alpine', 'apk']]);

const CONSTRAINT = /^(<=|>=|!=|<|>)?(.*)$/s;

/**
 * Parses a VERS string of the specification of package-url (docs/rules/packages.md#vers-strings-are-of-the-specification).
 * @throws HoubaError `ReferenceInvalid`, with the place of what is wrong
 */
export function parseVers(text: string): VersionRange {
  const space = text.search(/\s/);
  if (space >= 0) throw invalidRange(text, 'a vers: string has no spaces; write %20', space);
  const [start, written] = /^vers:([a-z][a-z0-9.-]*)\//.exec(text) ?? [];
  if (start === undefined || written === undefined) {
    throw invalidRange(text, 'it must begin with vers:, a type in lower case and /, as in vers:deb/', 0);
  }
  const type = ALIASES.get(written) ?? written;
  const constraints = text.slice(start.length);
  if (type === 'all' || type === 'none') {
    if (constraints !== '*') throw invalidRange(text, `vers:${type}/ is followed by * alone`, start.length);
    return { type: null, alternatives: type === 'all' ? [[]] : [] };
  }
  // A range of a misspelt type would find nothing, and say so.
  if (!KNOWN_TYPES.has(type)) {
    const meant = nearest(type, KNOWN_TYPES);
    throw invalidRange(text, `no packages have the type ${type}${meant === null ? '' : `; did you mean ${meant}?`}`, 5);
  }
  if (constraints === '*') return { type, alternatives: [[]] };
  const placed = readConstraints(text, start.length);
  checkSequence(text, type, placed);
  return { type, alternatives: alternativesOf(placed) };
}

function readConstraints(text: string, start: number): Placed[] {
  const placed: Placed[] = [];
  let place = start;
  for (const part of text.slice(start).split('|')) {
    const [, comparator = '=', encoded = ''] = CONSTRAINT.exec(part) ?? [];
    if (encoded === '') throw invalidRange(text, 'a version is missing', place);
    if (/[<>=!*]/.test(encoded)) {
      const why = `${JSON.stringify(part)} is no constraint; a version alone is an equal one, and * stands alone`;
      throw invalidRange(text, why, place);
    }
    const constraint = { comparator: comparator as Comparator, version: decode(text, encoded, place) };
    placed.push({ ...checkBound(text, constraint, place), place });
    place += part.length + 1;
  }
  return placed;
}

function decode(text: string, encoded: string, place: number): string {
  try {
    return decodeURIComponent(encoded);
  } catch {
    throw invalidRange(text, `${JSON.stringify(encoded)} is not percent-encoded`, place);
  }
}

/** Versions ascend, none comes twice, and no constraint is idle beside another. */
function checkSequence(text: string, type: string, placed: readonly Placed[]): void {
  const order = orderOf(type);
  let before: unknown = null;
  let open: Comparator | null = null;
  for (const { comparator, version, place } of placed) {
    const read = readVersion(order, version);
    if (read === null) throw invalidRange(text, versionProblem(type, version) ?? '', place);
    const difference = before === null ? 1 : order.compare(read, before);
    if (difference === 0) throw invalidRange(text, `${version} comes twice`, place);
    if (difference < 0) throw invalidRange(text, `${version} comes before the version to its left; sort them`, place);
    before = read;
    if (comparator === '!=') continue;
    if (!mayFollow(open, comparator)) {
      throw invalidRange(text, `${comparator} cannot follow ${open}; one of the two would say nothing`, place);
    }
    open = comparator;
  }
}

/** @param before null: nothing */
function mayFollow(before: Comparator | null, comparator: Comparator): boolean {
  const closes = comparator.startsWith('<');
  return before === null || (before.startsWith('>') ? closes : !closes);
}

/** Turns the pairs of the specification into alternatives: each version, and each interval without what is excluded. */
function alternativesOf(placed: readonly Placed[]): Constraint[][] {
  const excluded = placed
    .filter(({ comparator }) => comparator === '!=')
    .map(({ comparator, version }): Constraint => ({ comparator, version }));
  const alternatives: Constraint[][] = [];
  let low: Constraint | null = null;
  for (const { comparator, version } of placed) {
    const constraint = { comparator, version };
    if (comparator === '=') alternatives.push([constraint]);
    else if (comparator.startsWith('>')) low = constraint;
    else if (comparator.startsWith('<')) {
      alternatives.push([...(low === null ? [] : [low]), constraint, ...excluded]);
      low = null;
    }
  }
  if (low !== null) alternatives.push([low, ...excluded]);
  return alternatives.length === 0 ? [excluded] : alternatives;
}
