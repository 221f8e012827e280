import { orderOf } from './order.js';
import {
  compareNaturally,
  compareNumbers,
  compareReadTags,
  type OrderName,
  type ReadTag,
  type TagOrder,
} from './tag-version.js';

/** What an alias shows because of text order, although its tags look like numbers. */
export interface TextDecision {
  readonly shown: string;
  /** The tag with the highest numbers. */
  readonly higher: string;
  /** The order under which the alias would show that one. */
  readonly order: OrderName;
}

/**
 * Finds the tag of an alias' group that text puts below the shown one, although its numbers are higher; null: none
 * (docs/rules/selection.md#text-that-looks-like-numbers-is-told).
 */
export function textDecision(order: TagOrder, shown: string, group: readonly string[]): TextDecision | null {
  const winner: ReadTag = { tag: shown, version: order.read(shown) };
  const rivals = group.filter((tag) => {
    return compareNaturally(tag, shown) > 0 && isDecidedByText(winner, { tag, version: order.read(tag) });
  });
  if (rivals.length === 0) return null;
  const higher = rivals.reduce((best, tag) => (compareNaturally(tag, best) > 0 ? tag : best));
  return { shown, higher, order: orderThatShows(higher, group) };
}

function isDecidedByText(winner: ReadTag, { tag, version }: ReadTag): boolean {
  if (version === null) return shapeOf(tag) === shapeOf(winner.tag) || (isDotted(tag) && isDotted(winner.tag));
  if (winner.version === null || shapeOf(tag) !== shapeOf(winner.tag)) return false;
  return compareNumbers(version.numbers, winner.version.numbers) === 0;
}

const NUMBER_ORDERS = ['docker', 'numeric', 'calver'] as const;

function orderThatShows(tag: string, group: readonly string[]): OrderName {
  const fitting = NUMBER_ORDERS.find((name) => {
    const order = orderOf({ order: name, includeRegex: null });
    const version = order.read(tag);
    if (version === null) return false;
    return group.every((other) => {
      const read = order.read(other);
      if (read === null) return true;
      if (read.flavour !== version.flavour) return false;
      return compareReadTags(order, { tag: other, version: read }, { tag, version }) <= 0;
    });
  });
  return fitting ?? 'regex';
}

/** A tag with its numbers made alike: `1.9.7.x` and `1.10.0.x` have one shape. */
function shapeOf(tag: string): string {
  return tag.replace(/\d+/g, '0');
}

function isDotted(tag: string): boolean {
  return /^v?\d+\.\d+/.test(tag);
}
