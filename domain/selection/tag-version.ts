import { compareText } from '../text/compare-text.js';
import { compareDigits } from '../text/digits.js';

/** A tag as an order reads it (docs/rules/selection.md#an-order-reads-a-tag). */
export interface TagVersion {
  /** Digit strings, the most significant first; a missing one is left out, or empty before others. */
  readonly numbers: readonly string[];
  /** The numbers as the tag has them, where these differ. */
  readonly written?: readonly string[];
  /** null for a final. */
  readonly prerelease: string | null;
  /** What counts after the numbers, such as a build number; empty: nothing. */
  readonly build: string;
  /** Tags of different flavours are never compared; empty: plain. */
  readonly flavour: string;
}

export const ORDER_NAMES = ['semver', 'docker', 'calver', 'numeric', 'regex'] as const;

/** `helm` is `semver` with `_` for the `+` of a chart's version; policies cannot write it. */
export type OrderName = (typeof ORDER_NAMES)[number] | 'helm';

/** How the tags of an import compare. */
export interface TagOrder {
  readonly name: OrderName;
  /** null: the order cannot read the tag. */
  readonly read: (tag: string) => TagVersion | null;
  readonly comparePrereleases: (a: string, b: string) => number;
}

export interface ReadTag {
  readonly tag: string;
  /** null: the order cannot read the tag. */
  readonly version: TagVersion | null;
}

/** Reads and sorts tags, lowest first: flavour by flavour, then what the order cannot read, by text. */
export function readInOrder(order: TagOrder, tags: Iterable<string>): ReadTag[] {
  const read = Array.from(tags, (tag): ReadTag => ({ tag, version: order.read(tag) }));
  return read.sort((a, b) => compareReadTags(order, a, b));
}

export function sortByOrder(order: TagOrder, tags: Iterable<string>): string[] {
  return readInOrder(order, tags).map(({ tag }) => tag);
}

export function compareReadTags(order: TagOrder, a: ReadTag, b: ReadTag): number {
  if (a.version === null || b.version === null) {
    return Number(a.version === null) - Number(b.version === null) || compareText(a.tag, b.tag);
  }
  return (
    compareText(a.version.flavour, b.version.flavour) ||
    compareTagVersions(order, a.version, b.version) ||
    compareText(a.tag, b.tag)
  );
}

/** Divides tags by flavour; what the order cannot read counts with the plain ones. */
export function streamsOf<Tag extends ReadTag>(tags: readonly Tag[]): Tag[][] {
  const streams = new Map<string, Tag[]>();
  for (const tag of tags) {
    const flavour = tag.version?.flavour ?? '';
    const stream = streams.get(flavour);
    if (stream === undefined) streams.set(flavour, [tag]);
    else stream.push(tag);
  }
  return [...streams.values()];
}

/** Compares within a flavour: numbers, pre-releases before the final, build. */
function compareTagVersions(order: TagOrder, a: TagVersion, b: TagVersion): number {
  return (
    compareNumbers(a.numbers, b.numbers) ||
    comparePresence(a.prerelease, b.prerelease) ||
    order.comparePrereleases(a.prerelease ?? '', b.prerelease ?? '') ||
    compareNaturally(a.build, b.build)
  );
}

/** Compares number by number; a missing number comes before any. */
export function compareNumbers(a: readonly string[], b: readonly string[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = compareDigits(a[index] ?? '', b[index] ?? '');
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Compares runs of digits as numbers of any length, and what is between them as text. */
export function compareNaturally(a: string, b: string): number {
  const left: string[] = a.match(/\d+|\D+/g) ?? [];
  const right: string[] = b.match(/\d+|\D+/g) ?? [];
  for (let index = 0; index < Math.min(left.length, right.length); index += 1) {
    const [one, other] = [left[index] ?? '', right[index] ?? ''];
    const areNumbers = /^\d/.test(one) && /^\d/.test(other);
    const difference = areNumbers ? compareDigits(one, other) : compareText(one, other);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function comparePresence(a: string | null, b: string | null): number {
  return Number(a === null) - Number(b === null);
}
