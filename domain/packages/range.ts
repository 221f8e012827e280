import { HoubaError } from '../errors.js';
import type { VersionOrder } from './orders/order.js';
import { LONGEST_VERSION, orderOf, readVersion, versionProblem } from './versions.js';

export type Comparator = '<' | '<=' | '=' | '!=' | '>=' | '>';

export interface Constraint {
  readonly comparator: Comparator;
  readonly version: string;
}

/** Alternatives, in each of which every constraint has to hold; without a constraint, every version does. */
export interface VersionRange {
  /** The type of package URL that it speaks of; null: of any. */
  readonly type: string | null;
  readonly alternatives: readonly (readonly Constraint[])[];
}

/** docs/rules/packages.md#what-cannot-be-read-is-said */
export type RangeAnswer =
  | { readonly kind: 'inside' }
  | { readonly kind: 'outside' }
  | { readonly kind: 'unreadable'; readonly why: string };

const INSIDE: RangeAnswer = { kind: 'inside' };
const OUTSIDE: RangeAnswer = { kind: 'outside' };

/**
 * A range of one version.
 * @throws HoubaError `ReferenceInvalid`
 */
export function onlyVersion(version: string): VersionRange {
  return { type: null, alternatives: [[checkBound(version, { comparator: '=', version }, 0)]] };
}

/**
 * Tells whether versions are in a range, by the order of each type of package
 * (docs/rules/packages.md#a-bound-counts-as-far-as-it-goes). @param version null: the inventory has none
 */
export function rangeTest(range: VersionRange): (type: string, version: string | null) => RangeAnswer {
  const bounds = new Map<VersionOrder, ReadBound[][]>();
  return (type, version) => {
    if (range.type !== null && range.type !== type) return OUTSIDE;
    if (range.alternatives.some((alternative) => alternative.length === 0)) return INSIDE;
    if (range.alternatives.length === 0) return OUTSIDE;
    if (version === null) return { kind: 'unreadable', why: 'it has no version' };
    const order = orderOf(type);
    const read = bounds.get(order) ?? range.alternatives.map((one) => one.map((bound) => readBound(order, bound)));
    bounds.set(order, read);
    const tested: Tested = { order, text: version, read: readVersion(order, version) };
    const answers = read.map((alternative) => allOf(alternative.map((bound) => holds(bound, tested))));
    const answer = answers.includes('yes') ? 'yes' : answers.includes('unknown') ? 'unknown' : 'no';
    if (answer !== 'unknown') return answer === 'yes' ? INSIDE : OUTSIDE;
    return { kind: 'unreadable', why: versionProblem(type, version) ?? boundProblem(range, type) };
  };
}

interface ReadBound extends Constraint {
  /** null: the order cannot read it. */
  readonly read: unknown;
}

interface Tested {
  readonly order: VersionOrder;
  readonly text: string;
  /** null: the order cannot read it. */
  readonly read: unknown;
}

type Truth = 'yes' | 'no' | 'unknown';

function readBound(order: VersionOrder, constraint: Constraint): ReadBound {
  return { ...constraint, read: readVersion(order, constraint.version) };
}

function allOf(truths: readonly Truth[]): Truth {
  if (truths.includes('no')) return 'no';
  return truths.includes('unknown') ? 'unknown' : 'yes';
}

function holds(bound: ReadBound, { order, text, read }: Tested): Truth {
  const difference = text === bound.version ? 0 : compareWithBound(order, read, bound.read);
  if (difference === null) return 'unknown';
  return meets(bound.comparator, difference) ? 'yes' : 'no';
}

function compareWithBound(order: VersionOrder, version: unknown, bound: unknown): number | null {
  if (version === null || bound === null) return null;
  return order.compare(order.asFarAs?.(bound, version) ?? version, bound);
}

function meets(comparator: Comparator, difference: number): boolean {
  switch (comparator) {
    case '<':
      return difference < 0;
    case '<=':
      return difference <= 0;
    case '=':
      return difference === 0;
    case '!=':
      return difference !== 0;
    case '>=':
      return difference >= 0;
    case '>':
      return difference > 0;
  }
}

function boundProblem(range: VersionRange, type: string): string {
  const problems = range.alternatives.flat().map(({ version }) => versionProblem(type, version));
  return `of the range, ${problems.find((problem) => problem !== null)}`;
}

/**
 * Checks what no order would read.
 * @throws HoubaError `ReferenceInvalid`
 */
export function checkBound(text: string, constraint: Constraint, place: number): Constraint {
  const { comparator, version } = constraint;
  if (version.length > LONGEST_VERSION) {
    throw invalidRange(text, `a version is longer than ${LONGEST_VERSION} characters`, place);
  }
  if (comparator !== '=' && comparator !== '!=' && !/\d/.test(version)) {
    throw invalidRange(text, `${JSON.stringify(version)} has no number to order it by`, place);
  }
  return constraint;
}

/** @param place index of the first character that is wrong */
export function invalidRange(text: string, why: string, place?: number): HoubaError {
  const where = place === undefined ? '' : `character ${place + 1}: `;
  const shown = JSON.stringify(text.slice(0, 300));
  return new HoubaError('ReferenceInvalid', `not a usable range: ${shown}: ${where}${why}`, {
    hint: "write a range as '>=5.6.0 <5.6.2', 5.6.1, '<1 || >=2' or vers:deb/>=5.6.0|<5.6.2",
  });
}
