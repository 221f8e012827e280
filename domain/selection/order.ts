import { compareText } from '../text/compare-text.js';
import { readCalendarTag } from './calver-order.js';
import { readDockerTag } from './docker-order.js';
import { compilePattern, type Pattern } from './pattern.js';
import { isCommit, PRERELEASE_WORD } from './suffix.js';
import { compareNaturally, type OrderName, type TagOrder, type TagVersion } from './tag-version.js';
import { readVersion, SEMVER_ORDER } from './version.js';

/**
 * The order of an import's tags (docs/rules/selection.md#an-order-reads-a-tag).
 * @throws HoubaError `PolicyInvalid` for a pattern that does not compile
 */
export function orderOf(selection: { readonly order?: OrderName; readonly includeRegex: string | null }): TagOrder {
  const name = selection.order ?? 'semver';
  switch (name) {
    case 'semver':
      return SEMVER_ORDER;
    case 'helm':
      return { name, read: readChartTag, comparePrereleases: compareText };
    case 'docker':
      return { name, read: readDockerTag, comparePrereleases: compareNaturally };
    case 'calver':
      return { name, read: readCalendarTag, comparePrereleases: compareNaturally };
    case 'numeric':
      return { name, read: readNumbers, comparePrereleases: compareNaturally };
    case 'regex':
      return { name, read: readByGroups(selection.includeRegex), comparePrereleases: compareNaturally };
  }
}

/** Helm pushes `1.2.3+build` as `1.2.3_build` (docs/rules/selection.md#a-charts-plus-is-an-underscore). */
function readChartTag(tag: string): TagVersion | null {
  const [, version = tag, build = ''] = /^([^_]+)_([0-9A-Za-z._-]+)$/.exec(tag) ?? [];
  const read = readVersion(version);
  return read === null ? null : { ...read, build };
}

/** Reads every number of a tag, up to a pre-release word (docs/rules/selection.md#numbers-count-from-left-to-right). */
function readNumbers(tag: string): TagVersion | null {
  if (isCommit(tag)) return null;
  const word = PRERELEASE_WORD.exec(tag);
  const head = word === null ? tag : tag.slice(0, word.index);
  const numbers = head.match(/\d+/g);
  if (numbers === null) return null;
  const prerelease = word === null ? null : tag.slice(word.index).toLowerCase();
  return { numbers, prerelease, build: '', flavour: '' };
}

/** Groups of a pattern that are numbers of the order, the most significant first. */
const NUMBER_GROUPS = ['major', 'minor', 'patch', 'build', 'revision'];

/** Tells whether the named groups of a pattern give an order. */
export function givesOrder(pattern: Pattern): boolean {
  return pattern.names.some((name) => NUMBER_GROUPS.includes(name));
}

/** Reads the named groups of a pattern (docs/rules/selection.md#groups-give-the-order). */
function readByGroups(source: string | null): TagOrder['read'] {
  const pattern = source === null ? null : compilePattern(source);
  if (pattern === null || !givesOrder(pattern)) return () => null;
  const others = pattern.names
    .filter((name) => !NUMBER_GROUPS.includes(name) && name !== 'prerelease')
    .sort(compareText);
  return (tag) => {
    const groups = pattern.groups(tag);
    if (groups === null) return null;
    const numbers = NUMBER_GROUPS.map((name) => groups.get(name) ?? '');
    if (!numbers.every((number) => /^\d*$/.test(number)) || numbers.every((number) => number === '')) return null;
    const flavour = others.map((name) => groups.get(name) ?? '');
    return {
      numbers,
      prerelease: groups.get('prerelease') || null,
      build: '',
      flavour: flavour.some((value) => value !== '') ? flavour.join(' ') : '',
    };
  };
}
