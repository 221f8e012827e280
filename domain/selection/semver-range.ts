import { Range, SemVer } from 'semver';
import { withoutZeros } from '../text/digits.js';
import type { TagVersion } from './tag-version.js';

const LOOSE = { loose: true };

/** Says what is wrong with a range; null: nothing. */
export function rangeProblem(range: string): string | null {
  if (range.trim() === '') return 'must not be empty; leave the key out for every version';
  if (range.split('||').some((part) => part.trim() === '')) return 'has an empty alternative, which is every version';
  try {
    // Loosely read, a range loses in silence what npm does not know: `>=1.2, <3` would be `<3`.
    new Range(range);
    return null;
  } catch {
    return 'is not a range of versions such as ^1.2, 1.x or >=1.2 <3';
  }
}

/** Compares the first three numbers of a tag with a range (docs/rules/selection.md#a-range-is-that-of-npm). */
export function inRange(range: string): (version: TagVersion) => boolean {
  const wanted = new Range(range, LOOSE);
  return (version) => {
    const read = toSemVer(version);
    return read !== null && wanted.test(read);
  };
}

/** null: a number is larger than semver holds. */
function toSemVer({ numbers, written = numbers, prerelease }: TagVersion): SemVer | null {
  const [major, minor, patch] = [0, 1, 2].map((index) => withoutZeros(written[index] || '0'));
  const tail = prerelease === null ? '' : `-${prerelease.replace(/[^0-9A-Za-z.-]+/g, '-')}`;
  try {
    return new SemVer(`${major}.${minor}.${patch}${tail}`, LOOSE);
  } catch {
    return null;
  }
}
