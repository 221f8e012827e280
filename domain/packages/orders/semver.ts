import { compareText } from '../../text/compare-text.js';
import { compareDigits } from '../../text/digits.js';
import { compareNumbers, type VersionOrder } from './order.js';

interface SemanticVersion {
  readonly numbers: readonly string[];
  /** Identifiers; empty for a final. */
  readonly prerelease: readonly string[];
}

/** The build, such as `+incompatible`, does not count. */
const VERSION = /^[v=]?(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+)|([A-Za-z][0-9A-Za-z.-]*))?(?:\+[0-9A-Za-z.-]+)?$/;

/** Semantic Versioning 2.0.0, read leniently (docs/rules/packages.md#an-ecosystem-orders-its-own-versions). */
export const SEMVER: VersionOrder<SemanticVersion> = {
  noun: 'semantic version',
  read: readSemanticVersion,
  compare: (a, b) => compareNumbers(a.numbers, b.numbers) || comparePrereleases(a.prerelease, b.prerelease),
};

/** NuGet compares pre-releases in any case, and has a fourth number. */
export const NUGET: VersionOrder<SemanticVersion> = {
  ...SEMVER,
  noun: 'version of NuGet',
  read: (text) => readSemanticVersion(text.toLowerCase()),
};

function readSemanticVersion(text: string): SemanticVersion | null {
  const [, numbers, prerelease, attached] = VERSION.exec(text) ?? [];
  if (numbers === undefined) return null;
  // Go writes 1.21rc2, and some packages 1.0.0beta3: the number counts as one.
  const identifiers = prerelease?.split('.') ?? attached?.match(/\d+|[A-Za-z-]+/g) ?? [];
  return { numbers: numbers.split('.'), prerelease: identifiers };
}

/** Compares identifier by identifier, numbers before text; a final comes behind its pre-releases. */
function comparePrereleases(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return Number(a.length === 0) - Number(b.length === 0);
  for (let index = 0; index < Math.min(a.length, b.length); index += 1) {
    const [one = '', other = ''] = [a[index], b[index]];
    const [isNumber, otherIsNumber] = [/^\d+$/.test(one), /^\d+$/.test(other)];
    const compare = isNumber && otherIsNumber ? compareDigits : compareText;
    const difference = Number(otherIsNumber) - Number(isNumber) || compare(one, other);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
