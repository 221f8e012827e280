import { compareDigits } from '../../text/digits.js';

/** How the versions of an ecosystem compare (docs/rules/packages.md#an-ecosystem-orders-its-own-versions). */
export interface VersionOrder<Version = unknown> {
  /** What it reads, as in "no version of Debian". */
  readonly noun: string;
  /** @param text printable ASCII, of bounded length. null: the order cannot read it */
  read(text: string): Version | null;
  compare(a: Version, b: Version): number;
  /** What of a version a bound speaks of (docs/rules/packages.md#a-bound-counts-as-far-as-it-goes); left out: all of it. */
  asFarAs?(bound: Version, version: Version): Version;
}

/** Compares numbers from the left, a missing one as 0. */
export function compareNumbers(a: readonly string[], b: readonly string[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const difference = compareDigits(a[index] ?? '0', b[index] ?? '0');
    if (difference !== 0) return difference;
  }
  return 0;
}
