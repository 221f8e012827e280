import { compareText } from '../text/compare-text.js';
import { withoutZeros } from '../text/digits.js';
import { compareReadTags, type ReadTag, sortByOrder, type TagOrder, type TagVersion } from './tag-version.js';

/**
 * A tag read as a version (docs/rules/selection.md#versions-are-read-leniently). Numbers are digit strings, of any
 * length.
 */
export interface Version {
  readonly major: string;
  readonly minor: string;
  readonly patch: string;
  /** null for a final; never empty. */
  readonly prerelease: string | null;
}

const VERSION = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?$/;

/** Reads a version; `7`, `01.2`, `7-alpine` and `20240101` are some. null: the tag is none. */
export function parseVersion(tag: string): Version | null {
  const match = VERSION.exec(tag.trim());
  if (match === null) return null;
  const [, major, minor, patch, prerelease] = match;
  return {
    major: withoutZeros(major ?? '0'),
    minor: withoutZeros(minor ?? '0'),
    patch: withoutZeros(patch ?? '0'),
    prerelease: prerelease ?? null,
  };
}

/** Reads a version; missing numbers are 0. */
export function readVersion(tag: string): TagVersion | null {
  const version = parseVersion(tag);
  if (version === null) return null;
  const { major, minor, patch, prerelease } = version;
  return { numbers: [major, minor, patch], prerelease, build: '', flavour: '' };
}

/** The order of versions, pre-releases as plain text: `rc.10` comes before `rc.2`. */
export const SEMVER_ORDER: TagOrder = { name: 'semver', read: readVersion, comparePrereleases: compareText };

/** Compares two tags, ascending; versions come before other tags. */
export function compareTags(a: string, b: string): number {
  const [one, other] = [a, b].map((tag) => ({ tag, version: readVersion(tag) })) as [ReadTag, ReadTag];
  return compareReadTags(SEMVER_ORDER, one, other);
}

/** Sorts tags, lowest first (docs/rules/selection.md#tags-have-one-order). */
export function sortTags(tags: Iterable<string>): string[] {
  return sortByOrder(SEMVER_ORDER, tags);
}
