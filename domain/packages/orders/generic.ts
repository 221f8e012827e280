import { compareText } from '../../text/compare-text.js';
import { compareDigits } from '../../text/digits.js';
import { compareNumbers, type VersionOrder } from './order.js';

interface GenericVersion {
  readonly numbers: readonly string[];
  /** Numbers and words behind them, in lower case. */
  readonly rest: readonly string[];
}

const VERSION = /^v?(\d+(?:\.\d+)*)(.*)$/i;

const PRERELEASE = /^(?:alpha|beta|rc|cr|pre|preview|prerelease|dev|ea|milestone|snapshot|nightly|canary|unstable)$/;

/** Of what has no order of its own here (docs/rules/packages.md#other-versions-have-a-plain-order). */
export const GENERIC: VersionOrder<GenericVersion> = {
  noun: 'version that begins with a number',
  read(text) {
    const [, numbers, rest = ''] = VERSION.exec(text) ?? [];
    if (numbers === undefined) return null;
    return { numbers: numbers.split('.'), rest: rest.toLowerCase().match(/\d+|[a-z]+/g) ?? [] };
  },
  compare: (a, b) => compareNumbers(a.numbers, b.numbers) || compareRests(a.rest, b.rest),
};

function compareRests(a: readonly string[], b: readonly string[]): number {
  for (let index = 0; index < Math.max(a.length, b.length); index += 1) {
    const [one, other] = [a[index] ?? '0', b[index] ?? '0'];
    const compare = /^\d/.test(one) ? compareDigits : compareText;
    const difference = rankOf(one) - rankOf(other) || compare(one, other);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Words for a pre-release come before the end, which is 0; other words and numbers behind it. */
function rankOf(part: string): number {
  if (/^0*$/.test(part)) return 0;
  if (/^\d/.test(part)) return 2;
  return PRERELEASE.test(part) ? -1 : 1;
}
