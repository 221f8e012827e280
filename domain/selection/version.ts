import { compareText } from '../text/compare-text.js';

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
  return { major: digits(major), minor: digits(minor), patch: digits(patch), prerelease: prerelease ?? null };
}

/** Compares by major, minor, patch, prerelease before final, then text: `rc.10` comes before `rc.2`. */
function compareVersions(a: Version, b: Version): number {
  return (
    compareDigits(a.major, b.major) ||
    compareDigits(a.minor, b.minor) ||
    compareDigits(a.patch, b.patch) ||
    comparePrereleases(a.prerelease, b.prerelease)
  );
}

/** Compares two tags, ascending; versions come before other tags. */
export function compareTags(a: string, b: string): number {
  return compareParsed({ tag: a, version: parseVersion(a) }, { tag: b, version: parseVersion(b) });
}

/** Sorts tags, lowest first (docs/rules/selection.md#tags-have-one-order). */
export function sortTags(tags: Iterable<string>): string[] {
  const parsed = Array.from(tags, (tag) => ({ tag, version: parseVersion(tag) }));
  return parsed.sort(compareParsed).map(({ tag }) => tag);
}

interface ParsedTag {
  readonly tag: string;
  readonly version: Version | null;
}

function compareParsed(a: ParsedTag, b: ParsedTag): number {
  if (a.version !== null && b.version !== null)
    return compareVersions(a.version, b.version) || compareText(a.tag, b.tag);
  if (a.version !== null) return -1;
  if (b.version !== null) return 1;
  return compareText(a.tag, b.tag);
}

function digits(text = '0'): string {
  return text.replace(/^0+(?=\d)/, '');
}

function compareDigits(a: string, b: string): number {
  return a.length - b.length || compareText(a, b);
}

function comparePrereleases(a: string | null, b: string | null): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return compareText(a, b);
}
